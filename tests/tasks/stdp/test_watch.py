"""The page that shows a training run, over a real socket."""

import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from jaxbio.commands.main import main
from jaxbio.tasks.stdp import watch
from jaxbio.tasks.stdp.registry import find_network
from jaxbio.tasks.stdp.watch import make_server
from jaxbio.tasks.stdp.watch_page import View, content, status

CONFIG = {
    "task": "stdp",
    "seed": 3,
    "data": {"source": "digits"},
    "train": {"batch_size": 50},
    "population": {"seeds": 1, "grid": ""},
    "spiking": {"filters": 25, "train_images": 2000, "start_from": "<net>"},
}
PICTURE = b"\x89PNG picture"


def write_lines(run, *lines):
    with (run / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def trained(step, spikes=90.0):
    numbers = {"spikes": spikes, "theta": 1.5, "images_per_s": 100.0}
    return {"step": step, "split": "train", **numbers}


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "runs" / "tiny & small"
    (path / "report").mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"config": CONFIG, "resolved": {}}))
    (path / "results.json.secret").write_text("secret")
    write_lines(path, trained(2), trained(4, 70.0))
    return path


@pytest.fixture
def entry(run):
    return find_network(run.parent, run.name)


@pytest.fixture
def get(entry):
    """``get(path) -> (status, body)`` from a server that runs."""
    with make_server(entry, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def ask(path, **options):
            url = f"http://127.0.0.1:{server.server_port}{path}"
            try:
                with urllib.request.urlopen(urllib.request.Request(url, **options)) as reply:
                    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
                    return reply.status, reply.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

        yield ask
        server.shutdown()
        thread.join()


def test_the_page_stands_alone(get):
    code, body = get("/")
    text = body.decode()
    assert code == 200
    assert "Spiking network tiny &amp; small" in text
    assert "&lt;net&gt;" in text
    assert "<td>train_images</td><td>2000</td>" in text
    assert text.count("<svg") == 4
    assert not re.findall(r"(?:src|href)=\"(?!/)", text)  # nothing from elsewhere
    assert "://" not in text


def test_the_content_follows_the_run(get, run):
    first = get("/content")[1].decode()
    assert "running, 200 of 2000 images, 100.0 images/s, ETA 00:00:18" in first
    assert "No weight map yet" in first
    assert get("/weights.png")[0] == 404
    (run / "report" / "weights.png").write_bytes(PICTURE)
    tested = {"step": 40, "split": "test", "accuracy": 0.5, "linear_accuracy": 0.625}
    write_lines(run, trained(40), tested)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 42, "spl')  # is being written
    second = get("/content")[1].decode()
    assert "2000 of 2000 images" in second
    assert "<td>linear</td><td>62.50</td><td>-</td>" in second
    source = re.search(r'src="(/weights.png\?v=\d+)"', second)[1]
    assert get(source) == (200, PICTURE)
    linear = {"linear": {"accuracy": 0.625, "error": 0.05}}
    (run / "results.json").write_text(json.dumps({"readouts": linear}))
    third = get("/content")[1].decode()
    assert "finished, 2000 of 2000 images" in third
    assert "<td>linear</td><td>62.50</td><td>5.00</td>" in third


@pytest.mark.parametrize(
    "path",
    [
        "/results.json.secret",
        "/config.json",
        "/report/weights.png",
        "/../config.json",
        "/weights.png/../../config.json",
        "/%2e%2e/config.json",
        "//etc/passwd",
        "/content/",
    ],
)
def test_there_are_no_other_addresses(get, path):
    assert get(path) == (404, b"not found\n")


def test_it_cannot_be_written_to(get):
    for method in ("POST", "PUT", "DELETE"):
        assert get("/", data=b"x", method=method)[0] == 501


def test_a_run_that_has_gone(get, run):
    run.rename(run.with_name("other"))
    code, body = get("/content")
    assert code == 503
    assert b"is gone: renamed or deleted?" in body


def test_a_silent_run_may_have_stopped(entry):
    snapshot = View(entry).snapshot()
    silent = type(snapshot)(**{**vars(snapshot), "silent": 300.0})
    assert status(silent).startswith("no news for 5 min: testing, or stopped, 200 of 2000")


def test_a_run_without_a_line_yet(entry, run):
    (run / "metrics.jsonl").unlink()
    assert status(View(entry).snapshot()) == "running, 0 of 2000 images"


def test_it_answers_this_machine_only(entry):
    with make_server(entry, port=0) as server:
        assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none"], "no network 'none'"),
        (["--port=99999"], "--port=99999"),
        (["--host=no.such.host.invalid"], "--host=no.such.host.invalid"),
    ],
)
def test_errors_are_one_line(run, capsys, arguments, words):
    assert main(["spiking", f"--runs={run.parent}", "watch", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("jaxbio spiking: error: ")
    assert words in err
    assert err.count("\n") == 1


def test_a_port_that_is_taken(run, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["spiking", f"--runs={run.parent}", "watch", f"--port={port}"]) == 2
    err = capsys.readouterr().err
    assert f"--port={port} cannot be listened at" in err
    assert err.count("\n") == 1


def test_ctrl_c_ends_it(run, capsys, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", interrupted)
    assert main(["spiking", f"--runs={run.parent}", "watch", "--port=0"]) == 0
    assert re.match(r"watch tiny & small at http://127\.0\.0\.1:\d+/", capsys.readouterr().out)


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


@pytest.fixture
def port(entry):
    with make_server(entry, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", [b"localhost", b"127.0.0.1:9", b"LOCALHOST:80"])
def test_this_host(port, host):
    reply = exchange(port, b"GET /content HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
    assert reply.startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /content HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /content HTTP/1.1\r\nHost: 127.0.0.1.evil.example:8000\r\n\r\n",
        b"GET /content HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
        b"GET /content HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /content HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET /content HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /content HTTP/1.1\r\n\r\n",
        b"GET http://[::1 HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02 \xff\r\n\r\n",
        b"GET\r\n\r\n",
    ],
)
def test_foreign_and_malformed_requests_are_refused(port, request_, capfd):
    reply = exchange(port, request_)
    assert b" 400 " in reply.splitlines()[0] or b"Error code: 400" in reply
    assert b"<svg" not in reply
    assert "Traceback" not in capfd.readouterr().err


def test_slow_clients_are_cut_off(entry, monkeypatch):
    monkeypatch.setattr(watch, "_SECONDS", 0.3)
    with make_server(entry, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        began = time.monotonic()
        assert exchange(server.server_port, b"GET / HTTP/1.0\r\nX: " + 400 * b"a", 0.01) == b""
        assert time.monotonic() - began < 3
        server.shutdown()
        thread.join()


def test_many_lines_are_read_once(entry, run):
    (run / "metrics.jsonl").unlink()
    write_lines(run, *(trained(step) for step in range(20_000)))
    view = View(entry)
    began = time.perf_counter()
    assert len(view.snapshot().train) <= 2000
    first = time.perf_counter() - began
    assert view.snapshot().train[-1]["step"] == 19_999
    write_lines(run, trained(20_000))
    assert view.snapshot().train[-1]["step"] == 20_000
    assert first < 0.5
    (run / "metrics.jsonl").unlink()  # a run that goes on writes a new file
    write_lines(run, trained(7))
    assert [line["step"] for line in view.snapshot().train] == [7]


@pytest.mark.parametrize(
    ("name", "damaged"),
    [
        ("metrics.jsonl", b"\xff\xfe\x00garbage\n"),
        ("metrics.jsonl", b"[" * 100_000 + b"\n"),
        ("metrics.jsonl", b'{"step": "<b>x", "split": "train"}\n'),
        ("metrics.jsonl", b'{"step": 1' + b"0" * 400 + b', "split": "train"}\n'),
        ("results.json", b'{"a"'),
        ("results.json", b"[1]"),
        ("results.json", b'{"readouts": {"patch_voting": {}}}'),
        ("results.json", b'{"readouts": 3, "population": [4]}'),
        ("config.json", b'{"config'),
        ("config.json", b"\xff"),
    ],
)
def test_damaged_runs_are_shown_as_damaged(entry, run, name, damaged):
    view = View(entry)
    (run / name).write_bytes(damaged)
    assert "DAMAGED" in content(view.snapshot())


@pytest.mark.parametrize(
    "line",
    [
        {"step": 1, "split": "train"},
        {"step": 1, "split": "train", "spikes": "<script>", "theta": [], "images_per_s": {}},
        {"step": 1, "split": "train", "spikes": float("inf"), "theta": 10**400, "images_per_s": 0},
        {"step": 1, "split": "test", "linear_accuracy": None},
    ],
)
def test_numbers_that_are_missing_are_not_drawn(entry, run, line):
    write_lines(run, line)
    assert "<script>" not in content(View(entry).snapshot())
