"""What a run of `avmit extract` is asked for, and the encoders that follow from it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from avmit import AvmitError
from conversion.package.writer import DEFAULT_MAX_SHARD_BYTES, Encoding
from extraction.encoders import registry
from extraction.encoders.base import Encoder, Side
from extraction.encoders.settings import Modality, Settings, option, refuse_untaken
from extraction.extract.shard import OnBadVideo

Encoders = dict[Modality, Encoder]
"""The chosen encoders by column, `audio` first."""


@dataclass(frozen=True)
class Options:
    """What the command line sets; an encoder of None leaves its column out.

    The weights go into the settings of their side.
    """

    config: str
    audio: str | None
    visual: str | None
    audio_weights: Path | None = None
    visual_weights: Path | None = None
    workers: int | None = None
    max_shard_bytes: int = DEFAULT_MAX_SHARD_BYTES
    encoding: Encoding = field(default_factory=Encoding)
    on_bad_video: OnBadVideo = "error"
    retry_failed: bool = False
    audio_settings: Settings = field(default_factory=Settings)
    visual_settings: Settings = field(default_factory=Settings)
    encoder_modules: tuple[Path, ...] = ()

    @property
    def names(self) -> dict[Modality, str | None]:
        """The encoders' names by column."""
        return {"audio": self.audio, "visual": self.visual}

    @property
    def weights(self) -> dict[Modality, Path | None]:
        """The local weights by column."""
        return {"audio": self.audio_weights, "visual": self.visual_weights}

    def settings(self, modality: Modality) -> Settings:
        """Return one side's settings with its weights."""
        settings = self.audio_settings if modality == "audio" else self.visual_settings
        return replace(settings, weights=self.weights[modality])


def check_options(options: Options) -> None:
    """Check what can be checked without looking for encoders.

    Raises:
        AvmitError: no encoder is named, or weights are not there or for no encoder.
    """
    if options.audio is None and options.visual is None:
        raise AvmitError("--audio and --visual are both none: name an encoder for one of them")
    for modality, weights in options.weights.items():
        if weights is not None and options.names[modality] is None:
            raise AvmitError(f"{option(modality)} without an encoder: name one with --{modality}")
        if weights is not None and not weights.exists():
            raise AvmitError(f"{option(modality)} {weights}: there is nothing there")


def choose_encoders(options: Options) -> Encoders:
    """Find the encoders that are named, without loading a network.

    Raises:
        AvmitError: there is none of a name, or a setting is for none of them.
    """
    chosen: Encoders = {}
    for modality, name in options.names.items():
        if name is not None:
            settings = options.settings(modality)
            chosen[modality] = registry.find(name, modality, settings, options.encoder_modules)
    given = {modality: options.settings(modality).given for modality in options.names}
    takes = {modality: encoder.takes for modality, encoder in chosen.items()}
    refuse_untaken(given, takes, [encoder.name for encoder in chosen.values()])
    return chosen


def open_sides(encoders: Encoders, weights: dict[Modality, Path | None]) -> dict[Modality, Side]:
    """Load the networks of encoders.

    Raises:
        AvmitError: weights cannot be had or do not fit, or an extra is missing.
    """
    return {modality: encoder.open(weights[modality]) for modality, encoder in encoders.items()}
