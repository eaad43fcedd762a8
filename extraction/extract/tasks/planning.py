"""The plan of an extraction: made once, from annotations, options and a look at all videos."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.package.manifest import check_one_format, sha256_of
from conversion.package.manifest_problems import EXTRACTION
from conversion.package.staging import check_inputs, check_replaceable
from conversion.parts.agreed import canonical, difference
from conversion.parts.listing import Cut, write_listing
from conversion.parts.place import PlanFolder
from conversion.parts.plan import Plan
from conversion.release import annotations as csv_files
from conversion.release.annotations import Annotations
from extraction.extract.build import check_kind
from extraction.extract.cutting import Columns, cut
from extraction.extract.options import Encoders, Options
from extraction.extract.shard import bad_videos_error
from extraction.extract.tasks.listed import Found, look, rows_of
from extraction.media.videos import Videos

BAD_COLUMNS = ("tfrecord_filename", "reason", "filename")
"""Those of BAD_VIDEOS."""

_READ = ("ratings", "test_set")
_NOT_OF_RESULTS = {"weights", "backend", "device", "trust_remote_code", "allow_pickle"}
"""Settings that other machines may need otherwise; what of them changes embeddings stands in the
manifest's source, which tasks agree on too."""

_SAMPLES = 64
"""How many videos a plan names to try networks on; a batch is of five or so."""


def made_of(files: dict[str, Path], encoders: Encoders, options: Options) -> dict[str, Any]:
    """Return what a plan follows from, as JSON has it, but for the videos."""
    asked = {
        modality: {
            "name": encoder.name,
            **{
                name: getattr(options.encoders[modality].settings, name)
                for name in sorted(options.encoders[modality].settings.given - _NOT_OF_RESULTS)
            },
        }
        for modality, encoder in encoders.items()
    }
    content: dict[str, Any] = {
        "encoders": asked,
        "options": {
            "--max-shard-size": options.max_shard_bytes,
            "format": options.encoding.format,
            "compression": options.encoding.compression,
        },
        "annotations": {csv_files.FILES[name]: sha256_of(files[name])[:16] for name in _READ},
    }
    found: dict[str, Any] = json.loads(canonical(content))
    return found


def check_made_of(folder: PlanFolder, plan: Plan, here: dict[str, Any]) -> None:
    """Refuse a plan that other annotations or options have led to.

    Raises:
        AvmitError: it is one.
    """
    for name, one in here.items():
        there = plan.made_of.get(name, {})
        if there != one:
            what = difference(there, one) if isinstance(there, dict) else str(there)
            raise AvmitError(
                f"{folder.path} is the plan of a run with other {name} ({what}): start all tasks "
                "with the same, or delete it to plan again"
            )


def check_place(folder: PlanFolder, inputs: list[Path], options: Options) -> None:
    """Refuse a run whose result could not be published.

    Raises:
        AvmitError: its config is there and is not of this kind, or holds what is to be read.
    """
    published = folder.out / options.config
    check_inputs(published, inputs)
    check_replaceable(published)
    check_kind(published, False)
    check_one_format(folder.out, {options.config: options.encoding.format})


def make_plan(
    folder: PlanFolder,
    copy: Videos,
    rows: Annotations,
    encoders: Encoders,
    options: Options,
    of: dict[str, Any],
) -> Plan:
    """Look at all videos, and return the plan that there is then: this one, or who was faster's.

    Raises:
        AvmitError: videos are missing and none may be, or all are.
    """
    columns = Columns.of(encoders, rows.labels)
    missing: list[tuple[str, str]] = []
    places: dict[str, str] = {}
    first = {video.tfrecord_filename for video in islice(rows.ratings, _SAMPLES)}

    def cuts() -> Iterator[Cut]:
        for split, name, videos in cut(rows, columns.row_bytes, options):
            found: list[Found] = [one for some in look(copy, videos) for one in some]
            for video, one in zip(videos, found, strict=True):
                if one is None:
                    missing.append((video.filename, "is missing"))
                elif video.tfrecord_filename in first:
                    places[video.tfrecord_filename] = one[0]
            yield name, split, rows_of(videos, found)

    folder.make()
    listing, shards = write_listing(folder.path, cuts())
    if len(missing) == len(rows.ratings) or (missing and options.on_bad_video == "error"):
        raise bad_videos_error(missing, copy.root)
    names = [video.tfrecord_filename for video in islice(rows.ratings, _SAMPLES)]
    return folder.put(
        Plan(
            config=options.config,
            kind=EXTRACTION,
            format=options.encoding.format,
            compression=options.encoding.compression,
            dims={column: encoder.width for column, encoder in encoders.items()},
            made_of=of,
            settled={
                "labels": rows.labels,
                "row_bytes": columns.row_bytes,
                "samples": [places[name] for name in names if name in places],
            },
            listing=listing,
            shards=shards,
            bad_columns=BAD_COLUMNS,
        )
    )
