"""Evaluates a run, or converted weights, on the exact test set.

Usage:
  python evaluate.py --config=configs/svp_resnet.py
  python evaluate.py --workdir=runs/svp_resnet_digits --checkpoint=last
  python evaluate.py --config=configs/svp_resnet.py --mode=robustness --severity=3
  python evaluate.py --config=configs/svp_resnet.py --mode=features --images=DIR --layers=v2,layer4
  python evaluate.py --config=configs/svp_resnet.py --mode=similarity --neural=FILE --region=IT

Modes: accuracy (top-1, top-5, loss) and robustness (the same under image corruptions): results are
printed, and written as JSON into the run directory. features: the activity of layers, into a file.
similarity: layers against neural recordings (docs/similarity.md): table, JSON, HTML report.
time: a CORnet's accuracy at every time step, object-solution times, figures (docs/cornet.md).
"""

from pathlib import Path

from absl import flags

from jaxbio import command_line
from jaxbio.errors import InputError

_MODES = ["accuracy", "robustness", "features", "similarity", "time"]
flags.DEFINE_enum("mode", "accuracy", _MODES, "What to measure.")
flags.DEFINE_string("checkpoint", "best", "Which checkpoint: best, last or a step.")
flags.DEFINE_list("corruption", ["all"], "robustness: names, or benchmark, validation or all.")
flags.DEFINE_list("severity", ["all"], "robustness: severities 1 to 5, or all.")
flags.DEFINE_bool("reference", False, "robustness: corrupt by the imagecorruptions package.")
flags.DEFINE_integer("workers", 0, "robustness: processes of --reference; 0: one per core.")
flags.DEFINE_list("compare", [], "robustness: other measured run directories, shown beside.")
flags.DEFINE_string("images", None, "features: folder of images; default: the test set.")
flags.DEFINE_list(
    "layers", None, "features, similarity: endpoints or all. Default: penultimate; similarity: all."
)
flags.DEFINE_list("times", ["all"], "features, similarity: all, last or time steps, from 0.")
flags.DEFINE_enum("pool", "none", ["none", "mean", "max"], "features: pooling over space.")
flags.DEFINE_integer("projection", 0, "features: components of a random projection; 0: none.")
flags.DEFINE_integer("projection_seed", 0, "features: of the projection's matrices.")
flags.DEFINE_bool("skip_bad_images", False, "features: leave out images that do not decode.")
flags.DEFINE_string("output", None, "features: .h5 or .npz; default: RUN/features/KEY.h5.")
flags.DEFINE_string(
    "neural", "synthetic", "similarity: file or folder of recordings, or the synthetic stand-in."
)
flags.DEFINE_string("region", None, "similarity: part of the recordings: IT, V4, human_it, ...")
flags.DEFINE_string("stimuli", None, "similarity: the images, if not beside the recordings.")
flags.DEFINE_list("measures", [], "similarity: rsa, sit, svm, pls, ridge, cka, ...; default: all.")
flags.DEFINE_enum("bins", "mean", ["mean", "all"], "similarity: time bins of the recordings.")
flags.DEFINE_integer("max_units", 4096, "similarity: units sampled of each layer; 0: all of them.")
flags.DEFINE_integer("objects_per_category", 7, "similarity: of Cadieu's layout; 0: unknown.")
flags.DEFINE_bool("drop_nan", False, "similarity: drop neuroids with NaN responses.")
flags.DEFINE_alias("corruptions", "corruption")
flags.DEFINE_alias("severities", "severity")


def main(config, values: flags.FlagValues) -> None:
    """Evaluates as configured."""
    if config is None and values.workdir is None:
        raise InputError("--config and --workdir are missing: give one of them")
    command_line.start_jax()
    from jaxbio.evaluation import commands

    workdir = values.workdir or str(Path("runs") / config.name)
    with_data = values.mode != "similarity" and (values.mode != "features" or values.images is None)
    session = commands.open_session(config, workdir, values.checkpoint, with_data=with_data)
    if values.mode == "accuracy":
        commands.report_accuracy(session)
    elif values.mode == "time":
        from jaxbio.evaluation.over_time import report_time

        report_time(session)
    elif values.mode == "features":
        commands.report_features(
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
    elif values.mode == "similarity":
        from jaxbio.evaluation.similarity import report_similarity
        from jaxbio.neural import open_recordings

        report_similarity(
            session,
            open_recordings(
                values.neural,
                region=values.region,
                stimuli=values.stimuli,
                objects_per_category=values.objects_per_category,
                drop_nan=values.drop_nan,
            ),
            layers=values.layers or ["all"],
            times=values.times,
            measures=values.measures,
            bins=values.bins,
            max_units=values.max_units,
        )
    else:
        commands.report_robustness(
            session,
            values.corruption,
            values.severity,
            reference=values.reference,
            workers=values.workers,
            compare=values.compare,
        )


if __name__ == "__main__":
    command_line.define_flags()
    flags.adopt_module_key_flags(command_line)  # shows them in --help
    command_line.run(main)
