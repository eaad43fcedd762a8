"""Find the configuration, the processor and the weights of a model of transformers."""

import hashlib
import json
import logging
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.utils import logging as hub_logging

from avmit import AvmitError
from conversion.package.manifest import sha256_of
from conversion.wording import first_line
from extraction.encoders.settings import Settings
from extraction.extras import require

EXTRA = "transformers"
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")
_COMMIT = re.compile("[0-9a-f]{40}")
_SAFE = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Source:
    """Where a model is: a local folder or a repository on the Hub, with what may be loaded."""

    name: str
    where: str
    revision: str | None
    local: bool
    trust_remote_code: bool
    allow_pickle: bool

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords of all `from_pretrained`."""
        return {"revision": self.revision, "trust_remote_code": self.trust_remote_code}


def source(rest: str, settings: Settings) -> Source:
    """Return where the model `hf:<rest>` is: a folder, or OWNER/NAME, or OWNER/NAME@REVISION.

    Raises:
        AvmitError: it is neither.
    """
    flags = settings.trust_remote_code, settings.allow_pickle
    folder = Path(rest).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise AvmitError(
                f"no config.json in {folder}: hf: takes a folder that `save_pretrained` wrote, or "
                "the name of a repository on the Hub"
            )
        return Source(f"hf:{folder.resolve().name}", str(folder), None, True, *flags)
    if not _REPOSITORY.fullmatch(rest):
        raise AvmitError(
            f"hf:{rest}: there is no such folder, and no repository on the Hub has such a name"
        )
    repository, _, revision = rest.partition("@")
    return Source(f"hf:{repository}", repository, revision or "main", False, *flags)


def quiet_transformers() -> Any:
    """Return the module transformers, which says only what we cannot; downloads show on terminals.

    Raises:
        AvmitError: it, or PyTorch, is not installed.
    """
    require("torch", EXTRA)
    transformers = require("transformers", EXTRA)
    transformers.utils.logging.set_verbosity_error()
    # The Hub's client tells of every time that it tries again.
    hub_logging.set_verbosity(logging.ERROR)
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    return transformers


def load_config(place: Source) -> Any:
    """Return the model's configuration.

    Raises:
        AvmitError: it cannot be had, or it asks for code of the repository's own.
    """
    return _from_pretrained(quiet_transformers().AutoConfig, place, "configuration")


def model_class(place: Source, config: Any) -> Any:
    """Return the class that AutoModel takes for a configuration, or None."""
    transformers = quiet_transformers()
    own = (getattr(config, "auto_map", None) or {}).get("AutoModel")
    if own is not None and place.trust_remote_code:
        get_class = transformers.dynamic_module_utils.get_class_from_dynamic_module
        return get_class(own, place.where, revision=place.revision)
    found = transformers.MODEL_MAPPING.get(type(config), None)
    return found[0] if isinstance(found, tuple) else found


def revision(place: Source) -> str | None:
    """Return the commit that the files of a Hub repository are of, or what was asked for."""
    config = _cached(place, "config.json")
    # The Hub's cache has a folder named by its commit for each.
    commit = "" if config is None else config.parent.name
    return commit if _COMMIT.fullmatch(commit) else place.revision


def load_processor(place: Source, images: bool) -> Any:
    """Return what resizes and normalizes images, or turns sound into a spectrogram.

    Raises:
        AvmitError: there is none.
    """
    transformers = quiet_transformers()
    if images:
        # Pillow's, which needs no torchvision: the same pixels with and without that.
        require("PIL", EXTRA)
        return _from_pretrained(
            transformers.AutoImageProcessor, place, "image processor", backend="pil"
        )
    return _from_pretrained(transformers.AutoFeatureExtractor, place, "feature extractor")


def _from_pretrained(made: Any, place: Source, what: str, **keywords: Any) -> Any:
    try:
        return made.from_pretrained(place.where, **place.keywords, **keywords)
    except Exception as error:  # transformers and its HTTP client raise what they like
        raise _unusable(place, what, error) from error


def _unusable(place: Source, what: str, error: Exception) -> AvmitError:
    if "trust_remote_code" in str(error) and not place.trust_remote_code:
        return AvmitError(
            f"{place.name} has Python code of its own, which would run on this machine: read it, "
            "and pass --trust-remote-code if you trust it"
        )
    if not place.local and isinstance(error, OSError):
        return AvmitError(
            f"cannot fetch the {what} of {place.name} ({first_line(error)}): bring the files of "
            f"https://huggingface.co/{place.where}, and name their folder hf:/path/of/the/folder"
        )
    return AvmitError(
        f"{place.where} has no {what} that transformers can load ({first_line(error)})"
    )


def load_model(place: Source, model_class: Any, dtype: Any) -> tuple[Any, set[str]]:
    """Return the model in evaluation mode, and the names of the weights that it lacks.

    Raises:
        AvmitError: the weights cannot be had, are pickled, or do not fit.
    """
    safe = None if place.allow_pickle else True
    try:
        model, info = model_class.from_pretrained(
            place.where,
            **place.keywords,
            use_safetensors=safe,
            dtype=dtype,
            output_loading_info=True,
        )
    except Exception as error:  # transformers and its HTTP client raise what they like
        if safe and _weight_files(place, _SAFE) is None and _weight_files(place, _PICKLED):
            raise AvmitError(
                f"the weights of {place.name} are pickled, and loading such a file can run code: "
                "convert them to safetensors, or pass --allow-pickle if you trust them"
            ) from error
        raise _unusable(place, "weights", error) from error
    return model.eval(), {str(key) for key in info["missing_keys"]}


def weights_sha256(place: Source) -> str:
    """Return the SHA-256 of the weights file, or of the names and sums of several."""
    files = _weight_files(place, _SAFE) or (
        _weight_files(place, _PICKLED) if place.allow_pickle else None
    )
    if not files:
        raise AvmitError(f"{place.where} has no weights file that is known: {', '.join(_SAFE)}")
    if len(files) == 1:
        return sha256_of(files[0])
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()


def _weight_files(place: Source, names: tuple[str, str]) -> list[Path] | None:
    single, index = (_cached(place, name) for name in names)
    if single is not None:
        return [single]
    if index is None:
        return None
    parts = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    found = [_cached(place, part) for part in parts]
    return [part for part in found if part is not None]


def _cached(place: Source, name: str) -> Path | None:
    """Return a file of the model, fetched if need be."""
    cached_file = quiet_transformers().utils.cached_file
    try:
        path = cached_file(
            place.where, name, revision=place.revision, _raise_exceptions_for_missing_entries=False
        )
    except OSError:
        return None
    return None if path is None else Path(path)
