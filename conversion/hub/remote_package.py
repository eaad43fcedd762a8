"""A hub package as it lies on the Hub at one commit: what it says it holds, checked and read."""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import constants

import avmit
from avmit import AvmitError
from conversion.card.readme import LONGEST
from conversion.card.readme import NAME as CARD
from conversion.hub import retry as hub_retry
from conversion.hub.client import Tell
from conversion.hub.remote import Repository, open_repository
from conversion.hub.retry import Retry
from conversion.package.index.index_file import Index, parse_index
from conversion.package.index.kept import Range, write_at
from conversion.package.manifest import (
    INDEX,
    MISSING,
    NAME,
    Manifest,
    Shard,
    parse_manifest,
    ratings_first,
)
from conversion.package.manifest_problems import FIGURES, check_config_name
from conversion.package.pictures import LIST as PICTURES
from conversion.package.pictures import Pictures, parse_pictures
from conversion.package.staging import is_intact
from conversion.whole import open_at_will, open_to_append

_ATTEMPTS = 4  # to bring a shard whole
_ASK = "ask its owner to push it again"


@dataclass(frozen=True)
class RemotePackage:
    """The package in a repository."""

    repository: Repository

    @property
    def repo_id(self) -> str:
        """The repository's name."""
        return self.repository.repo_id

    @property
    def configs(self) -> list[str]:
        """The folders with a manifest, in order."""
        parts = [path.split("/") for path in self.repository.files]
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
        return ratings_first(found)

    def _manifest(self, config: str) -> Manifest:
        path = f"{config}/{NAME}"
        text = self.repository.read(path)
        try:
            if config not in avmit.RATINGS_CONFIGS:
                check_config_name(config)
            manifest = parse_manifest(text, config)
        except ValueError as error:
            raise AvmitError(f"{self.name(path)} is malformed ({error}): {_ASK}") from None
        for shard in manifest.shards:
            self._check_shard(f"{config}/{shard.file}", shard)
        return manifest

    def _check_shard(self, path: str, shard: Shard) -> None:
        file = self.repository.files.get(path)
        if file is None:
            raise AvmitError(f"{self.name(path)} is missing, its {NAME} names it: {_ASK}")
        if file.size != shard.bytes or file.sha256 not in (None, shard.sha256):
            raise AvmitError(
                f"{self.name(path)} is not what its {NAME} says (another size or SHA-256): {_ASK}"
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
            content = self.repository.read(path) if path in self.repository.files else b""
            try:
                text = content.decode("utf-8")
                lines = io.StringIO(text, newline="")
                rows = [tuple(row) for row in csv.reader(lines, strict=True)]
            except (ValueError, csv.Error) as error:
                raise AvmitError(f"{self.name(path)} is malformed ({error}): {_ASK}") from None
            if max(0, len(rows) - 1) != count:
                raise AvmitError(
                    f"{self.name(path)} has {max(0, len(rows) - 1):,} rows, its {NAME} says "
                    f"{count:,}: {_ASK}"
                )
            if rows:
                found[name] = rows
        return found

    def card(self) -> str:
        """Return the repository's card, none where it has none that is text."""
        file = self.repository.files.get(CARD)
        if file is None or file.size > LONGEST:
            return ""
        return self.repository.read(CARD).decode("utf-8", errors="replace")

    def index(self, manifest: Manifest) -> Index | None:
        """Read a config's index; None where there is none that is of these shards."""
        path = f"{manifest.config}/{INDEX}"
        if path not in self.repository.files:
            return None
        try:
            return parse_index(self.repository.read(path), manifest)
        except (ValueError, AvmitError):
            return None

    def pictures(
        self, manifests: Mapping[str, Manifest]
    ) -> tuple[Pictures, dict[str, bytes]] | None:
        """Read the card's pictures with their list; None where none show what `manifests` hold.

        Raises:
            AvmitError: they are not what their list says, or that is none.
        """
        path = f"{FIGURES}/{PICTURES}"
        if path not in self.repository.files:
            return None
        try:
            listed = parse_pictures(self.repository.read(path))
        except ValueError as error:
            raise AvmitError(f"{self.name(path)} is malformed ({error})") from None
        if not listed.are_of(manifests):
            return None
        found = {}
        for name, picture in listed.files.items():
            file = self.repository.files.get(f"{FIGURES}/{name}")
            same = file is not None and file.size == picture.bytes
            data = self.repository.read(f"{FIGURES}/{name}") if same else b""
            if not same or hashlib.sha256(data).hexdigest() != picture.sha256:
                raise AvmitError(f"{self.name(f'{FIGURES}/{name}')} is not what {PICTURES} says")
            found[name] = data
        return listed, found

    def fill(
        self,
        path: str,
        part: Path,
        ranges: Sequence[Range],
        most: int,
        came: Callable[[int], None],
    ) -> None:
        """Bring ranges of a shard into the file `part`; they are not checked.

        Raises:
            OSError: they cannot be written.
            Exception: those of `Repository.pieces`.
        """
        with open_at_will(part) as file:
            for start, end in ranges:
                for piece in self.repository.pieces(path, start, most, end):
                    self.repository.retry.pause(0)
                    write_at(file, start, piece)
                    start += len(piece)
                    came(len(piece))
            os.fsync(file.fileno())

    def bring(
        self, path: str, shard: Shard, part: Path, most: int, came: Callable[[int], None]
    ) -> None:
        """Let the file `part` be a whole shard, and go on with what is there of it.

        At most `most` bytes are asked for, and held, at a time; `came` is told of those that came.

        Raises:
            AvmitError: other bytes came than the manifest says, each time.
            OSError: they cannot be written.
            Exception: those of `Repository.pieces`.
        """
        retry = self.repository.retry
        if part.exists() and part.stat().st_size > shard.bytes:
            part.unlink()
        begun = part.exists() and part.stat().st_size > 0
        for attempt in range(_ATTEMPTS):
            start = part.stat().st_size if part.exists() else 0
            with open_to_append(part) as file:
                for piece in self.repository.pieces(path, start, most):
                    retry.pause(0)
                    view = memoryview(piece)
                    while view:
                        view = view[file.write(view) :]
                    came(len(piece))
                os.fsync(file.fileno())
            if is_intact(part, shard):
                return
            # What an earlier run left may have been damaged on the disk, what came, on the way.
            part.unlink()
            if not begun and attempt < _ATTEMPTS - 1:
                wait = hub_retry.FIRST_WAIT * 2**attempt
                other = f"{path} came with other bytes than its {NAME} says"
                retry.tell(f"{other}: again in {wait:g} s")
                retry.pause(wait)
            begun = False
        raise AvmitError(
            f"{self.name(path)} came with other bytes than its {NAME} says, {_ATTEMPTS} times: "
            "nothing of it is kept; run the same again later, or ask its owner to push it again"
        )

    def pausing(self, tell: Tell, pause: Callable[[float], None]) -> "RemotePackage":
        """Return the same package, whose waits are told to `tell` and made by `pause`."""
        retry = replace(self.repository.retry, tell=tell, pause=pause)
        return RemotePackage(replace(self.repository, retry=retry))

    def name(self, path: str) -> str:
        """Return what errors call a file."""
        return f"{path} in '{self.repo_id}'"


def open_remote(repo_id: str, revision: str | None, say: Tell) -> RemotePackage:
    """Find the commit that `revision` is now, by default that of main, and list its files.

    Raises:
        AvmitError: that is no name of a repository, or the Hub is switched off.
        Exception: those of `open_repository`.
    """
    if "/" not in repo_id:
        raise AvmitError(f"'{repo_id}' is not the name of a package on the Hub: write user/name")
    if constants.HF_HUB_OFFLINE:
        raise AvmitError("HF_HUB_OFFLINE is set: unset it where there is a network")
    return RemotePackage(open_repository(repo_id, revision, Retry(say)))
