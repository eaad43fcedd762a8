"""A Zenodo on the loopback: it serves a record and its files, and fails as it is told to."""

import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

RECORD = "8253350"


@dataclass
class Fault:
    """One answer that is not what it should be; of a 200 or 206 unless `status` says otherwise."""

    status: int | None = None
    retry_after: str | None = None
    body: bytes | None = None  # instead of the file
    drop_after: int | None = None  # bytes of the body, then the connection ends
    stall_after: int | None = None  # bytes of the body, then nothing until `release`
    no_length: bool = False  # the body ends with the connection
    ignore_range: bool = False
    content_range: str | None = None


@dataclass
class Request:
    """What came in, and what went out: the status, and how many bytes of a file's body."""

    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


@dataclass
class ZenodoServer:
    """Serves `files` by name as the record; `faults` are used up in order, by file name.

    The faults of the record itself are those of the name "". `etag` is made of a file's md5; None
    for no ETag. `on_request` is called for every request of a file before it is answered,
    `on_record` for every request of the record.
    """

    files: dict[str, bytes]
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    etag: str | None = '"md5:{}"'
    answer: Any = None  # instead of the record's JSON
    on_request: Callable[[], object] | None = None
    on_record: Callable[[], object] | None = None
    requests: list[Request] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "ZenodoServer":
        owner = self

        class Handler(_Handler):
            zenodo = owner

        self._http = _Http(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def of(self, name: str) -> list[Request]:
        """The requests of one file."""
        return [r for r in self.requests if unquote(r.path).endswith(f"/files/{name}/content")]

    def record(self) -> dict[str, Any]:
        """The record in the layout of the real API, with links to the real host."""
        return {
            "created": "2023-08-16T12:00:00.000000+00:00",
            "id": int(RECORD),
            "conceptrecid": "8253349",
            "doi": f"10.5281/zenodo.{RECORD}",
            "metadata": {
                "title": "Audiovisual Moments in Time",
                "publication_date": "2023-08-16",
                "version": "1.0.0",
                "license": {"id": "cc-by-4.0"},
            },
            "files": [
                {
                    "id": "5b9d1a1c",
                    "key": name,
                    "size": len(content),
                    "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                    "links": {
                        "self": f"https://zenodo.org/api/records/{RECORD}/files/{name}/content"
                    },
                }
                for name, content in self.files.items()
            ],
            "links": {"self": f"https://zenodo.org/api/records/{RECORD}"},
        }


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that hangs up is no news
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    zenodo: ZenodoServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        entry = Request(path, dict(self.headers.items()))
        self.zenodo.requests.append(entry)
        api = f"/api/records/{RECORD}"
        match = re.fullmatch(rf"{api}/files/([^/]+)/content", path)
        name = unquote(match[1]) if match else ""
        waiting = self.zenodo.faults.get(name, [])
        fault = waiting.pop(0) if waiting and (match or path == api) else Fault()
        if match and self.zenodo.on_request:
            self.zenodo.on_request()
        if path == api and self.zenodo.on_record:
            self.zenodo.on_record()
        if fault.status is not None:
            self._send(entry, fault, fault.status, fault.body or b'{"message": "no"}', {})
        elif path == api:
            answer = self.zenodo.answer
            if not isinstance(answer, bytes):
                answer = json.dumps(self.zenodo.record() if answer is None else answer).encode()
            self._send(entry, fault, 200, answer, {"Content-Type": "application/json"})
        elif name in self.zenodo.files:
            self._send_file(entry, fault, self.zenodo.files[name])
        else:
            self._send(entry, fault, 404, b'{"status": 404, "message": "not found"}', {})

    def _send_file(self, entry: Request, fault: Fault, content: bytes) -> None:
        etag = (self.zenodo.etag or "").format(hashlib.md5(content).hexdigest())
        headers = {"ETag": etag} if etag else {}
        # The real one names a wait in every answer, good ones too.
        headers["Retry-After"] = "59"
        content = content if fault.body is None else fault.body
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", etag) == etag
        if asked is None or fault.ignore_range or not same:
            self._send(entry, fault, 200, content, headers)
            return
        start = int(asked[1])
        if start >= len(content):
            headers["Content-Range"] = f"bytes */{len(content)}"
            self._send(entry, fault, 416, b"", headers)
            return
        stated = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers["Content-Range"] = fault.content_range or stated
        self._send(entry, fault, 206, content[start:], headers)

    def _send(
        self, entry: Request, fault: Fault, status: int, body: bytes, headers: dict[str, str]
    ) -> None:
        cut = fault.drop_after if fault.drop_after is not None else fault.stall_after
        now = body if cut is None else body[:cut]
        # Noted before it is sent, so that who has received it finds it noted.
        entry.status = status
        entry.sent = len(now) if status in (200, 206) else 0
        if fault.retry_after is not None:
            headers["Retry-After"] = fault.retry_after
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if not fault.no_length:
            self.send_header("Content-Length", str(len(body)))
        if fault.no_length or cut is not None:
            self.send_header("Connection", "close")
        self.end_headers()
        try:
            self.wfile.write(now)
            self.wfile.flush()
        except OSError:
            return  # the client is gone, which is what some tests are about
        if fault.stall_after is not None:
            self.zenodo.release.wait()
