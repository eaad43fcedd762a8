"""One request to the Hub through `huggingface_hub`'s session: it ends in time, and is bounded."""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from huggingface_hub import constants, get_token, utils
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    get_session,
    hf_raise_for_status,
)

import avmit
from conversion.wording import printable

Tell = Callable[[str], None]
"""Told of each wait, in one line."""


def _seconds(name: str, otherwise: float) -> float:
    """Return what the user has set for `huggingface_hub`, or else a value of our own."""
    return float(getattr(constants, name)) if name in os.environ else otherwise


CONNECT = _seconds("HF_HUB_ETAG_TIMEOUT", 10)
"""Seconds that making a connection may take."""
READ = _seconds("HF_HUB_DOWNLOAD_TIMEOUT", 30)
"""Seconds between two pieces of what is read or sent."""
DONE = max(READ, 180)
"""Seconds until the Hub answers what changes something, such as a commit."""

COMMIT = "X-Repo-Commit"
"""The header of a file's answer that says which commit it is of."""

_PIECE = 1024 * 1024


class BrokenAnswer(Exception):
    """What came is not the Hub's answer: a proxy's page, half of it, or other bytes."""


@dataclass(frozen=True)
class Answer:
    """The body of an answer that is no error; `cursor` is that of the next page of a list.

    `url` is where it came from in the end, and `commit` the one that the Hub says it is of.
    """

    status: int
    content: bytes | bytearray
    headers: Mapping[str, str] = field(default_factory=dict)
    cursor: str | None = None
    url: str = ""
    commit: str | None = None


def fetch(
    url: str,
    most: int,
    headers: Mapping[str, str] | None = None,
    pause: Callable[[float], None] = lambda seconds: None,
    *,
    token: bool = True,
) -> Answer:
    """Get a URL of the Hub, and read at most `most` bytes of the answer.

    The token goes along, unless it must not: a link to the Hub's storage is signed, and elsewhere.
    `pause` is called with 0 at each piece of it, and may raise what ends the call.

    Raises:
        BrokenAnswer: there are more.
        Exception: those of `huggingface_hub`, where there is no answer or it is an error.
    """
    asked = {
        **build_hf_headers(
            token=None if token else False,
            library_name="avmit",
            library_version=avmit.__version__,
        ),
        "Accept-Encoding": "identity",
        **(headers or {}),
    }
    content = bytearray()
    with _opened(url, asked) as response:
        hf_raise_for_status(response)
        for piece in _pieces(response):
            pause(0)
            content += piece
            if len(content) > most:
                raise BrokenAnswer(f"more than {most:,} bytes came")
        following = response.links.get("next", {}).get("url", "")
        cursor = re.search(r"[?&]cursor=([^&]+)", following)
        return Answer(
            response.status_code,
            content,
            {name.lower(): value for name, value in response.headers.items()},
            cursor[1] if cursor else None,
            str(response.url),
            next((c for r in [response, *response.history] if (c := r.headers.get(COMMIT))), None),
        )


def _opened(url: str, headers: Mapping[str, str]) -> Any:
    """Open an answer without its body: `requests` before huggingface_hub 1.0, `httpx` from then."""
    session: Any = get_session()
    if callable(getattr(session, "stream", None)):
        return session.stream("GET", url, headers=headers)
    return session.get(url, headers=headers, stream=True)


def _pieces(response: Any) -> Iterator[bytes]:
    found: Iterator[bytes] = (
        response.iter_bytes(_PIECE)
        if hasattr(response, "iter_bytes")
        else response.iter_content(_PIECE)
    )
    return found


def limit_waits() -> None:
    """Give all of `huggingface_hub`'s requests time limits where they have none, once a process."""
    session: Any = get_session()
    if getattr(session, "waits_of_avmit", False):
        return
    if hasattr(utils, "set_client_factory"):
        kind, hooks = type(session), session.event_hooks

        def client() -> Any:
            made = kind(
                event_hooks={**hooks, "request": [*hooks["request"], _limit]},
                follow_redirects=True,
                timeout=None,
            )
            made.waits_of_avmit = True
            return made

        utils.set_client_factory(client)
        return
    _limit_requests()


def _limit(request: Any) -> None:
    """Fill in the limits that an httpx request lacks."""
    longest = _longest(request.method)
    limits = request.extensions.setdefault("timeout", {})
    for kind, seconds in {"connect": CONNECT, "pool": CONNECT, "write": READ, **longest}.items():
        if limits.get(kind) is None:
            limits[kind] = seconds


def _longest(method: str) -> dict[str, float]:
    return {"read": READ if method in ("GET", "HEAD") else DONE}


def _limit_requests() -> None:
    """Do it for `requests`, which huggingface_hub before 1.0 uses."""
    import requests

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs["timeout"] = kwargs.get("timeout") or (CONNECT, _longest(request.method)["read"])
            return super().send(request, *args, **kwargs)

    def session() -> Any:
        made: Any = requests.Session()
        for scheme in ("http://", "https://"):
            made.mount(scheme, Adapter())
        made.waits_of_avmit = True
        return made

    configure: Any = getattr(utils, "configure_http_backend")  # noqa: B009 - newer ones lack it
    configure(session)


def scrubbed(text: str) -> str:
    """Put others' text on one line, without the token or a link's signature in it."""
    token = get_token()
    text = text.replace(token, "***") if token else text
    text = re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", text)
    return printable(" ".join(text.split()))[:300]


class _Listener(logging.Handler):
    """Hands what calls log to the `Tell` of their thread, or to the last one that came.

    The library has threads of its own, which upload.
    """

    def __init__(self) -> None:
        super().__init__()
        self.of_thread = threading.local()
        self.guard = threading.Lock()
        self.calls = 0
        self.before: list[logging.Handler] = []
        self.last: Tell | None = None

    def emit(self, record: logging.LogRecord) -> None:
        tell: Tell | None = getattr(self.of_thread, "tell", None) or self.last
        if tell is not None:
            tell(scrubbed(record.getMessage()))


_listener = _Listener()


@contextmanager
def library_speaks(tell: Tell) -> Iterator[None]:
    """Tell what `huggingface_hub` logs of retries and waits."""
    logger = logging.getLogger("huggingface_hub")
    with _listener.guard:
        _listener.calls += 1
        _listener.last = tell
        if _listener.calls == 1:
            _listener.before, logger.handlers = logger.handlers, [_listener]
    earlier = getattr(_listener.of_thread, "tell", None)
    _listener.of_thread.tell = tell
    try:
        yield
    finally:
        _listener.of_thread.tell = earlier
        with _listener.guard:
            _listener.calls -= 1
            if not _listener.calls:
                logger.handlers = _listener.before
