"""The modes of ``evaluate.py``: the flags of each, and what it does with them.

Nothing here imports JAX before a mode runs, so that ``--help`` is immediate.
"""

from typing import Any

from absl import flags
from ml_collections import ConfigDict

from jaxbio.errors import InputError

MODES = ("accuracy", "robustness", "features", "similarity", "time")


def define_flags() -> None:
    """Flags of all modes; the first word of a flag's help says which modes read it."""
    flags.DEFINE_enum("mode", "accuracy", list(MODES), "What to measure.")
    flags.DEFINE_string("checkpoint", "best", "Which checkpoint: best, last or a step.")
    flags.DEFINE_integer(
        "member", None, "accuracy: of a population of spiking networks, from 0; default: all."
    )
    _define_robustness()
    _define_features()
    _define_similarity()


def run(config: ConfigDict | None, workdir: str, values: flags.FlagValues) -> None:
    """Opens the run and measures.

    Raises:
      InputError: the run, its data or a flag is not usable.
    """
    from jaxbio.files import read_json
    from jaxbio.runs.directory import RunDirectory
    from jaxbio.tasks.classification.opened import open_session

    recorded = read_json(RunDirectory(workdir).config_file)
    if recorded.get("config", {}).get("task") == "stdp":
        _spiking(config, workdir, values)
        return
    brings_images = values.mode == "similarity" or (values.mode == "features" and values.images)
    session = open_session(config, workdir, values.checkpoint, with_data=not brings_images)
    _RUN[values.mode](session, values)


def _define_robustness() -> None:
    flags.DEFINE_list("corruption", ["all"], "robustness: names, or benchmark, validation or all.")
    flags.DEFINE_list("severity", ["all"], "robustness: severities 1 to 5, or all.")
    flags.DEFINE_bool("reference", False, "robustness: corrupt by the imagecorruptions package.")
    flags.DEFINE_integer("workers", 0, "robustness: processes of --reference; 0: one per core.")
    flags.DEFINE_list("compare", [], "robustness: other measured run directories, shown beside.")
    flags.DEFINE_alias("corruptions", "corruption")
    flags.DEFINE_alias("severities", "severity")


def _define_features() -> None:
    flags.DEFINE_string("images", None, "features: folder of images; default: the test set.")
    flags.DEFINE_list(
        "layers",
        None,
        "features, similarity: endpoints or all. Default: penultimate; similarity: all.",
    )
    flags.DEFINE_list("times", ["all"], "features, similarity: all, last or time steps, from 0.")
    flags.DEFINE_enum("pool", "none", ["none", "mean", "max"], "features: pooling over space.")
    flags.DEFINE_integer("projection", 0, "features: components of a random projection; 0: none.")
    flags.DEFINE_integer("projection_seed", 0, "features: of the projection's matrices.")
    flags.DEFINE_bool("skip_bad_images", False, "features: leave out images that do not decode.")
    flags.DEFINE_string("output", None, "features: .h5 or .npz; default: RUN/features/KEY.h5.")


def _define_similarity() -> None:
    flags.DEFINE_string(
        "neural", "synthetic", "similarity: file or folder of recordings, or the synthetic set."
    )
    flags.DEFINE_string("region", None, "similarity: part of the recordings: IT, V4, human_it, ...")
    flags.DEFINE_string("stimuli", None, "similarity: the images, if not beside the recordings.")
    flags.DEFINE_list(
        "measures", [], "similarity: rsa, sit, svm, pls, ridge, cka, ...; default: all."
    )
    flags.DEFINE_enum("bins", "mean", ["mean", "all"], "similarity: time bins of the recordings.")
    flags.DEFINE_integer("max_units", 4096, "similarity: units sampled of each layer; 0: all.")
    flags.DEFINE_integer("objects_per_category", 7, "similarity: of Cadieu's layout; 0: unknown.")
    flags.DEFINE_bool("drop_nan", False, "similarity: drop neuroids with NaN responses.")


def _spiking(config: ConfigDict | None, workdir: str, values: flags.FlagValues) -> None:
    from jaxbio.tasks.stdp.evaluate import report_spiking

    if values.mode != "accuracy":
        raise InputError(
            f"--mode={values.mode} needs a network with layers; a spiking network of task stdp has "
            "--mode=accuracy"
        )
    report_spiking(config, workdir, values.checkpoint, values.member)


def _accuracy(session: Any, values: flags.FlagValues) -> None:
    from jaxbio.measures.accuracy import report_accuracy

    report_accuracy(session)


def _robustness(session: Any, values: flags.FlagValues) -> None:
    from jaxbio.measures.robustness_report import report_robustness

    report_robustness(
        session,
        values.corruption,
        values.severity,
        reference=values.reference,
        workers=values.workers,
        compare=values.compare,
    )


def _features(session: Any, values: flags.FlagValues) -> None:
    from jaxbio.measures.features import report_features

    report_features(
        session,
        images=values.images,
        layers=values.layers or ["penultimate"],
        times=values.times,
        pool=values.pool,
        projection=values.projection,
        projection_seed=values.projection_seed,
        skip_bad_images=values.skip_bad_images,
        output=values.output,
    )


def _similarity(session: Any, values: flags.FlagValues) -> None:
    from jaxbio.measures.similarity import report_similarity
    from jaxbio.neural import open_recordings

    recordings = open_recordings(
        values.neural,
        region=values.region,
        stimuli=values.stimuli,
        objects_per_category=values.objects_per_category,
        drop_nan=values.drop_nan,
    )
    report_similarity(
        session,
        recordings,
        layers=values.layers or ["all"],
        times=values.times,
        measures=values.measures,
        bins=values.bins,
        max_units=values.max_units,
    )


def _time(session: Any, values: flags.FlagValues) -> None:
    from jaxbio.measures.over_time import report_time

    report_time(session)


_RUN = {
    "accuracy": _accuracy,
    "robustness": _robustness,
    "features": _features,
    "similarity": _similarity,
    "time": _time,
}
