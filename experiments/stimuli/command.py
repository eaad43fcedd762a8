"""`avmit stimuli`: its options and its summary."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from avmit import AvmitError
from conversion.terminal import Workers, progress_bar, show
from conversion.wording import count_of, format_bytes
from experiments.stimuli.build import FOLDER, Names, OnMissing, Options, Written, write_stimuli
from experiments.stimuli.conditions import Condition, named_conditions
from experiments.stimuli.make import Making
from experiments.stimuli.tables import named_once

_LISTED = 5


def stimuli(
    videos: Annotated[
        Path, typer.Option(metavar="MIT_DIR", help="Moments in Time: training and validation.")
    ],
    annotations: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder with the release's three CSV files.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The dataset that gets them.")],
    names: Annotated[
        Names, typer.Option(help="The test set's own names, or those of BIDS.")
    ] = "avmit",
    label: Annotated[
        list[str] | None, typer.Option(metavar="L", help="Only this label; may be repeated.")
    ] = None,
    listed: Annotated[
        Path | None,
        typer.Option(
            "--list", metavar="FILE", help="Take these videos, one a line, not the test set's."
        ),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition", "--conditions", help="A condition, see above; may be repeated."
        ),
    ] = None,
    loudness: Annotated[
        float | None,
        typer.Option(metavar="LUFS", min=-60, max=0, help="Give all sound this loudness, by R128."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**64 - 1, help="Of all that is drawn.")] = 0,
    link: Annotated[
        bool, typer.Option("--link/--copy", help="Links to clips that stay as they are, or copies.")
    ] = False,
    without_files: Annotated[
        bool, typer.Option("--without-files", help="Tables and sidecars only, to be shared.")
    ] = False,
    on_missing: Annotated[
        OnMissing, typer.Option(help="Stop at what cannot be made, or leave it out and list it.")
    ] = "error",
    package: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A hub package whose rows are named too.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Make the test clips into stimuli for experiments with people, with tables of what they are.

    An interrupted run goes on where it was when it is started again. Conditions: the clip as it is
    (audiovisual, the default), audio, visual, same-class-audio, other-class-audio,
    scrambled-audio, scrambled-frames.

    Example: avmit stimuli --videos MIT_DIR --annotations sources --out study --names bids
    """
    if link and without_files:
        raise AvmitError("--link and --without-files: choose one of them")
    options = Options(
        names=names,
        labels=label or (),
        listed=listed,
        conditions=named_conditions(condition or ["audiovisual"]),
        making=Making(seed, loudness),
        files="none" if without_files else "link" if link else "copy",
        on_missing=on_missing,
        package=package,
        workers=workers or os.cpu_count() or 1,
    )
    with progress_bar("stimuli") as advance:
        written = write_stimuli(videos, annotations, out, options, advance)
    show(*_summary(written, options.conditions))
    show(f"{out / FOLDER}: stimuli.tsv says what each is, rows.tsv which row of each config")


def _summary(written: Written, wanted: Sequence[Condition]) -> list[str]:
    rows = written.rows
    labels = len({row.stimulus.clip.label for row in rows})
    of = f"{count_of(len(rows), 'stimulus', 'stimuli')} of {count_of(labels, 'label')}"
    size = format_bytes(sum(row.sidecar["FileSize"] for row in rows))
    counts = Counter(row.stimulus.condition for row in rows)
    conditions = ", ".join(f"{condition} {count:,}" for condition, count in counts.items())
    unchanged = "" if written.changed else " (unchanged)"
    lines = [f"{of}, {size}{unchanged}: {conditions}"]
    if not rows[0].present:
        lines.append("tables and sidecars only: present is false in stimuli.tsv")
    levels = [row.sidecar["AudioLoudness"] for row in rows if "AudioLoudness" in row.sidecar]
    if levels:
        lines.append(f"loudness: {min(levels):.1f} to {max(levels):.1f} LUFS (EBU R128)")
    softer = [
        row.sidecar["AudioGain"]
        for row in rows
        if row.sidecar.get("AudioGain", 0) < 0 and "TargetLoudness" not in row.sidecar["Recipe"]
    ]
    if softer:
        lines.append(
            f"{len(softer):,} softened to stay within full scale, by {-min(softer):.1f} dB "
            "at most: --loudness LUFS gives all one loudness"
        )
    if written.missing:
        lines.append(f"{len(written.missing):,} missing, of which missing.tsv says why, first:")
        lines += [f"  {named}" for named in named_once(written.missing, wanted)[:_LISTED]]
    return lines
