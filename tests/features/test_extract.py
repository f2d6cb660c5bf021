import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio import create_model, features, list_models
from jaxbio.errors import InputError
from jaxbio.features.projection import make_projection, project
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.mesh import make_mesh
from tests.features.tiny import MEAN, SIZE, STD, TRACES, make, pictures

_PREPARED = Preprocessing(SIZE, MEAN, STD)


def _one_device():
    mesh = make_mesh()
    return jax.sharding.Mesh(mesh.devices.reshape(-1)[:1].reshape(1, 1), mesh.axis_names)


def _direct(model, variables, images):
    """Endpoints without the library: batch first."""
    x = (images / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    _, endpoints = model.apply(variables, x, train=False)
    return {
        name: np.moveaxis(np.asarray(array), 0, 1) if array.ndim == 5 else np.asarray(array)
        for name, array in endpoints.items()
    }


def _extract(model, variables, images, layers="all", **options):
    streaming = {key: options.pop(key) for key in ("batch_size", "mesh") if key in options}
    size = options.pop("image_size", SIZE)
    request = features.FeatureRequest(layers, **options)
    prepared = Preprocessing(size, MEAN, STD)
    batches = list(features.extract(model, variables, images, request, prepared, **streaming))
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}


def test_layers_are_the_endpoints_in_the_models_order():
    layers = features.layer_shapes(*make(), SIZE)
    assert list(layers) == ["stem", "area", "penultimate", "logits"]
    assert layers["stem"] == features.Layer("stem", (8, 8, 6))
    assert layers["area"] == features.Layer("area", (8, 8, 6), steps=(0, 1, 2), arrival_step=1)
    assert layers["area"].dims == ("time", "row", "column", "channel")
    assert layers["area"].feature_shape == (3, 8, 8, 6)
    assert layers["logits"].coordinates() == {"channel": [0, 1, 2]}


def test_layers_of_a_registered_recurrent_model():
    model = create_model("cornet_s", num_classes=5, image_size=32)
    images = jnp.zeros((1, 32, 32, 3))
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    layers = features.layer_shapes(model, variables, 32)
    assert {name: layer.steps for name, layer in layers.items() if layer.steps} == {
        "V1": (0,),
        "V2": (0, 1),
        "V4": (0, 1, 2, 3),
        "IT": (0, 1),
    }
    assert layers["V4"].shape == (2, 2, 256)


@pytest.mark.parametrize(
    ("name", "arrivals"),
    [
        ("cornet_r", {"V1": 0, "V2": 1, "V4": 1, "IT": 1, "logits": 1}),
        ("cornet_rt", {"V1": 0, "V2": 1, "V4": 2, "IT": 3, "logits": 3}),
    ],
)
def test_arrival_of_the_image(name, arrivals):
    model = create_model(name, num_classes=5, image_size=32, readout="all")
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    layers = features.layer_shapes(model, variables, 32)
    assert {name: layer.arrival_step for name, layer in layers.items() if layer.steps} == arrivals


@pytest.mark.slow
def test_before_its_arrival_the_image_makes_no_difference():
    model = create_model("cornet_rt", num_classes=5, image_size=32)
    images = pictures(3, size=32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda s: rng.normal(0, 0.1, s.shape).astype(np.float32), shapes)
    found = _extract(
        model, variables, images, ["V1", "V4", "IT"], mesh=_one_device(), image_size=32
    )
    for name, arrival in (("V1", 0), ("V4", 2), ("IT", 3)):
        differs = [not np.allclose(step, step[:1]) for step in np.moveaxis(found[name], 1, 0)]
        assert differs == [step >= arrival for step in range(5)], name


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_every_registered_model_has_layers(name):
    size = 224 if name.endswith("_224") else 32
    model = create_model(name, num_classes=10, image_size=size)
    images = jnp.zeros((1, size, size, 3))
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    layers = features.layer_shapes(model, variables, size)
    assert layers["penultimate"].steps is None
    assert layers["penultimate"].dims == ("channel",)
    assert layers["logits"].shape == (10,)
    assert all(layer.coordinates().keys() == set(layer.dims) for layer in layers.values())


@pytest.mark.parametrize("batch_size", [3, 8, 64])
def test_equals_the_model_whatever_the_batch_size(batch_size):
    model, variables = make()
    images = pictures(19)
    found = _extract(model, variables, images, batch_size=batch_size)
    expected = _direct(model, variables, images)
    assert list(found) == ["stem", "area", "penultimate", "logits"]
    for name, array in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], array, atol=1e-5, err_msg=name)


def test_one_device_and_all_agree():
    model, variables = make()
    one = _one_device()
    images = pictures(11)
    for name, array in _extract(model, variables, images, batch_size=4).items():
        alone = _extract(model, variables, images, name, batch_size=4, mesh=one)[name]
        np.testing.assert_allclose(array, alone, atol=1e-6)


def test_compiles_once_although_the_last_batch_is_smaller():
    model, variables = make()
    extractor = features.Extractor(
        model, variables, features.FeatureRequest("area"), _PREPARED, mesh=_one_device()
    )
    TRACES.clear()
    for sizes in ((5, 5, 3), (5,), (2, 1)):
        batches = [{"image": pictures(n), "index": np.arange(n)} for n in sizes]
        assert tuple(len(found["area"]) for _, found in extractor.stream(batches)) == sizes
    assert TRACES == [5, 2]


def test_computes_one_batch_ahead_and_not_more():
    model, variables = make()
    taken = []

    def batches():
        for i in range(6):
            taken.append(i)
            yield pictures(4, seed=i)

    request = features.FeatureRequest("stem")
    for number, _ in enumerate(features.extract(model, variables, batches(), request, _PREPARED)):
        assert len(taken) == min(number + 2, 6)


@pytest.mark.parametrize(("times", "steps"), [("last", [2]), ((0, 2), [0, 2]), ((2, 1, 1), [1, 2])])
def test_steps(times, steps):
    model, variables = make()
    images = pictures(4)
    found = _extract(model, variables, images, ["area", "stem"], times=times)
    expected = _direct(model, variables, images)
    np.testing.assert_allclose(found["area"], expected["area"][:, steps], atol=1e-5)
    np.testing.assert_allclose(found["stem"], expected["stem"], atol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_pooling_leaves_time_and_channels(pool):
    model, variables = make()
    images = pictures(4)
    found = _extract(model, variables, images, pool=pool)
    expected = _direct(model, variables, images)
    reduce = getattr(np, pool)
    np.testing.assert_allclose(found["area"], reduce(expected["area"], (2, 3)), atol=1e-5)
    np.testing.assert_allclose(found["stem"], reduce(expected["stem"], (1, 2)), atol=1e-5)
    np.testing.assert_allclose(found["penultimate"], expected["penultimate"], atol=1e-5)


def test_projection_is_the_documented_matrix():
    model, variables = make()
    images = pictures(5)
    found = _extract(model, variables, images, projection=20, seed=3, batch_size=2)
    expected = _direct(model, variables, images)
    units = 8 * 8 * 6
    projection = make_projection("area", units, 20, 3)
    matrix = np.zeros((units, 20), np.float32)
    k = projection.index.shape[1]
    assert k == 20  # the root of 384, rounded up
    for n in range(20):
        np.add.at(matrix[:, n], projection.index[n], projection.sign[n])
    matrix *= np.sqrt(units / (k * 20))
    area = expected["area"].reshape(5, 3, units) @ matrix
    np.testing.assert_allclose(found["area"], area, atol=1e-4)
    assert found["stem"].shape == (5, 20)
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)  # 3 units only


def test_projection_keeps_distances_and_is_decided_by_name_and_seed():
    x = np.random.default_rng(0).normal(size=(12, 3000)).astype(np.float32)
    y = np.asarray(jax.jit(project)(make_projection("a", 3000, 1000, 0), x))
    rows, columns = np.triu_indices(12, 1)
    ratio = np.sum((y[rows] - y[columns]) ** 2, 1) / np.sum((x[rows] - x[columns]) ** 2, 1)
    assert abs(ratio.mean() - 1) < 0.05
    assert np.abs(ratio - 1).max() < 0.25
    again = make_projection("a", 3000, 1000, 0)
    assert np.array_equal(project(again, x), y)
    for other in (make_projection("b", 3000, 1000, 0), make_projection("a", 3000, 1000, 1)):
        assert not np.allclose(project(other, x), y)


def test_noise_is_that_of_evaluation():
    model, variables = make(noisy=True)
    images = pictures(8)
    request = features.FeatureRequest("stem")
    extractor = features.Extractor(model, variables, request, _PREPARED, noise_seed=7)
    assert extractor.noisy
    assert not features.Extractor(*make(), request, _PREPARED).noisy
    batch = {"image": images, "index": np.arange(24, 32)}
    ((_, found),) = extractor.stream([batch])
    x = (images / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    key = jax.random.fold_in(jax.random.key(7), 24)
    _, expected = model.apply(variables, x, rngs={"noise": key})
    np.testing.assert_allclose(found["stem"], expected["stem"], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ["stemm"]}, r"unknown layer 'stemm' \(did you mean 'stem'\?\).*area"),
        ({"layers": []}, "all or some of stem, area"),
        ({"times": (0, 3)}, "layer 'area' has no step 3: use all, last or some of 0,1,2"),
        ({"times": "first"}, "times='first'"),
        ({"times": "first", "layers": ["stem"]}, "times='first'"),
        ({"times": ()}, "step numbers"),
        ({"pool": "sum"}, "pool='sum': use none, mean, max"),
        ({"projection": -1}, "projection=-1"),
        ({"images": pictures(2).astype(np.float32)}, "float32"),
        ({"images": [pictures(2)[0]]}, "uint8 batches"),
        ({"images": [pictures(8), pictures(8, size=12)]}, "same size"),
        ({"images": []}, "empty"),
    ],
)
def test_wrong_input_is_one_line(options, message):
    options = {"layers": ["area"], "images": pictures(2), **options}
    images, layers = options.pop("images"), options.pop("layers")
    with pytest.raises(InputError, match=message) as error:
        _extract(*make(), images, layers, **options)
    assert "\n" not in str(error.value)


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    with pytest.raises(InputError, match="one process, this one has 2 others"):
        features.Extractor(*make(), features.FeatureRequest("stem"), _PREPARED)
