"""The experiments of DNRT: what they share, what differs, and the published recipe."""

import pytest

from configs import datasets, dnrt_resnet, dnrt_vit, gelu_vit, relu_vit
from jaxbio.runs.schedules import make_schedule
from jaxbio.tasks.classification.arr import make_regulariser
from jaxbio.tasks.classification.augmentation import read_augmentation
from jaxbio.tasks.classification.build import build_model, model_arguments

EXPERIMENTS = (dnrt_vit, dnrt_resnet, gelu_vit, relu_vit)


@pytest.mark.parametrize("variant", datasets.VARIANTS)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.slow
def test_every_variant_builds(experiment, variant):
    config = experiment.get_config(variant)
    model = build_model(model_arguments(config, 10))
    regulariser = make_regulariser(config.arr, model, config.data.image_size)
    assert (regulariser is not None) == experiment.__name__.startswith("configs.dnrt")
    augmentation = read_augmentation(config.data)
    assert (augmentation is None) == (variant in ("digits", "mnist"))


@pytest.mark.parametrize(("experiment", "activation"), [(gelu_vit, "gelu"), (relu_vit, "relu")])
def test_baselines_differ_in_activation_and_arr_alone(experiment, activation):
    ours = dnrt_vit.get_config("cifar100")
    ours.update({"name": experiment.get_config("cifar100").name})
    ours.model.activation, ours.arr.coefficient = activation, 0.0
    assert experiment.get_config("cifar100").to_dict() == ours.to_dict()


def test_the_published_recipe():
    config = dnrt_vit.get_config("cifar100")
    assert config.model.name == "vit_tiny_patch4_32"
    assert (config.model.drop_path, config.arr.coefficient, config.arr.momentum) == (0.1, 20, 0.1)
    assert dnrt_vit.get_config("cifar10").arr.coefficient == 10
    steps = 195
    schedule = make_schedule(config.schedule, config.optimizer.learning_rate, 300 * steps, steps)
    assert float(schedule(0)) == pytest.approx(1e-6)
    assert float(schedule(20 * steps)) == pytest.approx(2.5e-4, rel=1e-3)
    assert float(schedule(300 * steps)) == pytest.approx(1e-5)
    assert float(schedule(280 * steps + 1)) == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("key", "value"),
    [("rand_augment", -1), ("rand_magnitude", 11.0), ("random_erasing", 1.5)],
)
def test_wrong_augmentation_is_one_line(key, value):
    data = dnrt_vit.get_config("cifar100").data
    data[key] = value
    with pytest.raises(ValueError, match=f"data.{key}={value}: use"):
        read_augmentation(data)
