"""What an encoder is: a frozen description, and a network that it loads."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from avmit import AvmitError
from conversion.package.manifest import sha256_of
from extraction.encoders.arrays import Items, Matrix
from extraction.encoders.foreign import explain, no_exit
from extraction.encoders.settings import Modality, Settings, option
from extraction.media.forms import Form, Sound
from extraction.media.noise import noise

Samples = Callable[[Form], Iterator[npt.NDArray[Any]]]
"""Gives, one by one, what a form takes of videos that a network is going to see."""


def noise_samples(form: Form) -> Iterator[npt.NDArray[Any]]:
    """Give noise in place of videos."""
    yield noise(form)


class Network(ABC):
    """A loaded encoder.

    `weights_sha256` identifies what it computes with. `batch` is how many items go into one call;
    0 says that it takes a whole video's input a call, which decoding threads then make, several
    at a time. `prepare` runs in those threads, too.
    """

    weights_sha256: str
    batch: int = 0
    workers: int = 1
    """How many batches are computed at a time, each in a thread of its own."""
    found: Mapping[str, Any] = MappingProxyType({})
    """What the loaded network tells of its encoder: `width` and other fields."""
    notes: tuple[str, ...] = ()
    """Lines that tell the user how it is computed."""

    def prepare(self, taken: npt.NDArray[Any]) -> Items:
        """Turn what its `Form` takes of one video into items; by default they are that."""
        return taken

    def start_worker(self) -> None:  # noqa: B027
        """Make the calling thread ready to compute batches beside others."""

    @abstractmethod
    def encode(self, inputs: Any) -> Any:
        """Return the embeddings, float32, of any number of items, or of one whole input.

        Of N items (N, width), (N, k, width) or N matrices (k, width), where an item has more than
        one embedding; of a whole input (T, width).
        """


@dataclass(frozen=True, kw_only=True)
class Encoder(ABC):
    """Describes an encoder; subclasses load its network.

    Its embeddings are `width` values wide; 0 says that only the loaded network can tell. Each
    covers `window_ms` of the video, and the next begins `step_ms` later; None stands for the whole
    video. Of each frame, clip or window there are `vectors`. `origin` says where the weights come
    from when no file is given, `preprocessing` what happens to the input first; the manifest keeps
    both, and `facts` too. `libraries` are the modules whose versions bear on the result, `extra`
    what installs them, `takes` the settings that it heeds.
    """

    name: str
    width: int
    input: Form
    window_ms: float | None
    step_ms: float | None
    origin: str
    preprocessing: str
    vectors: int = 1
    libraries: tuple[str, ...] = ("tensorflow", "keras")
    extra: str = "extraction"
    takes: frozenset[str] = frozenset({"weights"})
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

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

    def configured(self, settings: Settings) -> "Encoder":
        """Return this encoder with those of the settings that it takes."""
        return self

    def loaded(self, weights: Path | None, samples: Samples) -> Network:
        """Load the network; one that is computed in another way is compared with it on samples.

        Raises:
            AvmitError: as `load` does.
        """
        return self.load(weights)

    def open(self, weights: Path | None = None, samples: Samples = noise_samples) -> "Side":
        """Load the network, and complete the description with what only that can tell."""
        try:
            with no_exit(self.name):
                network = self.loaded(weights, samples)
        except AvmitError:
            raise
        except Exception as error:  # anybody's code
            raise AvmitError(
                f"{self.name} does not load ({explain(error)}): mend it, or name another encoder"
            ) from error
        return Side(replace(self, **network.found), network)


@dataclass(frozen=True)
class Side:
    """An encoder with its network."""

    encoder: Encoder
    network: Network


def matrices(found: Any) -> list[Matrix]:
    """Return what `encode` gave for a batch as one float32 matrix (k, width) for each item."""
    rows = [np.asarray(one, np.float32) for one in found]
    return [row[None] if row.ndim == 1 else row for row in rows]


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
