"""What `preprocessor_config.json` says, which transformers writes beside a model."""

from collections.abc import Mapping
from typing import Any

from avmit import AvmitError
from extraction.encoders.onnx.normalization import Pixels, Samples, moments, pixels, samples
from extraction.encoders.settings import option

Config = Mapping[str, Any]

_OF_IMAGES = {"image_mean", "do_rescale", "rescale_factor"}


def pixels_of(config: Config) -> Pixels | None:
    """Return what is done to pixels; None if the file is of no image processor.

    Raises:
        AvmitError: it is nothing that is known here.
    """
    if not _OF_IMAGES & config.keys():
        return None
    for name in ("offset", "rescale_offset"):
        if config.get(name):
            raise _unusable(name)
    # Processors that say nothing of it rescale to 0 to 1.
    factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1
    if not isinstance(factor, int | float) or factor <= 0:
        raise _unusable("rescale_factor")
    most = 255.0 * factor
    if not config.get("do_normalize", True):
        return pixels(f"0:{most:g}")
    # Of pixels from 0 to `most`.
    mean = [one / most for one in _three(config, "image_mean")]
    std = [one / most for one in _three(config, "image_std")]
    if min(std) <= 0:
        raise _unusable("image_std")
    text = "/".join(",".join(f"{one:.6g}" for one in part) for part in (mean, std))
    return moments(text, mean, std)


def side_of(config: Config) -> int | None:
    """Return the side of the images that a model takes, if that is said."""
    cropped = config.get("do_center_crop", True)
    for size in (config.get("crop_size") if cropped else None, config.get("size")):
        if isinstance(size, Mapping):
            size = size.get("height", size.get("shortest_edge"))
        if isinstance(size, int) and size > 0:
            return size
    return None


def samples_of(config: Config) -> Samples | None:
    """Return what is done to samples of sound, if that is said."""
    if "sampling_rate" not in config or "do_normalize" not in config:
        return None
    return samples("zscore" if config["do_normalize"] else "-1:1")


def rate_of(config: Config) -> int | None:
    """Return how many samples a second a model takes, if that is said."""
    rate = config.get("sampling_rate")
    return rate if isinstance(rate, int) and rate > 0 else None


def _three(config: Config, name: str) -> list[float]:
    values = config.get(name)
    if not isinstance(values, list) or len(values) != 3:
        raise _unusable(name)
    if not all(isinstance(one, int | float) for one in values):
        raise _unusable(name)
    return [float(one) for one in values]


def _unusable(name: str) -> AvmitError:
    return AvmitError(
        f"the model's preprocessor_config.json has no {name} that is known here: say what is done "
        f"with {option('visual', 'normalize')}"
    )
