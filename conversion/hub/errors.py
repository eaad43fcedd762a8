"""What went wrong with the Hub, in one line: what it is, and what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from avmit import AvmitError
from conversion.hub.client import BrokenAnswer, scrubbed
from conversion.hub.retry import FAILING, asked_wait, chain, is_network, is_stalled, status_of


class HubUnreachable(AvmitError):
    """The Hub gives no answer, or none that is of use, now; `why` says so without the advice."""

    def __init__(self, line: str, why: str):
        super().__init__(line)
        self.why = why


@dataclass(frozen=True)
class _Case:
    error: Exception
    repo_id: str
    revision: str | None
    writing: bool
    create_pr: bool

    @property
    def status(self) -> int | None:
        return status_of(self.error)

    def of(self, kind: type[Exception]) -> bool:
        """Tell whether the error is of a kind, or comes from one, as those of uploads may."""
        return any(isinstance(cause, kind) for cause in chain(self.error))


class _Row(NamedTuple):
    """The line is `what: advice`; where an outage `passes`, a dry run goes on without the Hub."""

    when: Callable[[_Case], bool]
    what: str
    advice: str
    passes: bool = False


_AGAIN = "run the same again, it goes on where it stopped"
_LOG_IN = "log in with `hf auth login`"

_ROWS = (
    _Row(
        lambda case: case.of(OfflineModeIsEnabled),
        "HF_HUB_OFFLINE is set",
        "unset it where there is a network",
        True,
    ),
    _Row(
        lambda case: case.of(HFValidationError),
        "'{repo}' is not the name of a dataset on the Hub",
        "write user/name, such as ann/avmit",
    ),
    _Row(lambda case: case.of(LocalTokenNotFoundError), "no token for the Hub", _LOG_IN),
    _Row(
        lambda case: case.of(GatedRepoError),
        "'{repo}' is gated",
        f"ask for access on its page, then {_LOG_IN}",
    ),
    _Row(
        lambda case: case.of(RevisionNotFoundError),
        "'{repo}' has no revision '{revision}'",
        "name a branch, a tag or a commit",
    ),
    _Row(
        lambda case: case.status == 401 and bool(get_token()) and not _not_there(case),
        "the Hub does not accept the token",
        "log in again with `hf auth login`",
    ),
    _Row(
        lambda case: case.status == 401 or _not_there(case),
        "there is no dataset '{repo}' on the Hub, or it is private",
        "check the name, or log in with `hf auth login` and {whose}",
    ),
    _Row(
        lambda case: case.status == 403 and not case.writing,
        "the token may not read '{repo}'{said}",
        "log in with `hf auth login` and one that may",
    ),
    _Row(
        lambda case: case.status == 403 and case.create_pr,
        "the token may not write to {repo}{said}",
        "make one with write access, then `hf auth login`",
    ),
    _Row(
        lambda case: case.status == 403,
        "the token may not write to {repo}{said}",
        "offer the change with --create-pr, or ask the owner",
    ),
    _Row(
        lambda case: case.of(EntryNotFoundError),
        "'{repo}' has lost a file since it was listed",
        "run the same again",
    ),
    _Row(
        lambda case: case.status == 429,
        "the Hub limits how often it may be asked",
        f"wait {{wait}}, {_AGAIN}",
        True,
    ),
    _Row(
        lambda case: case.status in FAILING,
        "the Hub fails ({status}{said})",
        f"wait a while, {_AGAIN}",
        True,
    ),
    _Row(
        lambda case: case.status is not None or case.of(HfHubHTTPError),
        "the Hub refuses ({status}{said})",
        "mend what it names; if it names nothing, run the same again later",
    ),
    _Row(
        lambda case: isinstance(case.error, BrokenAnswer),
        "the Hub's answer makes no sense ({reason})",
        f"wait a while, {_AGAIN}; if it stays so, look whether a proxy answers in its place",
        True,
    ),
    _Row(
        lambda case: is_network(case.error) and is_stalled(case.error),
        "{hub} sends nothing ({reason})",
        f"check the network, {_AGAIN}",
        True,
    ),
    _Row(
        lambda case: is_network(case.error),
        "cannot reach {hub} ({reason})",
        f"check the network, {_AGAIN}",
        True,
    ),
)


def _not_there(case: _Case) -> bool:
    return case.of(RepositoryNotFoundError)


@contextmanager
def explained(
    repo_id: str, revision: str | None = None, *, writing: bool = False, create_pr: bool = False
) -> Iterator[None]:
    """Turn what calls of the Hub raise into one line; any other error goes on.

    Raises:
        AvmitError: in place of those errors; HubUnreachable where they may pass.
    """
    try:
        yield
    except AvmitError:
        raise
    except Exception as error:
        case = _Case(error, repo_id, revision, writing, create_pr)
        row = next((row for row in _ROWS if row.when(case)), None)
        if row is None:
            raise
        wait = asked_wait(error)
        values = {
            "hub": constants.ENDPOINT,
            "repo": repo_id,
            "revision": revision,
            "status": case.status,
            "said": _server(error),
            "wait": f"{wait} s" if wait else "a while",
            "whose": "one that may read it" if get_token() else "a token",
            "reason": scrubbed(str(error)) or type(error).__name__,
        }
        why, advice = row.what.format(**values), row.advice.format(**values)
        line = f"{why}: {advice}"
        raise (HubUnreachable(line, why) if row.passes else AvmitError(line)) from None


def _server(error: BaseException) -> str:
    """Return what the Hub's answer says, after a comma, or nothing."""
    messages = (getattr(cause, "server_message", None) for cause in chain(error))
    said = next((message for message in messages if message), "")
    return f", {scrubbed(said)}" if said else ""
