"""Values and schemas that no shard may have."""

from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from support.damage import (
    EMBEDDINGS,
    TEST,
    TRAIN,
    Change,
    Failure,
    edit_manifest,
    entry,
    failures,
    setting,
    tamper,
    with_values,
)

import avmit
from conversion.package.schema import arrow_schema

VALUES: dict[str, tuple[Change, dict[str, Any], str, str]] = {
    "nan": (
        with_values("audio", lambda rows: rows[4][1].__setitem__(7, float("nan"))),
        {},
        "values",
        "NaN or infinity in audio of row 4",
    ),
    "infinity in two rows": (
        with_values(
            "visual",
            lambda rows: [rows[row][-1].__setitem__(-1, float("-inf")) for row in (3, 9)],
        ),
        {},
        "values",
        "NaN or infinity in visual of row 3 and 1 rows after it",
    ),
    "no timesteps": (
        with_values("audio", setting(2, [])),
        {"timesteps": {"audio": [0, 3], "visual": [6, 7]}},
        "timesteps",
        "a row without timesteps in audio",
    ),
    "fewer timesteps": (
        with_values("audio", lambda rows: rows[2].pop()),
        {},
        "timesteps",
        "audio has 2 to 3, in the manifest [3, 3]",
    ),
    "null": (
        with_values("MIT_label", setting(5, None)),
        {},
        "nulls",
        "1 nulls in MIT_label from row 0 on",
    ),
    "null embedding": (
        with_values("audio", setting(5, None)),
        {},
        "nulls",
        "1 nulls in audio from row 0 on",
    ),
    "null timestep": (
        with_values("audio", lambda rows: rows[5].__setitem__(0, None)),
        {},
        "nulls",
        "1 nulls in audio from row 0 on",
    ),
    "null float": (
        with_values("visual", lambda rows: rows[5][2].__setitem__(0, None)),
        {},
        "nulls",
        "1 nulls in visual from row 0 on",
    ),
}


@pytest.mark.parametrize("case", list(VALUES))
def test_values_that_no_shard_may_hold(copied: Path, case: str) -> None:
    change, facts, name, text = VALUES[case]
    tamper(copied, EMBEDDINGS, TRAIN[1], change, **facts)
    expected: list[Failure] = [(name, f"{EMBEDDINGS}/{TRAIN[1]}", text)]
    if name == "nulls":
        expected.append(("rows", EMBEDDINGS, "not checked: manifest or shards are not sound"))
    assert failures(copied) == expected


def test_a_row_count_that_is_not_the_manifests(copied: Path) -> None:
    edit_manifest(copied, EMBEDDINGS, lambda manifest: entry(manifest, TEST).update(rows=15))
    assert failures(copied) == [
        (
            "card counts",
            "README.md",
            f"{EMBEDDINGS} test has 16 examples, in the manifest 15",
        ),
        (
            "index",
            f"{EMBEDDINGS}/index.json",
            f"{TEST}: 16 rows, in the manifest 15: make it again with `avmit index {copied}`",
        ),
        ("row count", f"{EMBEDDINGS}/{TEST}", "16 rows, in the manifest 15"),
    ]


def _relabel(table: pa.Table) -> pa.Table:
    names = [*avmit.TEST_CLASSES[1:], "aaa"]
    features = avmit.embedding_features(128, 512, sorted(names))
    return table.replace_schema_metadata(arrow_schema(features).metadata)


def _as_double(table: pa.Table) -> pa.Table:
    index = table.schema.get_field_index("r1")
    return table.set_column(index, "r1", table["r1"].cast(pa.int32()))


def _narrow(table: pa.Table) -> pa.Table:
    values = [[step[:100] for step in row] for row in table["audio"].to_pylist()]
    narrow = pa.array(values, pa.list_(pa.list_(pa.float32(), 100)))
    return table.set_column(table.schema.get_field_index("audio"), "audio", narrow)


SCHEMAS: dict[str, tuple[Change, str]] = {
    "lacking": (lambda table: table.drop_columns(["r2"]), "no column r2"),
    "added": (
        lambda table: table.append_column("note", pa.array(["x"] * len(table))),
        "column note is not one of this config's",
    ),
    "order": (
        lambda table: table.select(["label", "filename", *table.schema.names[2:]]),
        "its columns stand in another order: label, filename, MIT_label, r1, r2, r3, "
        "video_location, tfrecord_filename, audio, visual",
    ),
    "type": (_as_double, "r1 is int32, not int64"),
    "width": (
        _narrow,
        "audio is list<item: fixed_size_list<item: float>[100]>, "
        "not list<item: fixed_size_list<item: float>[128]>",
    ),
    "labels": (_relabel, "its label names are not the sorted AVMIT labels of the ratings"),
    "no metadata": (
        lambda table: table.replace_schema_metadata(None),
        "its label names are not the sorted AVMIT labels of the ratings",
    ),
    "metadata without features": (
        lambda table: table.replace_schema_metadata({"huggingface": '{"info": {}}'}),
        "its label names are not the sorted AVMIT labels of the ratings",
    ),
    "mad metadata": (
        lambda table: table.replace_schema_metadata({"huggingface": "{"}),
        "its metadata does not describe features that datasets can read",
    ),
}


@pytest.mark.parametrize("case", list(SCHEMAS))
def test_a_schema_that_is_not_the_configs(copied: Path, case: str) -> None:
    change, text = SCHEMAS[case]
    tamper(copied, EMBEDDINGS, TRAIN[1], change)
    found = [(name, where, text) for name, where, text in failures(copied) if name == "schema"]
    assert found == [("schema", f"{EMBEDDINGS}/{TRAIN[1]}", text)]


def _as_extracted(manifest: Any) -> None:
    made = {"name": "mine", "weights": "a local file", "weights_sha256": "0" * 64}
    manifest["source"] = {
        "kind": "extraction",
        "encoders": {"audio": made, "visual": made},
        "libraries": {"numpy": "2"},
    }


def _with_has_audio(table: pa.Table) -> pa.Table:
    features = avmit.embedding_features(128, 512, avmit.TEST_CLASSES)
    features["has_audio"] = datasets.Value("bool")
    wider = table.append_column("has_audio", pa.array([True] * len(table)))
    return wider.replace_schema_metadata(arrow_schema(features).metadata)


def test_extracted_configs_may_have_a_column_more_in_every_shard(copied: Path) -> None:
    edit_manifest(copied, EMBEDDINGS, _as_extracted)
    for file in TRAIN:
        tamper(copied, EMBEDDINGS, file, _with_has_audio)
    assert [failure for failure in failures(copied) if failure[0] == "schema"] == [
        ("schema", f"{EMBEDDINGS}/{TEST}", "not the schema of the config's first shard")
    ]
    tamper(copied, EMBEDDINGS, TEST, _with_has_audio)
    assert failures(copied) == [
        ("card features", "README.md", f"those of {EMBEDDINGS} are not those of its shards")
    ]


def test_extracted_configs_have_no_lists_of_their_own(copied: Path) -> None:
    edit_manifest(copied, EMBEDDINGS, _as_extracted)
    tamper(
        copied,
        EMBEDDINGS,
        TEST,
        lambda t: t.append_column("more", pa.array([[1.0]] * len(t))),
    )
    assert [failure for failure in failures(copied) if failure[0] == "schema"] == [
        ("schema", f"{EMBEDDINGS}/{TEST}", "column more is not one of this config's")
    ]
