"""What is typed: experiments by name and file, changed keys, wrong words."""

import pytest

from jaxbio.commands import train
from jaxbio.commands.experiments import chosen, config_of_run, names, open_config
from jaxbio.commands.main import main, make_parser
from jaxbio.errors import InputError, NonFiniteError, WriteError


def _changed(*pairs, experiment="svp_resnet"):
    split = [pair.partition("=") for pair in pairs]
    return open_config(experiment, [(key, key, value) for key, _, value in split])


def test_every_experiment_opens_by_its_name():
    assert "svp_resnet" in names()
    assert "base" not in names()
    for name in names():
        assert open_config(name).name.startswith(name)


def test_a_file_and_a_name_are_one_experiment():
    assert open_config("configs/svp_resnet.py:mnist") == open_config("svp_resnet:mnist")


def test_a_file_of_the_user_s_own_imports_experiments_and_neighbours(tmp_path):
    (tmp_path / "parts.py").write_text("STEPS = 7")
    (tmp_path / "mine.py").write_text(
        "from jaxbio.configs import svp_resnet\n"
        "import parts\n"
        "def get_config():\n"
        "    config = svp_resnet.get_config()\n"
        "    config.train.total_steps = parts.STEPS\n"
        "    return config\n"
    )
    assert open_config(str(tmp_path / "mine.py")).train.total_steps == 7
    (tmp_path / "mine.py").write_text("raise RuntimeError('broken')")
    with pytest.raises(InputError, match=r"mine.py: broken"):
        open_config(str(tmp_path / "mine.py"))


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("seed=3", 3),
        ("train.total_epochs=3", 3.0),
        ("train.total_steps=None", None),
        ("train.total_steps=12", 12),
        ("model.readout=all", "all"),
        ("model.v1.noise_mode=none", "none"),
        ("model.v1.same_color=True", True),
        ("data.flip=false", False),
        ("data.mean=(0, 0.5, 1)", (0.0, 0.5, 1.0)),
        ("data.mean=0.1,0.2,0.3", (0.1, 0.2, 0.3)),
        ("optimizer.learning_rate=1", 1.0),
        ("optimizer.learning_rate=1e-3", 1e-3),
        ("data.data_dir=a=b", "a=b"),
    ],
)
def test_values_take_the_type_of_their_key(change, value):
    key = change.partition("=")[0]
    found = _changed(change)
    for part in key.split("."):
        found = found[part]
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, tuple):
        assert {type(item) for item in found} == {float}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["svp_resnet:digit"], "unknown variant 'digit'"),
        (["svp_resnett"], "did you mean 'svp_resnet'"),
        (["--config=configs/svp_resnett.py"], "configs/svp_resnett.py does not exist"),
        (["runs/none"], "runs/none does not exist: neither a run directory nor"),
        (["svp_resnet", "train.batchsize=3"], "did you mean 'batch_size'"),
        (["svp_resnet", "learning_rate=3"], "did you mean 'optimizer.learning_rate'"),
        (["svp_resnet", "model.v2.stride=3"], "has no 'v2"),
        (["svp_resnet", "--config.train=3"], "train is a section"),
        (["svp_resnet", "--config.seed=x"], "--config.seed=x: use a whole number"),
        (["svp_resnet", "--config.seed", "x"], "--config.seed=x"),
        (["svp_resnet", "seed=1.5"], "seed=1.5"),
        (["svp_resnet", "data.flip=maybe"], "data.flip=maybe: use true or false"),
        (["svp_resnet", "data.mean=a,b,c"], "data.mean=a,b,c"),
        (["svp_resnet", "--wrokdir=x"], "did you mean --workdir"),
        (["svp_resnet", "--num_processes=x"], "--num_processes"),
        (["svp_resnet", "cornet_s"], "unexpected argument 'cornet_s'"),
        (["seed=3"], "--config is missing"),
        ([], "--config is missing"),
    ],
)
def test_wrong_words_are_one_line_and_code_2(words, message, capsys, monkeypatch):
    monkeypatch.setattr(train, "start_jax", lambda _: pytest.fail("too late"))
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxbio train: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_flags_of_another_mode_are_told(capsys):
    assert main(["evaluate", "svp_resnet", "--severity=3"]) == 2
    assert "--severity is an option of --mode=robustness" in capsys.readouterr().err


def test_unknown_commands(capsys):
    assert main(["trian"]) == 2
    assert "'trian'" in capsys.readouterr().err


def test_overrides_as_the_flags_library_took_them(monkeypatch):
    seen = []
    monkeypatch.setattr(train, "start_jax", lambda options: seen.append(options) or _stop())
    words = ["--config=configs/svp_resnet.py", "--noconfig.data.flip", "--config.model.remat"]
    words += ["--config.seed", "5", "--config.optimizer.learning_rate=0.5", "train.total_epochs=2"]
    configs = []
    opened = train.open_config
    monkeypatch.setattr(train, "open_config", lambda *a: configs.append(opened(*a)) or configs[-1])
    assert (
        main(["train", *words, "--coordinator=a:1", "--num_processes=2", "--process_id=1"]) == 130
    )
    (config,), (options,) = configs, seen
    assert (config.data.flip, config.model.remat, config.seed) == (False, True, 5)
    assert (config.optimizer.learning_rate, config.train.total_epochs) == (0.5, 2.0)
    assert (options.coordinator, options.num_processes, options.process_id) == ("a:1", 2, 1)
    with pytest.raises(AttributeError):
        config.train.batchsize = 3


def _stop():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("seed=-1: use more"), 2),
        (WriteError.of("runs", OSError(28, "No space left on device")), 1),
        (OSError(28, "No space left on device"), 1),
        (NonFiniteError("loss at step 3"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(error, code, capsys, monkeypatch):
    def fails(_):
        raise error

    monkeypatch.setattr(train, "run", fails)
    assert main(["train", "svp_resnet"], "train.py") == code
    text = capsys.readouterr().err
    assert text.startswith("train.py: ")
    assert text.count("\n") == 1


def test_converted_weights_bring_their_images_to_a_configuration():
    images = {"image_size": 64, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]}
    config = config_of_run({"model": {}, "preprocessing": images}, [("seed=3", "seed", "3")])
    assert (config.data.image_size, config.data.mean, config.seed) == (64, (0.1, 0.2, 0.3), 3)
    with pytest.raises(InputError, match="flip=maybe"):
        config_of_run({"model": {}}, [("data.flip=maybe", "data.flip", "maybe")])


def test_pictures_and_a_split_are_short_for_keys():
    parser = make_parser("train")
    options = parser.parse(["svp_resnet", "--data=photos.tar", "--split=0.2"])
    experiment, overrides = chosen(options)
    assert experiment == "svp_resnet"
    assert [(key, value) for _, key, value in overrides] == [
        ("data.source", "folder"),
        ("data.data_dir", "photos.tar"),
    ]
    assert options.split == "0.2"
    assert main(["train", "svp_resnet", "--split=2"]) == 2
