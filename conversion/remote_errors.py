"""Say in one line what kept us from reading a repository on the Hub."""

import contextlib
from collections.abc import Iterator

from huggingface_hub import get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from avmit import AvmitError
from conversion.hub_errors import is_network, status_of

_ONWARD = "run again, it goes on where it stopped"


@contextlib.contextmanager
def explained(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turn what `huggingface_hub` raises while a dataset repository is read into one line.

    Raises:
        AvmitError: in place of its errors.
    """
    try:
        yield
    except Exception as error:
        line = _explain(error, repo_id, revision)
        if line is None:
            raise
        raise AvmitError(line) from None


def _explain(error: Exception, repo_id: str, revision: str | None) -> str | None:
    status = status_of(error)
    if isinstance(error, HFValidationError):
        return f"'{repo_id}' is not the name of a repository on the Hub: write user/name"
    if isinstance(error, GatedRepoError):
        return f"'{repo_id}' is gated: ask for access on its page, then log in with `hf auth login`"
    if isinstance(error, RevisionNotFoundError):
        return f"'{repo_id}' has no revision '{revision}': name a branch, a tag or a commit"
    if status == 401 and get_token() and not isinstance(error, RepositoryNotFoundError):
        return "the Hub does not know the token: log in again with `hf auth login`"
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        whose = "one that may read it" if get_token() else "a token"
        return (
            f"there is no dataset repository '{repo_id}' on the Hub, or it is private: check the "
            f"name, or log in with `hf auth login` and {whose}"
        )
    if status == 403:
        return f"the token may not read '{repo_id}': log in with `hf auth login` and one that may"
    if status is not None:
        return f"the Hub answers {status} for '{repo_id}': {_ONWARD}"
    if isinstance(error, FileNotFoundError):
        return f"'{repo_id}' has lost a file since it was listed ({error}): run again"
    if is_network(error):
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"the Hub cannot be reached ({reason}): check the network and {_ONWARD}"
    return None
