"""The command `avmit features`."""

from pathlib import Path
from typing import Annotated

import typer

from conversion.terminal import PackageFolder, progress_bar, show
from conversion.wording import some
from experiments.features import features as made
from experiments.features.files import check_path
from experiments.features.order import Missing
from experiments.features.pooling import Pool


def features(
    package: PackageFolder,
    config: Annotated[str, typer.Option(help="The embedding config.")],
    out: Annotated[
        Path, typer.Option(help="The file to write: its ending, .h5, .npz, .mat or .csv, counts.")
    ],
    split: Annotated[
        str | None, typer.Option(help="Only this split, train or test; by default all rows.")
    ] = None,
    pool: Annotated[
        Pool,
        typer.Option(help="The mean over timesteps, all of them side by side, or as they are."),
    ] = "mean",
    timesteps: Annotated[
        int | None,
        typer.Option(min=1, help="Of flatten and none: cut longer rows, fill up shorter ones."),
    ] = None,
    order: Annotated[
        str,
        typer.Option(help="package, test_set, or a file with a filename a line."),
    ] = "package",
    missing: Annotated[
        Missing, typer.Option(help="Stop at videos that are not there, or leave them out.")
    ] = "error",
    overwrite: Annotated[bool, typer.Option(help="Write over a file that is there.")] = False,
) -> None:
    """Write embeddings as one dense matrix for each modality, with the videos' names and labels.

    For MATLAB, R, rsatoolbox and others that read no Arrow. The rows come in the order of the
    package, of the test set, or of a list of yours: a text file with a filename a line, or a table
    with a column `filename` or `MiT_filename`.

    Example: avmit features avmit --config yamnet_effnet --split test --out features.h5
    """
    check_path(out, pool, overwrite)
    with progress_bar("reading") as advance:
        found = made(
            config,
            split=split,
            data_dir=package,
            pool=pool,
            timesteps=timesteps,
            order=order,
            missing=missing,
            progress=advance,
        )
    found.save(out, overwrite=overwrite)
    shapes = [f"{name} {matrix.shape}" for name, matrix in found.matrices.items()]
    show(f"{out}: {', '.join(shapes)}, float32")
    for name, lengths in found.lengths.items():
        kept = found.description[name].get("timesteps_kept", lengths.max(initial=0))
        cut = int((lengths > kept).sum())
        if cut:
            show(f"{name}: {kept} timesteps of each row; {cut:,} rows have more, left out")
    if found.left_out:
        show(f"videos left out: {some(found.left_out)}")
