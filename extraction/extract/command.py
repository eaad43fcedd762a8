"""`avmit extract`: its options and its summary."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich import progress

from avmit import AvmitError
from conversion.executors.command import PANEL, Engine, compute, refuse_both, with_engines
from conversion.package.manifest import BAD_VIDEOS
from conversion.package.workspace import WORK
from conversion.package.writer import LEAST_SHARD_BYTES
from conversion.parts.making import summary
from conversion.parts.selection import parse_selection
from conversion.terminal import MaxShardSize, OnlyShards, OutFolder, Rate, live_bar, show
from conversion.wording import count_of, parse_size
from extraction.encoders.caches import for_tasks, kept_in
from extraction.encoders.command import (
    AllowPickle,
    EncoderModule,
    FrameInterval,
    FrameSide,
    HopS,
    Normalize,
    OnDevice,
    OutputName,
    SampleRate,
    TrustRemoteCode,
    WindowS,
    WithBackend,
    WithLayout,
    WithPooling,
    WithPrecision,
)
from extraction.encoders.settings import Settings
from extraction.extract import build as extraction
from extraction.extract.options import EncoderOptions, Options
from extraction.extract.shard import OnBadVideo
from extraction.extract.tasks.make import extract_shards, prepare_extraction

_LISTED = 5


@with_engines
def extract(
    videos: Annotated[
        Path, typer.Option(metavar="MIT_DIR", help="Moments in Time, or the folder of your videos.")
    ],
    audio: Annotated[str, typer.Option(metavar="ENCODER", help="See `avmit encoders`, or none.")],
    visual: Annotated[str, typer.Option(metavar="ENCODER", help="See `avmit encoders`, or none.")],
    config: Annotated[str, typer.Option(metavar="NAME", help="The new config's name.")],
    annotations: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder with the release's three CSV files.")
    ] = None,
    listed: Annotated[
        Path | None,
        typer.Option(
            "--list",
            metavar="FILE.csv",
            help="In their place, any videos: paths below --videos in a column filename.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Try the first N videos alone.")
    ] = None,
    out: OutFolder = Path("avmit"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Decoding threads; by default one for each core.")
    ] = None,
    audio_weights: Annotated[
        Path | None, typer.Option(help="Local weights, such as a SavedModel; nothing is fetched.")
    ] = None,
    visual_weights: Annotated[
        Path | None, typer.Option(help="Local weights, such as a Keras file; nothing is fetched.")
    ] = None,
    audio_pooling: WithPooling = None,
    visual_pooling: WithPooling = None,
    audio_output: OutputName = None,
    visual_output: OutputName = None,
    audio_normalize: Normalize = None,
    visual_normalize: Normalize = None,
    frame_interval_ms: FrameInterval = None,
    window_s: WindowS = None,
    hop_s: HopS = None,
    layout: WithLayout = None,
    frame_side: FrameSide = None,
    sample_rate: SampleRate = None,
    backend: WithBackend = "auto",
    device: OnDevice = "auto",
    precision: WithPrecision = "float32",
    encoder_module: EncoderModule = None,
    trust_remote_code: TrustRemoteCode = False,
    allow_pickle: AllowPickle = False,
    max_shard_size: MaxShardSize = "256MB",
    on_bad_video: Annotated[
        OnBadVideo, typer.Option(help="Stop at bad videos, or leave them out and list them.")
    ] = "error",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try only the videos that failed before.")
    ] = False,
    shards: OnlyShards = None,
    weights_folder: Annotated[
        Path | None,
        typer.Option(
            help="Where weights are fetched for tasks elsewhere, on a disk that all nodes see; by "
            "default below the output.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    *,
    engine: Engine,
) -> None:
    """Embed your own copy of the videos, with any audio and visual encoder, into a new config.

    The videos are AVMIT's rated ones, or those of a list. An interrupted run goes on where it was
    when it is started again.

    Example: avmit extract --videos MIT_DIR --annotations sources --audio yamnet
    --visual efficientnet_b0 --config mine --out avmit
    """
    shared = Settings(
        interval_ms=frame_interval_ms,
        window_s=window_s,
        hop_s=hop_s,
        layout=layout,
        frame_side=frame_side,
        sample_rate=sample_rate,
        backend=backend,
        device=device,
        precision=precision,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
    )
    heard = EncoderOptions(
        None if audio == "none" else audio,
        replace(
            shared,
            weights=audio_weights,
            pooling=audio_pooling,
            output=audio_output,
            normalize=audio_normalize,
        ),
    )
    seen = EncoderOptions(
        None if visual == "none" else visual,
        replace(
            shared,
            weights=visual_weights,
            pooling=visual_pooling,
            output=visual_output,
            normalize=visual_normalize,
        ),
    )
    options = Options(
        config=config,
        encoders={"audio": heard, "visual": seen},
        workers=workers,
        max_shard_bytes=parse_size(max_shard_size, LEAST_SHARD_BYTES),
        on_bad_video=on_bad_video,
        retry_failed=retry_failed,
        listed=listed,
        limit=limit,
        encoder_modules=tuple(encoder_module or ()),
    )
    if weights_folder is not None and engine.executor == "local":
        raise AvmitError("--weights-folder is for --executor slurm and ray: leave it away")
    if engine.executor != "local":
        refuse_both(engine, {"--shards": shards is not None, "--retry-failed": retry_failed})
        _extract_elsewhere(videos, annotations, out, options, engine, weights_folder)
        return
    if shards is not None:
        selection = parse_selection(shards)
        with _progress() as advance:
            made = extract_shards(videos, annotations, out, options, selection, advance, show)
        show(*summary([made], shards, out))
        return
    with _progress() as advance:
        done = extraction.extract(videos, annotations, out, options, advance, show)
    show(*_summary(done))
    show(f'{out}: load it with load_dataset("{out}", "{config}")')


def _extract_elsewhere(
    videos: Path,
    annotations: Path | None,
    out: Path,
    options: Options,
    engine: Engine,
    weights_folder: Path | None,
) -> None:
    """Let an engine make the shards, with weights that are fetched before."""
    place = weights_folder or out / WORK / "weights"
    variables = kept_in(place, os.environ, all_of_it=weights_folder is not None)
    if not variables.items() <= os.environ.items():
        # Libraries look at them when they are imported.
        again = [sys.executable, "-P", "-m", "avmit_cli", *sys.argv[1:]]
        raise typer.Exit(subprocess.call(again, env={**os.environ, **variables}))
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remedy = "another --out" if weights_folder is None else "another --weights-folder"
        raise AvmitError(
            f"cannot write to {place} ({error.strerror or error}): choose {remedy}"
        ) from None
    plan, done = prepare_extraction(videos, annotations, out, options, show)
    if done:
        shards = count_of(len(plan.shards), "shard")
        show(f"{plan.config}: all is done and put together ({shards}): nothing to start")
        show(f'{out}: load it with load_dataset("{out}", "{plan.config}")')
        return
    arguments = [one for one in engine.arguments if not one.startswith("--weights-folder=")]
    environment = for_tasks(place, variables)
    compute(engine, out, [plan], arguments, environment)


def _summary(done: extraction.Extracted) -> list[str]:
    manifest = done.manifest
    rows = ", ".join(f"{split} {manifest.rows(split):,} rows" for split in manifest.splits)
    shards = sum(map(len, manifest.splits.values()))
    lines = [f"{manifest.config}: {rows}"]
    if not done.changed:
        lines[0] += " (unchanged)"
    elif done.kept:
        lines.append(f"{done.kept} of {shards} shards kept from an earlier run")
    if done.mended:
        lines.append(f"{done.mended:,} videos that failed before have a row now")
    if done.bad:
        names = "; ".join(f"{name} {reason}" for name, reason in done.bad[:_LISTED])
        more = "; ..." if len(done.bad) > _LISTED else ""
        lines.append(
            f"{len(done.bad):,} bad videos left out ({names}{more}): "
            f"all in {manifest.config}/{BAD_VIDEOS}"
        )
    return [lines[0], *(f"  {line}" for line in lines[1:])]


@contextmanager
def _progress() -> Iterator[extraction.Progress]:
    """Show a bar of videos, with how many failed."""
    failed = 0
    columns = (
        progress.MofNCompleteColumn(),
        Rate("videos", digits=1),
        progress.TextColumn("{task.fields[failed]} failed"),
    )
    with live_bar("extracting", *columns, failed=0) as (bar, task):

        def advance(done: int, total: int, bad: int) -> None:
            nonlocal failed
            failed += bad
            bar.start()
            bar.update(task, advance=done, total=total, failed=failed)

        yield advance
