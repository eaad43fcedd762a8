"""`avmit info`: what a package holds, as a table."""

from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.table import Table

from conversion import ground
from conversion.package.manifest import Manifest, part_of_release, read_package
from conversion.package.reader import described_features, read_schema
from conversion.terminal import cell
from conversion.wording import format_bytes


def describe(package: Path) -> tuple[Table, list[str]]:
    """Return a table of configs, splits, rows, widths, shards and sizes, and lines: the provenance
    of each config, and of how much of the release the package is, where it is a part.

    Raises:
        AvmitError: there is no package there.
    """
    table = Table(title=cell(str(package)), title_justify="left", box=box.SIMPLE_HEAD)
    for text in ("config", "split"):
        table.add_column(text, overflow="fold")
    for numeric in ("rows", "shards", "size"):
        table.add_column(numeric, justify="right", no_wrap=True)
    for text in ("audio", "visual"):
        table.add_column(text, overflow="fold")
    manifests = read_package(package)
    for config, manifest in manifests.items():
        for index, (split, shards) in enumerate(manifest.splits.items()):
            table.add_row(
                cell(config if index == 0 else ""),
                split,
                f"{manifest.rows(split):,}",
                str(len(shards)),
                format_bytes(manifest.bytes(split)),
                *(_dim(manifest, column) for column in ("audio", "visual")),
            )
    lines = [f"{name} is from {_provenance(m)}" for name, m in manifests.items()]
    part = part_of_release(manifests)
    if part is not None:
        of_names = _label_names(package, manifests)
        lines.append(
            f"not the full release: {part:,} of {ground.RATED_VIDEOS:,} rated videos{of_names}"
        )
    return table, lines


def _label_names(package: Path, manifests: Mapping[str, Manifest]) -> str:
    """Say how many names the embedding configs' `label` has; nothing where that cannot be read."""
    for config, manifest in manifests.items():
        if manifest.dims:
            first = manifest.shards[0].file
            try:
                names = described_features(read_schema(package / config / first))["label"]["names"]
                return f", so label numbers are of {len(names):,} names"
            except (ground.AvmitError, KeyError, TypeError):
                continue
    return ""


def _dim(manifest: Manifest, column: str) -> str:
    if column not in manifest.dims:
        return ""
    low, high = manifest.timesteps(column)
    return f"({low if low == high else f'{low}-{high}'}, {manifest.dims[column]})"


def _provenance(manifest: Manifest) -> str:
    source = manifest.source
    if source["kind"] == "csv":
        return f"{source['name']}, SHA-256 {source['sha256']}"
    absent = manifest.missing_records + manifest.bad_records
    rated = "" if manifest.listed else "rated "
    without = f" ({absent:,} {rated}videos without a row)" if absent else ""
    if manifest.extracted:
        named = " and ".join(encoder["name"] for encoder in source["encoders"].values())
        return f"{_videos(manifest)}, by {named}{without}"
    return f"{source['name']}, {source['records']:,} records{without}"


def _videos(manifest: Manifest) -> str:
    videos = manifest.videos
    first = f"the first {videos['limit']:,} of " if "limit" in videos else ""
    if not manifest.listed:
        return f"{first}the videos"
    count = "one video" if videos["count"] == 1 else f"{videos['count']:,} videos"
    return f"{first}the {count} of {videos['list']}, SHA-256 {videos['sha256']}"
