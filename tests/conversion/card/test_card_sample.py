"""A row of each config in the card: the first one, short, and nothing in it is Markdown."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Features, Value
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.commands import Run
from support.lists import make_package, write_list
from support.releases import CONFIGS, SPLITS, expected_rows

from conversion.card.sample import sample_row, samples_in
from conversion.package.manifest import Manifest, Shard
from conversion.wording import printable


def cells(table: str) -> list[list[str]]:
    """Return the rows of a table, below its head, as a reader of Markdown sees them."""
    found: list[list[str]] = []
    for token in MarkdownIt().enable("table").parse(table):
        if token.type == "tr_open":
            found.append([])
        elif token.type == "inline" and token.children is not None:
            found[-1].append("".join(child.content for child in token.children))
    return found[1:]


def shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        numbers = ", ".join(f"{number:.4g}" for number in value[0, :3].tolist())
        return f"({len(value)}, {value.shape[1]}): {numbers}, …"
    return str(value)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_first_row_of_each_config(package: Path, release: Path, config: str) -> None:
    card = (package / "README.md").read_text(encoding="utf-8")
    split = SPLITS[config][0]
    table = samples_in(card, "README.md")[config]
    assert table.startswith(f"| column | first row of `{split}` |\n| --- | --- |\n")
    wanted = expected_rows(release, config, split)[0]
    found = dict(cells(table))
    if "label" in wanted:
        assert re.fullmatch(rf"{wanted.pop('label')} \(\w+\)", found.pop("label"))
    assert found == {name: shown(value) for name, value in wanted.items()}


def test_the_rows_follow_the_columns_in_the_order_of_the_configs(package: Path) -> None:
    card = (package / "README.md").read_text(encoding="utf-8")
    part = card.split("<!-- avmit:begin columns -->")[1].split("<!-- avmit:end columns -->")[0]
    assert re.findall(r"^### A row of `(\w+)`$", part, re.MULTILINE) == [
        *("ratings", "raw_ratings", "test_set", "vggish_vgg16", "yamnet_effnet")
    ]
    assert len(part.encode()) < 6000


TEXT = st.text(
    st.characters(blacklist_categories=["Cs"]) | st.sampled_from("`|\\<*_[]!"), max_size=130
)


def one_row(folder: Path, filename: str, label: str) -> str:
    """Return what the card has of a config of this one row."""
    features = Features({"filename": Value("string"), "label": ClassLabel(names=["x", label])})
    table = pa.table({"filename": [filename], "label": pa.array([1], pa.int64())})
    name = "train-00000-of-00001.arrow"
    with (
        pa.OSFile(str(folder / name), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as writer,
    ):
        writer.write_table(table)
    splits = {"train": [Shard(name, 1, 0, "", "")]}
    return sample_row(folder, Manifest("mine", "arrow", "none", {"kind": "csv"}, splits), features)


def seen(text: str) -> list[str]:
    """Return what a reader sees of a text, but for spaces, which Markdown runs together."""
    return printable(text).split()


@given(filename=TEXT, label=TEXT.filter(lambda text: text.strip() and text != "x"))
def test_whatever_the_values_are(
    tmp_path_factory: pytest.TempPathFactory, filename: str, label: str
) -> None:
    table = one_row(tmp_path_factory.mktemp("sample"), filename, label)
    assert len(table.splitlines()) == 4
    (_, name), (_, number) = cells(table)
    short = filename if len(filename) <= 100 else filename[:99] + "…"
    assert name.split() == (seen(short) if short.strip() else ["–"])
    assert number.split() == seen(f"1 ({label})")


def test_a_row_of_a_list_and_of_the_first_split_that_has_rows(tmp_path: Path) -> None:
    columns = {"filename": ["a|b/`1`.mp4", "c.mp4"], "label": ["7", "5"], "split": ["dev", "dev"]}
    make_package(tmp_path / "avmit", write_list(tmp_path / "list.csv", columns))
    table = samples_in((tmp_path / "avmit/README.md").read_text(encoding="utf-8"), "x")["mine"]
    assert table.startswith("| column | first row of `dev` |\n")
    found = dict(cells(table))
    assert found["filename"] == "a|b/`1`.mp4"
    assert found["label"] == "1 (7)"
    assert found["has_audio"] == "True"
    assert re.fullmatch(r"\(1, 2\): \S+, \S+", found["audio"])  # all of it
    assert re.fullmatch(r"\(1, 3\): \S+, \S+, \S+", found["visual"])


def test_a_damaged_shard_has_no_row_in_the_card(copied: Path, run: Run) -> None:
    path = copied / "ratings" / "train-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:2500])
    assert run("card", copied).code == 0
    samples = samples_in((copied / "README.md").read_text(encoding="utf-8"), "README.md")
    assert list(samples) == ["raw_ratings", "test_set", "vggish_vgg16"]
