"""Classes of a user's own that Keras finds when it loads a .keras file."""

import hashlib
import inspect
import sys
from pathlib import Path

from conversion.package.manifest import sha256_of


def registered_code() -> dict[str, str]:
    """Return the SHA-256 of the files that have the classes registered with Keras, by their names.

    Without Keras loaded, nobody has registered any.
    """
    keras = sys.modules.get("keras")
    if keras is None:
        return {}
    found = {}
    for name, one in keras.saving.get_custom_objects().items():
        try:
            found[str(name)] = sha256_of(Path(inspect.getfile(one)))
        except (TypeError, OSError):  # not of a file
            found[str(name)] = hashlib.sha256(repr(one).encode()).hexdigest()
    return found
