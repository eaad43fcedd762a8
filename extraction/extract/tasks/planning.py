"""The plan of an extraction: made once, from annotations, options and a look at all videos."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.package.kind import check_one_kind
from conversion.package.manifest import check_one_format
from conversion.package.manifest_problems import EXTRACTION
from conversion.package.staging import check_inputs, check_replaceable
from conversion.parts.agreed import canonical, difference
from conversion.parts.listing import Cut, write_listing
from conversion.parts.place import PlanFolder
from conversion.parts.plan import Plan
from extraction.extract.build import check_kind
from extraction.extract.cutting import Columns, cut
from extraction.extract.options import Encoders, Options
from extraction.extract.rows import ListedVideos, RatedVideos, Rows
from extraction.extract.shard import bad_videos_error
from extraction.extract.tasks.listed import look, rows_of

_NOT_OF_RESULTS = {"weights", "backend", "device", "trust_remote_code", "allow_pickle"}
"""Settings that other machines may need otherwise; what of them changes embeddings stands in the
manifest's source, which tasks agree on too."""

_SAMPLES = 64
"""How many videos a plan names to try networks on; a batch is of five or so."""


def made_of(
    chosen: RatedVideos | ListedVideos, encoders: Encoders, options: Options
) -> dict[str, Any]:
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
        **chosen.made_of(),
    }
    found: dict[str, Any] = json.loads(canonical(content))
    return found


def check_made_of(folder: PlanFolder, plan: Plan, here: dict[str, Any]) -> None:
    """Refuse a plan that other annotations or options have led to.

    Raises:
        AvmitError: it is one.
    """
    for name in {**here, **plan.made_of}:
        one, there = here.get(name, {}), plan.made_of.get(name, {})
        if there != one:
            what = difference(there, one) if isinstance(there, dict) else str(there)
            raise AvmitError(
                f"{folder.path} is the plan of a run with other {name} ({what}): start all tasks "
                "with the same, or delete it to plan again"
            )


def check_place(folder: PlanFolder, inputs: Sequence[Path], options: Options) -> None:
    """Refuse a run whose result could not be published.

    Raises:
        AvmitError: its config is there and is not of this kind, or holds what is to be read.
    """
    published = folder.out / options.config
    check_inputs(published, inputs)
    check_replaceable(published)
    check_kind(published, False, options.listed is not None)
    check_one_format(folder.out, {options.config: options.encoding.format})
    check_one_kind(folder.out, {options.config: options.listed is not None})


def make_plan(
    folder: PlanFolder,
    rows: Rows,
    encoders: Encoders,
    options: Options,
    of: dict[str, Any],
) -> Plan:
    """Look at all videos, and return the plan that there is then: this one, or who was faster's.

    Raises:
        AvmitError: videos are missing and none may be, or all are.
    """
    columns = Columns.of(encoders, rows.subject)
    missing: list[tuple[str, str]] = []
    first: dict[int, str] = {}
    at = rows.subject.fields.index("filename")

    def cuts() -> Iterator[Cut]:
        for split, name, places in cut(rows, columns.row_bytes, options):
            found = [one for some in look(rows.whereabouts, places) for one in some]
            videos = [rows.rows[place] for place in places]
            for place, video, one in zip(places, videos, found, strict=True):
                if one is None:
                    missing.append((video[at], "is missing"))
                elif place < _SAMPLES:
                    first[place] = one[0]
            yield name, split, rows_of(rows.subject, videos, found)

    folder.make()
    listing, shards = write_listing(folder.path, cuts())
    if len(missing) == len(rows.rows) or (missing and options.on_bad_video == "error"):
        raise bad_videos_error(missing, rows.whereabouts.root)
    return folder.put(
        Plan(
            config=options.config,
            kind=EXTRACTION,
            format=options.encoding.format,
            compression=options.encoding.compression,
            dims={column: encoder.width for column, encoder in encoders.items()},
            made_of=of,
            settled={
                **rows.subject.settled(),
                "row_bytes": columns.row_bytes,
                "samples": [first[place] for place in sorted(first)],
            },
            listing=listing,
            shards=shards,
            bad_columns=rows.subject.bad_columns,
        )
    )
