"""`avmit verify`: check a package whole, bytes first, then what they say."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from datasets import Features

import avmit
from conversion.cores import usable_cores
from conversion.package.kind import mixed_kinds, of_lists
from conversion.package.manifest import INDEX, Manifest, mixed_formats, read_manifests
from conversion.package.schema import features_of, label_names, schema_problem
from conversion.verify.card import card_checks
from conversion.verify.check import Check
from conversion.verify.folders import folder_checks, package_check
from conversion.verify.index import index_check
from conversion.verify.listed import listed_checks
from conversion.verify.pictures import picture_checks
from conversion.verify.rows import ratings_checks, row_checks
from conversion.verify.shards import Examined, ShardToCheck, examine, shard_checks
from conversion.workers import Progress, run_tasks


def verify(
    package: Path,
    progress: Progress = lambda done, total: None,
    workers: int | None = None,
) -> list[Check]:
    """Check every shard, manifest and row of a package, and its card; nothing is changed.

    A shard is parsed only if its SHA-256 is right. `workers` processes read the shards, by default
    one for each core; each holds a record batch, and this one all columns but the embeddings.

    Raises:
        AvmitError: there is no package there.
    """
    manifests, bad = read_manifests(package)
    checks = [package_check(package), _format_check(manifests), *_kind_checks(manifests)]
    checks += [
        Check("manifest", name, name not in bad, bad.get(name, "well-formed"))
        for name in sorted({*manifests, *bad})
    ]
    unsound = set(bad)
    examined = _examine_all(package, manifests, progress, workers or usable_cores())
    labels = _labels(examined.get("ratings", []))
    tables: dict[str, dict[str, pa.Table]] = {}
    for config, manifest in manifests.items():
        problems = _schema_problems(examined[config], manifest, labels)
        checks += folder_checks(package, config, manifest)
        checks.append(index_check(package, manifest, examined[config]))
        checks += shard_checks(config, manifest, examined[config], problems)
        if any(problems) or any(one.unread or one.nulls for one in examined[config]):
            unsound.add(config)
        else:
            tables[config] = _by_split(examined[config])
    features = {config: _first_features(shards) for config, shards in examined.items()}
    checks += card_checks(package, manifests, features)
    checks += picture_checks(package, manifests)
    return [*checks, *_content_checks(package, manifests, examined, tables, unsound)]


def _format_check(manifests: Mapping[str, Manifest]) -> Check:
    mixed = mixed_formats(manifests)
    one = next((manifest.format for manifest in manifests.values()), "none")
    return Check("format", ".", mixed is None, mixed or one)


def _kind_checks(manifests: Mapping[str, Manifest]) -> list[Check]:
    """Say of a package of lists that it is one, or that it is not one alone."""
    if not of_lists(manifests):
        return []
    problem = mixed_kinds({name: manifest.listed for name, manifest in manifests.items()})
    return [Check("videos", ".", problem is None, problem or "those of lists, not AVMIT's rated")]


def _examine_all(
    package: Path, manifests: Mapping[str, Manifest], progress: Progress, workers: int
) -> dict[str, list[Examined]]:
    """Examine all shards, and return what was found by config, in the manifest's order."""
    indexed = {
        config
        for config, manifest in manifests.items()
        if manifest.format == "arrow" and (package / config / INDEX).exists()
    }
    tasks = [
        ShardToCheck(
            package / config / shard.file,
            config,
            split,
            shard,
            dict(manifest.dims),
            config in indexed,
        )
        for config, manifest in manifests.items()
        for split, shards in manifest.splits.items()
        for shard in shards
    ]
    total = sum(task.shard.bytes for task in tasks)
    progress(0, total)
    # The largest first: the last to finish are then small, and no core waits long.
    largest_first = sorted(tasks, key=lambda task: -task.shard.bytes)
    found = {
        task.path: examined
        for task, examined in run_tasks(
            examine, largest_first, workers, lambda done: progress(done, total)
        )
    }
    by_config: dict[str, list[Examined]] = {config: [] for config in manifests}
    for task in tasks:
        by_config[task.config].append(found[task.path])
    return by_config


def _schema_problems(
    examined: Sequence[Examined], manifest: Manifest, labels: Sequence[str] | None
) -> list[str]:
    """Say what is wrong with the schema of each shard, or nothing; unread ones have none."""
    first = next((one.schema for one in examined if one.schema is not None), None)
    problems: dict[bytes, str] = {}
    for_each = []
    for one in examined:
        key = b"" if one.schema is None else one.schema.serialize().to_pybytes()
        if key not in problems:
            problems[key] = schema_problem(one.schema, manifest, labels, first) if key else ""
        for_each.append(problems[key])
    return for_each


def _content_checks(
    package: Path,
    manifests: Mapping[str, Manifest],
    examined: Mapping[str, Sequence[Examined]],
    tables: Mapping[str, Mapping[str, pa.Table]],
    unsound: set[str],
) -> list[Check]:
    """Check rows against rows, of the configs whose shards could be read."""
    checks = [
        Check("rows", config, False, "not checked: manifest or shards are not sound")
        for config in sorted(unsound)
    ]
    whole = {config: pa.concat_tables(splits.values()) for config, splits in tables.items()}
    lists_alone = bool(manifests) and all(manifest.listed for manifest in manifests.values())
    if not unsound & {"ratings", "test_set"} and not lists_alone:
        ratings_tables = {name: whole[name] for name in avmit.RATINGS_CONFIGS if name in whole}
        checks += ratings_checks(ratings_tables)
    for config, manifest in manifests.items():
        if not manifest.dims or config in unsound:
            continue
        if manifest.listed:
            names = label_names(examined[config][0].schema)
            checks += listed_checks(package / config, manifest, tables[config], names)
            continue
        if unsound & {"ratings", "test_set"}:
            found = "not checked: ratings or test_set are not sound"
            checks.append(Check("rows", config, False, found))
            continue
        names = label_names(examined[config][0].schema)
        checks += row_checks(
            package / config,
            manifest,
            tables[config],
            names,
            whole.get("ratings"),
            whole.get("test_set"),
        )
    return checks


def _labels(ratings: Sequence[Examined]) -> list[str] | None:
    """Return the sorted AVMIT labels of the ratings; None where they could not be read."""
    tables = [one.table for one in ratings if one.table is not None]
    if not ratings or len(tables) < len(ratings):
        return None
    if any("AVMIT_label" not in table.column_names for table in tables):
        return None
    return sorted({str(name) for table in tables for name in table["AVMIT_label"].to_pylist()})


def _by_split(examined: Sequence[Examined]) -> dict[str, pa.Table]:
    splits: dict[str, list[pa.Table]] = {}
    for one in examined:
        splits.setdefault(one.task.split, []).append(one.table)
    return {split: pa.concat_tables(tables) for split, tables in splits.items()}


def _first_features(examined: Sequence[Examined]) -> Features | None:
    schemas = (one.schema for one in examined if one.schema is not None)
    return next((features_of(schema) for schema in schemas), None)
