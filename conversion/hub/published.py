"""What a dataset on the Hub has of avmit's: its card, the manifests, and what they name."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from datasets import Features
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCardData, HfApi
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

import avmit
from avmit import AvmitError
from conversion.card.head import read_yaml
from conversion.card.readme import LONGEST
from conversion.card.readme import NAME as CARD
from conversion.hub.remote import RemoteFile, Repository, open_repository
from conversion.hub.retry import Retry
from conversion.package.manifest import BAD, BAD_VIDEOS, INDEX, MISSING, Manifest, parse_manifest
from conversion.package.manifest import NAME as MANIFEST
from conversion.package.manifest_problems import FIGURES, check_config_name
from conversion.package.pictures import LIST as PICTURES
from conversion.package.pictures import Pictures, parse_pictures


@dataclass(frozen=True)
class Published:
    """A dataset at `commit`; one that is not there has none, and a new `branch` has yet to be made.

    `manifests` and `features` are those of the configs that avmit made, `pictures` those that it
    drew, `named` the paths of all files that manifests name, damaged manifests too, of their
    indexes, and of the pictures and their list.
    """

    commit: str | None = None
    private: bool = False
    new_branch: bool = False
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    card: str = ""
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    features: Mapping[str, Features] = field(default_factory=dict)
    pictures: Pictures | None = None
    named: frozenset[str] = frozenset()


def read_published(api: HfApi, repo_id: str, revision: str | None, retry: Retry) -> Published:
    """Read a dataset at the tip of a branch or pull request; main for a branch that is not there.

    Raises:
        AvmitError: the name is that of a model or a space, or the card is not text, or too long.
        Exception: those of `open_repository`.
    """
    try:
        found = _open(repo_id, revision, retry)
    except RepositoryNotFoundError:
        found = None
    if found is None:
        _refuse_other_kinds(api, repo_id, retry)
        return Published()
    repository, new_branch = found
    card = _card(repository)
    manifests: dict[str, Manifest] = {}
    named: set[str] = set()
    for path in repository.files:
        config, _, file = path.partition("/")
        if file == MANIFEST and _can_be_config(config):
            text = repository.read(path)
            named |= {path, f"{config}/{INDEX}", *(f"{config}/{name}" for name in _named(text))}
            with contextlib.suppress(ValueError):
                manifests[config] = parse_manifest(text, config)
    pictures = _pictures(repository)
    named |= set(pictures.paths) if pictures else set()
    features = _features(card, manifests)
    manifests = {name: manifests[name] for name in features}
    return Published(
        repository.commit,
        repository.private,
        new_branch,
        repository.files,
        card,
        manifests,
        features,
        pictures,
        frozenset(named),
    )


def _open(repo_id: str, revision: str | None, retry: Retry) -> tuple[Repository, bool]:
    """Open a dataset, and tell whether its branch is not there."""
    try:
        return open_repository(repo_id, revision, retry), False
    except RevisionNotFoundError:
        if revision is None or revision.startswith("refs/"):
            raise
    return open_repository(repo_id, None, retry), True


def _refuse_other_kinds(api: HfApi, repo_id: str, retry: Retry) -> None:
    for kind in ("model", "space"):
        if retry(partial(api.repo_exists, repo_id, repo_type=kind)):
            raise AvmitError(
                f"{repo_id} is a {kind}, not a dataset: choose another name, or make an empty "
                "dataset of that name on the Hub first"
            )


def _card(repository: Repository) -> str:
    if CARD not in repository.files:
        return ""
    size = repository.files[CARD].size
    if size > LONGEST:
        raise AvmitError(
            f"{CARD} on the Hub has {size:,} bytes, more than {LONGEST:,}: mend or delete it there"
        )
    try:
        return repository.read(CARD).decode("utf-8")
    except UnicodeDecodeError:
        raise AvmitError(f"{CARD} on the Hub is not UTF-8 text: mend or delete it") from None


def _pictures(repository: Repository) -> Pictures | None:
    """Return what the list of pictures says, without those that somebody has since replaced.

    None where there is no list that is avmit's.
    """
    path = f"{FIGURES}/{PICTURES}"
    if path not in repository.files:
        return None
    try:
        listed = parse_pictures(repository.read(path))
    except (ValueError, AvmitError):
        return None
    files = {
        name: picture
        for name, picture in listed.files.items()
        if (there := repository.files.get(f"{FIGURES}/{name}")) is not None
        and there.size == picture.bytes
        and there.sha256 in (None, picture.sha256)
    }
    return replace(listed, files=files)


def _can_be_config(name: str) -> bool:
    try:
        if name not in avmit.RATINGS_CONFIGS:
            check_config_name(name)
    except AvmitError:
        return False
    return True


def _named(text: bytes) -> set[str]:
    """Return the files that a manifest names, also one that is not well-formed."""
    try:
        content: Any = json.loads(text)
        shards = [shard for split in content["splits"].values() for shard in split]
        found = {str(shard["file"]) for shard in shards}
        lists = {MISSING: "missing_records", BAD: "bad_records", BAD_VIDEOS: "bad_records"}
        return found | {name for name, count in lists.items() if content.get(count)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return set()


def _features(card: str, configs: Mapping[str, Manifest]) -> dict[str, Features]:
    """Return the features that a card gives of configs; none where it makes no sense."""
    content = read_yaml(card, f"{CARD} on the Hub")
    try:
        infos = DatasetInfosDict.from_dataset_card_data(DatasetCardData(**content))
    except Exception:  # a card of any shape: nothing in it is promised
        return {}
    return {
        name: infos[name].features for name in configs if name in infos and infos[name].features
    }
