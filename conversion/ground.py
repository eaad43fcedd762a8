"""What avmit.py says, for those who cannot wait for its import: `datasets` takes most of a second.

The constants are read from its text, so that they are written once; the class of its error is
imported when there is an error. Commands that show what is there without `datasets` take both from
here, as `ground.RATED_VIDEOS` and `ground.AvmitError`.
"""

import ast
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avmit import AvmitError as AvmitError
else:

    def __getattr__(name: str) -> Any:
        if name == "AvmitError":
            from avmit import AvmitError

            return AvmitError
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _constants() -> dict[str, Any]:
    """Return the literals that avmit.py assigns, by name."""
    spec = find_spec("avmit")
    assert spec is not None and spec.origin is not None
    found = {}
    for statement in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign):
            (target,), value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        with suppress(ValueError):
            found[ast.unparse(target)] = ast.literal_eval(value)
    return found


_CONSTANTS = _constants()
VERSION: str = _CONSTANTS["__version__"]
RATED_VIDEOS: int = _CONSTANTS["RATED_VIDEOS"]
RATINGS_CONFIGS: tuple[str, ...] = _CONSTANTS["RATINGS_CONFIGS"]
SPLITS: tuple[str, ...] = _CONSTANTS["SPLITS"]
