"""README.md, the dataset card in a package: what it says, what it will say, and writing it."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from avmit import AvmitError
from conversion.card.head import by_config, read_yaml
from conversion.card.merge import merge_cards
from conversion.card.render import render_card
from conversion.card.sample import sample_row
from conversion.package.kind import mixed_kinds, of_lists
from conversion.package.manifest import (
    Manifest,
    config_names,
    mixed_formats,
    read_manifest,
    read_package,
)
from conversion.package.pictures import to_show
from conversion.package.schema import read_features
from conversion.whole import read_regular, write_whole

NAME = "README.md"
LONGEST = 16_000_000
"""How many bytes of a card are read at most."""

Staged = tuple[Manifest, Path]
"""A config that is not published yet, and the folder that holds its shards."""


def write_card(package: Path, otherwise: str = "") -> bool:
    """Write `package`/README.md from what the package holds, and tell whether it changed.

    In a card that is there, or else in the text `otherwise`, only what is ours is written again;
    `merge_cards` says what that is.

    Raises:
        AvmitError: there is no package there, it is of several formats or of two kinds, or its card
            or a config's first shard cannot be read.
    """
    manifests = read_package(package)
    kinds = {name: manifest.listed for name, manifest in manifests.items()}
    problem = mixed_formats(manifests) or mixed_kinds(kinds)
    if problem is not None:
        raise AvmitError(f"{package} has {problem}")
    return put_card(package, card_text(package, otherwise=otherwise))


def card_text(
    package: Path,
    staged: Mapping[str, Staged] = MappingProxyType({}),
    otherwise: str = "",
    pictures: Collection[str] | None = None,
) -> str:
    """Return what `package`/README.md says once the configs `staged` are in the package.

    They stand for those of the same names that are there already, which are not looked at. Nothing
    is written, so that what is wrong is known before a config is published. `pictures` are those
    that it is to show, by default the package's, where they are of what the configs then hold.

    Raises:
        AvmitError: there is no package there, or its card or a config's first shard cannot be read.
    """
    there = {name: package / name for name in config_names(package) if name not in staged}
    if not there and not staged:
        read_package(package)  # it says what is missing
    configs = {name: (read_manifest(folder), folder) for name, folder in there.items()} | {**staged}
    configs = dict(sorted(configs.items(), key=lambda item: (bool(item[1][0].dims), item[0])))
    manifests = {name: manifest for name, (manifest, _) in configs.items()}
    features = {name: read_features(folder, m) for name, (m, folder) in configs.items()}
    path = package / NAME
    base = read_card(path) or otherwise
    samples = {name: sample_row(folder, m, features[name]) for name, (m, folder) in configs.items()}
    shown = to_show(package, manifests) if pictures is None else pictures
    card = render_card(manifests, features, samples, shown)
    return merge_cards(base, card, str(path), left_behind(base, manifests, str(path)))


def put_card(package: Path, text: str) -> bool:
    """Let `package`/README.md hold `text`, and tell whether it changed.

    Raises:
        AvmitError: the card that is there cannot be read.
    """
    path = package / NAME
    if text == read_card(path):
        return False
    write_whole(path, text.encode("utf-8"))
    return True


def read_card(path: Path) -> str:
    """Return a card's text as it stands, with its own line ends; none where there is no card.

    Raises:
        AvmitError: it is not text, or longer than LONGEST.
    """
    try:
        return read_regular(path, LONGEST).decode("utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        reason = f"{path} cannot be read ({error.strerror})" if error.strerror else str(error)
        raise AvmitError(f"{reason}: mend or delete it") from None
    except UnicodeDecodeError:
        raise AvmitError(f"{path} is not UTF-8 text: mend or delete it") from None


def left_behind(card: str, manifests: Mapping[str, Manifest], name: str = NAME) -> set[str]:
    """Name the configs that a card describes as we do, and that are no longer there.

    `name` is what errors call the card.

    Raises:
        AvmitError: its YAML cannot be made out.
    """
    splits = r"\w+" if of_lists(manifests) else "(train|test)"
    form = rf"(?P<config>[^/]+)/{splits}-\*\.(arrow|parquet)"
    gone = set()
    for entry in by_config(read_yaml(card, name).get("configs")):
        config, files = entry["config_name"], entry.get("data_files")
        listed = files if isinstance(files, list) else []
        paths = [file.get("path") for file in listed if isinstance(file, dict)]
        matches = [re.fullmatch(form, str(path)) for path in paths]
        if matches and all(match and match["config"] == config for match in matches):
            gone.add(config)
    return gone - manifests.keys()
