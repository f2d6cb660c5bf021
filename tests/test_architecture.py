"""The layering of the package, checked on the import statements themselves."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

_PACKAGE = Path(__file__).parents[1] / "jaxbio"

# Each part imports itself and parts of lower ranks only.
_RANKS = (
    {"errors"},
    {"files", "options"},
    {"ops"},
    {"models", "spiking", "similarity", "neural", "corruptions", "physiology", "attacks", "data"}
    | {"plotting"},
    {"runs"},
    {"features", "weights", "behaviour"},
    {"tasks"},
    {"measures", "configs"},
    {"board", "reproduce"},
    {"commands", "brainscore"},
    {"api"},
    {"__init__", "__main__"},  # the public names, resolved lazily
)
_RANK = {part: rank for rank, parts in enumerate(_RANKS) for part in parts}


def _files():
    return sorted(_PACKAGE.rglob("*.py"))


def _name(file: Path) -> str:
    """The module's dotted name; a package's ``__init__`` is the package."""
    parts = file.relative_to(_PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _part(name: str) -> str:
    return [*name.split("."), "__init__"][1]


def _imports(file: Path) -> set[str]:
    """All modules and names that a file imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@functools.cache
def _graph() -> dict[str, set[str]]:
    """Module: the modules of the package that it imports."""
    names = {_name(file) for file in _files()}
    graph = {}
    for file in _files():
        imported = _imports(file)
        # ``from a.b import c`` imports the module a.b.c, or c out of the module a.b.
        graph[_name(file)] = {
            name if name in names else name.rpartition(".")[0] for name in imported
        } & names - {_name(file)}
    return graph


def test_every_part_has_a_rank():
    assert {_part(_name(file)) for file in _files()} == set(_RANK)


@pytest.mark.parametrize("module", sorted(_graph()))
def test_imports_point_downwards(module):
    own = _part(module)
    for imported in _graph()[module]:
        part = _part(imported)
        if part not in (own, "__init__"):
            assert _RANK[part] < _RANK[own], f"{module} imports {imported}"


def test_no_circles_of_files():
    graph, done = _graph(), set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for imported in graph[module]:
                visit(imported, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


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
import jaxbio.tasks.loop, jaxbio.tasks.classification.step, jaxbio.tasks.classification.opened
import jaxbio.similarity, jaxbio.neural, jaxbio.features, jaxbio.spiking, jaxbio.brainscore
model = jaxbio.create_model("squeezenet1_1", num_classes=3, image_size=32)
images = jax.numpy.zeros((1, 32, 32, 3))
print(jax.eval_shape(lambda: model.init(jax.random.key(0), images))["params"].keys())
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
