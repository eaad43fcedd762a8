"""What a dataset on the Hub holds at one commit, read without its shards."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from datasets import Features
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCardData, HfApi
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile

from avmit import AvmitError
from conversion.card.head import read_yaml
from conversion.card.readme import LONGEST, read_card
from conversion.card.readme import NAME as CARD
from conversion.hub_errors import Tell, patient
from conversion.package.manifest import NAME as MANIFEST
from conversion.package.manifest import Manifest, read_manifests


@dataclass(frozen=True)
class RemoteFile:
    """A file on the Hub: `sha256` is that of an LFS file, `blob` git's id of any other."""

    size: int
    sha256: str | None
    blob: str


@dataclass(frozen=True)
class Remote:
    """A dataset at `commit`; one that is not there has none, and a new `branch` has yet to be made.

    `manifests` and `features` are those of the configs that avmit made.
    """

    commit: str | None = None
    private: bool = False
    new_branch: bool = False
    files: dict[str, RemoteFile] = field(default_factory=dict)
    card: str = ""
    manifests: dict[str, Manifest] = field(default_factory=dict)
    features: dict[str, Features] = field(default_factory=dict)


def read_remote(api: HfApi, repo_id: str, revision: str | None, tell: Tell) -> Remote:
    """Read a dataset at the tip of a branch or pull request; main for a branch that is not there.

    Raises:
        AvmitError: the name is that of a model or a space, or there is no such pull request.
    """
    new_branch = False
    try:
        info = patient(lambda: api.dataset_info(repo_id, revision=revision), tell)
    except RevisionNotFoundError:
        if revision is None or revision.startswith("refs/"):
            raise AvmitError(f"{repo_id} has no {revision}: name one that is there") from None
        new_branch = True
        info = patient(lambda: api.dataset_info(repo_id), tell)
    except RepositoryNotFoundError:
        for kind in ("model", "space"):
            if patient(partial(api.repo_exists, repo_id, repo_type=kind), tell):
                raise AvmitError(
                    f"{repo_id} is a {kind}, not a dataset: choose another name, or make an empty "
                    "dataset of that name on the Hub first"
                ) from None
        return Remote()
    commit = str(info.sha)
    entries = patient(
        lambda: list(
            api.list_repo_tree(repo_id, repo_type="dataset", recursive=True, revision=commit)
        ),
        tell,
    )
    files = {
        entry.path: RemoteFile(entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
        for entry in entries
        if isinstance(entry, RepoFile)
    }
    if CARD in files and files[CARD].size > LONGEST:
        raise AvmitError(
            f"{CARD} on the Hub has {files[CARD].size:,} bytes, more than {LONGEST:,}: "
            "mend or delete it there"
        )
    with tempfile.TemporaryDirectory(prefix="avmit-hub-") as folder:
        small = [name for name in files if name == CARD or name.split("/")[1:] == [MANIFEST]]
        for name in small:
            fetch = partial(api.hf_hub_download, repo_id, name, repo_type="dataset")
            patient(partial(fetch, revision=commit, local_dir=folder), tell)
        card = read_card(Path(folder, CARD))
        manifests = read_manifests(Path(folder))[0] if set(small) - {CARD} else {}
    features = _features(card, manifests)
    return Remote(
        commit,
        bool(info.private),
        new_branch,
        files,
        card,
        {name: manifests[name] for name in features},
        features,
    )


def _features(card: str, configs: Iterable[str]) -> dict[str, Features]:
    """Return the features that a card gives of configs; none where it makes no sense."""
    content = read_yaml(card, f"{CARD} on the Hub")
    try:
        infos = DatasetInfosDict.from_dataset_card_data(DatasetCardData(**content))
    except Exception:  # a card of any shape: nothing in it is promised
        return {}
    return {
        name: infos[name].features for name in configs if name in infos and infos[name].features
    }
