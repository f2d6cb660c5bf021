"""The robustness mode on real digits with a tiny model."""

import json

import chex
import jax
import numpy as np
import pytest

from configs import svp_resnet
from jaxbio.corruptions import corrupt
from jaxbio.errors import InputError
from jaxbio.measures import corrupted_accuracy
from jaxbio.measures.measure import measure
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened as session
from jaxbio.tasks.classification.accuracy import evaluate
from tests.tasks.tiny import Tiny


def _config(**changes):
    config = svp_resnet.get_config()
    flat = {
        "train.batch_size": 64,
        "train.total_steps": 20,
        "optimizer.learning_rate": 0.02,
        "eval.batch_size": 184,
        "log.tensorboard": False,
        **changes,
    }
    config.update_from_flattened_dict(flat)
    return config


@pytest.fixture(autouse=True, scope="module")
def tiny_model():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "build_model", lambda arguments: Tiny(arguments["num_classes"]))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    loop.train(_config(), str(workdir))
    return workdir


@pytest.fixture
def run(trained, tmp_path):
    """The trained run, with evaluations of its own."""
    for name in ("config.json", "checkpoints"):
        (tmp_path / name).symlink_to(trained / name)
    return tmp_path


def _open(run, **changes):
    return session.open_session(_config(**changes), str(run))


def _measure(opened, names, severities, **options):
    return measure(opened, "robustness", corruptions=names, severities=severities, **options)


@pytest.mark.slow
def test_a_cell_is_the_accuracy_on_corrupted_images(run):
    opened = _open(run)
    measured = corrupted_accuracy.measure_compiled(opened, "gaussian_noise", 3)

    def by_hand(batch):
        images = corrupt(
            batch["image"], "gaussian_noise", 3, jax.random.key(0), indices=batch["index"]
        )
        return {**batch, "image": np.asarray(images)}

    batches = [by_hand(batch) for batch in opened.batches()]
    expected = evaluate(opened.eval_step, opened.variables, batches, opened.mesh)
    assert measured["count"] == opened.source.num_eval
    assert measured["top1"] == expected["top1"]
    assert measured["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    clean = opened.measure(opened.batches())
    assert measured["loss"] > clean["loss"]


def test_a_cell_does_not_depend_on_the_batch_size(run):
    cells = [
        corrupted_accuracy.measure_compiled(
            _open(run, **{"eval.batch_size": size}), "shot_noise", 5
        )
        for size in (120, 368)
    ]
    assert cells[0]["top1"] == cells[1]["top1"]
    assert cells[0]["loss"] == pytest.approx(cells[1]["loss"], rel=1e-5)


def test_one_model_compilation_for_all_corruptions(run):
    opened = _open(run)
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(opened.eval_step.__wrapped__, 1))
    object.__setattr__(opened, "eval_step", step)
    for name in ("brightness", "contrast"):
        corrupted_accuracy.measure_compiled(opened, name, 2)


def test_report_figures_and_resume(run, monkeypatch, capsys):
    report = _measure(_open(run), ["contrast", "brightness"], ["1", "5"])
    assert list(report["cells"]) == ["contrast/1", "contrast/5", "brightness/1", "brightness/5"]
    errors = [1 - cell["top1"] for cell in report["cells"].values()]
    assert report["scores"]["mean_error"] == pytest.approx(np.mean(errors))
    assert report["scores"]["mce_imagecorruptions"] is None
    out = capsys.readouterr().out
    assert "mean error, unnormalised" in out
    assert "after resize by jaxbio" in out
    assert (run / "report" / "robustness.png").stat().st_size > 5000
    assert (run / "report" / "corruptions.png").stat().st_size > 5000

    # Half of the cells are lost: only they are measured again.
    file = run / "evaluation" / "robustness.json"
    kept = json.loads(file.read_text())
    kept["cells"] = {k: v for k, v in kept["cells"].items() if k.startswith("contrast")}
    file.write_text(json.dumps(kept))
    measured = []
    real = corrupted_accuracy.measure_compiled

    def counted(opened, name, severity, protocol):
        measured.append((name, severity))
        return real(opened, name, severity, protocol)

    monkeypatch.setattr(corrupted_accuracy, "measure_compiled", counted)
    again = _measure(_open(run), ["contrast", "brightness"], ["1", "5"])
    assert measured == [("brightness", 1), ("brightness", 5)]
    assert again == report

    # Another seed is another measurement.
    _measure(_open(run, seed=1), ["contrast"], ["1"])
    assert measured[2:] == [("contrast", 1)]
    assert "measuring anew" in capsys.readouterr().out


@pytest.mark.slow
def test_runs_side_by_side(run, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.json", "checkpoints"):
        (other / name).symlink_to((run / name).resolve())
    _measure(_open(other), ["contrast"], ["3"])
    _measure(_open(run), ["contrast"], ["3"], compare=[str(other)])
    out = capsys.readouterr().out
    assert f"{run.name}  other" in out
    assert (run / "report" / "robustness_comparison.png").exists()
    with pytest.raises(InputError, match="other lacks contrast/1"):
        _measure(_open(run), ["contrast"], ["1"], compare=[str(other)])
    with pytest.raises(InputError, match=r"no robustness\.json there"):
        _measure(_open(run), ["contrast"], ["1"], compare=[str(tmp_path / "none")])
    with pytest.raises(InputError, match=r"seed=0.*1"):
        _measure(_open(run, seed=1), ["contrast"], ["3"], compare=[str(other)])


def test_the_reference_is_a_second_opinion(run):
    report = _measure(_open(run), ["contrast"], ["3"], reference=True, workers=1)
    ours = _measure(_open(run), ["contrast"], ["3"])
    assert (run / "evaluation" / "robustness_reference.json").exists()
    assert report["corruptions_by"] == "imagecorruptions"
    assert ours["corruptions_by"] == "jaxbio"
    # A deterministic corruption: the images differ by one grey level at most.
    assert report["cells"]["contrast/3"]["loss"] == pytest.approx(
        ours["cells"]["contrast/3"]["loss"], rel=1e-2
    )


def test_whole_pictures_are_corrupted_by_the_reference_alone(run):
    opened = _open(run, **{"eval.corrupt": "before_resize"})
    with pytest.raises(InputError, match=r"eval\.corrupt=after_resize, or --reference"):
        _measure(opened, ["contrast"], ["3"])


@pytest.mark.slow
def test_the_protocol_of_imagenet_c_has_figures_and_a_file_of_its_own(run):
    report = _measure(_open(run), ["contrast"], ["3"], protocol="imagenet_c")
    assert (run / "evaluation" / "robustness_imagenet_c.json").exists()
    assert report["protocol"] == "imagenet_c"
    assert report["frost"] == "photographs"
    assert report["scores"]["mce_imagenet_c"] is None
    plain = _measure(_open(run), ["contrast"], ["3"])
    assert report["cells"]["contrast/3"]["loss"] != plain["cells"]["contrast/3"]["loss"]  # JPEG
    with pytest.raises(InputError, match="--protocol=imagenet_c"):
        _measure(_open(run), ["fog"], ["1"], reference=True, protocol="imagenet_c")


def test_a_run_recorded_before_a_key_existed_is_opened(run):
    recorded = json.loads((run / "config.json").read_text())
    del recorded["config"]["model"]["drop_path"]
    (run / "config.json").unlink()
    (run / "config.json").write_text(json.dumps(recorded))
    assert session.open_session(None, str(run)).config.model.drop_path == 0.0


@pytest.mark.parametrize(
    ("changes", "names", "severities", "message"),
    [
        ({}, ["fogg"], ["1"], "--corruptions=fogg: did you mean 'fog'"),
        ({}, ["fog"], ["6"], "--severities=6: use 1 to 5"),
        ({}, ["fog"], [], "--severities is empty"),
        ({"eval.corrupt": "sometimes"}, ["fog"], ["1"], "eval.corrupt='sometimes'"),
    ],
)
def test_wrong_input_is_one_line(run, changes, names, severities, message):
    with pytest.raises(InputError, match=message) as caught:
        _measure(_open(run, **changes), names, severities)
    assert "\n" not in str(caught.value)
