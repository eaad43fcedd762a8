"""Where the videos stand in the embedding configs of a package."""

import warnings
from pathlib import Path

import avmit
from conversion.package.manifest import read_manifests


def row_numbers(package: Path) -> dict[str, dict[str, tuple[str, int]]]:
    """Return the split and row of each video, by `tfrecord_filename`, in each embedding config.

    Raises:
        AvmitError: there is no package, or one of its shards cannot be read.
    """
    numbers: dict[str, dict[str, tuple[str, int]]] = {}
    manifests, _ = read_manifests(package)
    for config, manifest in manifests.items():
        if not manifest.dims:
            continue
        numbers[config] = {}
        for split in manifest.splits:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of label numbers, which are not read
                loaded = avmit.load(config, split, data_dir=package, columns="tfrecord_filename")
            names = loaded["tfrecord_filename"]
            numbers[config] |= {name: (split, row) for row, name in enumerate(names)}
    return numbers
