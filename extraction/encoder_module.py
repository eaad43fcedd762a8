"""`--encoder-module`: encoders out of a user's own Python file."""

import hashlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from avmit import AvmitError
from extraction.encoder import Encoder
from extraction.foreign import explain, no_exit


def added_by_modules(paths: Sequence[Path]) -> dict[str, Encoder]:
    """Run Python files and return the encoders that they define, by name.

    A file may also define none and register classes with Keras, for models in .keras files.

    Raises:
        AvmitError: a file is missing or broken, defines nothing of these, or two have one name.
    """
    found: dict[str, Encoder] = {}
    for path in paths:
        module = _run(path)
        encoders = [one for one in vars(module).values() if isinstance(one, Encoder)]
        if not encoders and not _registers_with_keras(module):
            raise AvmitError(
                f"{path} defines no encoder: put @encoder(...) of extraction.custom over a "
                "function or a class"
            )
        for encoder in encoders:
            if found.setdefault(encoder.name, encoder) is not encoder:
                raise AvmitError(
                    f"two encoders are named '{encoder.name}': rename the one in {path}"
                )
    return found


def _registers_with_keras(module: ModuleType) -> bool:
    keras = sys.modules.get("keras")
    if keras is None:
        return False
    registered = keras.saving.get_custom_objects().values()
    return any(getattr(one, "__module__", None) == module.__name__ for one in registered)


def _run(path: Path) -> ModuleType:
    # The same file is one module, however often it is asked for.
    name = f"avmit_encoder_module_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise AvmitError(f"no file {path}: --encoder-module takes a Python file")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AvmitError(f"{path} is no Python file: --encoder-module takes one, such as mine.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with no_exit(str(path)):
            spec.loader.exec_module(module)
    except AvmitError:
        del sys.modules[name]
        raise
    except Exception as error:  # the user's code
        del sys.modules[name]
        raise AvmitError(f"{path} does not run ({explain(error)}): mend it") from error
    return module
