"""Publish a package on the Hub, in one commit on what is there."""

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_token,
)
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils.tqdm import are_progress_bars_disabled

import avmit
from avmit import AvmitError
from conversion.card.readme import NAME as CARD
from conversion.hub.client import BrokenAnswer, Tell
from conversion.hub.errors import HubUnreachable, explained
from conversion.hub.local import files_to_publish, left_out, publishable
from conversion.hub.plan import Plan, make_plan
from conversion.hub.published import Published, read_published
from conversion.hub.retry import Retry, is_network, status_of
from conversion.package.manifest import Manifest
from conversion.wording import format_bytes

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

    Returns None where nothing is to be committed, or `dry_run` is set: then the Hub need not be
    reached. `tell` gets the plan, and each wait, line by line. All of it is one commit on the one
    that was read; if somebody else commits meanwhile, it is read and merged again.

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
    target = _Target(repo_id, options, tell)
    try:
        with explained(repo_id, options.revision, writing=True, create_pr=options.create_pr):
            return target.update(package, manifests)
    except HubUnreachable as error:
        if not options.dry_run:
            raise
        _tell_without_hub(package, repo_id, manifests, error.why, tell)
        return None


def _tell_without_hub(
    package: Path, repo_id: str, manifests: Mapping[str, Manifest], why: str, tell: Tell
) -> None:
    """Say what would be published, as far as that is known without the Hub."""
    plan = make_plan(package, manifests, Published())
    count = f"all {len(plan.new)} files would be sent"
    if plan.left_out:
        tell(plan.left_out)
    tell(f"{repo_id}: could not compare with the Hub ({why}): if nothing is there, {count}")
    for path, size in plan.new.items():
        tell(f"  to send   {path} ({format_bytes(size)})")
    tell(f"to send: at most {format_bytes(plan.bytes_to_send)} in {len(plan.new)} files")


@dataclass(frozen=True)
class _Target:
    """The dataset that is brought up to date, and how; `sent` are the uploads, by path."""

    repo_id: str
    options: Options
    tell: Tell
    api: HfApi = field(
        default_factory=lambda: HfApi(library_name="avmit", library_version=avmit.__version__)
    )
    sent: dict[str, CommitOperationAdd] = field(default_factory=dict)

    @property
    def retry(self) -> Retry:
        return Retry(self.tell, attempts=1) if self.options.dry_run else Retry(self.tell)

    def update(self, package: Path, manifests: Mapping[str, Manifest]) -> str | None:
        if constants.HF_HUB_OFFLINE:
            raise OfflineModeIsEnabled
        self._check_token()
        shown = False
        for _ in range(_ATTEMPTS):
            there = read_published(self.api, self.repo_id, self.options.revision, self.retry)
            self._check_repository(there)
            plan = make_plan(package, manifests, there)
            if not shown:
                self.tell(self._headline(there))
                for line in plan.lines():
                    self.tell(line)
                shown = True
            if plan.is_empty:
                self.tell("nothing to commit: the Hub has all of it")
                return None
            if self.options.dry_run:
                return None
            if self._prepare(there):
                continue  # it has a first commit now, which is read again
            url = self._commit(there, plan, ", ".join(manifests))
            if url:
                return url
        raise AvmitError(
            f"others keep committing to {self.repo_id}: wait a while, and run the same again"
        )

    def _check_token(self) -> None:
        """Refuse a token that may not write before anything is sent; reading needs none."""
        if self.options.dry_run and get_token() is None:
            return
        name, role = self.retry(lambda: _user(self.api.whoami()))
        if role == "read" and not self.options.dry_run:
            raise AvmitError(
                f"the token of {name} may only read: make one with write access "
                f"at {self.api.endpoint}/settings/tokens, then `hf auth login`"
            )

    def _check_repository(self, there: Published) -> None:
        if there.commit is None and self.options.create_pr:
            raise AvmitError(f"no dataset {self.repo_id} to open a pull request on: check the name")
        if there.commit and self.options.private and not there.private:
            raise AvmitError(
                f"{self.repo_id} is there already and public: make it private in its settings "
                "first, or leave --private out"
            )

    def _headline(self, there: Published) -> str:
        if there.commit is None:
            kind = "private" if self.options.private else "public"
            return f"{self.repo_id}: a new {kind} dataset"
        where = f"{self.options.revision or 'main'} of {self.repo_id}"
        if there.new_branch:
            return f"{where}: a new branch from main at {there.commit[:7]}"
        offered = "a pull request to " if self.options.create_pr else ""
        return f"{offered}{where} at {there.commit[:7]}"

    def _prepare(self, there: Published) -> bool:
        """Create the dataset or the branch where it is not there; tell whether one was created."""
        common: dict[str, Any] = {"repo_type": "dataset", "exist_ok": True}
        if there.commit is None:
            private = self.options.private
            self.retry(partial(self.api.create_repo, self.repo_id, private=private, **common))
        elif there.new_branch:
            branch = str(self.options.revision)
            self.retry(partial(self.api.create_branch, self.repo_id, branch=branch, **common))
        else:
            return False
        return True

    def _commit(self, there: Published, plan: Plan, configs: str) -> str | None:
        """Upload and commit on the commit that was read; None if all has to be looked at again."""
        options = self.options
        common: dict[str, Any] = {
            "repo_type": "dataset",
            "revision": options.revision,
            "create_pr": options.create_pr,
        }
        adds = [self._addition(path, plan) for path in (*plan.new, *plan.changed) if path != CARD]
        self.retry(
            lambda: self.api.preupload_lfs_files(self.repo_id, adds, free_memory=False, **common),
            doing="sending files to the Hub" if are_progress_bars_disabled() else None,
        )
        card = [CommitOperationAdd(CARD, plan.card.encode())] if plan.card is not None else []
        deletes = [CommitOperationDelete(path, is_folder=False) for path in plan.deleted]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [*adds, *deletes, *card]
        try:
            made = self.retry(
                lambda: self.api.create_commit(
                    self.repo_id,
                    # Copies, as old clients take none twice that was in a commit, made or not.
                    [copy(operation) for operation in operations],
                    commit_message=options.message
                    or f"Update {configs} with avmit {avmit.__version__}",
                    parent_commit=there.commit,
                    **common,
                ),
                again=not options.create_pr,
                doing="waiting for the Hub to commit",
            )
        except Exception as error:
            if status_of(error) in (409, 412):
                self.tell("somebody else has committed meanwhile: reading and merging again")
                return None
            if status_of(error) == 400 and "LFS pointer" in str(error):
                self.tell("the Hub lacks a file that it took: sending again")
                self.sent.clear()
                return None
            if options.create_pr and (is_network(error) or isinstance(error, BrokenAnswer)):
                raise AvmitError(
                    "the connection broke while the pull request was opened: look whether it is at "
                    f"{self.api.endpoint}/datasets/{self.repo_id}/discussions before you run this "
                    "again"
                ) from None
            raise
        return str(made.pr_url or made.commit_url)

    def _addition(self, path: str, plan: Plan) -> CommitOperationAdd:
        """Return the operation that uploads a file, the same one when it is asked for again.

        Raises:
            AvmitError: a shard is not what its manifest says.
        """
        file = plan.files[path]
        if path not in self.sent:
            operation = CommitOperationAdd(path, str(file.path))
            if file.sha256 and operation.upload_info.sha256.hex() != file.sha256:
                raise AvmitError(
                    f"{file.path} is not what its manifest says (another SHA-256): convert it again"
                )
            self.sent[path] = operation
        return self.sent[path]


def _user(told: Any) -> tuple[str, str | None]:
    """Return the user's name and the token's role, by what the Hub tells of the token.

    Raises:
        BrokenAnswer: it tells something else.
    """
    try:
        token = told.get("auth", {}).get("accessToken", {})
        return str(told["name"]), token.get("role")
    except (AttributeError, KeyError, TypeError):
        raise BrokenAnswer(f"no user but {str(told)[:40]!r}") from None
