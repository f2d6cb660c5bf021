"""The CPU's forms of operations run on CPUs alone, wherever a program is traced."""

import re
from collections import Counter

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxbio.models import (
    cait,
    create_model,
    densenet,
    layers,
    mobilenet,
    resnet,
    shufflenet,
    tnt,
    vit,
)
from jaxbio.models.convolution import conv2d, matmul_maps
from jaxbio.ops.v1 import bank_to_constants, v1_response
from jaxbio.runs.mesh import batch_sharding, make_mesh


def _convolutions(x, narrow, wide, w):
    y = layers.max_pool(conv2d(x, narrow, 1, 0), 3, 2, 1)
    y = conv2d(conv2d(y, wide, 1, 1), wide, 2, 1)
    return matmul_maps(y, w).sum()


def _gradient():
    shapes = (2, 32, 32, 8), (1, 1, 8, 256), (3, 3, 256, 256), (256, 5)
    return jax.grad(_convolutions, (0, 1, 2, 3)), [jnp.zeros(shape) for shape in shapes]


def _front_end():
    bank = jnp.zeros((8, 3, 5, 5)).at[:, 0].set(1.0)
    constants = bank_to_constants(bank, bank, 4)
    return lambda x, readout: v1_response(x, constants, readout), [
        jnp.zeros((2, 32, 32, 3)),
        jnp.zeros((8, 6)),
    ]


def _operations(make, platform):
    function, arguments = make()
    text = jax.jit(function).trace(*arguments).lower(lowering_platforms=(platform,)).as_text()
    names = ("convolution", "reduce_window", "optimization_barrier", "while")
    return {name: text.count(f"stablehlo.{name}") for name in names}


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_run_plain_operations(platform, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda platform: 1)
    networks = _operations(_gradient, platform)
    assert networks["convolution"] == 3 + 6  # forward; to the maps and to the kernels
    assert networks["reduce_window"] == 1
    assert networks["optimization_barrier"] == 0
    front_end = _operations(_front_end, platform)
    assert front_end["convolution"] == 1  # one colour
    assert front_end["while"] == 0  # all images at once


def test_cpus_run_matrix_products(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda platform: 1)
    networks = _operations(_gradient, "cpu")
    assert networks["convolution"] == networks["reduce_window"] == 0
    assert networks["optimization_barrier"] > 0
    assert _operations(_front_end, "cpu")["convolution"] == 0


def test_sums_over_devices_stand_in_no_branch():
    """Processes would run those of a conditional out of step, and end with a mismatch."""
    mesh = make_mesh()

    def loss(kernel, w, x):
        x, _ = lax.scan(lambda x, _: (conv2d(x, kernel, 1, 0), None), x, length=2)
        return jnp.square(matmul_maps(x, w)).sum()

    x = jax.ShapeDtypeStruct((16, 2, 2, 8), jnp.float32, sharding=batch_sharding(mesh))
    gradient = jax.jit(jax.grad(loss, (0, 1)))
    program = gradient.lower(jnp.ones((1, 1, 8, 8)), jnp.ones((8, 3)), x).compile().as_text()
    assert "all-reduce(" in program
    assert " conditional(" not in program


# What does a network's work, or rearranges its maps; choices and their derivatives add other words.
_WORK = (
    "convolution",
    "dot_general",
    "reduce_window",
    "select_and_scatter",
    "concatenate",
    "pad",
    "optimization_barrier",
)
# One of every family that holds convolutions or linear layers.
_FAMILIES = {
    "alexnet": {},
    "vgg11_bn": {},
    "resnet50": {},
    "densenet121": {},
    "squeezenet1_1": {},
    "cornet_z": {},
    "cornet_rt": {"times": 2},
    "cornet_s": {},
    "vit_mini_patch8_32": {},
    "deit_tiny_patch4_32": {},
    "cait_xxs24_patch4_32": {},
    "pvt_tiny_patch1_32": {},
    "tnt_s_patch4_32": {},
    "mobilenet_v2_32": {},
    "shufflenet_v2_x1_0_32": {},
}


def _with_few_blocks(model, monkeypatch):
    """The network with two blocks in place of more of the same: tracing takes a minute of all."""
    monkeypatch.setitem(resnet._DEPTHS, 50, ((2, 2, 2, 2), True))
    monkeypatch.setitem(densenet._DEPTHS, 121, (32, (2, 2, 2, 2), 64))
    stages = {number: (2, features) for number, (_, features) in shufflenet._STAGES.items()}
    monkeypatch.setattr(shufflenet, "_STAGES", stages)
    stages = tuple((*kind, min(n, 2), stride) for *kind, n, stride in mobilenet._STAGES)
    monkeypatch.setattr(mobilenet, "_STAGES", stages)
    is_deep = isinstance(model, vit.VisionTransformer | cait.CaiT | tnt.TNT)
    return model.clone(depth=2) if is_deep else model


@pytest.mark.parametrize("name", _FAMILIES)
@pytest.mark.slow  # what one layer of each kind becomes is tested above
def test_no_network_brings_a_cpu_s_form_to_an_accelerator(name, monkeypatch):
    """A training step's gradient for a GPU has the operations that it has without such forms."""
    model = create_model(name, num_classes=3, image_size=32, **_FAMILIES[name])
    model = _with_few_blocks(model, monkeypatch)
    x = jax.ShapeDtypeStruct((8, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)), x)

    def loss(variables, x):
        rngs = {"dropout": jax.random.key(0)}
        return model.apply(variables, x, True, mutable=["batch_stats"], rngs=rngs)[0][0].sum()

    def trace():
        jax.clear_caches()
        return jax.jit(jax.grad(loss)).trace(variables, x)

    def operations(traced, platform):
        lowered = traced.lower(lowering_platforms=(platform,))
        names = re.findall(r"stablehlo\.(\w+)", lowered.as_text())
        return Counter(name for name in names if name in _WORK)

    traced = trace()
    on_gpu, on_cpu = operations(traced, "cuda"), operations(traced, "cpu")

    def plain(*arguments, cpu, default):
        del cpu
        return default(*arguments)

    monkeypatch.setattr(lax, "platform_dependent", plain)
    assert on_gpu == operations(trace(), "cuda")
    assert on_gpu != on_cpu
