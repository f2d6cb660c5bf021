"""A browser page to watch training: read-only, on this machine, the standard library alone."""

import contextlib
import ipaddress
import socket
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from jaxbio.errors import InputError
from jaxbio.runs.progress import say
from jaxbio.tasks.stdp.registry import Entry
from jaxbio.tasks.stdp.watch_page import View, content, page, weight_map

# Nothing may be loaded from elsewhere, whatever the page says.
_POLICY = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_SECONDS = 10.0  # for a request and its answer
_MOST_THREADS = 128


class _Server(ThreadingHTTPServer):
    def verify_request(self, request: object, client_address: object) -> bool:
        """So many clients at once are not people who watch."""
        return threading.active_count() < _MOST_THREADS

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closed its page in the middle of an answer is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def make_server(entry: Entry, host: str = "127.0.0.1", port: int = 8000) -> ThreadingHTTPServer:
    """A server of the page of one run; call its ``serve_forever``.

    It knows three addresses and no others: ``/`` (the page), ``/content`` (what the page fetches
    every few seconds) and ``/weights.png``. Requests in the name of another host are refused: a
    page from elsewhere could read this one by giving its own name this machine's address.

    Args:
        entry: of :func:`jaxbio.tasks.stdp.registry.find_network`.
        host: address to listen at; the default answers to this machine only.
        port: 0 takes any free one (``server_port`` says which).

    Raises:
        InputError: the port is taken or not allowed, or there is no such host.
    """
    view = View(entry)

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            super().setup()
            # A limit for all of it: who sends or reads a byte now and then holds no thread.
            self._limit = threading.Timer(_SECONDS, self._cut_off)
            self._limit.daemon = True
            self._limit.start()

        def finish(self) -> None:
            self._limit.cancel()
            super().finish()

        def do_GET(self) -> None:
            names = self.headers.get_all("Host", [])
            old = self.request_version == "HTTP/1.0" and not names
            if not old and (len(names) != 1 or not self._is_ours(names[0])):
                self._send(b"not the host of this page\n", _TEXT, HTTPStatus.BAD_REQUEST)
                return
            try:
                path = urlsplit(self.path).path
            except ValueError:
                self._send(b"no address\n", _TEXT, HTTPStatus.BAD_REQUEST)
                return
            try:
                if path == "/":
                    self._send(page(view.snapshot()).encode(), _HTML)
                elif path == "/content":
                    self._send(content(view.snapshot()).encode(), _HTML)
                elif path == "/weights.png" and weight_map(entry).is_file():
                    self._send(weight_map(entry).read_bytes(), "image/png")
                else:
                    self._send(b"not found\n", _TEXT, HTTPStatus.NOT_FOUND)
            except (InputError, FileNotFoundError) as error:  # renamed or deleted meanwhile
                self._send(f"{error}\n".encode(), _TEXT, HTTPStatus.SERVICE_UNAVAILABLE)

        def log_message(self, *_: object) -> None:
            """A line per request would hide what else the terminal says."""

        def _is_ours(self, name: str) -> bool:
            try:
                name = urlsplit(f"//{name}").hostname or ""
            except ValueError:
                return False
            known = {"localhost", "127.0.0.1", "::1", host, self.connection.getsockname()[0]}
            if host not in ("", "0.0.0.0", "::"):
                return name in known
            return name in known | {socket.gethostname(), socket.getfqdn()} or _is_address(name)

        def _cut_off(self) -> None:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Security-Policy", _POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

    try:
        return _Server((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--host={host} --port={port} cannot be listened at ({error}): choose another port, "
            "or 0 for any free one"
        ) from error


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def watch(entry: Entry, host: str, port: int) -> None:
    """Serves the page until Ctrl-C.

    Raises:
        InputError: the port is taken or not allowed, or there is no such host.
    """
    with make_server(entry, host, port) as server:
        say(f"watch {entry.name} at http://{host}:{server.server_port}/ (Ctrl-C ends)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("")
