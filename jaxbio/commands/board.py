"""All runs in the browser: a local page over every run of every task, live while they train.

  jaxbio board                       # runs/, at http://127.0.0.1:8000/
  jaxbio board FOLDER --port=0       # any free port
  jaxbio board --allow-actions       # start, stop, evaluate, draw digits, from the page
  jaxbio board --export=site/        # static files: open site/index.html, no server

It reads what runs write anyway and changes nothing; training knows nothing of it.
"""

import argparse
import contextlib
import logging
import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from jaxbio.commands.command_line import Parser
from jaxbio.errors import InputError
from jaxbio.runs.progress import say

if TYPE_CHECKING:
    from jaxbio.board.index import Index

_WAYLAND = "WAYLAND_DISPLAY"


def options(parser: Parser) -> None:
    """The command's arguments."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs"), help="default: runs")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0: any free one")
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    parser.add_argument("--no_browser", action="store_true", help="only print the address")
    parser.add_argument(
        "--allow-actions",
        action="store_true",
        help="let the page start, stop and evaluate runs, for whoever has the printed address",
    )
    parser.add_argument("--export", type=Path, metavar="SITE", help="write static files, and end")


def run(options: argparse.Namespace) -> None:
    """Serves until Ctrl-C, or exports."""
    from jaxbio.board.index import Index

    index = Index(options.folder)
    if options.export is not None:
        from jaxbio.board.site import export_site

        count = export_site(index, options.export)
        say(f"{count} runs: open {options.export / 'index.html'}")
        return
    if options.allow_actions and options.host not in ("127.0.0.1", "localhost", "::1"):
        raise InputError(f"--host={options.host}: --allow-actions is for this machine only")
    if not index.names() and not options.allow_actions:
        raise InputError(f"no runs below {options.folder}: jaxbio train svp_resnet makes one")
    _serve(index, options)


def _serve(index: "Index", options: argparse.Namespace) -> None:
    from jaxbio.board.actions import Actions
    from jaxbio.board.answers import Answers
    from jaxbio.board.server import make_server
    from jaxbio.commands.experiments import names

    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of its own defaults
    actions = Actions(index, names()) if options.allow_actions else None
    answers = Answers(index, actions)
    answers.get("/api/table", "")  # the first look reads most: before a browser asks
    with make_server(answers, options.host, options.port) as server:
        address = f"http://{options.host}:{server.server_port}/"
        if actions is not None:
            address += f"#token={actions.token}"
        say(f"{index.folder} at {address} (Ctrl-C ends)")
        if not options.no_browser:
            _open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("")


def _open(address: str) -> None:
    """In a browser, where there is a screen; the address has been printed in any case."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get(_WAYLAND)):
        return  # a browser of text would take the terminal
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(address)
