"""What goes wrong with the Hub: what is waited for, and what is told in one line."""

import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from avmit import AvmitError

T = TypeVar("T")
Tell = Callable[[str], None]
"""Told of each wait, in one line."""

_ATTEMPTS = 4
_LONGEST_WAIT = 15 * 60  # seconds; the Hub's own windows are of five minutes
_BROKEN = (500, 502, 503, 504)
# huggingface_hub uses requests, httpx or httpx2, by its version.
_NETWORK = ("requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2")


def patient(call: Callable[[], T], tell: Tell, *, network: bool = True, failures: bool = True) -> T:
    """Call until it succeeds, a few times: wait as the Hub says, or longer each time.

    Rate limits (429) and overload (503) are always waited out; other failures of the Hub (5xx) if
    `failures` is set, and of the network if `network` is: what failed so may have been carried out.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return call()
        except Exception as error:
            status = status_of(error)
            offline = isinstance(error, OfflineModeIsEnabled)  # which waiting does not change
            lost = status is None and is_network(error) and not offline
            again = status in (429, 503) or (failures and status in _BROKEN) or (network and lost)
            wait = asked_wait(error) or 2 ** (attempt - 1)
            if not again or attempt == _ATTEMPTS or wait > _LONGEST_WAIT:
                raise
            why = f"answers {status}" if status else "cannot be reached"
            tell(f"the Hub {why}: trying again in {wait} s")
            time.sleep(wait)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error comes from, if it comes from one."""
    for cause in _chain(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def asked_wait(error: BaseException) -> int | None:
    """Return the seconds that the Hub asks to wait, by its headers; None if it does not."""
    for cause in _chain(error):
        headers = getattr(getattr(cause, "response", None), "headers", {})
        for name, pattern in (("retry-after", r"(\d+)"), ("ratelimit", r".*;t=(\d+).*")):
            match = re.fullmatch(pattern, headers.get(name, ""))
            if match and (name == "retry-after" or status_of(error) == 429):
                return int(match[1])
    return None


def is_network(error: BaseException) -> bool:
    """Tell whether an error is the HTTP library's own: no answer came, or not the whole of it."""
    modules = [type(cause).__module__.split(".")[0] for cause in _chain(error)]
    return any(module in _NETWORK for module in modules) or isinstance(error, ConnectionError)


def explain(error: Exception, repo_id: str, create_pr: bool = False) -> AvmitError | None:
    """Say in one line what is wrong and what to do; None for what is not the Hub's error."""
    hub, status = constants.ENDPOINT, status_of(error)
    kept = "run the same again then: what was sent is kept"
    if _is(error, OfflineModeIsEnabled):
        return AvmitError("HF_HUB_OFFLINE is set: unset it to publish")
    if _is(error, LocalTokenNotFoundError):
        return AvmitError("no token for the Hub: log in with `hf auth login`")
    if status == 401 and not _is(error, RepositoryNotFoundError):
        return AvmitError("the Hub does not accept the token: log in with `hf auth login`")
    if status == 403:
        said = f"the token may not write to {repo_id}" + _server(error)
        if create_pr:
            return AvmitError(f"{said}: make one with write access, then `hf auth login`")
        return AvmitError(f"{said}: offer the change with --create-pr, or ask the owner")
    if _is(error, RepositoryNotFoundError):
        return AvmitError(f"no dataset {repo_id}, or the token may not see it: check the name")
    if status == 429:
        wait = asked_wait(error)
        when = f"wait {wait} s" if wait else "wait a while"
        return AvmitError(f"the Hub limits how often it may be asked: {when}, {kept}")
    if status in _BROKEN:
        return AvmitError(f"the Hub fails ({status}{_server(error)}): wait a while, {kept}")
    if status is not None or isinstance(error, HfHubHTTPError):
        return AvmitError(f"the Hub refuses ({status}{_server(error)})")
    if is_network(error):
        return AvmitError(f"cannot reach {hub} ({_line(error)}): check the network, {kept}")
    return None


def _is(error: Exception, kind: type[Exception]) -> bool:
    """Tell whether an error is of a kind, or comes from one, as those of uploads in old clients."""
    return any(isinstance(cause, kind) for cause in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _server(error: BaseException) -> str:
    """Return what the Hub's answer says, after a comma, or nothing."""
    messages = (getattr(cause, "server_message", None) for cause in _chain(error))
    said = next((message for message in messages if message), "")
    return f", {_scrubbed(said)}" if said else ""


def _line(error: Exception) -> str:
    return _scrubbed(str(error)) or type(error).__name__


def _scrubbed(text: str) -> str:
    """Put a text on one line, without the token if it holds that, as no output ever does."""
    token = get_token()
    return " ".join((text.replace(token, "***") if token else text).split())[:300]
