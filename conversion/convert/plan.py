"""Decide what a conversion builds: which configs, from which records, cut into which shards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import avmit
from avmit import AvmitError
from conversion.convert.shard import Dims, OnBadRecord, ShardTask
from conversion.package.schema import arrow_schema
from conversion.package.writer import Encoding, batch_rows, plan_shards, shard_name
from conversion.release.annotations import Annotations
from conversion.release.record_sets import RecordSet, find_record_sets
from conversion.tfrecord.record import BadRecord, read_record

_PROBED_RECORDS = 32


@dataclass(frozen=True)
class EmbeddingPlan:
    """An embedding config to build. `row_bytes` is the most that a probed row takes."""

    config: str
    records: RecordSet
    dims: Dims
    row_bytes: int

    def missing(self, annotations: Annotations) -> list[str]:
        """Name the rated videos that have no record in the set."""
        names = (video.tfrecord_filename for video in annotations.ratings)
        return [name for name in names if name not in self.records.names]

    def tasks(
        self,
        annotations: Annotations,
        shard_path: Callable[[str], Path],
        encoding: Encoding,
        max_shard_bytes: int,
        on_bad_record: OnBadRecord,
    ) -> list[ShardTask]:
        """Cut the config into shards; a split without any record has none."""
        labels = annotations.labels
        schema = arrow_schema(avmit.embedding_features(*self.dims, labels))
        tasks = []
        for split in avmit.SPLITS:
            videos = [
                video
                for video in annotations.split(split)
                if video.tfrecord_filename in self.records.names
            ]
            if not videos:
                continue
            pieces = plan_shards(videos, self.row_bytes, max_shard_bytes)
            tasks += [
                ShardTask(
                    config=self.config,
                    split=split,
                    path=shard_path(shard_name(split, index, len(pieces), encoding)),
                    reader=self.records.reader.subset({v.tfrecord_filename for v in piece}),
                    videos=piece,
                    labels=labels,
                    dims=self.dims,
                    schema=schema,
                    encoding=encoding,
                    batch_rows=batch_rows(self.row_bytes),
                    on_bad_record=on_bad_record,
                )
                for index, piece in enumerate(pieces)
            ]
        return tasks


def plan_embeddings(
    source: Path,
    annotations: Annotations,
    named: Mapping[str, Path],
    wanted: Sequence[str] | None,
    work: Path,
) -> list[EmbeddingPlan]:
    """Find the record sets and give each its config's name, sorted by it.

    A set in `named` has the name it is given there; every other set below `source` has the name of
    the built-in config of its widths. `wanted`, if given, restricts which are built. `work` is a
    folder for what has to be copied before it can be read.

    Raises:
        AvmitError: a set cannot be named, two sets would have one name, none of a set's records can
            be read, or a wanted config has no set.
    """
    if wanted is not None and not set(wanted) - set(avmit.RATINGS_CONFIGS):
        return []
    rated = {video.tfrecord_filename for video in annotations.ratings}
    plans: dict[str, EmbeddingPlan] = {}
    for config, path in named.items():
        if wanted is not None and config not in wanted:
            continue
        records = _only_set(config, path, rated, work)
        plans[config] = EmbeddingPlan(config, records, *_probe(records, annotations))
    taken = [path.resolve() for path in named.values()]
    for records in find_record_sets(source, rated, work):
        if any(records.path.resolve().is_relative_to(path) for path in taken):
            continue
        dims, row_bytes = _probe(records, annotations)
        built_in = _config_of(dims)
        if wanted is not None and built_in not in wanted:
            continue
        if built_in is None:
            raise AvmitError(
                f"the records in {records.path} are {dims[0]} audio and {dims[1]} visual values "
                f"wide, as no built-in config is: name it with --tfrecords NAME={records.path}"
            )
        plan = EmbeddingPlan(built_in, records, dims, row_bytes)
        other = plans.setdefault(plan.config, plan)
        if other is not plan:
            raise AvmitError(
                f"{other.records.path} and {records.path} both hold {plan.config}: take one away, "
                f"or name one with --tfrecords NAME={records.path}"
            )
    lacking = [name for name in wanted or () if name not in (*plans, *avmit.RATINGS_CONFIGS)]
    if lacking:
        raise AvmitError(
            f"no records for config {', '.join(lacking)} in {source}; there are: "
            f"{', '.join(sorted(plans)) or 'none'}. Name a set with --tfrecords {lacking[0]}=PATH"
        )
    if wanted is None and not plans:
        raise AvmitError(
            f"no record set in {source}: put a folder or archive of label/name.tfrecord files "
            "named by video_ratings.csv there, or build the ratings alone with --config ratings"
        )
    return [plans[config] for config in sorted(plans)]


def _only_set(config: str, path: Path, rated: set[str], work: Path) -> RecordSet:
    sets = find_record_sets(path, rated, work)
    if len(sets) == 1:
        return sets[0]
    found = ", ".join(str(records.path) for records in sets) or "none"
    raise AvmitError(
        f"--tfrecords {config}={path} must lead to one record set and leads to {len(sets)} "
        f"({found}): name the folder that holds the label folders, or an archive"
    )


def _config_of(dims: Dims) -> str | None:
    """Return the built-in config that has these widths."""
    return next((name for name, known in avmit.EMBEDDING_DIMS.items() if known == dims), None)


def _probe(records: RecordSet, annotations: Annotations) -> tuple[Dims, int]:
    """Read some of a set's records, evenly spread, for its widths and the size of its rows."""
    videos = [v for v in annotations.ratings if v.tfrecord_filename in records.names]
    step = max(1, len(videos) // _PROBED_RECORDS)
    found: list[tuple[Dims, int]] = []
    reasons: list[str] = []
    # The even sample first, then all others, so that one readable record is enough.
    sample = videos[::step]
    others = (video for index, video in enumerate(videos) if index % step)
    for index, video in enumerate([*sample, *others]):
        if index >= len(sample) and found:
            break
        try:
            record = read_record(records.reader.read(video.tfrecord_filename))
        except (BadRecord, OSError) as error:
            reasons.append(f"{video.tfrecord_filename} {error}")
        else:
            dims = record.audio.shape[1], record.visual.shape[1]
            found.append((dims, record.audio.nbytes + record.visual.nbytes))
    if not found:
        raise AvmitError(
            f"none of the {len(videos)} records in {records.path} can be read "
            f"({reasons[0]}): fetch the set again"
        )
    widths = [dims for dims, _ in found]
    commonest = max(dict.fromkeys(widths), key=widths.count)
    return commonest, max(size for dims, size in found if dims == commonest)
