"""A hub package as it lies on the Hub at one commit: what it says it holds, checked and read."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from huggingface_hub import HfApi, HfFileSystem, constants
from huggingface_hub.hf_api import RepoFile

import avmit
from avmit import AvmitError
from conversion.card.readme import LONGEST
from conversion.card.readme import NAME as CARD
from conversion.hub_errors import Tell, patient
from conversion.package.manifest import MISSING, NAME, Manifest, Shard, parse_manifest
from conversion.package.manifest_problems import check_config_name
from conversion.remote_errors import explained

RANGE = 16 * 1024 * 1024
"""How many bytes are asked for at a time: what is lost when a run is killed."""
_LONGEST_TEXT = 64 * 1024 * 1024
_ASK = "ask its owner to push it again"


@dataclass(frozen=True)
class RemoteFile:
    """A file of the repository: its size in bytes and, if it is an LFS one, its SHA-256."""

    size: int
    sha256: str | None


@dataclass(frozen=True)
class RemotePackage:
    """A repository at `commit`, the full hash; `files` are by path."""

    repo_id: str
    commit: str
    files: Mapping[str, RemoteFile]
    system: HfFileSystem

    @property
    def configs(self) -> list[str]:
        """The folders with a manifest, in order."""
        parts = [path.split("/") for path in self.files]
        found = [p[0] for p in parts if len(p) == 2 and p[1] == NAME and not p[0].startswith(".")]
        return sorted(found)

    def manifests(self, configs: Sequence[str] | None = None) -> dict[str, Manifest]:
        """Read the manifests of `configs`, or of all, ratings first, and check all they say.

        Raises:
            AvmitError: there is no such config, its manifest is malformed, or the repository does
                not hold what it names.
        """
        there = self.configs
        if not there:
            raise AvmitError(
                f"'{self.repo_id}' is not an AVMIT package (no config with a {NAME}): name one "
                "that `avmit push` made"
            )
        for config in configs or ():
            if config not in there:
                raise AvmitError(
                    f"no config '{config}' in '{self.repo_id}'; there are: {', '.join(there)}"
                )
        chosen = there if not configs else sorted(set(configs))
        found = {config: self._manifest(config) for config in chosen}
        return dict(sorted(found.items(), key=lambda item: (bool(item[1].dims), item[0])))

    def _manifest(self, config: str) -> Manifest:
        path = f"{config}/{NAME}"
        try:
            if config not in avmit.RATINGS_CONFIGS:
                check_config_name(config)
            manifest = parse_manifest(self.read(path), config)
        except ValueError as error:
            raise AvmitError(f"{self._name(path)} is malformed ({error}): {_ASK}") from None
        for shards in manifest.splits.values():
            for shard in shards:
                self._check_shard(f"{config}/{shard.file}", shard)
        return manifest

    def _check_shard(self, path: str, shard: Shard) -> None:
        file = self.files.get(path)
        if file is None:
            raise AvmitError(f"{self._name(path)} is missing, its {NAME} names it: {_ASK}")
        if file.size != shard.bytes or file.sha256 not in (None, shard.sha256):
            raise self.wrong(path)

    def wrong(self, path: str) -> AvmitError:
        """Return the error for a shard that is not what its manifest says."""
        return AvmitError(
            f"{self._name(path)} is not what its {NAME} says (another size or SHA-256): nothing of "
            f"it is kept; {_ASK}"
        )

    def lists(self, manifest: Manifest) -> dict[str, list[tuple[str, ...]]]:
        """Read a config's lists of what has no row, heading first, by file name.

        Raises:
            AvmitError: a list is missing, or not as long as the manifest says.
        """
        counts = {MISSING: manifest.missing_records, manifest.bad_list: manifest.bad_records}
        found = {}
        for name, count in counts.items():
            path = f"{manifest.config}/{name}"
            try:
                text = self.read(path).decode("utf-8") if path in self.files else ""
                rows = [tuple(row) for row in csv.reader(text.splitlines(), strict=True)]
            except (ValueError, csv.Error) as error:
                raise AvmitError(f"{self._name(path)} is malformed ({error}): {_ASK}") from None
            if max(0, len(rows) - 1) != count:
                raise AvmitError(
                    f"{self._name(path)} has {max(0, len(rows) - 1):,} rows, its {NAME} says "
                    f"{count:,}: {_ASK}"
                )
            if rows:
                found[name] = rows
        return found

    def card(self) -> str:
        """Return the repository's card, none where it has none that is text."""
        if CARD not in self.files or self.files[CARD].size > LONGEST:
            return ""
        return self.read(CARD).decode("utf-8", errors="replace")

    def read(self, path: str) -> bytes:
        """Return a small file's content.

        Raises:
            AvmitError: it cannot be read, or is no small file.
        """
        size = self.files[path].size
        if size > _LONGEST_TEXT:
            raise AvmitError(f"{self._name(path)} has {size:,} bytes, too many for text: {_ASK}")
        return b"".join(self.pieces(path))

    def pieces(self, path: str, start: int = 0) -> Iterator[bytes]:
        """Yield a file's content from byte `start` on, in pieces of RANGE.

        `huggingface_hub` asks for each piece up to six times, waiting in between, or as long as the
        Hub says, while it is busy or the connection breaks.

        Raises:
            AvmitError: the Hub does not send it, or not all of it.
        """
        size = self.files[path].size
        with explained(self.repo_id, self.commit):
            where = f"datasets/{self.repo_id}/{path}"
            options = {"revision": self.commit, "size": size, "cache_type": "none"}
            with self.system.open(where, "rb", block_size=RANGE, **options) as file:
                file.seek(start)
                while start < size:
                    piece = file.read(min(RANGE, size - start))
                    if not piece:
                        raise AvmitError(f"{self._name(path)} ends at byte {start:,}: {_ASK}")
                    yield piece
                    start += len(piece)

    def _name(self, path: str) -> str:
        return f"{path} in '{self.repo_id}'"


def open_remote(repo_id: str, revision: str | None, say: Tell) -> RemotePackage:
    """Find the commit that `revision` is now, by default that of main, and list its files.

    Raises:
        AvmitError: there is no such repository or revision, it may not be read, or the Hub cannot
            be reached.
    """
    if "/" not in repo_id:
        raise AvmitError(f"'{repo_id}' is not the name of a package on the Hub: write user/name")
    if constants.HF_HUB_OFFLINE:
        raise AvmitError("HF_HUB_OFFLINE is set: unset it where there is a network")
    api = HfApi()
    with explained(repo_id, revision):
        info = patient(lambda: api.dataset_info(repo_id, revision=revision), say)
        tree = partial(api.list_repo_tree, repo_type="dataset", revision=info.sha, recursive=True)
        files = {
            entry.path: RemoteFile(entry.size, entry.lfs.sha256 if entry.lfs else None)
            for entry in patient(lambda: list(tree(repo_id)), say)
            if isinstance(entry, RepoFile)
        }
        # Not a file system of another run in this process, which remembers what it saw.
        system = HfFileSystem(skip_instance_cache=True)
    return RemotePackage(repo_id, str(info.sha), files, system)
