"""Ask the Hub again, with waits, when it fails, is not reached, or sends what is no answer."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from huggingface_hub.errors import (
    EntryNotFoundError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from avmit import AvmitError
from conversion.hub.client import BrokenAnswer, Tell, library_speaks, limit_waits, scrubbed

T = TypeVar("T")

FIRST_WAIT = 1.0  # seconds, twice as long each time
SILENCE = 30.0  # seconds after which a call that is still waiting says so
FAILING = (408, 500, 502, 503, 504)

_LONGEST_WAIT = 15 * 60  # seconds; the Hub's own windows are of five minutes
_NETWORK = ("requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2")
"""Whose errors say that no answer came: huggingface_hub uses one or the other, by its version."""
_SENSELESS = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    BrokenAnswer,
)
"""What taking a wrong answer apart raises."""
_AT_ONCE = (AvmitError, OfflineModeIsEnabled, LocalTokenNotFoundError, HFValidationError)
"""What asking again does not change."""
_NOT_THERE = (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError)
"""What the Hub itself says; any other 404 may be a proxy's."""


@dataclass(frozen=True)
class Retry:
    """Makes calls of the Hub, each up to `attempts` times; `tell` hears of every wait.

    `pause` waits so many seconds, and may raise what ends the call.
    """

    tell: Tell
    attempts: int = 4
    pause: Callable[[float], None] = lambda seconds: time.sleep(seconds)

    def __call__(
        self,
        call: Callable[[], T],
        *,
        again: bool = True,
        doing: str | None = "waiting for the Hub",
    ) -> T:
        """Return what `call` returns, which must ask the Hub and do nothing else.

        Rate limits (429) and overload (503) are always waited out, as long as the Hub says; other
        failures, a lost connection and a broken answer only if the call may be made `again`: it
        may have been carried out. That something is not there is believed the second time.
        A call that takes long says what it is `doing`.

        Raises:
            BrokenAnswer: the last answer made no sense.
            Exception: what `huggingface_hub` raises, and what our own code does wrong.
        """
        attempt = missed = 0
        while True:
            attempt += 1
            limit_waits()
            try:
                with library_speaks(self.tell), _speaking(self.tell, doing):
                    return call()
            except _AT_ONCE:
                raise
            except Exception as error:
                wait = asked_wait(error) or FIRST_WAIT * 2 ** (attempt - 1)
                if isinstance(error, _NOT_THERE) and not missed:
                    missed = 1
                    attempt -= 1
                    self.pause(FIRST_WAIT)
                    continue
                why = _why(error, again)
                if why is None or attempt >= self.attempts or wait > _LONGEST_WAIT:
                    if is_broken(error):
                        raise BrokenAnswer(_said(error)) from error
                    raise
                self.tell(f"the Hub {why}: trying again in {wait:g} s")
            self.pause(wait)


def _why(error: Exception, again: bool) -> str | None:
    """Say why a call is to be made again; None if it is not."""
    status = status_of(error)
    if status is not None:
        failing = status in FAILING or (status == 404 and not isinstance(error, _NOT_THERE))
        return f"answers {status}" if status in (429, 503) or (again and failing) else None
    if not again:
        return None
    if is_network(error):
        return "sends nothing" if is_stalled(error) else "cannot be reached"
    return f"sends what makes no sense ({_said(error)})" if is_broken(error) else None


def _said(error: Exception) -> str:
    return scrubbed(str(error))[:100] or type(error).__name__


@contextmanager
def _speaking(tell: Tell, doing: str | None) -> Iterator[None]:
    """Say what is going on whenever it was silent for long."""
    done = threading.Event()

    def speak() -> None:
        waited = SILENCE
        while not done.wait(SILENCE):
            tell(f"still {doing} ({waited:g} s)")
            waited += SILENCE

    speaker = threading.Thread(target=speak, daemon=True)
    if doing:
        speaker.start()
    try:
        yield
    finally:
        done.set()
        if doing:
            speaker.join()


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error comes from, if it comes from one."""
    for cause in chain(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int) and status >= 400:
            return status
    return None


def asked_wait(error: BaseException) -> int | None:
    """Return the seconds that the Hub asks to wait, by its headers; None if it does not."""
    for cause in chain(error):
        headers = getattr(getattr(cause, "response", None), "headers", {})
        for name, pattern in (("retry-after", r"(\d{1,9})"), ("ratelimit", r".*;t=(\d{1,9}).*")):
            match = re.fullmatch(pattern, headers.get(name, ""))
            if match and (name == "retry-after" or status_of(error) == 429):
                return int(match[1])
    return None


def is_network(error: BaseException) -> bool:
    """Tell whether an error is the HTTP library's own: no answer came, or not the whole of it."""
    if isinstance(error, ValueError):
        return False  # an answer came that is no JSON: `requests` has an error of its own for that
    return isinstance(error, ConnectionError) or any(map(_of_http, chain(error)))


def is_stalled(error: BaseException) -> bool:
    """Tell whether the connection was there, and nothing came over it."""
    names = [type(cause).__name__ for cause in chain(error)]
    return any(name.startswith(("ReadTimeout", "WriteTimeout")) for name in names)


def is_broken(error: BaseException) -> bool:
    """Tell whether an answer came that makes no sense, and our own code did nothing wrong."""
    if status_of(error) is not None or is_network(error):
        return False
    if any(isinstance(cause, OSError) and not _of_http(cause) for cause in chain(error)):
        return False  # of a file here
    return isinstance(error, BrokenAnswer) or (isinstance(error, _SENSELESS) and not _ours(error))


def _of_http(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in _NETWORK


def _ours(error: BaseException) -> bool:
    """Tell whether an error was raised in our own code, not below a call of the library."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return module.split(".")[0] == "conversion"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it comes from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
