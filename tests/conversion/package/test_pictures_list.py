"""figures/avmit.json: what it says is checked, whatever stands in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import Run
from support.pictures import put_pictures

from conversion.package.pictures import parse_pictures, read_pictures

SHA = "0" * 64
FILE = {"bytes": 1, "sha256": SHA}
VALID: dict[str, Any] = {
    "version": 1,
    "drawn_from": {"ratings": SHA},
    "files": {"flows.png": FILE, "classes.png": FILE},
}

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(SHA),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(ANY, st.sampled_from([*VALID, "flows.png", "bytes", "sha256", ""]))
def test_anything_else_is_refused(value: Any, where: str) -> None:
    content = json.loads(json.dumps(VALID))
    inner = {"flows.png": content["files"], "bytes": content["files"]["flows.png"]}
    inner["sha256"] = inner["bytes"]
    if where:
        inner.get(where, content)[where] = value
    else:
        content = value
    try:
        found = parse_pictures(json.dumps(content).encode())
    except ValueError:
        return
    assert set(found.files) <= {"flows.png", "classes.png"}
    assert parse_pictures(found.to_bytes()) == found


def test_what_is_written_is_read(copied: Path) -> None:
    put_pictures(copied, count=2)
    found = read_pictures(copied)
    assert found is not None
    assert list(found.drawn_from) == ["ratings", "test_set"]
    assert list(found.files) == ["classes.png", "agreement.png"]
    assert found.to_bytes() == (copied / "figures" / "avmit.json").read_bytes()
    assert list(parse_pictures(json.dumps(VALID).encode()).files) == ["classes.png", "flows.png"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "it is of version 2, not 1"),
        ({"files": {"other.png": FILE}}, "avmit draws no other.png"),
        ({"files": {"flows.png": {"bytes": 10**9, "sha256": SHA}}}, "a size is none"),
        ({"drawn_from": {"ratings": "x"}}, "a SHA-256 is none"),
        ({"drawn_from": []}, "it has no pictures and sources"),
    ],
)
def test_verify_says_what_is_wrong(
    copied: Path, run: Run, change: dict[str, Any], reason: str
) -> None:
    folder = copied / "figures"
    folder.mkdir()
    (folder / "avmit.json").write_text(json.dumps({**VALID, **change}))
    ran = run("verify", copied, "--json")
    (check,) = [check for check in json.loads(ran.out)["checks"] if not check["ok"]]
    assert (check["name"], check["where"]) == ("pictures", "figures")
    assert check["found"] == (
        f"{folder}/avmit.json is no list of pictures ({reason}): move {folder} away, and draw them "
        f"again with `avmit report {copied} --card`"
    )
    assert run("card", copied).out.endswith("is up to date\n")
