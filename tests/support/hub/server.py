"""A Hub on the loopback, for the real `huggingface_hub` and `datasets` with HF_ENDPOINT set to it.

It knows users by their tokens, counts what goes in and out, can be made slow, and fails as it is
told to. Clients must run with HF_HUB_DISABLE_XET=1: it stores files by LFS, as the Hub still does.
"""

import contextlib
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from support.hub.routes import answer
from support.hub.state import Answer, Hub, Request

_CHUNK = 64 * 1024


@dataclass
class Fault:
    """What goes wrong with the next `times` requests that match; the first that fits is used."""

    path: str  # a regular expression that is searched for in the request's path
    method: str = ""
    times: int = 1
    skip: int = 0  # this many matching requests pass first
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "Internal Error - We are working hard to fix this."}'
    drop_after: int | None = None  # bytes of the answer's body, then the connection ends
    cut_after: int | None = None  # bytes of the request's body are read, then it ends
    lose_answer: bool = False  # it is done, and the connection ends without a word
    bytes_per_second: float | None = None  # of the answer's body
    change: Callable[[bytes], bytes] | None = None  # of the answer's body, on its way
    before: Callable[[], object] | None = None  # is called, then all goes on as usual


@dataclass
class HubServer(Hub):
    """A Hub that listens on `port`, while the `with` lasts; 0 for any free port.

    `delay` is in seconds for every request; `bandwidth` in bytes/s, shared by all connections.
    """

    port: int = 0
    delay: float = 0
    bandwidth: float | None = None
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    chance: Callable[[Request], Fault | None] = lambda request: None  # asked after `faults`

    def __enter__(self) -> "HubServer":
        owner = self

        class Handler(_Handler):
            hub = owner

        self._free = 0.0
        self._pace = threading.Lock()
        self._http = _Http(("127.0.0.1", self.port), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._http.hang_up()

    def of(self, pattern: str, method: str = "") -> list[Request]:
        """The requests whose path has the pattern."""
        return [r for r in self.requests if re.search(pattern, r.path) and method in ("", r.method)]

    @property
    def sent(self) -> int:
        """How many bytes of bodies went out."""
        return sum(request.sent for request in self.requests)

    def reset_counts(self) -> None:
        self.requests.clear()

    def fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if re.search(fault.path, request.path) and fault.method in ("", request.method):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
                return fault
        return self.chance(request)

    def wait(self, size: int, bytes_per_second: float | None = None) -> None:
        """Take the time that so many bytes need."""
        if bytes_per_second:
            time.sleep(size / bytes_per_second)
        if self.bandwidth:
            with self._pace:
                self._free = max(self._free, time.monotonic()) + size / self.bandwidth
                until = self._free
            time.sleep(max(0.0, until - time.monotonic()))


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type["_Handler"]) -> None:
        super().__init__(address, handler)
        # What a test forks does not keep the port.
        os.register_at_fork(after_in_child=self.socket.close)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep, lest they reach this Hub after its end."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that hangs up is no news
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        path, _, query = self.path.partition("?")
        request = Request(self.command, path, query, self.headers)
        self.hub.requests.append(request)
        time.sleep(self.hub.delay)
        fault = self.hub.fault(request) or Fault("")
        if fault.cut_after is not None:
            request.received = len(self.rfile.read(fault.cut_after))
            self.close_connection = True
            return
        body = self._body(request)
        if fault.before:
            fault.before()
        if fault.status is not None:
            reply = Answer(fault.status, dict(fault.headers), fault.body)
        else:
            reply = answer(self.hub, request, body)
        if fault.lose_answer:
            self.close_connection = True
            return
        if fault.change:
            whole = reply.body if reply.read is None else reply.read(0, reply.length or 0)
            reply = replace(reply, body=fault.change(whole), length=None, read=None)
        self._send(request, reply, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle

    def _body(self, request: Request) -> bytes:
        parts = []
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length", 0))
            while left and (part := self.rfile.read(min(_CHUNK, left))):
                self.hub.wait(len(part))
                parts.append(part)
                left -= len(part)
        body = b"".join(parts)
        request.received = len(body)
        return body

    def _send(self, request: Request, reply: Answer, fault: Fault) -> None:
        length = len(reply.body) if reply.length is None else reply.length
        request.status = reply.status
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        if fault.drop_after is not None:
            self.send_header("Connection", "close")
        try:
            self.end_headers()
            if self.command != "HEAD":
                end = length if fault.drop_after is None else min(length, fault.drop_after)
                self._send_body(request, reply, end, fault.bytes_per_second)
        except OSError:
            self.close_connection = True  # the client is gone, which is what some tests are about

    def _send_body(
        self, request: Request, reply: Answer, end: int, bytes_per_second: float | None
    ) -> None:
        for start in range(0, end, _CHUNK):
            stop = min(start + _CHUNK, end)
            part = reply.read(start, stop) if reply.read else reply.body[start:stop]
            self.hub.wait(len(part), bytes_per_second)
            request.sent += len(part)
            self.wfile.write(part)
