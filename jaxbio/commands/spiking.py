"""The saved spiking networks: listed, shown, tried out, reported, imported."""

import argparse
import logging
from pathlib import Path

from jaxbio.commands.command_line import Parser
from jaxbio.errors import InputError, WriteError, shorten_warnings
from jaxbio.runs.progress import format_table


def options(parser: Parser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of all runs (default: runs)"
    )
    commands = parser.add_subparsers(required=True, metavar="ACTION")

    def command(function, name: str, text: str) -> Parser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=function)
        return one

    command(_list, "list", "a table of every saved network")
    named = {
        "show": command(_show, "show", "all parameters and accuracies of one"),
        "rename": command(_rename, "rename", "gives one another name"),
        "delete": command(_delete, "delete", "removes one with everything in it"),
        "classify": command(_classify, "classify", "shows one an image file"),
        "random": command(_random, "random", "shows one a random test image of a label"),
        "report": command(_report, "report", "writes report/network.html of one"),
    }
    imports = command(_import, "import", "makes runs of networks that the published program saved")
    imports.add_argument(
        "folder",
        type=Path,
        help="one folder per network: network, parameters.json, votes, ...; or a .nir file",
    )
    imports.add_argument("--output", type=Path, metavar="RUNS", help="default: --runs")
    exports = named["export"] = command(_export, "export", "writes one for other programs (NIR)")
    add = exports.add_argument
    add("network", nargs="?", help="name; may be left out if there is only one")
    add("--format", choices=["nir"], default="nir", help="default: %(default)s")
    add("--output", type=Path, metavar="FILE", help="default: NAME.nir")
    add("--leave_out", action="append", default=[], metavar="WHAT", help="refractory: NIR has none")
    for name in ("show", "rename", "delete"):
        named[name].add_argument("name", help="of the network, as listed")
    named["report"].add_argument("network", nargs="?", help="name; may be left out if there is one")
    for name in ("classify", "random"):
        named[name].add_argument("--network", help="name; may be left out if there is only one")
    named["rename"].add_argument("new_name")
    named["delete"].add_argument("--yes", action="store_true", help="really")
    named["classify"].add_argument("image", type=Path)
    named["classify"].add_argument(
        "--invert", action="store_true", help="for dark digits on light paper"
    )
    named["random"].add_argument("--label", type=int, required=True)
    for name in ("classify", "random", "report", "export"):
        named[name].add_argument("--checkpoint", default="best", help="best, last or a step")
        named[name].add_argument("--member", type=int, default=0, help="of a population, from 0")
    for name in ("classify", "random", "report"):
        named[name].add_argument(
            "--top_n", type=int, help="of the readout top_n; default: as configured"
        )
    for name in ("classify", "random"):
        named[name].add_argument(
            "--readout", default="patch_voting", help="that decides; default: %(default)s"
        )
        named[name].add_argument("--seed", type=int, default=0, help="of image and encoding")
        named[name].add_argument("--output", type=Path, help="folder of the plots")


def run(options: argparse.Namespace) -> None:
    """Does what the action says."""
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of its own defaults
    shorten_warnings()
    options.command(options)


def _list(options: argparse.Namespace) -> None:
    from jaxbio.tasks.stdp import registry

    entries = registry.find_networks(options.runs)
    if not entries:
        print(f"no spiking networks below {options.runs}")
        return
    print(format_table(registry.table(entries)))


def _show(options: argparse.Namespace) -> None:
    from jaxbio.tasks.stdp import registry

    entry = registry.find_network(options.runs, options.name)
    rows = [
        (key, entry.parameter(key) if key in entry.members[0].changes else str(value))
        for key, value in entry.settings.items()
    ]
    for readout, (accuracy, error) in entry.accuracies().items():
        rows.append((f"{readout} accuracy", f"{100 * accuracy:.2f} +- {100 * error:.2f} %"))
    for readout, score in entry.results.get("published", {}).items():
        told = f"{100 * score['accuracy']:.2f} +- {100 * score['error']:.2f} %"
        rows.append((f"{readout} accuracy, published", told))
    print(format_table([("parameter", "value"), *rows, ("run directory", str(entry.run.path))]))
    if "population" in entry.results:
        from jaxbio.tasks.stdp.results import grid_points, search_table

        print()
        print(format_table(search_table(grid_points(entry.results["population"]))))


def _import(options: argparse.Namespace) -> None:
    from jaxbio.tasks.stdp.imported import import_network
    from jaxbio.tasks.stdp.neuromorphic import read_nir
    from jaxbio.tasks.stdp.published import find_published, read_published

    runs, imported = options.output or options.runs, 0
    graph = options.folder.suffix == ".nir"
    for folder in [options.folder] if graph else find_published(options.folder):
        try:
            saved = read_nir(folder) if graph else read_published(folder)
            path = import_network(saved, runs)
        except WriteError:
            raise
        except InputError as error:
            print(f"left out: {' '.join(str(error).split())}")
            continue
        imported += 1
        net = saved.shape
        print(f"{path}: {net.kind.upper()} {net.filters}/{net.kernel}, refractory {net.refractory}")
        for note in saved.notes:
            print(f"  {note}")
    if not imported:
        raise InputError(f"none of the networks in {options.folder} could be imported")
    print(f"{imported} networks in {runs}: jaxbio spiking --runs={runs} list")


def _export(options: argparse.Namespace) -> None:
    from jaxbio.tasks.stdp.neuromorphic import write_nir

    saved = _open(options)
    path = options.output or Path(f"{Path(saved.entry.name).name}.nir")
    write_nir(path, saved.network, saved.parameters, saved.weights, options.leave_out)
    print(f"{saved.entry.name}: {saved.network.neurons} neurons at rest, written to {path}")


def _rename(options: argparse.Namespace) -> None:
    from jaxbio.tasks.stdp import registry

    target = registry.rename_network(options.runs, options.name, options.new_name)
    print(f"{options.name} -> {target}")


def _delete(options: argparse.Namespace) -> None:
    from jaxbio.tasks.stdp import registry

    entry = registry.find_network(options.runs, options.name)
    if not options.yes:
        raise InputError(f"this deletes {entry.run.path} with all its checkpoints: say --yes")
    registry.delete_network(options.runs, options.name)
    print(f"deleted {entry.run.path}")


def _classify(options: argparse.Namespace) -> None:
    from jaxbio.spiking.classify import read_picture

    saved = _open(options)
    picture = saved.fitted(read_picture(options.image, saved.picture_size, options.invert))
    _show_picture(options, saved, picture, str(options.image))


def _random(options: argparse.Namespace) -> None:
    saved = _open(options)
    number, picture = saved.random_picture(options.label, options.seed)
    _show_picture(options, saved, picture, f"test image {number} of label {options.label}")


def _report(options: argparse.Namespace) -> None:
    from jaxbio.tasks.stdp.saved import report_network

    saved = _open(options)
    path = report_network(saved, _top_n(options, saved))
    print(f"report: {path}")


def _open(options: argparse.Namespace):
    from jaxbio.tasks.stdp.registry import find_network, only_network
    from jaxbio.tasks.stdp.saved import open_network

    if options.network is None:
        entry = only_network(options.runs)
    else:
        entry = find_network(options.runs, options.network)
    return open_network(entry, options.checkpoint, options.member)


def _show_picture(options: argparse.Namespace, saved, picture, what: str) -> None:
    from jaxbio.plotting.saving import save_figure

    outcome = saved.classify(picture, options.seed, options.readout, _top_n(options, saved))
    folder = options.output or saved.entry.run.path / "report" / "presentation"
    for name, figure in saved.figures(outcome, options.seed).items():
        save_figure(figure, folder / f"{name}.png")
    label = "no label" if outcome.label < 0 else f"label {saved.class_names[outcome.label]}"
    print(f"{what}: {label} ({int(outcome.recording.counts.sum())} spikes); plots in {folder}")


def _top_n(options: argparse.Namespace, saved) -> int:
    return saved.task.config.spiking.top_n if options.top_n is None else options.top_n
