"""The board as files: opens from a disk or any web server, asks nobody anything."""

import contextlib
from base64 import b64encode
from html import escape
from pathlib import Path

from jaxbio.board.answers import page_files
from jaxbio.board.details import run_curves, run_details, run_files
from jaxbio.board.index import Index
from jaxbio.board.table import Table
from jaxbio.board.text import to_json
from jaxbio.board.wrong import Pictures, find_wrong
from jaxbio.errors import InputError
from jaxbio.files import atomic, write_text
from jaxbio.runs.listing import Run

_MARK = "<!-- data -->"  # in index.html, where scripts with the data go
_POINTS = 500  # of a curve
_OF_A_PAIR = 12  # pictures that are taken for something else
_OF_A_RUN = 300
_BYTES_OF_A_RUN = 4 << 20  # of these pictures


def export_site(index: Index, site: Path) -> int:
    """Writes all runs of a folder as a page that needs no server.

    Pages load data as scripts, since browsers do not let a page read other files of a disk. The
    folder ``site`` is new, empty, or an earlier export.

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

    pictures = Pictures()
    for number, name in enumerate(names):
        seen, columns = index.open(name)
        deliver(f"{number}.js", f"run:{name}", to_json(run_details(index, name)))
        deliver(f"{number}_curves.js", f"curves:{name}", to_json(run_curves(columns, most=_POINTS)))
        wrong = to_json(_wrong_pictures(pictures, seen.run))
        deliver(f"{number}_pictures.js", f"pictures:{name}", wrong)
        for file in run_files(seen.run.path):
            content = (seen.run.path / file).read_bytes()
            if file.endswith(".html"):
                content = content.replace(f"{escape(str(index.folder.absolute()))}/".encode(), b"")
            with atomic(site / "files" / str(number) / file) as temporary:
                temporary.write_bytes(content)
    numbers = {name: number for number, name in enumerate(names)}
    about = {"folder": index.folder.name, "numbers": numbers}
    deliver("table.js", "table", Table(index).json(about, float("inf")))
    for name, content in page_files().items():
        text = content.decode()
        if name == "index.html":
            text = text.replace(_MARK, '<script src="data/table.js"></script>')
        write_text(site / name, text)
    return len(names)


def _wrong_pictures(pictures: Pictures, run: Run) -> dict[int, str]:
    """Pictures that a run gets wrong as addresses that hold them; none where the data are not."""
    found: dict[int, str] = {}
    size = 0
    with contextlib.suppress(InputError, OSError):  # the page says that it has none
        wrong = find_wrong(run.path)
        for pair in wrong.about["pairs"] if wrong else ():
            for line, _ in pair["pictures"][:_OF_A_PAIR]:
                content, kind = pictures.show(run, line)
                size += len(content)
                if len(found) == _OF_A_RUN or size > _BYTES_OF_A_RUN:
                    return found
                found[line] = f"data:{kind};base64,{b64encode(content).decode()}"
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"--export={folder} cannot be read ({error.strerror})") from error
