"""Cards are merged: ours brought up to date, everything else left as it was, to the byte."""

from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from avmit import AvmitError
from conversion.card.head import read_yaml
from conversion.card.merge import merge_cards

NEW = """---
license: other
configs:
- config_name: ratings
  data_files:
  - split: train
    path: ratings/train-*.arrow
  default: true
- config_name: wide
  data_files:
  - split: train
    path: wide/train-*.arrow
dataset_info:
- config_name: ratings
  dataset_size: 10
- config_name: wide
  dataset_size: 20
size_categories:
- n<1K
---

<!-- avmit:begin contents -->
two configs
<!-- avmit:end contents -->

<!-- avmit:begin load -->
load them
<!-- avmit:end load -->
"""

OLD = """---
# who wrote this
license:   cc0-1.0   # as agreed
tags: [a,  b]
configs:
- config_name: theirs
  data_files: data/*.csv
- config_name: wide
  data_files: old
  drop_labels: true

# on the sizes
dataset_info:
  config_name: theirs
  dataset_size: 5
size_categories:
- 1K<n<10K
extra: {x: 1}
---
Their words.

<!-- avmit:begin load -->
old text
<!-- avmit:end load -->

More of their words.
"""


def merge(old: str, new: str = NEW, gone: tuple[str, ...] = ()) -> str:
    return merge_cards(old, new, "README.md", gone)


def test_without_a_card_ours_is_the_card() -> None:
    assert merge("") == merge(" \n") == NEW


def test_merging_is_exact() -> None:
    assert (
        merge(OLD)
        == """---
# who wrote this
license:   cc0-1.0   # as agreed
tags: [a,  b]
configs:
- config_name: theirs
  data_files: data/*.csv
- config_name: ratings
  data_files:
  - split: train
    path: ratings/train-*.arrow
  default: true
- config_name: wide
  data_files:
  - split: train
    path: wide/train-*.arrow
  drop_labels: true

# on the sizes
dataset_info:
- config_name: theirs
  dataset_size: 5
- config_name: ratings
  dataset_size: 10
- config_name: wide
  dataset_size: 20
size_categories:
- 1K<n<10K
extra: {x: 1}
---
Their words.

<!-- avmit:begin load -->
load them
<!-- avmit:end load -->

More of their words.
"""
    )


def test_merging_again_changes_nothing() -> None:
    assert merge(merge(OLD)) == merge(OLD)
    assert merge(NEW) == NEW


def test_windows_line_ends_stay() -> None:
    merged = merge(OLD.replace("\n", "\r\n"))
    assert merged == merge(OLD).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("before", "default"),
    [
        ([], "ratings"),
        ([{"config_name": "wide", "default": True}], "ratings"),  # ratings have just come
        ([{"config_name": "ratings"}, {"config_name": "wide", "default": True}], "wide"),
        ([{"config_name": "ratings"}, {"config_name": "theirs", "default": True}], "theirs"),
        (
            [
                {"config_name": "ratings", "default": True},
                {"config_name": "theirs", "default": True},
            ],
            "ratings",
        ),
        ([{"config_name": "ratings"}, {"config_name": "gone", "default": True}], "ratings"),
    ],
)
def test_one_config_is_the_default(before: list[dict[str, Any]], default: str) -> None:
    old = f"---\n{yaml.safe_dump({'configs': before})}---\n"
    configs = read_yaml(merge(old, gone=("gone",)))["configs"]
    assert [entry["config_name"] for entry in configs if "default" in entry] == [default]
    assert "gone" not in [entry["config_name"] for entry in configs]


@pytest.mark.parametrize(
    ("head", "reason"),
    [("a: [", "its YAML cannot be read (while parsing"), ("- a\n", "its YAML is not a mapping")],
)
def test_yaml_that_cannot_be_read_is_refused(head: str, reason: str) -> None:
    with pytest.raises(AvmitError) as error:
        merge(f"---\n{head}\n---\n")
    assert str(error.value).startswith(f"README.md: {reason}")
    assert str(error.value).endswith(": mend it")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "body",
    [
        "<!-- avmit:begin load -->\n",
        "<!-- avmit:end load -->\n",
        "<!-- avmit:begin load -->\n<!-- avmit:end contents -->\n",
        "<!-- avmit:begin load -->\n<!-- avmit:end load -->\n" * 2,
        "<!-- avmit:begin a -->\n<!-- avmit:begin b -->\n<!-- avmit:end b -->\n"
        "<!-- avmit:end a -->\n",
    ],
)
def test_marks_that_do_not_pair_are_refused(body: str) -> None:
    with pytest.raises(AvmitError, match=r"^README\.md: the mark <!-- avmit:\w+ \w+ --> has no"):
        merge(body)


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@example(keys={"0": {"\x85": None}, "\u2028": "\x85 "}, flow=True, prose="")
@given(
    keys=st.dictionaries(st.text(min_size=1, max_size=6), values, max_size=5),
    flow=st.sampled_from([True, False, None]),
    prose=st.text(max_size=60),
)
def test_others_keys_and_prose_survive(keys: dict[str, Any], flow: bool | None, prose: str) -> None:
    ours = {"configs", "dataset_info", "size_categories"}
    keys = {key: value for key, value in keys.items() if key not in ours}
    head = yaml.safe_dump(keys, default_flow_style=flow, sort_keys=False) if keys else ""
    keys = yaml.safe_load(head) or {}  # PyYAML does not bring every string back
    assume(isinstance(keys, dict) and not ours & keys.keys())
    prose = prose.replace("\r", "").replace("avmit:", "") + "."
    merged = merge(f"---\n{head}---\n{prose}\n")
    content = read_yaml(merged)
    assert {key: content[key] for key in keys} == keys
    assert [entry["config_name"] for entry in content["configs"]] == ["ratings", "wide"]
    assert f"---\n{prose.rstrip()}" in merged
    assert merge(merged) == merged
