"""Parts of a network that do not learn: ``model.freeze``."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax

from jaxbio.errors import InputError
from jaxbio.models.layers import BatchNorm

_FRONT_END = ("retina", "v1", "v2")  # the parts of jaxbio.models.pathway.Pathway before the body
_BACKBONE = "backbone"

Path = tuple[str, ...]


@dataclass(frozen=True)
class Frozen:
    """What of a network's variables stays as it is: no gradient, no decay, no optimiser's memory.

    BatchNorms of frozen parts normalise by their running statistics, as in evaluation, and these do
    not move. Dropout and the noise of a front-end stay: they are no parameters.

    Attributes:
        parts: beginnings of paths, see :func:`_words`.
        spared: paths of the classifier, if all but it is frozen; else None.
    """

    parts: tuple[Path, ...]
    spared: frozenset[Path] | None = None

    def covers(self, path: Iterable[str]) -> bool:
        """Whether a variable or module is frozen; ``path``: its names from the network down."""
        words = _words(path)
        if any(words[: len(part)] == part for part in self.parts):
            return True
        return self.spared is not None and not any(
            words[: len(part)] == part for part in self.spared
        )

    def learning(self, tree: Any) -> Any:
        """A tree of the same structure: True where something learns."""
        return jax.tree_util.tree_map_with_path(
            lambda path, _: not self.covers(path_names(path)), tree
        )

    def stop(self, params: Any) -> Any:
        """The parameters, without a gradient where they are frozen."""
        return jax.tree.map(
            lambda learns, p: p if learns else jax.lax.stop_gradient(p),
            self.learning(params),
            params,
        )

    def apply(self, call: Callable[[], Any]) -> Any:
        """``call()``, a training pass, in which frozen BatchNorms are those of evaluation."""

        def intercept(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            module = context.module
            if isinstance(module, BatchNorm) and self.covers(module.path):
                args = (args[0], False)
            return next_call(*args, **kwargs)

        with nn.intercept_methods(intercept):
            return call()


def read_frozen(
    setting: str, params: Mapping[str, Any], head: Iterable[Path], key: str = "model.freeze"
) -> Frozen | None:
    """What the ``setting`` of ``key``, names with commas, asks for; None: nothing.

    Of ``params`` shapes suffice; ``head`` are paths of the classifier's parameters.

    Raises:
        InputError: a name that the network does not have, or nothing is left to learn.
    """
    names = [name.strip() for name in setting.split(",") if name.strip()]
    if not names:
        return None
    leaves = [path_names(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    known = [_words(path) for path in leaves]
    parts = {name: _part(name) for name in names if name != _BACKBONE}
    for name, part in parts.items():
        if not any(words[: len(part)] == part for words in known):
            raise InputError(f"{key} has {name!r}: {_hint(name, known)}")
    spared = frozenset(_words(path[:-1]) for path in head) if _BACKBONE in names else None
    frozen = Frozen(tuple(parts.values()), spared)
    if all(map(frozen.covers, leaves)):
        raise InputError(f"{key}={setting}: nothing is left to learn")
    return frozen


def classifier_paths(shapes: Any, of_more_classes: Any) -> list[Path]:
    """Parameters that belong to the classifier: those that grow with the number of classes.

    Args:
        shapes: of a network's parameters.
        of_more_classes: of the same network with other classes.
    """
    leaves = jax.tree_util.tree_leaves_with_path(shapes)
    pairs = zip(leaves, jax.tree.leaves(of_more_classes), strict=True)
    return [path_names(path) for (path, leaf), other in pairs if leaf.shape != other.shape]


def path_names(path: Sequence[Any]) -> Path:
    """The names on a path of :func:`jax.tree_util.tree_leaves_with_path`."""
    return tuple(entry.key for entry in path)


def _words(path: Iterable[str]) -> Path:
    """A path in the words that people use: blocks by number, the body's parts by their own names.

    ``("body", "layer2_0", "bn1")`` is ``("layer2", "0", "bn1")``, and V1 is in the front-end.
    """
    words: list[str] = []
    for name in path:
        numbered = re.fullmatch(r"(.+?)_(\d+)", name)
        words += numbered.groups() if numbered else (name,)
    while words[:1] == ["body"]:
        words = words[1:]
    return tuple(["front_end", *words] if words[:1] and words[0] in _FRONT_END else words)


def _part(name: str) -> Path:
    """The words of a name: ``layer2``, ``layer2.0``, ``layer2_0``, and ``block0`` of a ViT."""
    return _words(re.sub(r"^block(\d+)", r"blocks_\1", name).split("."))


def _hint(name: str, known: Sequence[Path]) -> str:
    tops = list(dict.fromkeys(words[0] for words in known))
    blocks = {".".join(words[:2]) for words in known if len(words) > 1}
    close = difflib.get_close_matches(name, [*tops, *blocks, *_FRONT_END, _BACKBONE], n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    inside = next(
        (f", and parts such as {block}" for block in sorted(blocks) if block[-1].isdigit()), ""
    )
    return f"{hint}known: {', '.join([*tops, _BACKBONE])}{inside}"
