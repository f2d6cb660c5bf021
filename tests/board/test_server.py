"""The board's server, over real sockets: what it says to whom."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from jaxbio.board import server as server_module
from jaxbio.board.answers import Answers
from jaxbio.board.index import Index
from jaxbio.board.server import make_server
from tests.board.runs import PNG, training, write_everything, write_lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = write_everything(tmp_path_factory.mktemp("runs"))
    (root / "spiking" / "secret.json").write_text("{}")
    (root / "spiking" / "report" / "link.png").symlink_to(root / "spiking" / "secret.json")
    return root


@pytest.fixture(scope="module")
def port(folder):
    with make_server(Answers(Index(folder)), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def get(port):
    """``get(path) -> (status, body, headers)``."""

    def ask(path, **options):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", **options)
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, reply.read(), reply.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    return ask


def test_the_page_loads_nothing_from_elsewhere(get):
    code, body, headers = get("/")
    assert code == 200
    assert b"://" not in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    for name in ("main.js", "board.css"):
        assert get(f"/{name}")[0] == 200
        assert name.encode() in body


def test_every_run_can_be_asked_for(get, folder):
    runs = json.loads(get("/api/table")[1])["runs"]
    assert len(runs) == 12
    for run in runs:
        code, body, _ = get(f"/api/run?run={quote(run['name'])}")
        assert (code, json.loads(body)["state"]) == (200, run["state"])


def test_curves_of_a_range(get):
    whole = json.loads(get("/api/curves?run=fast")[1])["train/loss"]
    assert whole[0] == list(range(1, 101))
    part = json.loads(get("/api/curves?run=fast&from=10&to=12")[1])["train/loss"]
    assert part == [[10, 11, 12], whole[1][9:12]]


def test_pictures_and_pages_of_runs(get):
    assert get("/file?run=spiking&name=report/weights.png")[:2] == (200, PNG)
    code, _, headers = get("/file?run=sweep/seed%3D0&name=evaluation/similarity_synthetic.html")
    assert code == 200
    assert headers["Content-Security-Policy"].startswith("sandbox;")


@pytest.mark.parametrize(
    "path",
    [
        "/config.json",
        "/../config.json",
        "/page/index.html",
        "/%2e%2e/config.json",
        "//etc/passwd",
        "/api/table/",
        "/api/run?run=../runs",
        "/api/run?run=/etc",
        "/api/run",
        "/api/curves?run=spiking/report",
        "/file?run=spiking&name=config.json",
        "/file?run=spiking&name=secret.json",
        "/file?run=spiking&name=report/link.png",
        "/file?run=spiking&name=report/../report/weights.png",
        "/file?run=spiking&name=/etc/passwd",
        "/file?run=..&name=report/weights.png",
        "/picture?run=sweep/seed%3D0&line=0",
        "/picture?run=sweep/seed%3D0&line=-1",
        "/picture?run=sweep/seed%3D0&line=99999999",
        "/picture?run=fast&line=0",
        "/picture?run=../runs&line=0",
    ],
)
def test_no_path_reaches_the_file_system(get, path):
    assert get(path)[0] == 404


def test_pictures_that_are_taken_for_something_else(get):
    found = json.loads(get("/api/run?run=sweep/seed%3D0")[1])["confusion"]
    for line, _ in found["pairs"][0]["pictures"]:
        code, body, headers = get(f"/picture?run=sweep/seed%3D0&line={line}")
        assert (code, headers["Content-Type"]) == (200, "image/png")
        assert body.startswith(b"\x89PNG")


def test_numbers_are_checked(get):
    assert get("/picture?run=sweep/seed%3D0&line=../x")[0] == 400
    assert get("/api/curves?run=fast&from=x")[0] == 400


def test_it_cannot_be_written_to(get):
    for what in ("start", "stop", "evaluate", "classify", "jobs"):
        code, body, _ = get(f"/api/do/{what}", data=b"{}", method="POST")
        assert code == 403
        assert b"--allow-actions" in body
    for method in ("PUT", "DELETE"):
        assert get("/", data=b"x", method=method)[0] == 501


def test_what_has_not_changed_is_not_sent_again(get, folder):
    _, body, headers = get("/api/run?run=stopped")
    again = {"headers": {"If-None-Match": headers["ETag"]}}
    assert get("/api/run?run=stopped", **again)[:2] == (304, b"")
    (folder / "stopped" / "report").mkdir()
    (folder / "stopped" / "report" / "new.png").write_bytes(PNG)
    code, new, _ = get("/api/run?run=stopped", **again)
    assert code == 200
    assert new != body


def test_a_folder_that_has_gone(tmp_path):
    root = write_everything(tmp_path / "runs")
    answers = Answers(Index(root))
    root.rename(tmp_path / "other")
    answer = answers.get("/api/table", "")
    assert answer.status == 503
    assert answer.body.count(b"\n") == 1


def test_new_lines_are_seen(get, folder):
    before = json.loads(get("/api/curves?run=live")[1])["train/loss"][0]
    write_lines(folder / "live", *list(training(45))[-5:])
    with (folder / "live" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99, "spl')  # is being written
    after = json.loads(get("/api/curves?run=live")[1])["train/loss"][0]
    assert (before[-1], after[-1]) == (40, 45)


def test_it_answers_this_machine_only(folder):
    with make_server(Answers(Index(folder)), port=0) as server:
        assert server.server_address[0] == "127.0.0.1"


def exchange(port, request, pause=0.0):
    """What a raw request is answered; with a pause after every byte, until it is cut off."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        try:
            for byte in [request] if not pause else [bytes([b]) for b in request]:
                client.sendall(byte)
                time.sleep(pause)
            return b"".join(iter(lambda: client.recv(65536), b""))
        except ConnectionError:
            return b""


@pytest.mark.parametrize("host", [b"localhost", b"127.0.0.1:9", b"LOCALHOST:80"])
def test_this_host(port, host):
    reply = exchange(port, b"GET /api/table HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
    assert reply.startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /api/table HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /api/table HTTP/1.1\r\nHost: 127.0.0.1.evil.example:8000\r\n\r\n",
        b"GET /api/table HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
        b"GET /api/table HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /api/table HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET /api/table HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /api/table HTTP/1.1\r\n\r\n",
        b"POST /api/do/jobs HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api/do/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n{}",
        b"POST /api/do/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
        b"GET http://[::1 HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02 \xff\r\n\r\n",
        b"GET\r\n\r\n",
    ],
)
def test_foreign_and_malformed_requests_are_refused(port, request_, capfd):
    reply = exchange(port, request_)
    assert b" 400 " in reply.splitlines()[0] or b"Error code: 400" in reply
    assert b"seed" not in reply
    assert "Traceback" not in capfd.readouterr().err


def test_slow_clients_are_cut_off(folder, monkeypatch):
    monkeypatch.setattr(server_module, "_SECONDS", 0.3)
    with make_server(Answers(Index(folder)), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        began = time.monotonic()
        assert exchange(server.server_port, b"GET / HTTP/1.0\r\nX: " + 400 * b"a", 0.01) == b""
        assert time.monotonic() - began < 3
        server.shutdown()
        thread.join()
