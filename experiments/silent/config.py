"""The audio of an embedding config, video by video, from its shards."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.package.manifest import Manifest, read_package
from conversion.package.reader import matrices, read_rows, read_schema
from conversion.package.schema import check_schemas
from conversion.wording import printable

Matrix = npt.NDArray[np.float32]
AUDIO, NAME, HAS_AUDIO = "audio", "filename", "has_audio"


class Clip(NamedTuple):
    """A video: its audio (T, D), valid until the next one, and whether it is known to have any."""

    name: str
    audio: Matrix
    has_audio: bool | None


@dataclass(frozen=True)
class AudioConfig:
    """A config of a package that has audio."""

    folder: Path
    manifest: Manifest

    @property
    def width(self) -> int:
        """How wide its audio is."""
        return self.manifest.dims[AUDIO]

    @property
    def videos(self) -> int:
        """How many videos it has."""
        return sum(shard.rows for shard in self.manifest.shards)

    def clips(self) -> Iterator[Clip]:
        """Yield its videos, a record batch in memory at a time, and nothing of their frames.

        Raises:
            AvmitError: a shard cannot be read.
        """
        for shard in self.manifest.shards:
            path = self.folder / shard.file
            told = HAS_AUDIO in read_schema(path).names
            for batch in read_rows(path, [NAME, AUDIO, *([HAS_AUDIO] if told else [])]):
                bounds, values = matrices(batch.column(AUDIO))
                ends = bounds.tolist()
                names = batch.column(NAME).to_pylist()
                known = batch.column(HAS_AUDIO).to_pylist() if told else [None] * len(names)
                for row, name in enumerate(names):
                    yield Clip(name, values[ends[row] : ends[row + 1]], known[row])


def open_config(package: Path, config: str) -> AudioConfig:
    """Return a config of a package.

    Raises:
        AvmitError: there is no such package, config, or audio in it.
    """
    manifests = read_package(package)
    manifest = manifests.get(config)
    if manifest is None or AUDIO not in manifest.dims:
        what = f"no config '{config}'" if manifest is None else f"no audio in '{config}'"
        with_audio = [name for name, one in manifests.items() if AUDIO in one.dims]
        raise AvmitError(
            f"{printable(what)} in {package}; configs with audio: "
            f"{', '.join(map(printable, with_audio)) or 'none'}"
        )
    check_schemas(package / config, manifest)
    return AudioConfig(package / config, manifest)
