"""top-1, top-5 and loss on the exact test set, by class too; the readouts of spiking networks

Results go to ``evaluation/``: ``accuracy.json``, ``predictions.csv`` (each picture's class and
answer), ``confusion.csv`` (rows: classes, columns: answers); the matrix of up to 50 classes is also
``report/confusion.png``.
"""

import argparse
from typing import TYPE_CHECKING, Any

from jaxbio.files import write_text
from jaxbio.measures.measure import always, identity, publish, result_file
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    from jaxbio.tasks.classification.opened import Session

NAME = "accuracy"
_MOST_DRAWN = 50  # classes


def options(add: Any) -> None:
    """The measure's flags."""
    add(
        "--member",
        type=int,
        metavar="N",
        help="of a population of spiking networks, from 0; default: all",
    )


needs_data = always


def run(session: "Session", options: argparse.Namespace) -> dict[str, Any]:
    """Measures the exact test set; prints tables, writes JSON, CSV and the figure."""
    import jax

    from jaxbio.data.class_names import readable
    from jaxbio.measures.answers import (
        answer_test_set,
        by_class,
        class_table,
        confusion_csv,
        confusion_matrix,
        predictions_csv,
    )
    from jaxbio.plotting.confusion import plot_confusion
    from jaxbio.runs.figures import save_figures
    from jaxbio.tasks.classification.accuracy import accuracy_rows

    means, answers = answer_test_set(session)
    names = session.source.class_names
    confusion = confusion_matrix(answers, len(names))
    classes = by_class(confusion, names)
    mean = sum(of["top1"] for of in classes) / len(classes)
    result = {**identity(session), **means, "mean_class_top1": mean, "classes": classes}
    rows = [("test set", "result"), *accuracy_rows(means)]
    rows.append(("mean of the classes' top-1", f"{100 * mean:.2f} %"))
    if len(classes) < len(names) or session.classes is not None:
        among = "all" if session.classes is None else f"these {len(session.classes)}"
        rows.append(("classes", f"{len(classes)} of the network's {len(names)}"))
        rows.append(("answers among", f"{among} (eval.classes)"))
    if jax.process_index() == 0:
        split = session.source.eval
        pictures = [split.example_name(number) for number in range(len(split))]
        folder = result_file(session, NAME).parent
        write_text(folder / "predictions.csv", predictions_csv(answers, pictures, names))
        write_text(folder / "confusion.csv", confusion_csv(confusion, names))
        if len(names) <= _MOST_DRAWN:
            figure = plot_confusion(
                confusion, [readable(name) for name in names], 1 / len(session.classes or names)
            )
            save_figures(session.run, {"confusion": figure})
    publish(session, NAME, result, f"{format_table(rows)}\n\n{class_table(classes)}")
    return result
