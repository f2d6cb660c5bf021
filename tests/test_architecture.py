"""The layering of the package, checked on the import statements themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

_PACKAGE = Path(__file__).parents[1] / "jaxbio"

# A package may import itself, those on its right, and the modules at the top of jaxbio named here.
_ALLOWED = {
    "errors": set(),
    "ops": {"errors"},
    "models": {"ops", "errors"},
    "corruptions": {"ops", "errors"},
    "data": {"errors"},
    "plotting": {"errors"},
    "weights": {"models", "ops", "errors", "training"},
    "experiment": {"models", "weights", "data", "errors"},
    "training": {
        "models",
        "ops",
        "data",
        "experiment",
        "evaluation",
        "plotting",
        "corruptions",
        "errors",
        "features",
        "neural",
        "similarity",
        "spiking",
    },
    "evaluation": {
        "training",
        "corruptions",
        "models",
        "data",
        "experiment",
        "plotting",
        "errors",
        "features",
        "neural",
        "similarity",
        "spiking",
        "ops",
    },
    "features": {"training", "data", "errors"},
    "neural": {"errors"},
    "similarity": {"errors"},
    # Its tools (registry, report) read run directories; its networks are built from ops alone.
    "spiking": {"ops", "training", "plotting", "errors"},
    "brainscore": {"evaluation", "features", "errors"},
    "command_line": {"errors"},
}


def _files():
    return sorted(_PACKAGE.rglob("*.py"))


def _part(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "jaxbio" and len(parts) > 1 else None


def _imports(file: Path) -> list[str]:
    """All modules that a file imports, at its top or inside functions."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("file", _files(), ids=lambda f: str(f.relative_to(_PACKAGE)))
def test_imports_point_downwards(file):
    own = file.relative_to(_PACKAGE).with_suffix("").parts[0]
    if own == "__init__":
        return  # the public names, resolved lazily
    assert own in _ALLOWED, f"say in this test what jaxbio.{own} may import"
    for module in _imports(file):
        part = _part(module)
        if part is not None and part != own and part[0].islower() and not part.startswith("__"):
            assert part in _ALLOWED[own], f"{file.name} imports jaxbio.{part}"


def test_every_package_is_named_here():
    parts = {f.relative_to(_PACKAGE).with_suffix("").parts[0] for f in _files()} - {"__init__"}
    assert parts == set(_ALLOWED)


@pytest.mark.parametrize("file", _files(), ids=lambda f: str(f.relative_to(_PACKAGE)))
def test_tensorflow_and_torch_stay_where_they_belong(file):
    tops = {module.split(".")[0] for module in _imports(file)}
    assert "torch" not in tops
    if file.relative_to(_PACKAGE).parts[0] != "data":
        assert not tops & {"tensorflow", "tensorflow_datasets"}


def test_no_file_is_called_utils():
    assert not [f for f in _files() if f.stem in ("utils", "helpers", "common", "misc")]


def test_import_and_use_without_tensorflow():
    """Models, weights, steps and metrics work where tensorflow cannot be imported."""
    code = """
import sys
sys.modules["tensorflow"] = None
import jax, jaxbio
import jaxbio.weights, jaxbio.weights.reader, jaxbio.corruptions, jaxbio.data
import jaxbio.training.loop, jaxbio.training.steps, jaxbio.evaluation.session
import jaxbio.similarity, jaxbio.neural, jaxbio.features, jaxbio.spiking, jaxbio.brainscore
model = jaxbio.create_model("squeezenet1_1", num_classes=3, image_size=32)
images = jax.numpy.zeros((1, 32, 32, 3))
print(jax.eval_shape(lambda: model.init(jax.random.key(0), images))["params"].keys())
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_help_imports_no_framework():
    """`--help` has to be immediate."""
    code = (
        "import sys; import jaxbio.command_line, jaxbio.evaluation.modes; "
        "assert not {'jax', 'flax', 'tensorflow'} & set(sys.modules), 'slow imports'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
