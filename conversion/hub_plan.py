"""What a push would do: which files are new, changed, unchanged or deleted, and the merged card."""

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from avmit import AvmitError
from conversion.card.head import by_config, read_yaml
from conversion.card.merge import merge_cards
from conversion.card.readme import NAME as CARD
from conversion.card.readme import read_card
from conversion.card.render import render_card
from conversion.hub_local import LocalFile, files_to_publish
from conversion.hub_remote import Remote, RemoteFile
from conversion.package.manifest import BAD, BAD_VIDEOS, MISSING, Manifest, sha256_of
from conversion.package.manifest import NAME as MANIFEST
from conversion.package.schema import read_features
from conversion.wording import format_bytes

_READ_AS_DATA = re.compile(r"(train|test)-.*\.(arrow|parquet)")
"""Names in a config's folder that the patterns of our cards lead to."""


@dataclass(frozen=True)
class Plan:
    """Paths in the repository, each with its size; `card` is the text to commit, if it changes."""

    new: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)
    unchanged: dict[str, int] = field(default_factory=dict)
    files: dict[str, LocalFile] = field(default_factory=dict)
    card: str | None = None
    card_before: str = ""
    bytes_to_send: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.new or self.changed or self.deleted)

    def lines(self) -> Iterator[str]:
        """Say it all in lines: the files, the card's difference, and the sum."""
        for word, paths in (
            ("new", self.new),
            ("changed", self.changed),
            ("deleted", self.deleted),
        ):
            for path, size in paths.items():
                yield f"  {word:<9} {path} ({format_bytes(size)})"
        if self.unchanged:
            whole = format_bytes(sum(self.unchanged.values()))
            yield f"  unchanged {len(self.unchanged)} files ({whole})"
        if self.card is not None:
            before, after = self.card_before.splitlines(), self.card.splitlines()
            yield from difflib.unified_diff(
                before, after, f"{CARD} on the Hub", f"{CARD} after", lineterm="", n=1
            )
        count = len(self.new) + len(self.changed)
        yield f"to send: {format_bytes(self.bytes_to_send)} in {count} files"


def make_plan(package: Path, manifests: Mapping[str, Manifest], remote: Remote) -> Plan:
    """Compare what is to be published with what is on the Hub, by checksums.

    `manifests` are those of the configs to publish. Nothing of other configs changes, and no file
    in these configs' folders that is not ours.

    Raises:
        AvmitError: a config of that name on the Hub is not of avmit, or the card there is damaged.
    """
    _refuse_others(manifests, remote)
    files = files_to_publish(package, manifests)
    plan = Plan(files=files, card_before=remote.card)
    for path, file in files.items():
        there = remote.files.get(path)
        if there is None:
            plan.new[path] = file.size
        elif _same(file, there):
            plan.unchanged[path] = file.size
        else:
            plan.changed[path] = file.size
    for path, there in remote.files.items():
        if path not in files and _is_ours(path, manifests, remote):
            plan.deleted[path] = there.size
    stored = {file.sha256 for file in remote.files.values() if file.sha256}
    sent = [files[path] for path in (*plan.new, *plan.changed)]
    size = sum(file.size for file in sent if file.sha256 not in stored)
    card = _merged_card(package, manifests, remote)
    if card == remote.card:
        plan.unchanged[CARD] = len(card.encode())
        return replace(plan, bytes_to_send=size)
    (plan.changed if CARD in remote.files else plan.new)[CARD] = len(card.encode())
    return replace(plan, card=card, bytes_to_send=size + len(card.encode()))


def _refuse_others(manifests: Mapping[str, Manifest], remote: Remote) -> None:
    named = {entry["config_name"] for entry in by_config(read_yaml(remote.card).get("configs"))}
    for config in manifests:
        there = config in named or any(path.startswith(f"{config}/") for path in remote.files)
        if there and f"{config}/{MANIFEST}" not in remote.files:
            raise AvmitError(
                f"the config '{config}' on the Hub was not made by avmit (it has no {MANIFEST}): "
                "give yours another name, or delete that one there first"
            )


def _same(file: LocalFile, there: RemoteFile) -> bool:
    if file.size != there.size:
        return False
    if there.sha256:
        return there.sha256 == (file.sha256 or sha256_of(file.path))
    content = file.path.read_bytes()
    return there.blob == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _is_ours(path: str, manifests: Mapping[str, Manifest], remote: Remote) -> bool:
    """Tell whether a file on the Hub belongs to a config that is published anew."""
    config, _, name = path.partition("/")
    if config not in manifests:
        return False
    before = remote.manifests.get(config)
    shards = [shard.file for split in before.splits.values() for shard in split] if before else []
    return name in (*shards, MISSING, BAD, BAD_VIDEOS) or _READ_AS_DATA.fullmatch(name) is not None


def _merged_card(package: Path, manifests: Mapping[str, Manifest], remote: Remote) -> str:
    """Return the card of all of avmit's configs, merged into that on the Hub, or the local one."""
    known = {**remote.manifests, **manifests}
    known = dict(sorted(known.items(), key=lambda item: (bool(item[1].dims), item[0])))
    features = {
        name: read_features(package / name, m) if name in manifests else remote.features[name]
        for name, m in known.items()
    }
    new = render_card(known, features)
    if CARD in remote.files:
        return merge_cards(remote.card, new, f"{CARD} on the Hub")
    path = package / CARD
    local = read_card(path)
    listed = read_yaml(local, str(path))
    names = [*by_config(listed.get("configs")), *by_config(listed.get("dataset_info"))]
    gone = {entry["config_name"] for entry in names} - known.keys()
    return merge_cards(local, new, str(path), gone)
