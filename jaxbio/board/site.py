"""The board as files: opens from a disk or any web server, asks nobody anything."""

from pathlib import Path

from jaxbio.board.answers import page_files
from jaxbio.board.details import run_curves, run_details, run_files
from jaxbio.board.index import Index
from jaxbio.board.table import Table
from jaxbio.board.text import to_json
from jaxbio.errors import InputError
from jaxbio.files import atomic, write_text

_MARK = "<!-- data -->"  # in index.html, where scripts with the data go
_POINTS = 500  # of a curve


def export_site(index: Index, site: Path) -> int:
    """Writes all runs of a folder as a page that needs no server.

    Pages load data as scripts, since browsers do not let a page read other files of a disk.

    Args:
        index: of the folder.
        site: folder to write; new, empty, or an earlier export.

    Returns:
        The number of runs.

    Raises:
        InputError: the folder holds no runs, or ``site`` holds something else.
    """
    if site.exists() and not (site / "data" / "table.js").is_file() and any(_entries(site)):
        raise InputError(f"--export={site} holds other files: give a new folder")
    names = index.names()
    if not names:
        raise InputError(f"no runs below {index.folder}: nothing to export")
    if site.resolve().is_relative_to(index.folder.resolve()):
        raise InputError(f"--export={site} is among the runs: give a folder outside")
    here = [to_json(str(path))[1:-1] for path in (index.folder.absolute(), index.folder)]

    def deliver(file: str, what: str, text: str) -> None:
        for path in here:  # where it was is nobody's business
            text = text.replace(f"{path}/", "")
        write_text(site / "data" / file, f"deliver({to_json(what)}, {text});\n")

    for number, name in enumerate(names):
        seen, columns = index.open(name)
        deliver(f"{number}.js", f"run:{name}", to_json(run_details(index, name)))
        deliver(f"{number}_curves.js", f"curves:{name}", to_json(run_curves(columns, most=_POINTS)))
        for file in run_files(seen.run.path):
            _copy(seen.run.path / file, site / "files" / str(number) / file)
    numbers = {name: number for number, name in enumerate(names)}
    about = {"folder": index.folder.name, "numbers": numbers}
    deliver("table.js", "table", Table(index).json(about, float("inf")))
    for name, content in page_files().items():
        text = content.decode()
        if name == "index.html":
            text = text.replace(_MARK, '<script src="data/table.js"></script>')
        write_text(site / name, text)
    return len(names)


def _copy(source: Path, target: Path) -> None:
    with atomic(target) as temporary:
        temporary.write_bytes(source.read_bytes())


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"--export={folder} cannot be read ({error.strerror})") from error
