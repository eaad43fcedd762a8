"""Whether configs can stand beside those that stay on the Hub: one format, the same labels."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from datasets import Features

from avmit import AvmitError
from conversion.card.head import by_config, read_yaml
from conversion.hub.published import Published
from conversion.package.kind import mixed_kinds
from conversion.package.manifest import Manifest, mixed

_FORMATS = {
    **{name: name for name in ("arrow", "parquet", "csv", "json", "txt", "xml", "tar", "hdf5")},
    "tsv": "csv",
    "jsonl": "json",
    "ndjson": "json",
    "h5": "hdf5",
}
"""What `datasets` reads in one way, by suffix."""
_PACKED = {"gz", "bz2", "xz", "zst", "lz4", "zip"}


def refuse_mixed(manifests: Mapping[str, Manifest], there: Published, card: str) -> None:
    """Refuse configs that, with those that stay, are of several formats or of two kinds.

    `datasets` takes the builder for all configs of a repository from the first one in the card.

    Raises:
        AvmitError: so it is.
    """
    known = {**there.manifests, **manifests}
    formats = {name: manifest.format for name, manifest in known.items()}
    for entry in by_config(read_yaml(card).get("configs")):
        name = entry["config_name"]
        if name not in known:
            for format in sorted(_formats(entry, there)):
                formats.setdefault(name, format)
    problem = mixed(formats)
    if problem:
        raise AvmitError(f"there would be {problem}, or publish in a repository of its own")
    problem = mixed_kinds({name: manifest.listed for name, manifest in known.items()})
    if problem:
        raise AvmitError(f"there would be {problem}, and a repository")


def _formats(entry: Mapping[str, Any], there: Published) -> set[str]:
    """Return the formats of the files that another's config reads."""
    found: set[str] = set()
    folder = str(entry.get("data_dir") or "").strip("./")
    patterns = list(_patterns(entry.get("data_files"))) or ["*"]
    for pattern in patterns:
        pattern = f"{folder}/{pattern}" if folder else pattern.removeprefix("./")
        others = [path for path in there.files if path not in there.named]
        matching = [path for path in others if fnmatchcase(path, pattern)]
        found.update(filter(None, map(_format, [pattern, *matching])))
    return found


def _patterns(value: Any) -> Iterator[str]:
    """Yield the patterns of a card's `data_files`: a text, a list, or either by split."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _patterns(item.get("path") if isinstance(item, dict) else item)
    elif isinstance(value, dict):
        yield from _patterns(list(value.values()))


def _format(path: str) -> str | None:
    suffixes = [suffix.removeprefix(".").lower() for suffix in PurePosixPath(path).suffixes]
    plain = [suffix for suffix in suffixes if suffix not in _PACKED]
    return _FORMATS.get(plain[-1]) if plain else None


def refuse_other_labels(features: Mapping[str, Features], there: Published) -> None:
    """Refuse configs whose `label` has other names than those of configs that stay.

    Raises:
        AvmitError: so it is.
    """
    staying = {name: of for name, of in there.features.items() if name not in features}
    for name, names in _labels(features).items():
        for other, others in _labels(staying).items():
            if names != others:
                raise AvmitError(
                    f"the labels of '{name}' are not those of '{other}' on the Hub "
                    f"({_difference(names, others)}), so that the same index would mean two "
                    "things: make it from the same CSVs, or publish the two together"
                )


def _labels(features: Mapping[str, Features]) -> dict[str, list[str]]:
    names = {name: getattr(of.get("label"), "names", None) for name, of in features.items()}
    return {name: list(labels) for name, labels in names.items() if labels}


def _difference(names: list[str], others: list[str]) -> str:
    if len(names) != len(others):
        return f"{len(names)} and {len(others)} names"
    index = next(i for i, pair in enumerate(zip(names, others, strict=True)) if len(set(pair)) > 1)
    return f"{index} is {names[index]} and {others[index]}"
