"""Pick the embeddings out of what a network gives."""

from collections.abc import Mapping, Sequence
from typing import Any

from avmit import AvmitError
from extraction.settings import Modality, option


def by_name(returned: Any, within: str = "") -> dict[str, Any]:
    """Return the arrays that a call gave by name, or by number where outputs have no names.

    One inside another is named by both, as `scores/0`.
    """
    if isinstance(returned, Mapping):
        parts = list(returned.items())
    elif isinstance(returned, Sequence):
        parts = list(enumerate(returned))
    else:
        return {within or "0": returned} if hasattr(returned, "shape") else {}
    found: dict[str, Any] = {}
    for name, part in parts:
        found |= by_name(part, f"{within}/{name}" if within else str(name))
    return found


def pick(outputs: Mapping[str, Any], wanted: str | None, what: str, modality: Modality) -> str:
    """Return the name of the output `wanted`, an index or a name, or of the only one.

    Raises:
        AvmitError: there is no such one, or there are several and none is named.
    """
    names = list(outputs)
    if wanted in outputs:
        return str(wanted)
    if wanted is not None and wanted.isdecimal() and int(wanted) < len(names):
        return names[int(wanted)]
    if wanted is None and len(names) == 1:
        return names[0]
    listed = ", ".join(f"{name} {_shape(output)}" for name, output in outputs.items())
    how = f"no output '{wanted}'" if wanted is not None else f"{len(names)} outputs"
    raise AvmitError(
        f"{what} has {how}; there are {listed}: pick one with {option(modality, 'output')}"
    )


def _shape(output: Any) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in tuple(output.shape))
    return f"({sizes})"
