"""A stream of a package whose index is missing, or lies."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.feeding import CONFIG, videos
from support.hub.server import HubServer
from support.indexes import edit_index
from support.releases import assert_same_rows, expected_rows
from support.streaming import LENGTHS, full, names, streamed, write_indexed

import avmit
from conversion.convert.build import Options, convert
from conversion.package.writer import Encoding

REPO = "ann/tiny"
ROWS = [(1 + audio, 1 + visual) for audio, visual in LENGTHS]
"""Of no row without timesteps, whose width `datasets` forgets."""
UNINDEXED = (
    f"'{CONFIG}' has no index.json: it is read shard after shard, by one connection; make one "
    "with `avmit index` and push it"
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """53 rows in 18 record batches of three shards; never written to."""
    return write_indexed(tmp_path_factory.mktemp("tiny") / "avmit")


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    """A copy of `tiny`."""
    return Path(shutil.copytree(tiny, tmp_path / "avmit"))


@pytest.fixture(params=["folder", "hub"])
def unindexed(request: pytest.FixtureRequest, tmp_path: Path, cache: Path) -> Any:
    """A package without an index, here or on the Hub."""
    package = write_indexed(tmp_path / "unindexed", ROWS)
    (package / CONFIG / "index.json").unlink()
    if request.param == "folder":
        return package
    request.getfixturevalue("hub").put_folder("ann/unindexed", package)
    return "ann/unindexed"


def warned(source: Any, **options: Any) -> Any:
    with warnings.catch_warnings(record=True) as every:
        warnings.simplefilter("always")
        stream = streamed(source, **options)
    told = [warning for warning in every if warning.category is UserWarning]
    assert [str(warning.message) for warning in told] == [UNINDEXED]
    assert Path(told[0].filename).name == "streaming.py"  # of support: where it was asked for
    assert Path(told[0].filename).parent.name == "support"
    return stream


def test_rows_without_an_index(unindexed: Any) -> None:
    assert_same_rows(warned(unindexed), full(ROWS))
    wanted = [{name: row[name] for name in ("label", "audio")} for row in full(ROWS)]
    assert_same_rows(warned(unindexed, columns=["label", "audio"]), wanted)
    mixed = names(warned(unindexed, shuffle=True, seed=1))
    assert sorted(mixed) == sorted(names(full()))
    assert mixed != names(full())
    assert mixed == names(warned(unindexed, shuffle=True, seed=1))
    assert mixed != names(warned(unindexed, shuffle=True, seed=1, epoch=1))


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_without_an_index(unindexed: Any, world_size: int) -> None:
    parts = [
        names(warned(unindexed, shuffle=True, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert all(parts)
    assert sorted(name for part in parts for name in part) == sorted(names(full()))


def test_batches_without_an_index(unindexed: Any) -> None:
    columns = ["audio", "filename"]
    wanted = list(avmit.batches(avmit.load(CONFIG, "train", data_dir=unindexed), 4, visual=False))
    found = list(warned(unindexed, columns=["audio", "label"], batch_size=4))
    assert len(found) == len(wanted) == 14
    for one, other in zip(found, wanted, strict=True):
        assert {n: v.tobytes() for n, v in one.items()} == {
            n: v.tobytes() for n, v in other.items()
        }
    assert set(next(iter(warned(unindexed, batch_size=4)))) == {
        *("audio", "audio_lengths", "audio_mask", "visual", "visual_lengths", "visual_mask"),
        "label",
    }
    batches = warned(unindexed, columns=columns, batch_size=4, shuffle=True, seed=2)
    whole = videos(batches)
    again = warned(unindexed, columns=columns, batch_size=4, shuffle=True, seed=2)
    again.load_state_dict({"seed": 2, "epoch": 0, "position": 5})
    assert videos(again) == whole[5:]
    following = warned(unindexed, columns=columns, batch_size=4, shuffle=True, seed=2, epoch=1)
    assert following.state_dict() == {"seed": 2, "epoch": 1, "position": 0}
    assert videos(following) == videos(batches) != whole


def test_an_index_is_made_later(copied: Path, run: Run) -> None:
    (copied / CONFIG / "index.json").unlink()
    warned(copied)
    assert run("index", copied).code == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_rows(streamed(copied), full())


def test_parquet(sharded_release: Path, tmp_path: Path, cache: Path) -> None:
    package = tmp_path / "avmit"
    convert(sharded_release, package, Options(workers=1, encoding=Encoding("parquet")))
    with pytest.warns(UserWarning, match="'vggish_vgg16' has no index.json: it is read shard"):
        rows = avmit.stream("vggish_vgg16", "train", data_dir=package)
    assert_same_rows(rows, expected_rows(sharded_release, "vggish_vgg16", "train"))


def test_what_needs_an_index(hub: HubServer, copied: Path) -> None:
    """A revision is not read as another one, and `datasets` is given no address."""
    (copied / CONFIG / "index.json").unlink()
    commit = hub.put_folder(REPO, copied)
    with pytest.raises(avmit.AvmitError) as error:
        streamed(REPO, revision=commit.oid)
    assert str(error.value) == (
        f"'{CONFIG}' in '{REPO}' at revision '{commit.oid}' has no index.json to read it by: make "
        "one with `avmit index` and put it beside the shards"
    )
    with pytest.raises(avmit.AvmitError) as error:
        streamed(f"file://{copied}")
    assert str(error.value) == (
        f"'{CONFIG}' in file://{copied} has no index.json to read it by: make one with "
        "`avmit index` and put it beside the shards"
    )


def of(index: Any, shard: int = 0, batch: int = 0) -> Any:
    return index["shards"][shard]["batches"][batch]


def swapped(index: Any) -> None:
    """Give two record batches each other's places."""
    one, other = of(index, 0, 1), of(index, 0, 2)
    for name in ("metadata", "columns", "rows"):
        one[name], other[name] = other[name], one[name]


def moved(index: Any) -> None:
    for column in of(index)["columns"]:
        if column[1] > 8:
            column[0] += 8
            column[1] -= 8


def other_rows(index: Any) -> None:
    of(index, 0, 0)["rows"] += 1
    of(index, 0, 1)["rows"] -= 1


def huge_rows(index: Any) -> None:
    of(index)["rows"] = 2**62


def huge_column(index: Any) -> None:
    of(index)["columns"][-1][1] = 2**40


def far(index: Any) -> None:
    of(index)["offset"] = 2**40


def other_shard(index: Any) -> None:
    first, second = index["shards"][1:]
    first["batches"], second["batches"] = second["batches"], first["batches"]


def other_crc(index: Any) -> None:
    for column in of(index)["columns"]:
        column[2] ^= 1


def other_metadata(index: Any) -> None:
    of(index)["metadata"] = "A" * len(of(index)["metadata"])


def no_schema(index: Any) -> None:
    index["schema"] = "AAAA"


def fewer_columns(index: Any) -> None:
    index["columns"] = index["columns"][:-1]


def deep(index: Any) -> Any:
    made: Any = []
    for _ in range(200):
        made = [made]
    return made


LIES: list[Any] = [
    *(swapped, moved, other_rows, huge_rows, huge_column, far, other_shard, other_crc),
    *(other_metadata, no_schema, fewer_columns, deep),
    *(lambda index: {}, lambda index: [], lambda index: "index", lambda index: 1),
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: str(lie.__name__))
@pytest.mark.parametrize("place", ["folder", "hub"])
def test_an_index_that_lies(
    request: pytest.FixtureRequest, copied: Path, lie: Any, place: str
) -> None:
    """It is told in one line, and no wrong row comes."""
    edit_index(copied / CONFIG, lie)
    source: Any = copied
    if place == "hub":
        hub = request.getfixturevalue("hub")
        hub.put_folder(REPO, copied)
        source = REPO
    wanted = {row["filename"]: row for row in full()}
    for options in ({}, {"shuffle": True}, {"columns": ["filename", "visual"]}):
        rows = []
        with pytest.raises(avmit.AvmitError) as error:
            for row in streamed(source, **options):
                rows.append(row)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 700
        name = f"'{REPO}'" if place == "hub" else str(copied)
        assert name in str(error.value)
        assert_same_rows(rows, [{n: wanted[r["filename"]][n] for n in r} for r in rows])


def test_the_index_of_another_package(copied: Path, tmp_path: Path) -> None:
    other = write_indexed(tmp_path / "other", [(1, 1)] * 53)
    shutil.copy(other / CONFIG / "index.json", copied / CONFIG)
    with pytest.raises(avmit.AvmitError) as error:
        streamed(copied)
    assert str(error.value).startswith(
        f"{CONFIG}/index.json in {copied} is not the index of its shards ("
    )
    assert str(error.value).endswith("): make it again with `avmit index`")


def test_an_index_that_is_no_text(copied: Path) -> None:
    path = copied / CONFIG / "index.json"
    for content in (b"", b"\xff\xfe", b"{", b"[" * 100_000, b'{"a": ' * 100_000, b"nan"):
        path.write_bytes(content)
        with pytest.raises(avmit.AvmitError) as error:
            streamed(copied)
        assert str(error.value).startswith(f"{CONFIG}/index.json in {copied} is not the index")
        assert "\n" not in str(error.value)
    with path.open("wb") as file:
        file.truncate(64_000_001)
    with pytest.raises(avmit.AvmitError) as error:
        streamed(copied)
    assert str(error.value) == (
        f"{copied}/{CONFIG}/index.json has more than 64,000,000 bytes, too many to be text"
    )


def test_a_manifest_that_lies_of_rows(copied: Path) -> None:
    """And an index with it."""
    edit_index(copied / CONFIG, huge_rows)
    path = copied / CONFIG / "manifest.json"
    manifest = json.loads(path.read_text())
    index = json.loads((copied / CONFIG / "index.json").read_text())
    manifest["splits"]["train"][0]["rows"] = sum(
        batch["rows"] for batch in index["shards"][0]["batches"]
    )
    path.write_text(json.dumps(manifest))
    with pytest.raises(avmit.AvmitError) as error:
        streamed(copied)
    assert str(error.value) == (
        f"{CONFIG}/index.json in {copied} is not the index of its shards (it has more rows than "
        "there can be): make it again with `avmit index`"
    )


@pytest.mark.parametrize("rows", [2**40, 2**31, 10**6])
@pytest.mark.parametrize("shuffle", [False, True])
def test_no_order_is_made_of_rows_that_did_not_come(copied: Path, rows: int, shuffle: bool) -> None:
    edit_index(copied / CONFIG, lambda index: of(index).update(rows=rows))
    path = copied / CONFIG / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["splits"]["train"][0]["rows"] = rows + 14
    path.write_text(json.dumps(manifest))
    with pytest.raises(avmit.AvmitError) as error:
        next(iter(streamed(copied, shuffle=shuffle)))
    assert str(error.value).endswith(
        "the record batch makes no sense (rows or length are not those of its metadata), 3 times; "
        "try again later, or ask its owner to make it again"
    )


def test_a_manifest_that_is_none(copied: Path, hub: HubServer) -> None:
    (copied / CONFIG / "manifest.json").write_text("{}")
    hub.put_folder(REPO, copied)
    for source, name in ((copied, str(copied)), (REPO, f"'{REPO}'")):
        with pytest.raises(avmit.AvmitError) as error:
            streamed(source)
        assert str(error.value).startswith(f"{CONFIG}/manifest.json in {name} is malformed (")
        assert str(error.value).endswith("): ask its owner to make it again")
