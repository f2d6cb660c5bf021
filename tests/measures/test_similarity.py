"""The mode ``similarity`` with a model whose layers are known functions of the images."""

import dataclasses
import json
import tracemalloc
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from configs import base
from jaxbio import neural
from jaxbio.errors import InputError
from jaxbio.features import FeatureRequest
from jaxbio.measures import layer_activity as layer_activity_module
from jaxbio.measures import similarity, similarity_report
from jaxbio.measures.brain import brains
from jaxbio.measures.layer_activity import Place, layer_activity
from jaxbio.measures.measure import measure
from jaxbio.measures.scores import MEASURES, Score, choose_measures
from jaxbio.measures.similarity_record import Record
from jaxbio.measures.similarity_report import embed_dissimilarities
from jaxbio.neural import Recordings, StimulusSet, synthetic_recordings
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.mesh import make_mesh
from jaxbio.similarity import CADIEU_IT, gram
from jaxbio.similarity.noise import recordings_noise

_SIZE = 16


class Layers(nn.Module):
    """A picture layer, an area with three steps that the image reaches at step 1, a dead layer."""

    arrival_steps = {"area": 1}  # noqa: RUF012 - what networks with time declare

    @nn.compact
    def __call__(self, x, train=False):
        pooled = nn.avg_pool(x, (4, 4), (4, 4))
        edges = nn.tanh(3.0 * (x[:, 1:] - x[:, :-1]))
        self.param("unused", nn.initializers.zeros, ())
        endpoints = {
            "picture": pooled,
            "area": jnp.stack([jnp.zeros_like(edges), edges, edges**2]),
            "same": pooled.reshape(len(x), -1),
            "dead": jnp.zeros((len(x), 5)),
        }
        return pooled.mean((1, 2)), endpoints


@pytest.fixture(scope="module")
def recordings():
    return synthetic_recordings(views=5, image_size=_SIZE, sites=30, repetitions=6)


@pytest.fixture
def session(tmp_path):
    config = base.get_config()
    config.data.image_size = _SIZE
    model = Layers()
    variables = model.init(jax.random.key(0), jnp.zeros((1, _SIZE, _SIZE, 3)))
    return SimpleNamespace(
        config=config,
        model=model,
        variables=variables,
        preprocessing=Preprocessing(_SIZE, config.data.mean, config.data.std),
        run=RunDirectory(tmp_path),
        step=7,
        arguments={"name": "layers"},
        mesh=make_mesh(),
    )


def _activity(session, images, **options):
    request = FeatureRequest(options.pop("layers", "all"), options.pop("times", "all"))
    prepared = Preprocessing(_SIZE, (0.5,) * 3, (0.5,) * 3)
    model, variables = session.model, session.variables
    return layer_activity(model, variables, images, request, prepared, **options)


def report_similarity(session, recordings, **options):
    """The measure, with recordings that are in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neural, "open_recordings", lambda *_, **__: recordings)
        return measure(session, "similarity", **options)


def test_layers_come_step_by_step_from_the_image_s_arrival(session, recordings):
    images = recordings.stimuli.images[:70]  # a batch and a part of one
    found = _activity(session, images, layers=["picture", "area"])
    assert list(found) == [Place("picture", None), Place("area", 1), Place("area", 2)]
    _, direct = session.model.apply(session.variables, images / 127.5 - 1)
    np.testing.assert_allclose(
        found[Place("area", 2)], direct["area"][2].reshape(70, -1), atol=1e-5
    )
    last = _activity(session, images, layers=["area"], times="last")
    assert list(last) == [Place("area", 2)]


def test_wide_layers_are_sampled_the_same_at_every_step(session, recordings):
    images = recordings.stimuli.images[:10]
    whole = _activity(session, images, layers=["area"])
    part = _activity(session, images, layers=["area"], max_units=50, seed=3)
    for place in part:
        assert part[place].shape == (10, 50)
    columns = [
        int(np.flatnonzero((whole[Place("area", 1)] == column[:, None]).all(0))[0])
        for column in part[Place("area", 1)].T
    ]
    np.testing.assert_array_equal(part[Place("area", 2)], whole[Place("area", 2)][:, columns])
    assert columns == sorted(columns)


@pytest.fixture(scope="module")
def linear_brain():
    """Recordings that are a linear function of the picture layer, with little noise."""
    rng = np.random.default_rng(0)
    pictures = synthetic_recordings(views=5, image_size=_SIZE, sites=1, repetitions=1).stimuli
    pooled = pictures.images.reshape(245, 4, 4, 4, 4, 3).mean((2, 4)).reshape(245, -1) / 255
    # An orthogonal map keeps the geometry for CKA; no map keeps that of Pearson's r over units.
    turn = np.linalg.qr(rng.standard_normal((48, 48)))[0]
    means = 30 * (pooled @ turn)
    single = means + 0.3 * rng.standard_normal((6, *means.shape))
    return Recordings(
        "linear", pictures, responses=single.mean(0)[..., None], repetitions=single[..., None]
    )


@pytest.mark.slow
def test_a_layer_that_is_the_brain_scores_at_the_ceiling(session, linear_brain, tmp_path, capsys):
    result = report_similarity(
        session, linear_brain, layers=["picture", "area"], measures=["ridge", "cka"]
    )
    score = {(r["measure"], r["layer"], r["step"]): r for r in result["scores"]}
    for name in ("ridge", "cka"):
        best = score[name, "picture", None]
        assert best["score"] > 0.9
        assert best["score"] > max(score[name, "area", step]["score"] for step in (1, 2)) + 0.1
        assert best["low"] <= best["score"] <= best["high"]
    ceiling = next(c for c in result["ceilings"] if c["measure"] == "ridge")
    row = score["ridge", "picture", None]
    assert row["ceiled"] == pytest.approx(row["score"] ** 2 / ceiling["low"], rel=1e-5)
    assert "SYNTHETIC" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_report_says_synthetic_and_holds_everything(session, recordings, capsys, tmp_path):
    result = report_similarity(
        session,
        recordings,
        layers=["picture", "area", "same"],
        measures=["sit", "cka"],
        bins="mean",
        max_units=100,
    )
    written = json.loads((tmp_path / "evaluation" / "similarity_synthetic.json").read_text())
    assert written == json.loads(json.dumps(result))
    assert written["synthetic"]
    assert len(written["scores"]) == 2 * 4  # measures, places
    same = [r for r in written["scores"] if r["layer"] == "same"]
    first = [r for r in written["scores"] if r["layer"] == "picture"]
    assert [r["score"] for r in same] == [r["score"] for r in first]
    assert all(np.isfinite(r["score"]) for r in written["scores"])
    page = (tmp_path / "evaluation" / "similarity_synthetic.html").read_text()
    assert "Synthetic recordings" in page
    assert page.count("data:image/png;base64,") == 2 * 2 + 2  # bars and maps; RDMs, scaling
    assert "http" not in page
    output = capsys.readouterr().out
    assert "SYNTHETIC recordings" in output
    assert "noise ceiling" in output


@pytest.fixture
def narrow(monkeypatch):
    """The area is a layer too wide to keep, in blocks of 100 units and batches of few images."""
    monkeypatch.setattr(layer_activity_module, "_MOST_BYTES", 4 * 245 * 100)
    monkeypatch.setattr(layer_activity_module, "_BLOCK_BYTES", 4 * 245 * 100)


def test_the_units_of_wide_layers_are_never_together(session, recordings, narrow, tmp_path):
    images = recordings.stimuli.images
    request = {"layers": ["picture", "area"]}
    held = _activity(session, images, **request)
    tracemalloc.start()
    found = _activity(session, images, scratch=tmp_path, **request)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found[Place("picture", None)], np.ndarray)
    wide = found[Place("area", 2)]
    assert wide.shape == held[Place("area", 2)].shape == (245, 720)
    np.testing.assert_allclose(wide.gram(), gram(held[Place("area", 2)]), rtol=1e-3, atol=1e-3)
    assert list(tmp_path.iterdir()) == []  # what waited on the disk is gone
    inner = 245 * 245 * 8  # of two steps; while one is added, another, and what numpy converts
    assert peak < 5 * inner + 2 * 4 * 245 * 720


def test_measures_that_need_units_say_so(session, recordings, narrow):
    options = {"layers": ["area"], "max_units": 0}
    with pytest.raises(InputError, match="--measures=sit needs the units of area"):
        report_similarity(session, recordings, measures=["sit"], **options)
    names, remarks = choose_measures([], brains(recordings, "mean", 0)[0], ["area"])
    assert names == ["rsa", "pls", "ridge", "cka"]
    assert [remark.split()[0] for remark in remarks] == ["sit", "svm"]


def test_no_room_on_the_disk_is_said_before_the_work(session, recordings, narrow, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(InputError, match=r"area take .* --max_units"):
        report_similarity(session, recordings, measures=["cka"], layers=["area"], max_units=0)


@pytest.mark.slow
def test_streamed_layers_score_as_those_in_memory(session, recordings, tmp_path, request):
    options = {
        "layers": ["picture", "area"],
        "measures": ["rsa", "pls", "ridge", "ridge-cv", "cka"],
        "max_units": 0,
    }
    held = report_similarity(session, recordings, **options)
    request.getfixturevalue("narrow")
    folder = tmp_path / "streamed"
    folder.mkdir()
    session.run = RunDirectory(folder)
    streamed = report_similarity(session, recordings, **options)
    assert len(streamed["scores"]) == 5 * 3
    for one, other in zip(held["scores"], streamed["scores"], strict=True):
        assert (one["measure"], one["layer"]) == (other["measure"], other["layer"])
        values = [[row[key] for key in ("score", "low", "high")] for row in (one, other)]
        np.testing.assert_allclose(*values, atol=1e-5, err_msg=str(one))
    assert (session.run.path / "evaluation" / "similarity_synthetic.html").exists()


@pytest.fixture
def counted(monkeypatch):
    """The layers that are scored, in order; the scores are their numbers of units."""
    seen = []

    def score(brain, layers):
        seen.extend(layers)
        return {name: Score(float(x.shape[1]), 0.0, 1.0) for name, x in layers.items()}

    for name in ("cka", "ridge"):
        fake = dataclasses.replace(MEASURES[name], score=score)
        monkeypatch.setitem(MEASURES, name, fake)
    monkeypatch.setattr(similarity_report, "write_html", lambda *_: None)
    return seen


def _written(session):
    return json.loads((session.run.path / "evaluation" / "similarity_synthetic.json").read_text())


def test_what_is_measured_is_not_measured_again(session, recordings, counted, monkeypatch):
    options = {"measures": ["cka"], "max_units": 100}
    first = report_similarity(session, recordings, layers=["area"], **options)
    assert counted == ["area, step 1", "area, step 2"]
    # Interrupted at the second layer: the first is in the file.
    write = Record.add

    def interrupted(record, cells):
        write(record, cells)
        raise KeyboardInterrupt

    monkeypatch.setattr(Record, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        report_similarity(session, recordings, layers=["picture", "same"], **options)
    monkeypatch.setattr(Record, "add", write)
    assert counted[2:] == ["picture"]
    both = report_similarity(session, recordings, layers=["area", "same", "picture"], **options)
    assert counted[2:] == ["picture"]  # the same activity as "same"
    assert [row["layer"] for row in both["scores"]] == ["picture", "area", "area", "same"]
    assert [row for row in both["scores"] if row["layer"] == "area"] == first["scores"]


@pytest.mark.parametrize(("most", "groups"), [(2**25, 1), (1, 2)])
def test_layers_of_rsa_score_together_what_each_scores_alone(
    session, recordings, monkeypatch, most, groups
):
    monkeypatch.setattr(similarity, "_NUMBERS_AT_ONCE", most)
    monkeypatch.setattr(similarity_report, "write_html", lambda *_: None)
    rsa, asked, alone = MEASURES["rsa"], [], []

    def score(brain, layers):
        asked.append(list(layers))
        alone.extend(rsa.score(brain, {name: x})[name] for name, x in layers.items())
        return rsa.score(brain, layers)

    monkeypatch.setitem(MEASURES, "rsa", dataclasses.replace(rsa, score=score))
    result = report_similarity(session, recordings, layers=["picture", "area"], measures=["rsa"])
    assert len(asked) == groups
    assert [name for names in asked for name in names] == [
        "picture",
        "area, step 1",
        "area, step 2",
    ]
    found = [(row["score"], row["low"], row["high"]) for row in result["scores"]]
    np.testing.assert_allclose(found, [one[:3] for one in alone], atol=1e-6)


def test_other_layers_and_measures_are_added(session, recordings, counted):
    report_similarity(session, recordings, layers=["area"], measures=["cka"], max_units=100)
    options = {"layers": ["picture"], "max_units": 100}
    second = report_similarity(session, recordings, measures=["ridge"], **options)
    assert [(row["measure"], row["layer"]) for row in second["scores"]] == [("ridge", "picture")]
    assert [c["measure"] for c in second["ceilings"]] == ["ridge"]
    written = _written(session)
    assert [(r["measure"], r["layer"], r["step"]) for r in written["scores"]] == [
        ("cka", "area", 1), ("cka", "area", 2), ("ridge", "picture", None),
    ]  # fmt: skip


def test_results_of_other_settings_or_recordings_are_kept(session, recordings, counted, capsys):
    options = {"layers": ["picture"], "measures": ["cka"]}
    report_similarity(session, recordings, max_units=20, **options)
    first = _written(session)
    report_similarity(session, recordings, max_units=10, **options)
    assert _written(session)["scores"][0]["score"] == 10
    other = dataclasses.replace(recordings, responses=recordings.responses + 1, repetitions=None)
    report_similarity(session, other, max_units=10, **options)
    folder = session.run.path / "evaluation"
    assert json.loads((folder / "similarity_synthetic.1.json").read_text()) == first
    assert (folder / "similarity_synthetic.2.json").exists()
    assert "kept as similarity_synthetic.1.json" in capsys.readouterr().out


def test_time_bins_one_by_one(recordings):
    each = brains(recordings, "all", 0)
    assert [brain.name for brain in each] == ["50-100 ms", "100-150 ms", "150-200 ms"]
    np.testing.assert_array_equal(each[1].patterns, recordings.responses[:, :, 1])
    np.testing.assert_array_equal(each[2].presentations, recordings.repetitions[..., 2])
    (mean,) = brains(recordings, "mean", 0)
    np.testing.assert_allclose(mean.patterns, recordings.responses.mean(2))


@pytest.mark.slow
def test_constant_layers_are_named(session, recordings):
    for name in ("rsa", "sit", "cka", "ridge"):
        with pytest.raises(InputError, match="dead"):
            report_similarity(session, recordings, layers=["dead"], measures=[name])


def _rdm_only(count=8, subjects=3):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count, _SIZE, _SIZE, 3), np.uint8)
    ids = np.array([f"i{i}" for i in range(count)])
    labels = np.array(["a", "b"] * (count // 2))
    rdm = rng.uniform(0.5, 1.5, (subjects, count, count))
    rdm = (rdm + rdm.swapaxes(1, 2)) / 2
    rdm[:, np.arange(count), np.arange(count)] = 0
    return Recordings("rdms", StimulusSet(ids, labels, ids, images=images), rdms={"it": rdm})


@pytest.mark.slow
def test_recordings_of_dissimilarities_allow_rsa_only(session, tmp_path):
    result = report_similarity(session, _rdm_only(), layers=["picture"])
    assert {row["measure"] for row in result["scores"]} == {"rsa"}
    assert [remark.split()[0] for remark in result["remarks"]] == [
        "sit", "svm", "pls", "ridge", "cka",
    ]  # fmt: skip
    (ceiling,) = result["ceilings"]
    assert ceiling["low"] < ceiling["high"]
    with pytest.raises(InputError, match="--measures=pls: rdms has dissimilarities only"):
        report_similarity(session, _rdm_only(), layers=["picture"], measures=["pls"])


def test_a_model_that_is_the_mean_subject_lies_between_the_ceilings():
    data = _rdm_only(count=12, subjects=5)
    (brain,) = brains(data, "mean", 0)
    ceiling = MEASURES["rsa"].ceiling(brain)
    assert ceiling.low < ceiling.high
    from scipy.stats import rankdata

    vectors = brain.subject_rdms
    pooled = rankdata(np.mean([rankdata(v) for v in vectors], axis=0))
    scores = [np.corrcoef(pooled, rankdata(v))[0, 1] for v in vectors]
    assert np.mean(scores) == pytest.approx(ceiling.high, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measures": ["rdm"]}, "--measures=rdm: .* rsa, sit"),
        ({"max_units": -1}, "--max_units=-1"),
        ({"times": ["soon"]}, "times='soon'"),
        ({"times": ["9"]}, "has no step 9"),
        ({"layers": ["aera"]}, "did you mean 'area'"),
    ],
)
def test_wrong_requests(session, recordings, options, message):
    with pytest.raises(InputError, match=message):
        report_similarity(session, recordings, **{"layers": ["area"], **options})


def test_recordings_that_cannot_be_compared(recordings):
    two = recordings.select(stimuli=np.arange(10))
    with pytest.raises(InputError, match="has 2 objects: an RDM needs 3"):
        brains(two, "mean", 0)
    data = _rdm_only()
    both = dataclasses.replace(data, rdms={"it": data.rdms["it"], "v4": data.rdms["it"]})
    assert [brain.name for brain in brains(both, "mean", 0)] == ["it", "v4"]


def test_single_presentations_give_no_ceiling(recordings, session):
    bare = dataclasses.replace(recordings, repetitions=None)
    (brain,) = brains(bare, "mean", 0)
    for name in ("rsa", "sit", "pls", "cka"):
        assert MEASURES[name].ceiling(brain) is None
    assert brain.noise == CADIEU_IT


def test_noise_is_fitted_to_presentations():
    rng = np.random.default_rng(0)
    means = rng.uniform(0, 10, (200, 30))
    single = means + (0.2 * means + 1.5) * rng.standard_normal((40, 200, 30))
    noise = recordings_noise(single)
    assert noise.slope == pytest.approx(0.2, abs=0.02)
    assert noise.offset == pytest.approx(1.5, abs=0.1)
    assert noise.repetitions == 40


def test_conditions_keep_the_order_of_the_stimuli():
    data = _rdm_only()
    (brain,) = brains(data, "mean", 0)
    np.testing.assert_array_equal(brain.conditions, np.arange(8))
    shuffled = data.select(stimuli=np.array([5, 1, 3]))
    np.testing.assert_array_equal(brains(shuffled, "mean", 0)[0].conditions, [0, 1, 2])
    assert choose_measures([], brain)[0] == ["rsa"]


def test_scaling_recovers_distances_in_the_plane():
    points = np.random.default_rng(0).standard_normal((12, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    places = embed_dissimilarities(distances)
    again = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.testing.assert_allclose(again, distances, atol=1e-4)
