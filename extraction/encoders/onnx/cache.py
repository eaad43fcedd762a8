"""Networks exported to ONNX, kept on disk beside what is needed to feed them.

Below `onnx` in the folder that AVMIT_CACHE names, else in `avmit` below XDG_CACHE_HOME or ~/.cache:
`<what it is made of>.json`, which names the model `<SHA-256>.onnx` beside it. Both appear whole,
the model first, and what is read is checked; so several processes may do this at a time.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversion.package.manifest import sha256_of
from conversion.whole import read_regular, write_whole

_MOST_BYTES = 1_000_000  # of the JSON, which has a few hundred


class DamagedError(Exception):
    """What is kept cannot be used."""


@dataclass(frozen=True)
class Kept:
    """An exported network in the file `model`, and what was kept beside it."""

    model: Path
    facts: Mapping[str, Any]


def cache_folder() -> Path:
    """Return the folder of exported networks; it need not be there."""
    own, caches = os.environ.get("AVMIT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    base = Path(own) if own else Path(caches or "~/.cache") / "avmit"
    return base.expanduser() / "onnx"


def look_up(identity: Mapping[str, Any]) -> Kept | None:
    """Return what is kept of the network that is made of `identity`, JSON; None if there is none.

    Raises:
        DamagedError: its files are not as they were written.
    """
    path = _place(identity)
    try:
        content = json.loads(read_regular(path, _MOST_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError from error
    try:
        facts, model = content["facts"], path.with_name(f"{content['model']}.onnx")
        whole = content["sha256"] == _digest({"facts": facts, "model": content["model"]})
        if not whole or content["identity"] != identity:
            raise DamagedError
        if not model.is_file() or sha256_of(model) != content["model"]:
            raise DamagedError
    except (OSError, KeyError, TypeError) as error:
        raise DamagedError from error
    return Kept(model, facts)


def keep(identity: Mapping[str, Any], model: bytes, facts: Mapping[str, Any]) -> None:
    """Keep a network that is made of `identity`, in place of what may be kept of it.

    Raises:
        OSError: it cannot be written.
    """
    path = _place(identity)
    path.parent.mkdir(parents=True, exist_ok=True)
    named = {"facts": facts, "model": hashlib.sha256(model).hexdigest()}
    write_whole(path.with_name(f"{named['model']}.onnx"), model)
    content = {"identity": identity, **named, "sha256": _digest(named)}
    write_whole(path, json.dumps(content, indent=2).encode())


def _place(identity: Mapping[str, Any]) -> Path:
    return cache_folder() / f"{_digest(identity)}.json"


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
