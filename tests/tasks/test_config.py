"""Every configuration: what is wrong in it is one line, before anything costs time."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from configs import base, lc_snn, rdm_finetune, svp_resnet
from jaxbio import options
from jaxbio.errors import InputError
from jaxbio.models.activations import list_activations
from jaxbio.ops.encoding import list_encoders
from jaxbio.options import set_key
from jaxbio.runs.directory import compare_configs
from jaxbio.tasks import TASKS
from jaxbio.tasks.classification.config import ACTIVATIONS
from jaxbio.tasks.config import check_config, config_class, config_to_go_on, restored_config
from jaxbio.tasks.stdp.config import ENCODERS

_ROOT = Path(__file__).parents[2]
_NAN, _INF = float("nan"), float("inf")
_EXPERIMENTS = sorted(
    file.stem
    for file in (_ROOT / "configs").glob("*.py")
    if "def get_config(variant" in file.read_text()
)

_CLASSIFIER = {
    "optimizer.learning_rate": (_NAN, _INF, -1.0),
    "optimizer.momentum": (2.0, 1.0, -0.1),
    "optimizer.name": ("adamW", ""),
    "optimizer.clip_norm": (-1.0,),
    "data.std": ((0.0, 0.0, 0.0), (0.5,), (0.5, _NAN, 0.5)),
    "data.mean": ((0.5,), (0.5, 0.5, 0.5, 0.5), (_INF, 0.0, 0.0)),
    "data.image_size": (1_000_000, 0, -5, 7),
    "data.resize_size": (-3, 31),
    "data.source": ("nosuch", "tfds:", "tfds:../../x"),
    "data.augmentation": ("evil",),
    "data.crop_scale": ((0.0, 0.0), (2.0, 1.0), (1.0, 0.5)),
    "data.max_shift": (9.0,),
    "data.corruption_share": (0.0,),
    "data.corruption_severities": ("a", "1,6", ""),
    "data.rand_magnitude": (1e30, -1.0),
    "data.random_erasing": (3.0,),
    "data.prefetch": (0, -1),
    "train.ema_decay": (1.5, 1.0, -0.1),
    "train.label_smoothing": (2.0, 1.0),
    "train.batch_size": (0, -8, 10**9),
    "train.accumulate": (0, 7),
    "train.total_steps": (0, -1, 2**31),
    "checkpoint.keep_last": (-3,),
    "checkpoint.keep_best": (-1,),
    "checkpoint.every_steps": (-1,),
    "eval.every_steps": (-2,),
    "eval.corrupt": ("x",),
    "log.every_steps": (-1,),
    "mesh.data": (0, -2),
    "mesh.fsdp": (0,),
    "schedule.name": ("foo",),
    "schedule.factor": (-1.0, 0.0),
    "schedule.warmup_steps": (-1,),
    "schedule.drop_every_steps": (0,),
    "schedule.milestones_epochs": ("30,x", "60,30", "0,3", "30,30", "3;4"),
    "schedule.milestones_steps": ("1.5", "-3"),
    "data.mix": ("mixip",),
    "data.mix_share": (0.0, 1.5),
    "data.mixup_alpha": (0.0, -1.0),
    "seed": (-1, 2**32, 10**30),
    "model.dtype": ("float8",),
    "model.num_classes": (-1,),
    "model.drop_path": (2.0, 1.0),
    "model.times": (0, -3),
    "model.readout": ("foo",),
    "model.front_end": ("xyz",),
    "model.v1.kernel_size": (24, 0),
    "model.v1.sf_corr": (1.5,),
    "arr.coefficient": (-1.0,),
    "arr.momentum": (0.0, 1.5),
}
_SPIKING = {
    "spiking.kind": ("x",),
    "spiking.filters": (0, -4, 10**8),
    "spiking.steps": (0, 10**8),
    "spiking.dt": (0.0, _NAN, -1.0),
    "spiking.refractory": (-1,),
    "spiking.mean_weight": (_NAN, 0.0),
    "spiking.intensity": (-5.0, 1e9),
    "spiking.tau_v": (0.0, _NAN),
    "spiking.c_w": (1.0, _NAN),
    "spiking.c_w_min": (5.0, _NAN),
    "spiking.threshold": (-80.0,),
    "spiking.calibration_share": (0.0, 2.0),
    "spiking.train_images": (0, 41),
    "spiking.images_per_step": (0, 7),
    "spiking.images_per_update": (0, 3),
    "spiking.top_n": (0, 26),
    "spiking.readout": ("x",),
    "spiking.test_on": ("x",),
    "spiking.start_member": (-1,),
    "population.seeds": (0, -1, 10**8, 10**30),
}
_NEED_IMPORTS = {  # and the task's configuration
    "model.name": (svp_resnet, ("resnet81", "../../etc/passwd", "")),
    "model.activation": (svp_resnet, ("zzz", "gelo")),
    "data.corruption_augmentation": (svp_resnet, ("foo",)),
    "spiking.encoder": (lc_snn, ("x",)),
    "spiking.kernel": (lc_snn, (13,)),  # windows that do not tile the input
    "population.grid": (
        lc_snn,
        ("a=b", "mean_weight=", "filters=1,2", "mean_weight=nan", "c_w=1"),
    ),
}


def _cases(table):
    return [(key, value) for key, values in table.items() for value in values]


def _refused(config, key, value):
    set_key(config, key, value)
    with pytest.raises(InputError, match=f"{key}|{key.split('.')[-1]}"):
        check_config(config)


@pytest.mark.parametrize(("key", "value"), _cases(_CLASSIFIER))
def test_a_classifier_refuses(key, value):
    _refused(svp_resnet.get_config(), key, value)


@pytest.mark.parametrize(("key", "value"), _cases(_SPIKING))
def test_a_spiking_network_refuses(key, value):
    _refused(lc_snn.get_config(), key, value)


@pytest.mark.parametrize("key", sorted(_NEED_IMPORTS))
def test_names_that_need_an_import_are_refused(key):
    experiment, values = _NEED_IMPORTS[key]
    for value in values:
        _refused(experiment.get_config(), key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("rdm.held_out", 0.0), ("rdm.held_out", 1.0), ("rdm.sit_splits", 0), ("rdm.split_seed", -1)],
)
def test_fine_tuning_refuses(key, value):
    _refused(rdm_finetune.get_config(), key, value)


def test_more_weights_than_memory_are_refused():
    config = lc_snn.get_config()
    config.spiking.filters, config.spiking.trained_competition = 16384, True
    with pytest.raises(InputError, match=r"spiking\.filters=16384"):
        check_config(config)


def test_a_multistep_schedule_needs_milestones():
    config = svp_resnet.get_config()
    config.schedule.name = "multistep"
    with pytest.raises(InputError, match=r"schedule\.milestones_epochs"):
        check_config(config)


def test_a_training_needs_a_length():
    with pytest.raises(InputError, match=r"train\.total_epochs"):
        check_config(base.get_config())


@pytest.mark.parametrize("name", _EXPERIMENTS)
def test_every_experiment_passes_and_holds_what_its_task_reads(name):
    experiment = importlib.import_module(f"configs.{name}")
    config = experiment.get_config()
    check_config(config)
    assert ("spiking" in config) == (config.task == "stdp")
    assert ("rdm" in config) == (config.task == "rdm")
    assert ("arr" in config) == (config.task == "classification")
    with pytest.raises(AttributeError):
        config.data.no_such_key = 1


@pytest.mark.parametrize("task", TASKS)
def test_every_key_is_described_and_every_number_has_a_default_in_its_range(task):
    for key in options.keys(config_class(task)).values():
        assert key.option.meaning
        if key.default is not None:
            options.check_key(key, key.default, key.path)


def test_an_unknown_task_is_refused():
    with pytest.raises(InputError, match="task='evil'"):
        check_config({"task": "evil"})


def test_what_is_wrong_is_said_without_importing_jax():
    code = (
        "import sys\n"
        "from configs import svp_resnet, lc_snn\n"
        "from jaxbio.tasks.config import check_config\n"
        "for file, key, value in ((svp_resnet, 'train.ema_decay', 1.5),"
        " (svp_resnet, 'model.name', 'resnet81'),"
        " (svp_resnet, 'model.activation', 'gelo'),"
        " (svp_resnet, 'data.corruption_augmentation', 'foggy'),"
        " (lc_snn, 'spiking.encoder', 'renewel'),"
        " (lc_snn, 'spiking.filters', 10**8)):\n"
        "    config = file.get_config()\n"
        "    config.update_from_flattened_dict({key: value})\n"
        "    try: check_config(config)\n"
        "    except ValueError as error: assert key in str(error), error\n"
        "    else: raise AssertionError(key)\n"
        "assert not {'jax', 'flax', 'tensorflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=_ROOT)


def test_light_tables_are_those_of_the_modules():
    assert list(ACTIVATIONS) == list_activations()
    assert list(ENCODERS) == list_encoders()


@pytest.mark.parametrize(
    ("experiment", "key", "value", "meant"),
    [
        (svp_resnet, "model.activation", "gelo", "gelu"),
        (svp_resnet, "model.name", "resnet81", "resnet18"),
        (svp_resnet, "data.corruption_augmentation", "fog,glas_blur", "glass_blur"),
        (lc_snn, "spiking.encoder", "renewel", "renewal"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(experiment, key, value, meant):
    config = experiment.get_config()
    set_key(config, key, value)
    with pytest.raises(InputError, match=f"did you mean '{meant}'"):
        check_config(config)


def test_a_recorded_configuration_is_read_in_todays_keys():
    config = lc_snn.get_config()
    recorded = config.to_dict()
    chunk = recorded["spiking"].pop("images_per_step")
    recorded["train"] = {"batch_size": 2 * chunk, "total_steps": None}  # as in 0.1.0
    recorded["model"] = {"name": "resnet18"}
    then = restored_config({"config": recorded})
    assert then.spiking.images_per_step == 2 * chunk
    assert "model" not in then
    with pytest.raises(InputError, match=r"spiking\.images_per_step=40 \(there 80\)"):
        compare_configs(then.to_dict(), config.to_dict(), Path("run"))


def test_going_on_takes_new_keys_as_the_run_had_them():
    """As if ``train.label_smoothing`` had come after the run, which did without."""
    config = svp_resnet.get_config()
    config.train.label_smoothing = 0.1
    recorded = config.to_dict()
    del recorded["train"]["label_smoothing"]
    with pytest.raises(InputError, match=r"train\.label_smoothing=0\.1 \(there 0\.0\)"):
        compare_configs(
            restored_config({"config": recorded}).to_dict(),
            config_to_go_on(config, {"config": recorded}).to_dict(),
            Path("run"),
        )


def test_a_record_that_is_none_is_refused():
    for recorded in ({}, {"config": []}, {"config": {"task": 3}}, {"config": {"seed": 1}}):
        with pytest.raises(InputError):
            restored_config(recorded)
