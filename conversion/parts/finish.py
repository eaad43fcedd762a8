"""Put together what all tasks have made: shards, manifest, index and card appear in one step.

No shard is read: each task has hashed and indexed its own.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from avmit import AvmitError
from conversion.card.readme import card_text, put_card
from conversion.package.index.build import NoIndex, ShardIndex, index_shard
from conversion.package.kind import check_one_kind
from conversion.package.manifest import (
    BAD,
    BAD_VIDEOS,
    MISSING,
    NAME,
    Manifest,
    Shard,
    check_one_format,
    read_manifest,
)
from conversion.package.manifest_problems import EXTRACTION, manifest_problems
from conversion.package.staging import Staging, remove_made
from conversion.package.workspace import Workspace, workspace
from conversion.parts.finished import Finished, content_of, read_entry, read_finished
from conversion.parts.jobs import read_plan
from conversion.parts.place import PlanFolder, tasks_folder
from conversion.parts.plan import Plan
from conversion.wording import some


@dataclass(frozen=True)
class Put:
    """A config that is whole now; `bad` are the rows of what was left out."""

    manifest: Manifest
    changed: bool
    bad: list[tuple[str, ...]]


class Lacking(AvmitError):
    """Shards of these configs are not finished."""

    def __init__(self, text: str, configs: Sequence[str]):
        super().__init__(text)
        self.configs = configs


def finish(out: Path, configs: Sequence[str]) -> list[Put]:
    """Let configs whose shards are all finished appear in the package `out`, with its card.

    The result is that of one run on one machine, byte for byte.

    Raises:
        Lacking: a shard is not finished; nothing is changed then.
        AvmitError: there is no plan of a config, what tasks left does not go together, or the
            folder is in use; with nothing changed in `out`.
    """
    collected = [_collect(PlanFolder(out, config)) for config in configs]
    lacking = {one.plan.config: one.lacking for one in collected if one.lacking}
    if lacking:
        counts = [
            f"{config}: {len(files):,} of {len(one.plan.shards):,} shards are not done"
            for one in collected
            for config, files in lacking.items()
            if config == one.plan.config
        ]
        raise Lacking(f"{some(counts)}: run their tasks again", list(lacking))
    with workspace(out) as space:
        formats = {one.plan.config: one.plan.format for one in collected}
        check_one_format(out, formats)
        check_one_kind(out, {one.plan.config: one.manifest.listed for one in collected})
        staged = [(one, _staged(one, space)) for one in collected]
        coming = {one.plan.config: (one.manifest, staging.folder) for one, staging in staged}
        card = card_text(out, coming)  # what is wrong with it is known before anything is seen
        put = [Put(one.manifest, staging.publish(), one.bad) for one, staging in staged]
        put_card(out, card)
        for one in collected:
            one.folder.remove()
            # Whoever is still at one of its shards finds the config in its place.
            for left in space.earlier(tasks_folder(one.plan.config)):
                remove_made(left)
    return put


class _Collected:
    """What the tasks of one plan have left."""

    def __init__(self, folder: PlanFolder, plan: Plan, finished: Sequence[Finished | None]):
        self.folder = folder
        self.plan = plan
        self.finished = [one for one in finished if one is not None]
        self.lacking = [
            shard.file for shard, one in zip(plan.shards, finished, strict=True) if one is None
        ]
        self.bad = [row for one in self.finished for row in one.bad]

    @property
    def manifest(self) -> Manifest:
        """The manifest of the config.

        Raises:
            AvmitError: it would not be a good one.
        """
        plan = self.plan
        splits: dict[str, list[Shard]] = {}
        for planned, one in zip(plan.shards, self.finished, strict=True):
            splits.setdefault(planned.split, []).append(one.shard)
        # datasets cannot load a split of no rows, which is what bad ones can leave.
        splits = {s: shards for s, shards in splits.items() if any(shard.rows for shard in shards)}
        manifest = Manifest(
            config=plan.config,
            format=plan.format,
            compression=plan.compression,
            source=self.folder.source() or {},
            splits=splits,
            dims=plan.dims,
            missing_records=len(plan.missing),
            bad_records=len(self.bad),
        )
        problems = list(manifest_problems(json.loads(json.dumps(asdict(manifest))), plan.config))
        if not splits and self.bad:
            name, reason = self.bad[0][:2]
            problems = [f"none of its {plan.rows:,} rows can be made (the first: {name} {reason})"]
        if problems:
            raise AvmitError(
                f"{plan.config} cannot be put together: {some(problems)}; delete "
                f"{self.folder.path} to plan again"
            )
        return manifest

    def lists(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the rows of the lists beside the manifest, by their names."""
        missing = [(name,) for name in self.plan.missing]
        bad_list = BAD_VIDEOS if self.plan.kind == EXTRACTION else BAD
        return {
            MISSING: [("tfrecord_filename",), *missing] if missing else [],
            bad_list: [self.plan.bad_columns, *self.bad] if self.bad else [],
        }

    def entries(self, manifest: Manifest) -> list[ShardIndex] | None:
        """Return what the tasks say of the index; a shard is read where one says nothing."""
        if manifest.format != "arrow":
            return None
        found = []
        for shard in manifest.shards:
            entry = read_entry(self.folder, self.plan, shard)
            if entry is None:
                with contextlib.suppress(NoIndex):
                    entry = index_shard(content_of(self.folder, shard), shard)
            if entry is None:
                return None
            found.append(entry)
        return found


def _collect(folder: PlanFolder) -> _Collected:
    plan = read_plan(folder)
    finished = [read_finished(folder, plan, number) for number in range(len(plan.shards))]
    kinds = {one.source for one in finished if one is not None}
    if len(kinds) > 1:
        raise AvmitError(
            f"the shards in {folder.shards} were made by different encoders or libraries: delete "
            f"{folder.path} to begin again"
        )
    return _Collected(folder, plan, finished)


def _staged(one: _Collected, space: Workspace) -> Staging:
    """Bring shards and what stands beside them into a folder that can be published."""
    plan, manifest = one.plan, one.manifest
    published = space.out / plan.config
    extracted = plan.kind == EXTRACTION
    if (published / NAME).is_file() and read_manifest(published).extracted != extracted:
        raise AvmitError(
            f"{published} would be replaced and was made in another way: move it away, or make "
            "the config anew under another name"
        )
    staging = Staging(space, plan.config, BAD_VIDEOS if extracted else BAD)
    entries = one.entries(manifest)
    for shard in manifest.shards:
        _bring(content_of(one.folder, shard), staging.shard(shard.file))
    staging.prepare(manifest, one.lists(), entries)
    return staging


def _bring(content: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(content, target, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copyfile(content, target)
