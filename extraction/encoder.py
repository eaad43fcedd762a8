"""What an encoder is: a frozen description, and a network that it loads."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.manifest import sha256_of
from extraction.media import FRAME_INTERVAL_MS, FRAME_SIDE, SAMPLE_RATE

Modality = Literal["audio", "visual"]


@dataclass(frozen=True)
class Sound:
    """An audio encoder's input: a float32 waveform from -1 to 1, `rate` samples a second."""

    rate: int = SAMPLE_RATE


@dataclass(frozen=True)
class Frames:
    """A visual encoder's input: RGB frames of `side` pixels squared, `interval_ms` apart."""

    side: int = FRAME_SIDE
    interval_ms: float = FRAME_INTERVAL_MS


class Network(Protocol):
    """A loaded encoder.

    `encode` turns a waveform (N,) into (T, width), or uint8 frames (N, side, side, 3) into
    (N, width), float32. It may be called from several threads at a time. `weights_sha256`
    identifies what it computes with.
    """

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the weights, in hex."""

    def encode(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the embeddings of one waveform, or of any number of frames."""


@dataclass(frozen=True, kw_only=True)
class Encoder(ABC):
    """Describes an encoder; subclasses load its network.

    Its embeddings are `width` values wide. Each covers `window_ms` of the video, and the next
    begins `step_ms` later. `origin` says where the weights come from when no file is given,
    `preprocessing` what happens to the input first; the manifest keeps both. `libraries` are the
    modules whose versions bear on the result, `extra` what installs them.
    """

    name: str
    width: int
    input: Sound | Frames
    window_ms: float
    step_ms: float
    origin: str
    preprocessing: str
    libraries: tuple[str, ...] = ("tensorflow", "keras")
    extra: str = "extraction"

    @property
    def modality(self) -> Modality:
        """Which column the embeddings go into."""
        return "audio" if isinstance(self.input, Sound) else "visual"

    @abstractmethod
    def load(self, weights: Path | None) -> Network:
        """Load the network, from `weights` or else from `origin`.

        Raises:
            AvmitError: the extra is missing, the weights cannot be had, or they do not fit.
        """


def option(modality: Modality) -> str:
    """Return the command line's option that takes weights of that modality."""
    return f"--{modality}-weights"


def weights_digest(path: Path) -> str:
    """Return the SHA-256 of a weights file, or of all names and files in a folder of them."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()


def check_width(encoder: Encoder, found: tuple[int, ...], weights: Path) -> None:
    """Check the shape of a network's first output.

    Raises:
        AvmitError: it is not (T, width); other weights are wanted.
    """
    if len(found) != 2 or found[1] != encoder.width:
        raise AvmitError(
            f"{weights} gives embeddings of shape {found}, {encoder.name} (T, {encoder.width}): "
            f"name the weights of {encoder.name} with {option(encoder.modality)}"
        )
