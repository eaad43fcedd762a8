"""Without a framework, what needs it says in one line what to install; all else goes on."""

import importlib.util

import pytest
from support.feeding import apart

SCRIPT = """
import json, sys

missing = set(sys.argv[1].split(","))


class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in missing:
            return None
        return self.finder.find_spec(name, path, target)


sys.meta_path[:] = map(Hiding, sys.meta_path)
import avmit
from support.feeding import SOME, in_memory

ds = in_memory(SOME)
told = {}
calls = {
    "torch": lambda: avmit.batches(ds, format="torch"),
    "tensorflow": lambda: avmit.batches(ds, format="tensorflow"),
    "jax": lambda: avmit.batches(ds, format="jax"),
    "stream": lambda: avmit.batches(ds.to_iterable_dataset(), format="jax"),
    "torch_loader": lambda: avmit.torch_loader(ds),
    "tf_dataset": lambda: avmit.tf_dataset(ds),
    "keras_dataset": lambda: avmit.keras_dataset(ds),
}
for name, call in calls.items():
    try:
        told[name] = str(call())
    except avmit.AvmitError as error:
        told[name] = f"AvmitError: {error}"
assert len(list(avmit.batches(ds, 4))) == 6
assert len(list(avmit.rows(ds))) == 23
assert not missing & set(sys.modules)
json.dump(told, sys.stdout)
"""


def told_without(*missing: str) -> dict[str, str]:
    said: dict[str, str] = apart(SCRIPT, ",".join(missing), PYTHONPATH="tests")
    return said


def line(wanted: str, module: str) -> str:
    return (
        f"AvmitError: {wanted} needs {module}, which is not installed or does not load: "
        f"pip install {module}"
    )


def test_none_of_them() -> None:
    assert told_without("torch", "tensorflow", "jax", "keras") == {
        "torch": line('format="torch"', "torch"),
        "tensorflow": line('format="tensorflow"', "tensorflow"),
        "jax": line('format="jax"', "jax"),
        "stream": line('format="jax"', "jax"),
        "torch_loader": line("avmit.torch_loader", "torch"),
        "tf_dataset": line("avmit.tf_dataset", "tensorflow"),
        "keras_dataset": line("avmit.keras_dataset", "keras"),
    }


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed")
def test_keras_without_a_backend() -> None:
    told = told_without("tensorflow", "torch", "jax")
    assert told["keras_dataset"] == line("avmit.keras_dataset", "tensorflow")
