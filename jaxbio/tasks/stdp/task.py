"""Task "stdp": spiking networks that learn image by image, without labels.

A step is a chunk of images, learned one after another as
published; calibration and test belong to :meth:`Stdp.test`.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxbio.data import open_source
from jaxbio.files import write_text
from jaxbio.ops.encoding import make_encoder
from jaxbio.ops.once import jit_once
from jaxbio.plotting.saving import save_figure
from jaxbio.plotting.spiking import plot_weights
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.figures import save_figures
from jaxbio.runs.progress import Pace, format_table, say
from jaxbio.runs.schedules import read_periods
from jaxbio.spiking import competition
from jaxbio.spiking.inference import respond_encoded, respond_in_batches
from jaxbio.spiking.learning import unstack
from jaxbio.spiking.network import Weights
from jaxbio.spiking.population import member_parameters, population_mesh
from jaxbio.spiking.presentation import Learning
from jaxbio.spiking.readouts import votes_from_counts
from jaxbio.tasks.stdp.activity import Counts
from jaxbio.tasks.stdp.data import draw, part_key, read_pictures, shared_levels, shift_levels
from jaxbio.tasks.stdp.figures import network_figures, weight_planes
from jaxbio.tasks.stdp.reading import read_members_of, read_network
from jaxbio.tasks.stdp.report import measure_readouts
from jaxbio.tasks.stdp.results import (
    grid_points,
    percent,
    search_csv,
    search_figures,
    search_table,
    summarise,
)
from jaxbio.tasks.stdp.start import begin_from, find_start
from jaxbio.tasks.stdp.state import SpikingState, abstract_state, new_state
from jaxbio.tasks.stdp.step import make_step
from jaxbio.tasks.task import Metrics, Results, made_with

_logger = logging.getLogger("jaxbio")

_POPULATION_FILE = "report/population.csv"
_SECONDS_BETWEEN_MAPS = 10.0  # drawing takes a good part of a second


class Chunk(NamedTuple):
    """What one step learns from.

    Attributes:
        levels: of the encoder, ``[B, N, pixels]``: B images of each of N networks.
        part: of the training: ``joint``, or ``first`` or ``second`` of two steps.
        clear: trained competition starts from zero here.
    """

    levels: np.ndarray
    part: str
    clear: bool


class Stdp:
    """The objects of a run; see :class:`jaxbio.tasks.task.Task`.

    Attributes:
        images_per_step: that each network learns from, one after another.
        pictures: its parts, as the network sees them.
        parameters: numbers of the members, ``[N]``.
        learning: what learns, unless in two steps.
        members: one, or a population.
        periods: when things happen, in chunks.
        latest: results of the newest test, for the report.
        pace: of the weight map that is drawn while training.

    Raises:
        InputError: wrong configuration or data.
    """

    best_by: ClassVar[str] = "accuracy"

    def __init__(self, config: ConfigDict):
        self.config, spiking = config, config.spiking
        self.network, parameters = read_network(config)
        self.members = read_members_of(config)
        self.mesh = population_mesh(len(self.members))
        self.parameters = member_parameters(parameters, self.members)
        self.learning = Learning(xy=spiking.learn_xy, yy=spiking.learn_yy)
        self.images_per_step = spiking.images_per_step
        total = spiking.train_images // spiking.images_per_step
        self.periods = read_periods(config, total, total)
        self.source = open_source(config.data)
        self.pictures = read_pictures(self.source, self.network.crop, spiking.calibration_share)
        if spiking.test_on == "validation":
            self.pictures = self.pictures.for_validation()
        self.like = abstract_state(self.network, self.parameters, self.members, self.mesh)
        self.latest: Results = {}
        self.pace = Pace(_SECONDS_BETWEEN_MAPS)

    def initial_state(self) -> SpikingState:
        """Random weights, or those of ``spiking.start_from``."""
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.like)
        two_step = self.config.spiking.two_step
        new = partial(new_state, self.network, self.parameters, self.members, two_step)
        state = jit_once(new, out_shardings=shardings)()
        start = find_start(self.config, self.network, len(self.members))
        if start is None:
            return state
        return begin_from(state, start, self.mesh, self.images_per_step)

    def train_step(self) -> Callable[[SpikingState, Chunk], tuple[SpikingState, Metrics]]:
        """``step(state, batch)``; two-step training has a program for each of its parts."""
        make = partial(
            make_step,
            self.network,
            self.parameters,
            jnp.stack([part_key("train", member.seed) for member in self.members]),
            self.encoder,
            self.mesh,
            images_per_update=self.config.spiking.images_per_update,
        )
        steps = {
            "joint": make(self.learning),
            "first": make(Learning(yy=False), masked=False),
            "second": make(Learning(xy=False)),
        }

        def step(state: SpikingState, chunk: Chunk) -> tuple[SpikingState, Metrics]:
            if chunk.clear:
                yy = competition.clear(cast(jax.Array, state.weights.yy))
                state = state.replace(weights=state.weights._replace(yy=yy))
            return steps[chunk.part](state, chunk.levels)

        return step

    def warm_up(self, state: SpikingState) -> None:
        """Nothing: what a test needs is compiled by the first one."""

    def batches(self, start_step: int) -> Iterator[Chunk]:
        """Chunks of grey levels ``[B, N, pixels]`` from ``start_step`` to the end of the run."""
        images, chunk = self.pictures.train[0], self.images_per_step
        total = self.periods.total
        drawn = [draw("train", len(images), total * chunk, m.seed) for m in self.members]
        half = (total + 1) // 2
        for step in range(start_step, total):
            now = slice(step * chunk, (step + 1) * chunk)
            shown = [
                shift_levels(images[indices[now]], begin)
                for indices, begin in zip(drawn, self._levels[1], strict=True)
            ]
            batch = np.stack(shown, 1)
            part = "joint"
            if self.config.spiking.two_step:
                part = "first" if step < half else "second"
            yield Chunk(batch, part, clear=part == "second" and step == half)

    def test(self, state: SpikingState) -> tuple[SpikingState, Results]:
        """Calibrates, tests all readouts, and keeps the votes in the state."""
        classes = self.source.num_classes
        votes, measured = [], []
        for number, member in enumerate(self.members):
            calibration = self.activity(state, "calibration", number)
            test = self.activity(state, "test", number)
            top_n = self.config.spiking.top_n
            measured.append(
                measure_readouts(calibration, test, classes, top_n=top_n, seed=member.seed)
            )
            votes.append(votes_from_counts(*calibration, classes))
            if not calibration[0].any():
                _logger.warning(
                    "network %d never fires: %d calibration images drew no spike; raise "
                    "spiking.intensity, spiking.mean_weight or spiking.steps",
                    number,
                    len(calibration[0]),
                )
        results = {
            **summarise(measured, self.members, self.config.spiking.readout),
            "images": int(state.step) * self.images_per_step,
        }
        stacked = jnp.asarray(np.stack(votes) if len(votes) > 1 else votes[0])
        self.latest.update(results)
        state = state.replace(
            votes=jax.device_put(stacked, self.like.votes.sharding),
            calibrated=jax.device_put(jnp.int32(1), self.like.calibrated.sharding),
        )
        return state, results

    def activity(
        self, state: SpikingState, part: str, number: int = 0, drawn: bool = True
    ) -> Counts:
        """Spike counts of a member's ``calibration`` or ``test`` presentations.

        Args:
            state: of the run.
            part: of the data.
            number: of the member.
            drawn: as many as configured, drawn with replacement; False: every image once.

        Returns:
            float32 counts ``[n, filters, rows, columns]`` and labels ``[n]``.
        """
        spiking, member = self.config.spiking, self.members[number]
        images, labels = getattr(self.pictures, part)
        indices = np.arange(len(images))
        if drawn:
            indices = draw(part, len(images), spiking[f"{part}_images"], member.seed)
        weights = self.weights(state, number)
        parameters = jax.tree.map(lambda value: value[number], self.parameters)
        key = part_key(part, member.seed)
        counts = respond_in_batches(
            partial(self._respond, parameters, weights, key),
            shift_levels(images[indices], self._levels[1][number]),
            self.config.eval.batch_size,
        )
        side = self.network.side
        return counts.reshape(len(indices), self.network.filters, side, side), labels[indices]

    def weights(self, state: SpikingState, number: int = 0) -> Weights:
        """The weights of one member."""
        return state.weights if len(self.members) == 1 else unstack(state.weights, number)

    def describe(self, state: SpikingState) -> str:
        """Network, data, population."""
        net = self.network
        lines = [
            f"{net.kind.upper()} network of {net.filters} channels, {net.kernel} x {net.kernel} "
            f"windows: {net.neurons} neurons, {state.count_parameters():,} weights",
            f"{len(self.pictures.train[0])} training images, "
            f"{self.periods.total * self.images_per_step} presentations",
        ]
        if self.config.spiking.start_from:
            lines.append(f"goes on with {self.config.spiking.start_from}")
        if len(self.members) > 1:
            lines.append(f"population of {len(self.members)} networks")
        if self.config.spiking.images_per_update > 1:
            lines.append(
                f"APPROXIMATION: {self.config.spiking.images_per_update} images per update"
            )
        return "\n".join(lines)

    def progress_line(self, metrics: Mapping[str, float]) -> str:
        """Spikes and thresholds."""
        return f"{metrics['spikes']:.0f} spikes/image  threshold +{metrics['theta']:.2f} mV"

    def headline(self, results: Results) -> str:
        """Accuracy of the configured readout."""
        entry = results["readouts"][self.config.spiking.readout]
        return f"{self.config.spiking.readout} {percent(entry['accuracy'], entry['error'])} %"

    def result_rows(self, results: Results) -> list[tuple[str, str]]:
        """Accuracy of every readout."""
        rows = [
            (name, f"{percent(entry['accuracy'], entry['error'])} %")
            for name, entry in results["readouts"].items()
        ]
        if "population" in results:
            rows.append(("networks", f"{len(results['population'])}, see {_POPULATION_FILE}"))
        return [*rows, ("training images", str(results["images"]))]

    def record(self, new: bool) -> Results:
        """What the configuration was resolved to, for ``config.json``."""
        # A run that has begun needs its start no more: that may have gone, or gone on.
        start = find_start(self.config, self.network, len(self.members)) if new else None
        return {
            "network": dataclasses.asdict(self.network),
            "class_names": self.source.class_names,
            "members": [dataclasses.asdict(member) for member in self.members],
            "start_from": None if start is None else start.record(),
            "data": self.source.describe(),
            "steps": self.periods.total,
            **made_with(),
        }

    def watch(self, run: RunDirectory, state: SpikingState) -> None:
        """Draws the (first) network's weights anew, every few seconds, for who reloads them."""
        if self.pace.due():
            images = int(state.step) * self.images_per_step
            planes = weight_planes(self.network, self.weights(state))
            figure = plot_weights(planes, title=f"{images} images")
            save_figure(figure, run.path / "report" / "weights.png")

    def write_report(self, run: RunDirectory, state: SpikingState) -> None:
        """Figures of the (first) network; of a population the table and figures of its search."""
        votes = np.asarray(state.votes)
        first = votes if len(self.members) == 1 else votes[0]
        parameters = jax.tree.map(lambda value: float(value[0]), self.parameters)
        figures = network_figures(self.network, parameters, self.weights(state), first)
        if "population" in self.latest:
            points = grid_points(self.latest["population"])
            figures |= search_figures(points, self.config.spiking.readout)
            write_text(run.path / _POPULATION_FILE, search_csv(points))
            say(f"\n{format_table(search_table(points))}")
        save_figures(run, figures)

    @cached_property
    def _levels(self) -> tuple[np.ndarray, list[int]]:
        """Rates of the encoder's levels, and where each member's levels begin."""
        usual = self.config.spiking.intensity
        return shared_levels([member.changes.get("intensity", usual) for member in self.members])

    @cached_property
    def encoder(self) -> Any:
        """Of grey levels to spikes."""
        encoder, rates = self.config.spiking.encoder, self._levels[0]
        return make_encoder(encoder, rates, self.network.steps, self.network.dt)

    @cached_property
    def _respond(self) -> Any:
        encoder = self.encoder  # made outside of any traced function: it holds tables

        def respond(parameters, weights, key, levels, numbers):
            return respond_encoded(self.network, parameters, weights, encoder, key, levels, numbers)

        return jax.jit(respond)
