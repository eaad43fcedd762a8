"""Check a package's card against its manifests and shards."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from datasets import Features
from huggingface_hub import metadata_load

from avmit import AvmitError
from conversion.card.head import read_yaml
from conversion.card.readme import NAME as CARD
from conversion.card.readme import read_card
from conversion.package.manifest import Manifest
from conversion.package.schema import card_features
from conversion.verify.check import Check, judged


def card_checks(
    package: Path, manifests: Mapping[str, Manifest], features: Mapping[str, Features | None]
) -> list[Check]:
    """Check the YAML in README.md; `features` are those of the shards, None where not read."""
    try:
        read_yaml(read_card(package / CARD), CARD)  # refuses what would take for ever to load
        content = metadata_load(package / CARD)
    except AvmitError as error:
        return [Check("card", CARD, False, str(error))]
    except FileNotFoundError:
        return [Check("card", CARD, False, f"missing: write it with `avmit card {package}`")]
    except Exception as error:  # YAML from anywhere: the parser's errors have no common base
        reason = " ".join(str(error).split()) or type(error).__name__
        return [Check("card", CARD, False, f"cannot be read ({reason})")]
    configs, infos = _by_config(content, "configs"), _by_config(content, "dataset_info")
    if configs is None or infos is None:
        which = "configs" if configs is None else "dataset_info"
        return [Check("card", CARD, False, f"its YAML has no list of {which}, each named once")]
    names = [f"no config {name}" for name in manifests if name not in configs]
    names += [
        f"config {name} has no sound manifest here" for name in configs if name not in manifests
    ]
    first = next(iter(configs), None)
    if first is not None and first not in manifests and names:
        names.append(f"{first} stands first, and datasets reads all configs as it would read that")
    here = {name: config for name, config in configs.items() if name in manifests}
    default = [name for name, config in configs.items() if config.get("default")]
    files = _files(package)
    splits = [
        problem
        for name, config in here.items()
        for problem in _split_problems(config, manifests[name], files)
    ]
    counts = [
        problem
        for name, manifest in manifests.items()
        for problem in _count_problems(infos.get(name, {}), manifest)
    ]
    columns = [
        f"those of {name} are not those of its shards"
        for name, found in features.items()
        if found is not None and infos.get(name, {}).get("features") != card_features(found)
    ]
    columns += [
        f"those of {name} are not checked: its shards were not read"
        for name, found in features.items()
        if found is None
    ]
    several = [f"several: {', '.join(default)}"] if len(default) > 1 else []
    return [
        judged("card configs", CARD, names, f"{len(manifests)} configs"),
        judged("card default", CARD, several, default[0] if default else "none"),
        judged("card splits", CARD, splits, "its files are the shards"),
        judged("card counts", CARD, counts, "as in the manifests"),
        judged("card features", CARD, columns, "those of the shards"),
    ]


def _by_config(content: Any, key: str) -> dict[str, dict[str, Any]] | None:
    """Return a list of the card's YAML by `config_name`; None if it is not such a list."""
    entries = content.get(key) if isinstance(content, dict) else None
    entries = [entries] if isinstance(entries, dict) else entries
    if not isinstance(entries, list):
        return None
    named = {
        entry["config_name"]: entry
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("config_name"), str)
    }
    return named if len(named) == len(entries) else None


def _split_problems(config: Any, manifest: Manifest, files: Sequence[str]) -> list[str]:
    found: dict[str, list[str]] = {}
    data_files = config.get("data_files")
    for entry in data_files if isinstance(data_files, list) else []:
        if isinstance(entry, dict):
            paths = entry.get("path")
            patterns = paths if isinstance(paths, list) else [paths]
            found[str(entry.get("split"))] = [
                file for file in files if any(_matches(file, pattern) for pattern in patterns)
            ]
    name = manifest.config
    problems = [f"{name} has no split {split}" for split in found if split not in manifest.splits]
    for split, shards in manifest.splits.items():
        wanted = sorted(f"{name}/{shard.file}" for shard in shards)
        if split not in found:
            problems.append(f"split {split} of {name} is not named")
        elif found[split] != wanted:
            problems.append(f"split {split} of {name} does not lead to its shards")
    return problems


def _matches(file: str, pattern: Any) -> bool:
    """Tell whether a data file pattern leads to a file; `*` does not cross folders."""
    parts, patterns = file.split("/"), str(pattern).split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _count_problems(info: Any, manifest: Manifest) -> list[str]:
    splits = info.get("splits")
    found = {
        str(entry.get("name")): entry.get("num_examples")
        for entry in (splits if isinstance(splits, list) else [])
        if isinstance(entry, dict)
    }
    return [
        f"{manifest.config} {split} has {found.get(split, 'no')} examples, "
        f"in the manifest {manifest.rows(split) if split in manifest.splits else 'no'}"
        for split in dict.fromkeys([*manifest.splits, *found])
        if split not in manifest.splits or found.get(split) != manifest.rows(split)
    ]


def _files(package: Path) -> list[str]:
    paths = (path.relative_to(package) for path in package.glob("*/*"))
    return sorted(path.as_posix() for path in paths if not str(path).startswith("."))
