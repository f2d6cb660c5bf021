"""What README and the guides tell people to type does what they say."""

import re
import shlex
from pathlib import Path

import pytest

from jaxbio.commands.experiments import names, open_config
from jaxbio.commands.main import COMMANDS, make_parser

_ROOT = Path(__file__).parents[2]
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
_IMAGES = """
import jax, jax.numpy as jnp, numpy as np
rng = np.random.default_rng(0)
"""
# What a page's programs find: names, and files in the current folder.
_BEFORE = {
    "attacks.md": """
images = jnp.asarray(rng.random((4, 32, 32, 3)), jnp.float32)
labels, indices = jnp.arange(4), jnp.arange(4)
import jaxbio
variables = jaxbio.create_model("resnet18", num_classes=10, image_size=32).init(
    jax.random.key(0), images[:1])
""",
    "behaviour.md": """
from pathlib import Path
from PIL import Image
from jaxbio.behaviour import CATEGORIES
lines = ["subj,session,trial,rt,object_response,category,condition,imagename"]
folder = Path("stimuli/contrast/dnn/session-1")
folder.mkdir(parents=True)
for number in range(64):
    category = CATEGORIES[number % 16]
    condition = "c05" if number % 2 else "c100"
    name = f"{number:04d}_con_dnn_{condition}_{category}_00_img{number}.png"
    Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(folder / name)
    for person in ("subject-01", "subject-02"):
        answer = CATEGORIES[int(rng.integers(16))] if rng.random() < .4 else category
        lines.append(f"{person},1,{number + 1},.5,{answer},{category},{condition},{name}")
Path("raw-data/contrast").mkdir(parents=True)
Path("raw-data/contrast/people.csv").write_text("\\n".join(lines))
probabilities = rng.random((64, 1000))
probabilities /= probabilities.sum(1, keepdims=True)
images = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
key, numbers = jax.random.key(0), jnp.arange(2)
""",
    "cornet.md": "images = np.zeros((2, 64, 64, 3), np.float32)",
    "corruptions.md": """
images, example_numbers = rng.integers(0, 256, (2, 64, 64, 3), np.uint8), jnp.arange(2)
""",
    "dnrt.md": """
class_tokens, labels = jnp.asarray(rng.normal(size=(8, 192)), jnp.float32), jnp.arange(8)
cross_entropy = jnp.float32(2.3)
""",
    "physiology.md": """
from pathlib import Path
Path("ringach.csv").write_text("circular_variance\\n" + "\\n".join("0.1 0.4 0.6 0.9".split()))
""",
    "spiking_readouts.md": """
import jaxbio
from jaxbio.ops.encoding import make_encoder
keys, pictures = jax.random.split(jax.random.key(0), 2), np.zeros((2, 20, 20), np.uint8)
images = jnp.zeros((2, 32, 32, 3))
variables = jaxbio.create_model("spiking_cnn", body="resnet18", steps=8, num_classes=10,
    image_size=32).init(jax.random.key(0), images)
""",
}
# Programs that need what no test can have.
_NOT_RUN = {
    "brainscore.md": "brainscore_vision needs an environment with NumPy 1",
    "commands.md": "the file of an experiment: tests/commands opens one",
    "features.md": "needs a run's feature file: tests/features and tests/measures read some",
    "neural.md": "needs the archive of Cadieu et al.: tests/neural opens a made one",
    "weights.md": "needs published files: tests/weights reads made ones",
    "configuration.md": "shows what fails: tests/tasks/test_config.py",
}


def _fences(page, *languages):
    for match in re.finditer(r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        if match[1] in languages:
            yield match[2]


def _typed():
    """Every command line in the pages, as words from the command's name on."""
    for page in _PAGES:
        for fence in _fences(page, "bash", ""):
            for line in fence.replace("\\\n", " ").splitlines():
                program, _, rest = line.partition(" ")
                if program not in ("jaxbio", "python"):
                    continue
                name, *words = shlex.split(rest.replace("[", "").replace("]", ""), comments=True)
                name = name.removesuffix(".py") if program == "python" else name
                if name in COMMANDS:
                    yield pytest.param([name, *words], id=f"{page.stem}: {line[:70]}")


@pytest.mark.parametrize("words", list(_typed()))
def test_commands_are_understood(words, monkeypatch):
    monkeypatch.chdir(_ROOT)
    name, *rest = words
    options = make_parser(name, rest).parse(rest)
    experiment = getattr(options, "config", None)
    for word in getattr(options, "words", []) if name != "sweep" else []:
        if word.partition(":")[0] in names():
            experiment = word
    if experiment:
        changes = [w.partition("=") for w in options.words if "=" in w]
        overrides = [(key, key, value) for key, _, value in changes]
        open_config(experiment, [*options.overrides, *overrides])


def _programs():
    for page in _PAGES:
        if any(_fences(page, "python")) and page.name not in _NOT_RUN:
            yield pytest.param(page, id=page.stem)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two pages train the same run: the second finds that of the first, as a reader does."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.slow
@pytest.mark.parametrize("page", list(_programs()))
def test_programs_run(page, runs, tmp_path, monkeypatch, one_device):
    monkeypatch.chdir(tmp_path)
    Path("runs").symlink_to(runs)
    known = {}
    exec(_IMAGES + _BEFORE.get(page.name, ""), known)
    for fence in _fences(page, "python"):
        exec(compile(fence, str(page), "exec"), known)


def test_pages_that_are_not_run_have_programs():
    stems = {page.name for page in _PAGES if any(_fences(page, "python"))}
    assert _NOT_RUN.keys() | _BEFORE.keys() <= stems
