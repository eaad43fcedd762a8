"""Publish a package on the Hub, in one commit on what is there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token

import avmit
from avmit import AvmitError
from conversion.card.readme import NAME as CARD
from conversion.hub_errors import Tell, explain, patient, status_of
from conversion.hub_local import files_to_publish, left_out, publishable
from conversion.hub_plan import Plan, make_plan
from conversion.hub_remote import Remote, read_remote
from conversion.package.manifest import Manifest

_ATTEMPTS = 5
_NAME = r"[A-Za-z0-9](?:[\w.-]*\w)?"


@dataclass(frozen=True)
class Options:
    """How to publish: see `avmit push --help`."""

    configs: Sequence[str] | None = None
    private: bool = False
    revision: str | None = None
    create_pr: bool = False
    dry_run: bool = False
    message: str | None = None


def push(package: Path, repo_id: str, options: Options, tell: Tell) -> str | None:
    """Bring the dataset `repo_id` up to date with a package; return the commit's or request's URL.

    Returns None where nothing is to be committed, or `dry_run` is set. `tell` gets the plan, and
    each wait, line by line. All of it is one commit on the one that was read; if somebody else
    commits meanwhile, it is read and merged again.

    Raises:
        AvmitError: the package is not fit, or the Hub is not reached or refuses; nothing is then
            committed, and what was uploaded need not be sent again.
    """
    if not re.fullmatch(f"{_NAME}/{_NAME}", repo_id):
        raise AvmitError(f"'{repo_id}' is not a dataset's name: write user/name, such as ann/avmit")
    manifests = publishable(package, options.configs)
    others = left_out(package, files_to_publish(package, manifests))
    if others:
        tell(f"left out, as no manifest names it: {', '.join(others)}")
    try:
        return _push(package, repo_id, manifests, options, tell)
    except AvmitError:
        raise
    except Exception as error:
        told = explain(error, repo_id, options.create_pr)
        if told is None:
            raise
        raise told from None


def _push(
    package: Path, repo_id: str, manifests: Mapping[str, Manifest], options: Options, tell: Tell
) -> str | None:
    api = HfApi(library_name="avmit", library_version=avmit.__version__)
    _check_token(api, options, tell)
    sent: dict[str, CommitOperationAdd] = {}
    shown = False
    for _ in range(_ATTEMPTS):
        remote = read_remote(api, repo_id, options.revision, tell)
        _check_repository(repo_id, remote, options)
        plan = make_plan(package, manifests, remote)
        if not shown:
            tell(_headline(repo_id, remote, options))
            for line in plan.lines():
                tell(line)
            shown = True
        if plan.is_empty:
            tell("nothing to commit: the Hub has all of it")
            return None
        if options.dry_run:
            return None
        if _prepare(api, repo_id, remote, options, tell):
            continue  # it has a first commit now, which is read again
        url = _commit(api, repo_id, remote, plan, sent, _message(manifests, options), options, tell)
        if url:
            return url
        tell("somebody else has committed meanwhile: reading and merging again")
    raise AvmitError(f"others keep committing to {repo_id}: wait a while, and run the same again")


def _check_token(api: HfApi, options: Options, tell: Tell) -> None:
    """Refuse a token that may not write before anything is sent; reading needs none."""
    if options.dry_run and get_token() is None:
        return
    user = patient(api.whoami, tell, network=False)
    role = user.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read" and not options.dry_run:
        raise AvmitError(
            f"the token of {user['name']} may only read: make one with write access "
            f"at {api.endpoint}/settings/tokens, then `hf auth login`"
        )


def _check_repository(repo_id: str, remote: Remote, options: Options) -> None:
    if remote.commit is None and options.create_pr:
        raise AvmitError(f"no dataset {repo_id} to open a pull request on: check the name")
    if remote.commit and options.private and not remote.private:
        raise AvmitError(
            f"{repo_id} is there already and public: make it private in its settings first, "
            "or leave --private out"
        )


def _headline(repo_id: str, remote: Remote, options: Options) -> str:
    if remote.commit is None:
        return f"{repo_id}: a new {'private' if options.private else 'public'} dataset"
    where = f"{options.revision or 'main'} of {repo_id}"
    if remote.new_branch:
        return f"{where}: a new branch from main at {remote.commit[:7]}"
    return f"{'a pull request to ' if options.create_pr else ''}{where} at {remote.commit[:7]}"


def _prepare(api: HfApi, repo_id: str, remote: Remote, options: Options, tell: Tell) -> bool:
    """Create the dataset or the branch where it is not there; tell whether one was created."""
    if remote.commit is None:
        patient(
            lambda: api.create_repo(
                repo_id, repo_type="dataset", private=options.private, exist_ok=True
            ),
            tell,
        )
    elif remote.new_branch:
        branch = str(options.revision)
        patient(
            lambda: api.create_branch(repo_id, repo_type="dataset", branch=branch, exist_ok=True),
            tell,
        )
    else:
        return False
    return True


def _message(manifests: Mapping[str, Manifest], options: Options) -> str:
    return options.message or f"Update {', '.join(manifests)} with avmit {avmit.__version__}"


def _commit(
    api: HfApi,
    repo_id: str,
    remote: Remote,
    plan: Plan,
    sent: dict[str, CommitOperationAdd],
    message: str,
    options: Options,
    tell: Tell,
) -> str | None:
    """Upload and commit on the commit that was read; None if that is no longer the last one."""
    common: dict[str, Any] = {
        "repo_type": "dataset",
        "revision": options.revision,
        "create_pr": options.create_pr,
    }
    adds = [_addition(path, plan, sent) for path in (*plan.new, *plan.changed) if path != CARD]
    patient(lambda: api.preupload_lfs_files(repo_id, adds, free_memory=False, **common), tell)
    card = [CommitOperationAdd(CARD, plan.card.encode())] if plan.card is not None else []
    deletes = [CommitOperationDelete(path, is_folder=False) for path in plan.deleted]
    try:
        made = patient(
            lambda: api.create_commit(
                repo_id,
                [*adds, *deletes, *card],
                commit_message=message,
                parent_commit=remote.commit,
                **common,
            ),
            tell,
            network=not options.create_pr,
            failures=not options.create_pr,
        )
    except Exception as error:
        if status_of(error) in (409, 412):
            return None
        if options.create_pr and status_of(error) is None and explain(error, repo_id):
            raise AvmitError(
                f"the connection broke while the pull request was opened: look whether it is at "
                f"{api.endpoint}/datasets/{repo_id}/discussions before you run this again"
            ) from None
        raise
    return str(made.pr_url or made.commit_url)


def _addition(path: str, plan: Plan, sent: dict[str, CommitOperationAdd]) -> CommitOperationAdd:
    """Return the operation that uploads a file, the same one when it is asked for again.

    Raises:
        AvmitError: a shard is not what its manifest says.
    """
    file = plan.files[path]
    if path not in sent:
        operation = CommitOperationAdd(path, str(file.path))
        if file.sha256 and operation.upload_info.sha256.hex() != file.sha256:
            raise AvmitError(
                f"{file.path} is not what its manifest says (another SHA-256): convert it again"
            )
        sent[path] = operation
    return sent[path]
