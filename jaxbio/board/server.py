"""The board's server: on this machine, read-only unless told otherwise, the standard library alone.

What is answered is in ``answers``; here are sockets, hosts, slow clients and headers.
"""

import contextlib
import hashlib
import ipaddress
import re
import socket
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit

from jaxbio.board.answers import Answer, Answers, failure
from jaxbio.errors import InputError

# Nothing may be loaded from elsewhere or be run out of a page's text, whatever the page says.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Pages that runs hold may do nothing at all.
_SANDBOX = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SECONDS = 10.0  # for a request, and for its answer
_MOST_THREADS = 128
_MOST_BYTES = 1 << 20  # of what is posted


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # a browser asks for all files of a page at once
    daemon_threads = True

    def verify_request(self, request: object, client_address: object) -> bool:
        """So many clients at once are not people who watch."""
        return threading.active_count() < _MOST_THREADS

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closed its page in the middle of an answer is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def make_server(answers: Answers, host: str = "127.0.0.1", port: int = 8000) -> ThreadingHTTPServer:
    """A server of the board; call its ``serve_forever``.

    Requests in the name of another host are refused: a page from elsewhere could read this one by
    giving its own name this machine's address.

    Args:
        answers: what is said to whom.
        host: address to listen at; the default answers to this machine only.
        port: 0 takes any free one (``server_port`` says which).

    Raises:
        InputError: the port is taken or not allowed, or there is no such host.
    """

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            super().setup()
            self._begin_limit()

        def finish(self) -> None:
            self._limit.cancel()
            with contextlib.suppress(OSError):
                super().finish()

        def do_GET(self) -> None:
            address = self._address()
            if address is not None:
                self._limit.cancel()  # the work may take its time; only clients may not
                answer = answers.get(address.path, address.query)
                self._begin_limit()
                self._send(answer)

        def do_POST(self) -> None:
            address = self._address()
            if address is None:
                return
            length = self.headers.get("Content-Length", "")
            if not (re.fullmatch("[0-9]{1,9}", length) and int(length) <= _MOST_BYTES):
                self._send(failure("Content-Length: up to 1 MiB", HTTPStatus.BAD_REQUEST))
                return
            body = self.rfile.read(int(length))
            self._limit.cancel()
            answer = answers.post(address.path, self.headers, body)
            self._begin_limit()
            self._send(answer)

        def log_message(self, *_: object) -> None:
            """A line per request would hide what else the terminal says."""

        def _begin_limit(self) -> None:
            # A limit for all of it: who sends or reads a byte now and then holds no thread.
            self._limit = threading.Timer(_SECONDS, self._cut_off)
            self._limit.daemon = True
            self._limit.start()

        def _cut_off(self) -> None:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def _address(self) -> SplitResult | None:
            """What is asked for; None, and refused, in the name of another host."""
            names = self.headers.get_all("Host", [])
            old = self.request_version == "HTTP/1.0" and not names
            with contextlib.suppress(ValueError):
                if old or (len(names) == 1 and self._is_ours(names[0])):
                    return urlsplit(self.path)
            self._send(failure("not the host of this page", HTTPStatus.BAD_REQUEST))
            return None

        def _is_ours(self, name: str) -> bool:
            name = urlsplit(f"//{name}").hostname or ""
            known = {"localhost", "127.0.0.1", "::1", host, self.connection.getsockname()[0]}
            if host not in ("", "0.0.0.0", "::"):
                return name in known
            return name in known | {socket.gethostname(), socket.getfqdn()} or _is_address(name)

        def _send(self, answer: Answer) -> None:
            tag = f'"{hashlib.blake2b(answer.body, digest_size=12).hexdigest()}"'
            known = answer.status == 200 and self.headers.get("If-None-Match") == tag
            body = b"" if known else answer.body
            self.send_response(HTTPStatus.NOT_MODIFIED if known else answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-cache")
            self.send_header("ETag", tag)
            self.send_header("Content-Security-Policy", _POLICY if answer.ours else _SANDBOX)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
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
