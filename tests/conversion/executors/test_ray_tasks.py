"""What is said where there is no Ray."""

import socket
import sys
from pathlib import Path

import pytest

from avmit import AvmitError
from conversion.executors.ray_tasks import RayOptions, run
from conversion.executors.work import Work


def problem(options: RayOptions) -> str:
    work = Work(("info",), (), Path(), "mine", 2, lambda: [0, 1], lambda: False, Path())
    with pytest.raises(AvmitError) as raised:
        run(work, options, lambda done, total: None)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    line = "ray is not installed or does not load: pip install 'avmit[ray]'"
    assert problem(RayOptions()) == line


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "localhost:{}"])
def test_nobody_answers(form: str) -> None:
    pytest.importorskip("ray")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    address = form.format(port)
    found = problem(RayOptions(address))
    assert found.startswith(f"no Ray at {address} (")
    assert found.endswith("): start one with `ray start --head`, or give another --ray-address")


def test_what_is_no_address() -> None:
    pytest.importorskip("ray")
    assert problem(RayOptions("nonsense")).startswith("no Ray at nonsense (Invalid address")
