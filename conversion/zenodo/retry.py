"""Ask a server again, for as long as that is worth it."""

import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlsplit

import requests

from avmit import HOMEPAGE, AvmitError, __version__

_BUSY = {408, 425, 429}
_T = TypeVar("_T")


@dataclass(frozen=True)
class Retry:
    """How long to bear with a server; times are in seconds.

    `attempts` is how many in a row may bring nothing. The wait after the first is `first_wait`, and
    it doubles up to `longest_wait`; a server that names a wait gets that, unless it is more than
    `longest_asked`.
    """

    attempts: int = 8
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_asked: float = 900.0
    connect_timeout: float = 15.0
    read_timeout: float = 60.0


PATIENT = Retry()
"""For files, so that an outage of two minutes does not end an hour's download."""
BRIEF = Retry(attempts=4)
"""For the record, so that a machine without a network is told so after seconds."""


def silent(line: str) -> None:
    """Ignore a line of news."""


class Interrupted(Exception):
    """An attempt that did not go through but may the next time; the text says what happened.

    `wait` is the number of seconds that the server asks for; `gained` tells whether the attempt got
    farther than any before it.
    """

    def __init__(self, reason: str, *, wait: float | None = None, gained: bool = False):
        super().__init__(reason)
        self.wait = wait
        self.gained = gained


def insist(
    what: str, attempt: Callable[[], _T], retry: Retry, say: Callable[[str], None] = silent
) -> _T:
    """Return what `attempt` returns, calling it again, after a wait, while it is interrupted.

    Raises:
        AvmitError: too many attempts in a row brought nothing, or the server asks for too long a
            wait; the line starts with `what`.
    """
    fruitless = 0
    while True:
        try:
            return attempt()
        except Interrupted as error:
            fruitless = 1 if error.gained else fruitless + 1
            wait = min(retry.first_wait * 2 ** (fruitless - 1), retry.longest_wait)
            if error.wait is not None:
                wait = error.wait
            if wait > retry.longest_asked:
                raise AvmitError(
                    f"{what}: {error} and asks for a wait of {wait:.0f} s: run again after that, "
                    "it goes on where it stopped"
                ) from None
            if fruitless >= retry.attempts:
                raise AvmitError(
                    f"{what}: {error}, and {retry.attempts} attempts in a row brought nothing: "
                    "check the network and run again, it goes on where it stopped"
                ) from None
            say(f"{what}: {error}; next attempt in {round(wait, 1):g} s")
        time.sleep(wait)


def open_session() -> requests.Session:
    """Return an HTTP session that says who is asking."""
    session = requests.Session()
    # Zenodo throttles clients that keep the name that `requests` gives them, and asks for a link.
    session.headers["User-Agent"] = f"avmit/{__version__} ({HOMEPAGE})"
    return session


def request(
    session: requests.Session, url: str, retry: Retry, headers: dict[str, str]
) -> requests.Response:
    """GET `url` and return the answer, its body not read yet; any status but a busy server's.

    Raises:
        Interrupted: there is no connection, or the server is too busy or broken to answer.
    """
    timeout = (retry.connect_timeout, retry.read_timeout)
    host = urlsplit(url).netloc
    try:
        response = session.get(url, headers=headers, timeout=timeout, stream=True)
    except requests.RequestException as error:
        raise Interrupted(f"no answer from {host} ({_cause(error)})") from error
    if response.status_code in _BUSY or response.status_code >= 500:
        response.close()
        wait = _retry_after(response.headers.get("Retry-After", ""))
        raise Interrupted(f"{host} answers {status_of(response)}", wait=wait)
    return response


def status_of(response: requests.Response) -> str:
    """Return an answer's status as in `404 Not Found`."""
    return f"{response.status_code} {response.reason or ''}".strip()


def _cause(error: BaseException) -> str:
    """Say in the system's words why a request failed, without the layers that wrap them."""
    if isinstance(error, requests.Timeout):
        return "timed out"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return type(error).__name__


def _retry_after(value: str) -> float | None:
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
