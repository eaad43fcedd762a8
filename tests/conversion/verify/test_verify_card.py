"""Cards that do not fit their shards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import metadata_load, metadata_save
from support.damage import EMBEDDINGS, TRAIN, failures


def edit_card(package: Path, change: Callable[[Any], Any]) -> None:
    content = metadata_load(package / "README.md")
    assert content is not None
    change(content)
    metadata_save(package / "README.md", content)


def info(card: Any, config: str) -> Any:
    return next(entry for entry in card["dataset_info"] if entry["config_name"] == config)


def _path(card: Any, path: Any) -> None:
    config = next(c for c in card["configs"] if c["config_name"] == EMBEDDINGS)
    config["data_files"][0]["path"] = path


CARDS: dict[str, tuple[Callable[[Any], Any], list[tuple[str, str]]]] = {
    "a config gone": (
        lambda card: card["configs"].remove(
            next(c for c in card["configs"] if c["config_name"] == "test_set")
        ),
        [("card configs", "no config test_set")],
    ),
    "a config too many": (
        lambda card: card["configs"].append({"config_name": "more", "data_files": []}),
        [("card configs", "config more has no sound manifest here")],
    ),
    "a config of others first": (
        lambda card: card["configs"].insert(0, {"config_name": "more", "data_files": "x.csv"}),
        [
            (
                "card configs",
                "config more has no sound manifest here; more stands first, and datasets reads all "
                "configs as it would read that",
            )
        ],
    ),
    "two defaults": (
        lambda card: [config.update(default=True) for config in card["configs"][:2]],
        [("card default", "several: ratings, raw_ratings")],
    ),
    "one shard of two": (
        lambda card: _path(card, f"{EMBEDDINGS}/{TRAIN[0]}"),
        [("card splits", f"split train of {EMBEDDINGS} does not lead to its shards")],
    ),
    "a folder deeper": (
        lambda card: _path(card, f"{EMBEDDINGS}/train-*/below"),
        [("card splits", f"split train of {EMBEDDINGS} does not lead to its shards")],
    ),
    "path of another kind": (
        lambda card: _path(card, {"a": 1}),
        [("card splits", f"split train of {EMBEDDINGS} does not lead to its shards")],
    ),
    "a split renamed": (
        lambda card: card["configs"][-1]["data_files"][1].update(split="validation"),
        [
            (
                "card splits",
                f"{EMBEDDINGS} has no split validation; split test of {EMBEDDINGS} is not named",
            )
        ],
    ),
    "no data files": (
        lambda card: card["configs"][0].update(data_files="ratings"),
        [("card splits", "split train of ratings is not named")],
    ),
    "a count": (
        lambda card: info(card, "ratings")["splits"][0].update(num_examples=49),
        [("card counts", "ratings train has 49 examples, in the manifest 48")],
    ),
    "a split more": (
        lambda card: info(card, "ratings")["splits"].append({"name": "test", "num_examples": 1}),
        [("card counts", "ratings test has 1 examples, in the manifest no")],
    ),
    "splits of another kind": (
        lambda card: info(card, "ratings").update(splits="train"),
        [("card counts", "ratings train has no examples, in the manifest 48")],
    ),
    "a type": (
        lambda card: info(card, "ratings")["features"][1].update(dtype="int32"),
        [("card features", "those of ratings are not those of its shards")],
    ),
    "no info": (
        lambda card: card["dataset_info"].remove(info(card, "ratings")),
        [
            ("card counts", "ratings train has no examples, in the manifest 48"),
            ("card features", "those of ratings are not those of its shards"),
        ],
    ),
    "configs of another kind": (
        lambda card: card.update(configs="all"),
        [("card", "its YAML has no list of configs, each named once")],
    ),
    "infos named twice": (
        lambda card: card["dataset_info"].append(info(card, "ratings")),
        [("card", "its YAML has no list of dataset_info, each named once")],
    ),
}


@pytest.mark.parametrize("case", list(CARDS))
def test_a_card_that_does_not_fit(copied: Path, case: str) -> None:
    change, expected = CARDS[case]
    edit_card(copied, change)
    assert failures(copied) == [(name, "README.md", found) for name, found in expected]


def test_a_pattern_for_several_folders_is_as_good(copied: Path) -> None:
    edit_card(
        copied,
        lambda card: _path(card, [f"{EMBEDDINGS}/train-00000*", "vggish*/train-*[123]-of*"]),
    )
    assert failures(copied) == []


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (None, "missing: write it with `avmit card {package}`"),
        (b"# AVMIT\n", "its YAML has no list of configs, each named once"),
        (b"---\n- a\n---\n", "README.md: its YAML is not a mapping of keys to values: mend it"),
        (b"---\na: [\n---\n", "README.md: its YAML cannot be read (while parsing a flow node"),
        (b"---\n\xff\n---\n", "{package}/README.md is not UTF-8 text: mend or delete it"),
    ],
)
def test_a_card_that_is_none(copied: Path, data: bytes | None, found: str) -> None:
    (copied / "README.md").unlink()
    if data is not None:
        (copied / "README.md").write_bytes(data)
    ((name, where, text),) = failures(copied)
    assert (name, where) == ("card", "README.md")
    assert text.startswith(found.format(package=copied))
    assert "\n" not in text
