"""Manifests of any content: each command that reads them refuses in one line, or does its work."""

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.commands import Run
from support.damage import EMBEDDINGS, TEST, edit_manifest, entry, failures

from avmit import AvmitError
from conversion.package.manifest import parse_manifest, read_manifest

COMMANDS: dict[str, list[str]] = {
    "info": ["info", "{}"],
    "card": ["card", "{}"],
    "verify": ["verify", "{}", "--workers", "1"],
    "export": ["export", "{}", "--config", EMBEDDINGS, "--out", "{}-out", "--workers", "1"],
    "compare": ["compare", "{}", EMBEDDINGS, EMBEDDINGS],
}

CASES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "five": (lambda m: 5, "5 is no mapping"),
    "null": (lambda m: None, "None is no mapping"),
    "a list": (lambda m: [m], "[{'bad_records': 0, "),
    "no key": (lambda m: m.pop("source") and m, "source is missing"),
    "a key more": (lambda m: {**m, "a\nb": 1}, "'a\\nb' is unknown"),
    "config a list": (lambda m: {**m, "config": [m["config"]]}, "config is ['vggish_vgg16']"),
    "config a path": (lambda m: {**m, "config": "../x"}, "config is '../x'"),
    "source empty": (lambda m: {**m, "source": {}}, "source has no kind"),
    "source a list": (lambda m: {**m, "source": []}, "source has no kind"),
    "source of ratings": (
        lambda m: {**m, "source": {"kind": "csv", "name": "x", "sha256": "0"}},
        "source is of the kind 'csv'",
    ),
    "source without": (
        lambda m: {**m, "source": {"kind": "tfrecords"}},
        "source has no name, records",
    ),
    "source odd": (
        lambda m: {**m, "source": {"kind": "tfrecords", "name": 5, "records": "x"}},
        "name of source is 5; records of source is 'x'",
    ),
    "strays": (
        lambda m: {**m, "source": {**m["source"], "strays": [1]}},
        "strays of source is [1]",
    ),
    "record": (
        lambda m: {**m, "source": {**m["source"], "record": {"doi": ["x"]}}},
        "record of source is {'doi': ['x']}",
    ),
    "extraction": (
        lambda m: {**m, "source": {"kind": "extraction"}},
        "source has no encoders, libraries",
    ),
    "encoders a list": (
        lambda m: {**m, "source": {"kind": "extraction", "encoders": [], "libraries": {}}},
        "encoders are []",
    ),
    "encoders odd": (
        lambda m: {
            **m,
            "source": {
                "kind": "extraction",
                "encoders": {"audio": 1, "visual": {"name": "x", "weights": "y"}},
                "libraries": {},
            },
        },
        "the audio encoder has no name; the audio encoder has no weights; "
        "the audio encoder has no weights_sha256; and 1 more",
    ),
    "dims huge": (
        lambda m: {**m, "dims": {"audio": 10**30, "visual": 512}},
        "dims are {'audio': 1000000000000000000000000000000, 'visual': 512}",
    ),
    "dims odd": (lambda m: {**m, "dims": {"smell": 3}}, "dims are {'smell': 3}"),
    "dims a list": (lambda m: {**m, "dims": [1]}, "dims are [1]"),
    "splits empty": (lambda m: {**m, "splits": {}}, "a split has no shards"),
    "splits a list": (lambda m: {**m, "splits": []}, "splits are []"),
    "a split empty": (lambda m: {**m, "splits": {**m["splits"], "test": []}}, "a split has no"),
    "a split of markup": (
        lambda m: {**m, "splits": {"[/red]": m["splits"]["test"]}},
        "a split is called '[/red]'",
    ),
    "a shard that is none": (
        lambda m: {**m, "splits": {"test": [7]}},
        "of a shard 7 is no mapping",
    ),
    "rows huge": (lambda m: _with(m, rows=2**63), f"{TEST}: rows is 9223372036854775808"),
    "bytes huge": (lambda m: _with(m, bytes=2**63), f"{TEST}: bytes is 9223372036854775808"),
    "timesteps empty": (lambda m: _with(m, timesteps={}), f"{TEST}: timesteps are {{}}"),
    "timesteps crossed": (
        lambda m: _with(m, timesteps={"audio": [3, 2], "visual": [6, 7]}),
        f"{TEST}: timesteps of audio are [3, 2]",
    ),
    "no rows at all": (
        lambda m: {**m, "splits": {"test": [{**m["splits"]["test"][0], "rows": 0}]}},
        "it has no rows",
    ),
    "numbering": (
        lambda m: {**m, "splits": {"train": m["splits"]["train"][:1]}},
        "train shard 0 of 1 is train-00000-of-00002.arrow",
    ),
}


def _with(manifest: Any, **facts: Any) -> Any:
    entry(manifest, TEST).update(facts)
    return manifest


@pytest.mark.parametrize("case", list(CASES))
def test_what_a_manifest_may_not_say(copied: Path, run: Run, case: str) -> None:
    change, text = CASES[case]
    path = copied / EMBEDDINGS / "manifest.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    line = f"avmit: {path} is not a manifest ({text}"
    for name in ("info", "card", "export", "compare"):
        ran = run(*(part.format(copied) for part in COMMANDS[name]))
        assert (ran.code, ran.out) == (1, ""), name
        assert ran.err.startswith(line), name
        assert ran.err.endswith(": move the folder away and make or fetch the config again\n"), name
        assert ran.err.count("\n") == 1, name
    found = {name: found for name, where, found in failures(copied) if where == EMBEDDINGS}
    assert found["manifest"].startswith(text)


@pytest.mark.parametrize("text", [b"", b"\xff", b"{", b"NaN", b"[" * 100_000, b"9" * 5000])
def test_what_is_no_json(copied: Path, run: Run, text: bytes) -> None:
    (copied / EMBEDDINGS / "manifest.json").write_bytes(text)
    for name in ("info", "card", "export", "compare"):
        ran = run(*(part.format(copied) for part in COMMANDS[name]))
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
        assert f"{EMBEDDINGS}/manifest.json is not a manifest (" in ran.err


def test_values_nested_so_deeply_that_they_can_only_just_be_read(copied: Path) -> None:
    path = copied / EMBEDDINGS / "manifest.json"
    text = path.read_text().replace('"strays": 1', '"strays": ' + "[" * 500 + "]" * 500)
    path.write_text(text)
    with pytest.raises(AvmitError, match=r"is not a manifest \(it is nested too deeply\)"):
        read_manifest(copied / EMBEDDINGS)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkdir, "is no regular file"),
        (os.mkfifo, "is no regular file"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**36), "more than"),
    ],
)
def test_what_is_no_file_to_read(
    copied: Path, run: Run, make: Callable[[Path], None], reason: str
) -> None:
    path = copied / EMBEDDINGS / "manifest.json"
    path.unlink()
    make(path)
    for name in ("info", "card", "verify", "export", "compare"):
        ran = run(*(part.format(copied) for part in COMMANDS[name]))
        assert ran.code == 1
        if name == "verify":
            assert (ran.err, reason in ran.out) == ("", True)
        else:
            assert ran.err.startswith(f"avmit: {path} ")
            assert reason in ran.err
            assert ran.err.count("\n") == 1


def test_a_manifest_without_what_may_be_left_out(copied: Path) -> None:
    """Manifests of every age are read: what has come to them since then is optional."""

    def older(manifest: Any) -> None:
        for name in ("missing_records", "bad_records"):
            del manifest[name]
        del manifest["source"]["strays"]

    edit_manifest(copied, EMBEDDINGS, older)
    edit_manifest(copied, "ratings", lambda m: m.pop("dims"))
    edit_manifest(copied, "ratings", lambda m: m["splits"]["train"][0].pop("timesteps"))
    assert failures(copied) == []


def test_ratings_in_another_split(copied: Path, run: Run) -> None:
    shard = copied / "ratings" / "train-00000-of-00001.arrow"
    shard.rename(shard.with_name(TEST))

    def move(manifest: Any) -> None:
        manifest["splits"] = {"test": [{**manifest["splits"]["train"][0], "file": TEST}]}

    edit_manifest(copied, "ratings", move)
    for command in ("info", "card"):
        ran = run(command, copied)
        assert (ran.code, ran.err) == (0, "")


def test_a_config_of_a_longer_name_in_another_script(copied: Path, run: Run) -> None:
    name = "m" + "é" * 110
    (copied / EMBEDDINGS).rename(copied / name)
    edit_manifest(copied, name, lambda m: m.update(config=name))
    assert run("index", copied, "--config", name).code == 0
    assert run("card", copied).code == 0
    assert failures(copied) == []


def test_a_name_that_is_no_text_comes_back(copied: Path) -> None:
    manifest = read_manifest(copied / EMBEDDINGS)
    manifest.source["name"] = name = b"records-\xff".decode(errors="surrogateescape")
    manifest.write(copied / EMBEDDINGS)
    assert read_manifest(copied / EMBEDDINGS).source["name"] == name


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 10**30, 1.5, float("nan"), float("inf")]),
    st.sampled_from(["", "x", "../x", "\x1b[2J", "a\nb", "[/red]", "\ud800", "train", "arrow"]),
    st.integers(),
    st.text(max_size=8),
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=5,
)
EXTRACTED = {
    "kind": "extraction",
    "encoders": {
        name: {"name": "mine", "weights": "hf:x/y", "weights_sha256": "0" * 64, "width": 8}
        for name in ("audio", "visual")
    },
    "libraries": {"numpy": "2.0"},
    "settings": {},
}


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    keys = list(value) if isinstance(value, dict) else []
    keys = list(range(len(value))) if isinstance(value, list) else keys
    for key in keys:
        yield from _places(value[key], (*above, key))


def _mutated(content: Any, data: st.DataObject) -> Any:
    content = copy.deepcopy(content)
    if data.draw(st.booleans()) and "strays" in content["source"]:
        content["source"] = copy.deepcopy(EXTRACTED)
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(sorted(_places(content), key=str)))
        if not place:
            if data.draw(st.integers(0, 9)) == 0:
                return data.draw(JUNK)
            continue
        parent = content
        for key in place[:-1]:
            parent = parent[key]
        deed = data.draw(st.sampled_from(["replace", "delete", "add", "wrap"]))
        if deed == "delete":
            del parent[place[-1]]
        elif deed == "add" and isinstance(parent, dict):
            parent[data.draw(st.text(max_size=5))] = data.draw(JUNK)
        elif deed == "wrap":
            parent[place[-1]] = [parent[place[-1]]]
        else:
            parent[place[-1]] = data.draw(JUNK)
    return content


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_manifest_through_every_command(
    copied: Path, sharded_package: Path, run: Run, data: st.DataObject
) -> None:
    config = data.draw(st.sampled_from([EMBEDDINGS, EMBEDDINGS, "ratings"]))
    original = json.loads((sharded_package / config / "manifest.json").read_text())
    path = copied / config / "manifest.json"
    path.write_text(json.dumps(_mutated(original, data)))
    try:
        parse_manifest(path.read_bytes(), config)
    except ValueError as error:
        reason = str(error)
        assert "\n" not in reason
        assert len(reason) < 800
    else:
        reason = ""
    for arguments in COMMANDS.values():
        ran = run(*(part.format(copied) for part in arguments))
        assert ran.code in (0, 1)
        assert ran.err.count("\n") == (arguments[0] != "verify" and ran.code == 1)
        assert ran.err == "" or ran.err.startswith("avmit: ")
        if reason and arguments[0] != "verify":
            assert f"{config}/manifest.json is not a manifest (" in ran.err
    shutil.copyfile(sharded_package / config / "manifest.json", path)
    shutil.copyfile(sharded_package / "README.md", copied / "README.md")
    shutil.rmtree(f"{copied}-out", ignore_errors=True)
