"""What a push would do: which files are new, changed, unchanged or deleted, and the merged card."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datasets import Features

from avmit import AvmitError
from conversion.card.head import by_config, read_yaml
from conversion.card.merge import merge_cards
from conversion.card.readme import NAME as CARD
from conversion.card.readme import read_card
from conversion.card.render import render_card
from conversion.card.sample import sample_row, samples_in
from conversion.hub.local import LocalFile, files_to_publish, pictures_left_out, pictures_to_publish
from conversion.hub.neighbours import refuse_mixed, refuse_other_labels
from conversion.hub.published import Published
from conversion.hub.remote import RemoteFile
from conversion.package.kind import of_lists
from conversion.package.manifest import BAD, BAD_VIDEOS, MISSING, Manifest, ratings_first
from conversion.package.manifest import NAME as MANIFEST
from conversion.package.manifest_problems import FIGURES
from conversion.package.pictures import LIST as PICTURES
from conversion.package.pictures import sources
from conversion.package.schema import read_features
from conversion.wording import format_bytes

_DATA = re.compile(r"(?P<split>\w+)-.*\.(arrow|parquet)")


@dataclass(frozen=True)
class Plan:
    """Paths in the repository, each with its size; `card` is the text to commit, if it changes."""

    new: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)
    deleted: Mapping[str, int] = field(default_factory=dict)
    unchanged: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, LocalFile] = field(default_factory=dict)
    card: str | None = None
    card_before: str = ""
    bytes_to_send: int = 0
    left_out: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.new or self.changed or self.deleted)

    def lines(self) -> Iterator[str]:
        """Say it all in lines: the files, the card's difference, and the sum."""
        if self.left_out:
            yield self.left_out
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


def make_plan(package: Path, manifests: Mapping[str, Manifest], there: Published) -> Plan:
    """Compare what is to be published with what is on the Hub, by checksums.

    `manifests` are those of the configs to publish. Nothing of other configs changes, and no file
    in these configs' folders that is not ours.

    Raises:
        AvmitError: a config or a file of that name on the Hub is not of avmit, what would stand
            there does not go together, or the card there is damaged.
    """
    features = {name: read_features(package / name, m) for name, m in manifests.items()}
    known = ratings_first({**there.manifests, **manifests})
    pictures = pictures_to_publish(package, known)
    files = {**files_to_publish(package, manifests), **pictures}
    _refuse_others(manifests, there)
    _refuse_mixture(package, manifests, features, there)
    states = {path: _state(file, there.files.get(path)) for path, file in files.items()}
    _refuse_in_the_way(states, manifests, there)
    shown, outdated = _shown(pictures, manifests, known, there)
    folders = {*manifests, FIGURES} if outdated else {*manifests}
    deleted = {
        path: there.files[path].size
        for path in there.files
        if path not in files and path in there.named and path.split("/")[0] in folders
    }
    by_state = {
        state: {path: files[path].size for path, its in states.items() if its == state}
        for state in ("new", "changed", "unchanged")
    }
    stored = {file.sha256 for file in there.files.values() if file.sha256}
    sent = [files[path] for path in (*by_state["new"], *by_state["changed"])]
    size = sum(file.size for file in sent if file.sha256 not in stored)
    card = _merged_card(package, manifests, features, there, shown)
    length = len(card.encode())
    changes = card != there.card
    state = _state_of_card(changes, CARD in there.files)
    by_state[state] = {**by_state[state], CARD: length}
    return Plan(
        **by_state,
        deleted=deleted,
        files=files,
        card=card if changes else None,
        card_before=there.card,
        bytes_to_send=size + (length if changes else 0),
        left_out=pictures_left_out(package, known),
    )


def _shown(
    here: Mapping[str, LocalFile],
    manifests: Mapping[str, Manifest],
    known: Mapping[str, Manifest],
    there: Published,
) -> tuple[list[str], bool]:
    """Name the pictures that the card is to show; tell whether others on the Hub are to go.

    `here` are those of the package. Those on the Hub stay where the package has none, unless they
    are drawn from configs that now change, or from just those that the package has.
    """
    if here:
        return [path.removeprefix(f"{FIGURES}/") for path in here if path.endswith(".png")], True
    pictures = there.pictures
    if pictures is None:
        return [], False
    if pictures.are_of(known) and pictures.drawn_from != sources(manifests):
        return list(pictures.files), False
    return [], not pictures.drawn_from.keys().isdisjoint(manifests)


def _state(file: LocalFile, there: RemoteFile | None) -> str:
    if there is None:
        return "new"
    return "unchanged" if _same(file, there) else "changed"


def _state_of_card(changes: bool, is_there: bool) -> str:
    if not changes:
        return "unchanged"
    return "changed" if is_there else "new"


def _refuse_mixture(
    package: Path,
    manifests: Mapping[str, Manifest],
    features: Mapping[str, Features],
    there: Published,
) -> None:
    card = there.card if CARD in there.files else read_card(package / CARD)
    refuse_mixed(manifests, there, card)
    if not of_lists(manifests):  # each list has labels of its own
        refuse_other_labels(features, there)


def _refuse_in_the_way(
    states: Mapping[str, str], manifests: Mapping[str, Manifest], there: Published
) -> None:
    """Refuse to replace, or to leave where it would be read, a file that avmit did not put there.

    Raises:
        AvmitError: there is one.
    """
    for path in there.files:
        config, _, name = path.partition("/")
        if path in there.named:
            continue
        if config == FIGURES and states.get(path) == "changed":
            raise AvmitError(
                f"{path} on the Hub is in the way, and not of avmit, as no {PICTURES} there names "
                "it: delete or rename it there first"
            )
        if config not in manifests:
            continue
        if _is_read(name, manifests[config]):
            if states.get(path) == "unchanged":
                continue
            raise AvmitError(
                f"{path} on the Hub is in the way, and not of avmit, as the {MANIFEST} there does "
                "not name it: delete or rename it there first"
            )


def _is_read(name: str, manifest: Manifest) -> bool:
    """Tell whether the patterns of our cards lead to a file in a config's folder, or we read it."""
    data = _DATA.fullmatch(name)
    of_split = data is not None and data["split"] in {"train", "test", *manifest.splits}
    return of_split or name in (MISSING, BAD, BAD_VIDEOS)


def _refuse_others(manifests: Mapping[str, Manifest], there: Published) -> None:
    named = {entry["config_name"] for entry in by_config(read_yaml(there.card).get("configs"))}
    for config in manifests:
        taken = config in named or any(path.startswith(f"{config}/") for path in there.files)
        if taken and f"{config}/{MANIFEST}" not in there.files:
            raise AvmitError(
                f"the config '{config}' on the Hub was not made by avmit (it has no {MANIFEST}): "
                "give yours another name, or delete that one there first"
            )


def _same(file: LocalFile, there: RemoteFile) -> bool:
    if file.size != there.size:
        return False
    if there.sha256 and file.sha256:
        return there.sha256 == file.sha256
    return there.holds(file.path.read_bytes())


def _merged_card(
    package: Path,
    manifests: Mapping[str, Manifest],
    features: Mapping[str, Features],
    there: Published,
    pictures: Collection[str],
) -> str:
    """Return the card of all of avmit's configs, merged into that on the Hub, or the local one."""
    known = ratings_first({**there.manifests, **manifests})
    columns = {name: {**there.features, **features}[name] for name in known}
    samples = samples_in(there.card, f"{CARD} on the Hub")
    samples |= {n: sample_row(package / n, m, features[n]) for n, m in manifests.items()}
    new = render_card(known, columns, samples, pictures)
    if CARD in there.files:
        return merge_cards(there.card, new, f"{CARD} on the Hub")
    path = package / CARD
    local = read_card(path)
    listed = read_yaml(local, str(path))
    names = [*by_config(listed.get("configs")), *by_config(listed.get("dataset_info"))]
    gone = {entry["config_name"] for entry in names} - known.keys()
    return merge_cards(local, new, str(path), gone)
