"""What features are of, so that whoever finds the file knows: encoders, widths, checksums."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import avmit
from avmit import AvmitError
from conversion.package.manifest import NAME, Manifest, read_manifest, sha256_of
from experiments.feeding.rows import Part
from experiments.feeding.rows.columns import Numbers

_PUBLISHED = {
    ("audio", 128): "vggish",
    ("visual", 512): "vgg16",
    ("audio", 1024): "yamnet",
    ("visual", 1280): "efficientnet_b0",
}
"""The encoders of the published sets, as `avmit extract` calls them, by their widths
(arXiv 2308.09685)."""


def folder_of(part: Part) -> Path | None:
    """Return the folder of the config that a part is mapped from; None where that is not known."""
    files = part.dataset.cache_files
    folders = {Path(file["filename"]).resolve().parent for file in files}
    only = folders.pop() if len(folders) == 1 else None
    return only if only is not None and (only / NAME).is_file() else None


def describe(
    columns: Mapping[str, tuple[Path | None, str]],
    widths: Mapping[str, int],
    lengths: Mapping[str, Numbers],
    kept: Mapping[str, int],
    **made: Any,
) -> dict[str, Any]:
    """Describe matrices in what JSON can hold.

    Args:
        columns: for each embedding column the folder of its config, if known, and its name there.
        widths: of each.
        lengths: the timesteps of each row.
        kept: how many of them are in the matrix, where that is one number.
        made: how they were made, such as `pool`.

    Returns:
        `avmit`, the version; `config` and `manifest_sha256`, the SHA-256 of the manifest.json that
        names the shards, as far as known; what `made` says; and for each column `width`, the fewest
        and the most `timesteps` of its rows, `timesteps_kept`, and its `encoder`.
    """
    manifests = {folder: _manifest(folder) for folder, _ in columns.values() if folder is not None}
    known = {folder: manifest for folder, manifest in manifests.items() if manifest is not None}
    described: dict[str, Any] = {"avmit": avmit.__version__}
    if known:
        described["config"] = _joined(manifest.config for manifest in known.values())
        described["manifest_sha256"] = _joined(sha256_of(folder / NAME) for folder in known)
    described |= {name: value for name, value in made.items() if value is not None}
    for name, (folder, origin) in columns.items():
        of_rows = lengths[name]
        steps = [int(of_rows.min()), int(of_rows.max())]
        described[name] = {"width": widths[name], "timesteps": steps}
        if name in kept:
            described[name]["timesteps_kept"] = kept[name]
        if folder in known:
            described[name] |= _encoder(known[folder], origin)
    return described


def _manifest(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except AvmitError:
        return None


def _encoder(manifest: Manifest, column: str) -> dict[str, str]:
    if manifest.extracted:
        encoder = manifest.source["encoders"].get(column, {})
        kept = ("name", "weights", "weights_sha256")
        return {
            "encoder" if name == "name" else name: encoder[name] for name in kept if name in encoder
        }
    published = _PUBLISHED.get((column, manifest.dims.get(column, 0)))
    return {
        "source": str(manifest.source["name"]),
        **({} if published is None else {"encoder": published}),
    }


def _joined(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
