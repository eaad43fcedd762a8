"""What a run of `avmit extract` is asked for, and the encoders that follow from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from avmit import AvmitError
from conversion.package.writer import DEFAULT_MAX_SHARD_BYTES, Encoding
from extraction.encoders import registry
from extraction.encoders.base import Encoder, Samples, Side
from extraction.encoders.describe import describe_line
from extraction.encoders.settings import MODALITIES, Modality, Settings, option, refuse_untaken
from extraction.extract.shard import OnBadVideo

Encoders = dict[Modality, Encoder]
"""The chosen encoders by column, `audio` first."""


@dataclass(frozen=True)
class EncoderOptions:
    """An encoder by its name, None to leave its column out, and what is asked of it."""

    name: str | None
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Options:
    """What the command line sets; `listed` is a list of videos, and `limit` how many are tried."""

    config: str
    encoders: Mapping[Modality, EncoderOptions]
    workers: int | None = None
    max_shard_bytes: int = DEFAULT_MAX_SHARD_BYTES
    encoding: Encoding = field(default_factory=Encoding)
    on_bad_video: OnBadVideo = "error"
    retry_failed: bool = False
    listed: Path | None = None
    limit: int | None = None
    encoder_modules: tuple[Path, ...] = ()


def check_options(options: Options) -> None:
    """Check what can be checked without looking for encoders.

    Raises:
        AvmitError: no encoder is named, or weights are not there or for no encoder.
    """
    if all(wanted.name is None for wanted in options.encoders.values()):
        raise AvmitError("--audio and --visual are both none: name an encoder for one of them")
    for modality, wanted in options.encoders.items():
        weights = wanted.settings.weights
        if weights is not None and wanted.name is None:
            raise AvmitError(f"{option(modality)} without an encoder: name one with --{modality}")
        if weights is not None and not weights.exists():
            raise AvmitError(f"{option(modality)} {weights}: there is nothing there")


def choose_encoders(options: Options) -> Encoders:
    """Find the encoders that are named, without loading a network.

    Raises:
        AvmitError: there is none of a name, or a setting is for none of them.
    """
    chosen: Encoders = {}
    for modality in MODALITIES:
        wanted = options.encoders.get(modality)
        if wanted is not None and wanted.name is not None:
            chosen[modality] = registry.find(
                wanted.name, modality, wanted.settings, options.encoder_modules
            )
    given = {modality: wanted.settings.given for modality, wanted in options.encoders.items()}
    takes = {modality: encoder.takes for modality, encoder in chosen.items()}
    refuse_untaken(given, takes, [encoder.name for encoder in chosen.values()])
    return chosen


def open_sides(
    encoders: Encoders, options: Options, samples: Samples, announce: Callable[[str], None]
) -> dict[Modality, Side]:
    """Load the networks of encoders; `samples` are of the videos that they are to embed.

    `announce` is told of what only the networks can tell.

    Raises:
        AvmitError: weights cannot be had or do not fit, or an extra is missing.
    """
    sides = {
        modality: encoder.open(options.encoders[modality].settings.weights, samples)
        for modality, encoder in encoders.items()
    }
    for modality, side in sides.items():
        if encoders[modality].width == 0:
            announce(describe_line(side.encoder))
        for note in side.network.notes:
            announce(note)
    return sides
