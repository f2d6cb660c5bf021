"""A board that is served, and a browser that looks at it."""

import contextlib
import shutil
import threading

import pytest

from jaxbio.board.actions import Actions
from jaxbio.board.answers import Answers
from jaxbio.board.index import Index
from jaxbio.board.server import make_server
from tests.board.runs import write_everything

SOON = 10_000  # milliseconds
_SERVED: set[str] = set()  # addresses


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs Playwright: pip install jaxbio[test]"
    )
    with playwright.sync_playwright() as started:
        try:
            chromium = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error:
            pytest.skip("needs a browser: apt install chromium, or playwright install chromium")
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A page on which nothing may go wrong unseen."""
    page = browser.new_page(viewport={"width": 1300, "height": 900}, accept_downloads=True)
    page.set_default_timeout(SOON)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))

    def hear(said):
        refused = "409" in said.text  # and the page says why
        ended = "ERR_CONNECTION" in said.text and not said.location["url"].startswith(
            tuple(_SERVED)  # a test may end its board while the page asks
        )
        if said.type == "error" and not (refused or ended):
            wrong.append(said.text)

    page.on("console", hear)
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    yield page
    page.close()
    assert wrong == []


@contextlib.contextmanager
def serving(folder, experiments=None):
    """The address of a board, and its actions."""
    index = Index(folder)
    actions = None if experiments is None else Actions(index, experiments)
    with make_server(Answers(index, actions), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        _SERVED.add(address)
        try:
            yield address, actions
        finally:
            _SERVED.discard(address)
            server.shutdown()
            thread.join()


@pytest.fixture
def folder(tmp_path):
    return write_everything(tmp_path / "runs")


@pytest.fixture
def address(folder):
    with serving(folder) as (address, _):
        yield address


def visit(page, address: str) -> None:
    """Opens a page, and waits until it has what it asks its server for."""
    page.goto("about:blank")  # another place on the same page would be there at once
    page.goto(address, wait_until="networkidle")
