"""What the board says to each request; no path of a request reaches the file system.

``/`` and the files of the page are read once. ``/api/table``, ``/api/run``, ``/api/curves`` and
``/file`` look names up among what the folder holds, ``/picture`` lines among those of a run's
``predictions.csv``. ``/api/do/...`` needs the token.
"""

import inspect
import json
from collections.abc import Callable
from email.message import Message
from http import HTTPStatus
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from jaxbio.board.actions import Actions
from jaxbio.board.details import file_kind, run_curves, run_details, run_files
from jaxbio.board.index import Index, NotFoundError
from jaxbio.board.table import Table
from jaxbio.board.text import to_json
from jaxbio.board.wrong import Pictures
from jaxbio.errors import InputError
from jaxbio.runs.listing import read_run

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_PAGE_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


class Answer(NamedTuple):
    """What is sent.

    Attributes:
        body: bytes.
        kind: media type.
        status: of HTTP.
        ours: False of a page that a run holds.
    """

    body: bytes
    kind: str = _TEXT
    status: HTTPStatus = HTTPStatus.OK
    ours: bool = True


def failure(text: str, status: HTTPStatus) -> Answer:
    """One line."""
    return Answer(f"{text}\n".encode(errors="backslashreplace"), _TEXT, status)


class Answers:
    """Answers about one folder of runs; without ``actions`` nothing may be done."""

    def __init__(self, index: Index, actions: Actions | None = None):
        self._index, self._actions = index, actions
        self._page = page_files()
        self._rows = Table(index)
        self._pictures = Pictures()

    def get(self, path: str, query: str) -> Answer:
        """The answer to a GET."""
        name = "index.html" if path == "/" else path.removeprefix("/")
        if name in self._page:
            return Answer(self._page[name], _PAGE_KINDS[name[name.rindex(".") :]])
        ask: Callable[[dict[str, str]], Answer] | None = {
            "/api/table": self._table,
            "/api/run": self._run,
            "/api/curves": self._curves,
            "/file": self._file,
            "/picture": self._picture,
        }.get(path)
        if ask is None:
            return failure("not found", HTTPStatus.NOT_FOUND)
        try:
            return ask({key: values[-1] for key, values in parse_qs(query).items()})
        except NotFoundError as error:
            return failure(str(error), HTTPStatus.NOT_FOUND)
        except (InputError, OSError) as error:  # renamed or deleted meanwhile
            return failure(str(error), HTTPStatus.SERVICE_UNAVAILABLE)
        except ValueError:
            return failure("a number was expected", HTTPStatus.BAD_REQUEST)

    def post(self, path: str, headers: Message, body: bytes) -> Answer:
        """The answer to a POST: something is done."""
        actions = self._actions
        if actions is None:
            return failure("start the board with --allow-actions", HTTPStatus.FORBIDDEN)
        if not actions.knows(headers.get("X-Board-Token", "")):
            return failure("the token is wrong: open the printed address", HTTPStatus.FORBIDDEN)
        try:
            asked = json.loads(body)
            if not isinstance(asked, dict):
                raise ValueError
        except (ValueError, RecursionError):
            return failure("no JSON object", HTTPStatus.BAD_REQUEST)
        known: dict[str, Callable[..., Any]] = {
            "/api/do/start": actions.start,
            "/api/do/stop": actions.stop,
            "/api/do/evaluate": actions.evaluate,
            "/api/do/classify": actions.classify,
            "/api/do/jobs": actions.jobs,
        }
        do = known.get(path)
        if do is None:
            return failure("not found", HTTPStatus.NOT_FOUND)
        try:
            inspect.signature(do).bind(**asked)
        except TypeError as error:
            return failure(str(error), HTTPStatus.BAD_REQUEST)
        try:
            return _json(do(**asked))
        except (InputError, OSError) as error:
            return failure(str(error), HTTPStatus.CONFLICT)

    def _table(self, asked: dict[str, str]) -> Answer:
        about: dict[str, Any] = {"folder": str(self._index.folder)}
        if self._actions is not None:
            about["experiments"] = self._actions.experiments
        return Answer(self._rows.json(about).encode(), _JSON)

    def _run(self, asked: dict[str, str]) -> Answer:
        return _json(run_details(self._index, asked.get("run", "")))

    def _curves(self, asked: dict[str, str]) -> Answer:
        low, high = float(asked.get("from", 0)), float(asked.get("to", 2.0**31))
        return _json(run_curves(self._index.open(asked.get("run", ""))[1], low, high))

    def _file(self, asked: dict[str, str]) -> Answer:
        path, name = self._index.path(asked.get("run", "")), asked.get("name", "")
        if name not in run_files(path):
            raise NotFoundError("there is no such file")
        return Answer((path / name).read_bytes(), file_kind(name), ours=name.endswith(".png"))

    def _picture(self, asked: dict[str, str]) -> Answer:
        name = asked.get("run", "")
        run = read_run(name, self._index.path(name))
        return Answer(*self._pictures.show(run, int(asked.get("line", ""))))


def page_files() -> dict[str, bytes]:
    """The page by file name."""
    folder = files("jaxbio.board") / "page"
    shown = tuple(_PAGE_KINDS)
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name.endswith(shown)}


def _json(value: Any) -> Answer:
    return Answer(to_json(value).encode(), _JSON)
