"""Opening a run or converted weights: their images and the configuration's."""

import pytest

from configs import svp_resnet
from jaxbio.errors import InputError
from jaxbio.files import write_json
from jaxbio.runs.verified import CheckpointMismatchError
from jaxbio.tasks.classification import opened
from jaxbio.tasks.classification.build import model_arguments

MODEL = {
    **{"name": "squeezenet1_1", "num_classes": 10, "image_size": 224, "front_end": "none"},
    **{"front_end_options": {}, "activation": "relu"},
}
IMAGES = {"image_size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def _open(workdir, recorded, **changes):
    write_json(workdir / "config.json", recorded)
    config = svp_resnet.get_config()
    config.update_from_flattened_dict(changes)
    return opened.open_session(config, str(workdir), with_data=False)


@pytest.fixture(autouse=True)
def reached(monkeypatch):
    """The check of the images comes first: what passes it ends here."""

    def build_model(arguments):
        raise CheckpointMismatchError("reached")

    monkeypatch.setattr(opened, "build_model", build_model)


def test_a_configuration_of_other_images_is_refused(tmp_path):
    recorded = {"model": MODEL, "preprocessing": IMAGES, "provenance": {}}
    with pytest.raises(InputError) as error:
        _open(tmp_path, recorded)
    message = str(error.value)
    for part in (
        "--config.data.image_size='224'",
        "--config.data.mean='(0.485, 0.456, 0.406)'",
        "--config.data.std='(0.229, 0.224, 0.225)'",
        "--config.eval.preprocessing=config",
    ):
        assert part in message
    assert "\n" not in message
    same = {f"data.{key}": tuple(v) if key != "image_size" else v for key, v in IMAGES.items()}
    with pytest.raises(CheckpointMismatchError, match="reached"):
        _open(tmp_path, recorded, **same)
    with pytest.raises(InputError, match=r"data\.std"):
        _open(tmp_path, recorded, **{**same, "data.std": (1.0, 1.0, 1.0)})
    with pytest.raises(CheckpointMismatchError, match="reached"):
        _open(tmp_path, recorded, **{"eval.preprocessing": "config"})


def test_weights_that_were_converted_before_tell_their_size_alone(tmp_path):
    recorded = {"model": MODEL, "provenance": {}}
    with pytest.raises(InputError, match=r"data\.image_size=\d+ \(there 224\)"):
        _open(tmp_path, recorded)
    with pytest.raises(CheckpointMismatchError, match="reached"):
        _open(tmp_path, recorded, **{"data.image_size": 224})


def test_a_run_is_measured_with_its_own_images(tmp_path):
    recorded = {"config": {"data": IMAGES}, "resolved": {"model": MODEL}}
    with pytest.raises(InputError, match=r"data\.mean"):
        _open(tmp_path, recorded, **{"data.image_size": 224})


def test_a_front_end_s_noise_can_be_on_or_off_when_it_is_tested(tmp_path):
    config = svp_resnet.get_config()
    config.model.front_end = "vone"
    arguments = model_arguments(config, 10)
    images = {key: config.data[key] for key in IMAGES}
    recorded = {"config": {"data": images}, "resolved": {"model": arguments}}
    vone = {"model.front_end": "vone"}
    for changes in ({}, {"model.v1.noise_at_eval": True}, {"model.v1.noise_at_eval": False}):
        with pytest.raises(CheckpointMismatchError, match="reached"):
            _open(tmp_path, recorded, **vone, **changes)
    with pytest.raises(InputError, match="another model: front_end_options="):
        _open(tmp_path, recorded, **vone, **{"model.v1.noise_mode": "none"})
