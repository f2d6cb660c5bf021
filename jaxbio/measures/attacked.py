"""A network under attack: its compiled attacks, answers, gradients, and control attacks."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import process_allgather

from jaxbio.attacks import Attack, Attacked, gradient_health, masking_warnings
from jaxbio.attacks.ball import epsilons, largest
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.measures.parts import Part
from jaxbio.runs.progress import say
from jaxbio.runs.waiting import waiting
from jaxbio.tasks.classification.build import build_model
from jaxbio.tasks.classification.opened import Session, open_session

_MORE_SAMPLES = 4
_SHOWN = 6  # images in a figure


@dataclasses.dataclass
class Target:
    """A network under attack.

    Attributes:
        stochastic: whether it needs a key to evaluate.
        programs: compiled so far.
    """

    session: Session
    model: Any
    stochastic: bool
    programs: dict[Any, Callable[..., Any]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, session: Session, *, noise: bool = True) -> "Target":
        """The session's network; without ``noise``, the same with its front-end's noise off."""
        model = session.model if noise else _quiet(session)
        images = jnp.zeros((1, *[session.preprocessing.image_size] * 2, 3))
        try:
            jax.eval_shape(lambda v: model.apply(v, images, train=False), session.variables)
        except flax.errors.InvalidRngError:
            return cls(session, model, True)
        return cls(session, model, False)

    def attack(self, attack: Attack, batch: Any, epsilon: float, **changes: Any) -> Attacked:
        """Attacks a batch, on the devices, padding included."""

        def program(variables: Any, batch: Any, epsilon: jax.Array, key: jax.Array) -> Any:
            return attack(
                self._network(variables), batch["image"] / 255.0, batch["label"], key, epsilon,
                stochastic=self.stochastic, indices=batch["index"], **changes,
            )  # fmt: skip

        name = (attack.name, tuple(changes.items()))
        run = self.programs.setdefault(name, jax.jit(program))
        radius = epsilons(epsilon, batch["image"], attack.norm)[0]
        return run(self.session.variables, batch, radius, self._key(0))

    def answers(self, batch: Any, images: jax.Array) -> jax.Array:
        """The class that the network says of each of a batch's images, ``[B]``."""

        def program(variables: Any, images: Any, index: Any, key: jax.Array) -> jax.Array:
            model = self._network(variables)
            if not self.stochastic:
                return model(images).argmax(-1)
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
            return jax.vmap(lambda x, k: model(x[None], k)[0].argmax(-1))(images, keys)

        run = self.programs.setdefault("answers", jax.jit(program))
        return run(self.session.variables, images, batch["index"], self._key(1))

    def look(self, batch: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers, labels, and whether the network is right without an attack."""
        said = self.answers(batch, batch["image"] / 255.0)
        return self.fetch((batch["index"], batch["label"], said == batch["label"]), batch)

    def part(self, attack: Attack, batch: Any, epsilon: float, show: bool) -> Part:
        """What a batch under an attack gives; ``show`` adds some of its images, for a figure.

        These are their positions, clean (0..255), attacked, and what the model says of those.
        """
        attacked = self.attack(attack, batch, epsilon)
        fooled, margin = self.fetch((attacked.fooled, attacked.margin), batch)
        part = {"fooled": fooled, "margin": margin}
        if show:
            _, label, correct = self.look(batch)
            said = self.answers(batch, attacked.images)
            before, after, said = self.fetch((batch["image"], attacked.images, said), batch)
            turned = correct & (said != label)
            rows = np.argsort(~turned, kind="stable")[:_SHOWN]  # those that the attack turned first
            part |= {"row": rows, "before": before[rows], "after": after[rows], "said": said[rows]}
        return part

    def gradients(self, batch: Any) -> dict[str, float]:
        """Shares of a batch's images whose gradient is zero, or not finite."""

        @jax.jit
        def program(variables: Any, batch: Any, key: jax.Array) -> Any:
            return gradient_health(
                self._network(variables), batch["image"] / 255.0, batch["label"], key,
                stochastic=self.stochastic, indices=batch["index"],
            )  # fmt: skip

        found = self.fetch(program(self.session.variables, batch, self._key(0)), batch)
        return {n: float(x.mean()) for n, x in zip(("flat", "not_finite"), found, strict=True)}

    def fetch(self, arrays: Any, batch: Any) -> Any:
        """Arrays of a batch in every process's memory, without padding."""
        if jax.process_count() > 1:
            arrays, mask = process_allgather((arrays, batch["mask"]), tiled=True)
        else:
            arrays, mask = jax.device_get((arrays, batch["mask"]))
        return tuple(np.asarray(a)[mask] for a in arrays)

    def _key(self, use: int) -> jax.Array:
        return jax.random.fold_in(jax.random.key(self.session.config.seed), use)

    def _network(self, variables: Any) -> Callable[..., jax.Array]:
        """As attacks take it: images in [0, 1], and a key where it is noisy, to logits."""
        preprocessing = self.session.preprocessing

        def model(images: jax.Array, key: jax.Array | None = None) -> jax.Array:
            rngs = {} if key is None else {"noise": key}
            images = preprocessing.normalise(255.0 * images)
            return self.model.apply(variables, images, train=False, rngs=rngs)[0]

        return model


def open_other(session: Session, path: str) -> Target:
    """The network of another run, whose attacked images are tried on the session's.

    Raises:
        InputError: no such run, or a network of other images or classes.
    """
    file = Path(path) / "config.json"
    if not file.is_file():
        raise InputError(f"--transfer={path} is no run directory: give a trained classifier's")
    if read_json(file).get("config", {}).get("task") == "stdp":
        raise InputError(
            f"--transfer={path} is a spiking network of task stdp, which learns without gradients: "
            "give a classifier's run"
        )
    other = open_session(None, path, with_data=False)
    pairs = {
        "classes": (other.arguments["num_classes"], session.arguments["num_classes"]),
        "data.image_size": (other.preprocessing.image_size, session.preprocessing.image_size),
    }
    for name, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise InputError(f"--transfer={path} has {name} {theirs}, this run has {ours}")
    for theirs, ours in zip(other.class_names or (), session.class_names or (), strict=False):
        if theirs != ours:
            raise InputError(f"--transfer={path} has a class {theirs} where this run has {ours}")
    return Target.of(other)


def controls(
    session: Session,
    target: Target,
    other: Target | None,
    attack: Attack,
    batch: Any,
    healthy: dict[str, float],
) -> dict[str, Any]:
    """Control attacks on one batch at the largest radius, and what they say against the result.

    ``other`` is a network whose attacked images are tried on the ``target``, ``healthy`` what
    :meth:`Target.gradients` found in the batch.

    Returns:
        Accuracies by control, and sentences on what does not fit.
    """
    epsilon = max(attack.epsilons)
    _, _, correct = target.look(batch)

    found: dict[str, float] = {}
    tell = say if jax.process_index() == 0 else None

    def control(name: str, by: Target, attack: Attack, epsilon: float, **changes: Any) -> None:
        with waiting(f"control attack: {name.replace('_', ' ')}", tell=tell):
            attacked = by.attack(attack, batch, epsilon, **changes)
            (fooled,) = by.fetch((attacked.fooled,), batch)
            found[name] = float((by.look(batch)[2] & ~fooled).mean())

    plain = dataclasses.replace(attack, method="pgd", options={"steps": 1, "step": 1.0})
    size = session.preprocessing.image_size
    control("attacked", target, attack, epsilon)
    control("one_step", target, plain, epsilon, keep="last")
    control("unbounded", target, attack, largest((size, size, 3), attack.norm))
    if target.stochastic:
        control("noise_off", Target.of(session, noise=False), attack, epsilon)
        more = dataclasses.replace(attack, samples=_MORE_SAMPLES * attack.samples)
        control("more_samples", target, more, epsilon, samples=more.samples)
    if other is not None:
        attacked = other.attack(attack, batch, epsilon)
        said = target.answers(batch, attacked.images)
        (right,) = target.fetch((said == batch["label"],), batch)
        found["transferred"] = float((correct & right).mean())
    chance = 1 / session.source.num_classes
    warnings = masking_warnings(count=len(correct), chance=chance, **found, **healthy)
    return {"controls": {"images": len(correct), **found, **healthy}, "warnings": warnings}


def _quiet(session: Session) -> Any:
    """The session's model without its front-end's noise."""
    front_end = {**(session.arguments["front_end_options"] or {}), "noise_mode": "none"}
    return build_model({**session.arguments, "front_end_options": front_end})
