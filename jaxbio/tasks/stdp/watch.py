"""A browser page to watch training: read-only, on this machine, the standard library alone."""

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from jaxbio.errors import InputError
from jaxbio.tasks.stdp.registry import Entry
from jaxbio.tasks.stdp.watch_page import content, page, read_snapshot, weight_map

# Nothing may be loaded from elsewhere, whatever the page says.
_POLICY = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closed its page in the middle of an answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def make_server(entry: Entry, host: str = "127.0.0.1", port: int = 8000) -> ThreadingHTTPServer:
    """A server of the page of one run; call its ``serve_forever``.

    It knows three addresses and no others: ``/`` (the page), ``/content`` (what the page fetches
    every few seconds) and ``/weights.png``.

    Args:
      entry: of :func:`jaxbio.tasks.stdp.registry.find_network`.
      host: address to listen at; the default answers to this machine only.
      port: 0 takes any free one (``server_port`` says which).

    Raises:
      InputError: the port is taken or not allowed, or there is no such host.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 30  # seconds: who connects and asks for nothing is not waited for

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            try:
                if path == "/":
                    self._send(page(read_snapshot(entry)).encode(), _HTML)
                elif path == "/content":
                    self._send(content(read_snapshot(entry)).encode(), _HTML)
                elif path == "/weights.png" and weight_map(entry).is_file():
                    self._send(weight_map(entry).read_bytes(), "image/png")
                else:
                    self._send(b"not found\n", _TEXT, HTTPStatus.NOT_FOUND)
            except (InputError, FileNotFoundError) as error:  # renamed or deleted meanwhile
                self._send(f"{error}\n".encode(), _TEXT, HTTPStatus.SERVICE_UNAVAILABLE)

        def log_message(self, *_: object) -> None:
            """A line per request would hide what else the terminal says."""

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


def watch(entry: Entry, host: str, port: int) -> None:
    """Serves the page until Ctrl-C.

    Raises:
      InputError: the port is taken or not allowed, or there is no such host.
    """
    with make_server(entry, host, port) as server:
        print(
            f"watch {entry.name} at http://{host}:{server.server_port}/ (Ctrl-C ends)", flush=True
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
