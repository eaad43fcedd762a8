"""The dataset card: YAML that says what the shards hold, and examples that run."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import DatasetCard
from support.commands import Run
from support.releases import (
    CONFIGS,
    DIMS,
    SPLITS,
    csv_rows,
    expected_rows,
    shard_rows,
    shards,
    write_set,
)

from conversion import ground
from conversion.card.head import read_yaml
from conversion.card.render import size_category
from conversion.convert.build import Options, convert


def data_of(package: Path) -> dict[str, Any]:
    data: dict[str, Any] = DatasetCard.load(package / "README.md").data.to_dict()
    return data


@pytest.fixture(scope="module")
def data(package: Path) -> dict[str, Any]:
    return data_of(package)


@pytest.fixture(scope="module")
def text(package: Path) -> str:
    return (package / "README.md").read_text(encoding="utf-8")


def test_configs_name_their_shards(package: Path, data: dict[str, Any]) -> None:
    assert sorted(config["config_name"] for config in data["configs"]) == sorted(CONFIGS)
    for config in data["configs"]:
        name = config["config_name"]
        assert [item["split"] for item in config["data_files"]] == SPLITS[name]
        for item in config["data_files"]:
            assert sorted(package.glob(item["path"])) == shards(package, name, item["split"])


def test_one_config_is_the_default(data: dict[str, Any]) -> None:
    assert [c["config_name"] for c in data["configs"] if "default" in c] == ["ratings"]


@pytest.mark.parametrize("config", CONFIGS)
def test_sizes_are_those_of_the_shards(package: Path, data: dict[str, Any], config: str) -> None:
    (info,) = [info for info in data["dataset_info"] if info["config_name"] == config]
    assert [split["name"] for split in info["splits"]] == SPLITS[config]
    sizes = []
    for split in info["splits"]:
        assert split["num_examples"] == len(shard_rows(package, config, split["name"]))
        paths = shards(package, config, split["name"])
        sizes.append(sum(path.stat().st_size for path in paths))
        assert split["num_bytes"] == sizes[-1]
    assert info["download_size"] == info["dataset_size"] == sum(sizes)


@pytest.mark.parametrize("config", DIMS)
def test_features_of_embeddings(release: Path, data: dict[str, Any], config: str) -> None:
    (info,) = [info for info in data["dataset_info"] if info["config_name"] == config]
    features = {feature["name"]: feature for feature in info["features"]}
    assert list(features) == list(expected_rows(release, config, "test")[0])
    labels = sorted({row["AVMIT_label"] for row in csv_rows(release / "video_ratings.csv")})
    names = features["label"]["dtype"]["class_label"]["names"]
    assert names == {str(index): label for index, label in enumerate(labels)}
    for column, dim in zip(("audio", "visual"), DIMS[config], strict=True):
        assert features[column]["sequence"] == {"sequence": "float32", "length": dim}


def test_features_are_written_so_that_datasets_3_reads_them(text: str) -> None:
    head = text.split("\n---\n")[0]
    assert head.count("sequence:") == 8
    assert "list:" not in head.replace("_list:", "")
    assert "List" not in head


def test_citations_are_bibtex(text: str) -> None:
    (block,) = re.findall(r"```bibtex\n(.*?)```", text, re.DOTALL)
    entries = re.findall(r"^@(\w+)\{(\w+),$", block, re.MULTILINE)
    assert [key for _, key in entries] == [
        "joannou2023avmit",
        "monfort2019moments",
        "hershey2017cnn",
        "plakal2020yamnet",
        "simonyan2015very",
        "tan2019efficientnet",
    ]
    assert block.count("{") == block.count("}")
    assert "2308.09685" in block


def test_nothing_of_the_template_is_left(text: str) -> None:
    body = text.split("\n---\n", 1)[1]
    without_bibtex = re.sub(r"```bibtex\n.*?```", "", body, flags=re.DOTALL)
    assert not re.search(r"\{\{|\}\}|\{%|%\}", without_bibtex)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_table_counts_the_rows(package: Path, text: str, config: str) -> None:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| `{config}` | ")][:1]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    for split, cell in zip(("train", "test"), cells[1:3], strict=True):
        has = split in SPLITS[config]
        assert cell == (str(len(shard_rows(package, config, split))) if has else "–")


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        (1, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (9999, "1K<n<10K"),
        (10_000, "10K<n<100K"),
        (57_177, "10K<n<100K"),
        (182_000, "100K<n<1M"),
        (999_999, "100K<n<1M"),
        (1_000_000, "1M<n<10M"),
    ],
)
def test_size_categories(rows: int, category: str) -> None:
    assert size_category(rows) == category


def test_the_size_category_is_that_of_the_largest_config(data: dict[str, Any]) -> None:
    assert data["size_categories"] == ["n<1K"]


def test_the_examples_run(package: Path, text: str, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert all(f'"{config}"' in code for config in CONFIGS)
    lines = "".join(f"print('{config}', len({config}))\n" for config in CONFIGS)
    ran = subprocess.run(
        [sys.executable, "-c", code + lines],
        cwd=package.parent,
        env={**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "cache")},
        check=True,
        capture_output=True,
        text=True,
    )
    wanted = [(c, len(shard_rows(package, c, SPLITS[c][0]))) for c in CONFIGS]
    assert ran.stdout.splitlines() == [f"{config} {rows}" for config, rows in wanted]


def test_the_example_of_a_config_with_a_dash_in_its_name_is_python(
    small_release: Path, tmp_path: Path
) -> None:
    path = write_set(small_release, "clip", (8, 16))
    convert(small_release, tmp_path / "avmit", Options(tfrecords={"clip-b32": path}, workers=1))
    text = (tmp_path / "avmit" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert '"clip-b32"' in code
    compile(code, "README.md", "exec")


def test_a_package_of_one_config_has_it_as_the_default(small_release: Path, tmp_path: Path) -> None:
    convert(small_release, tmp_path / "avmit", Options(configs=["vggish_vgg16"], workers=1))
    data = data_of(tmp_path / "avmit")
    assert [(c["config_name"], c["default"]) for c in data["configs"]] == [("vggish_vgg16", True)]


def about(text: str) -> str:
    _, _, after = text.partition("<!-- avmit:begin about -->\n")
    return after.partition("<!-- avmit:end about -->")[0]


def test_a_card_of_a_part_of_the_release_counts_what_is_there(text: str) -> None:
    assert (
        about(text)
        == """# Audiovisual Moments in Time (AVMIT)

A part of AVMIT: 48 of its 57,177 three-second videos from
[Moments in Time](http://moments.csail.mit.edu/), each rated by three trained participants or more
for whether its audiovisual action is there and prominent, 16 of them in the test set.
`label` numbers the 16 AVMIT labels of this part: in the full release the numbers are others.
The paper: [arXiv 2308.09685](https://arxiv.org/abs/2308.09685). The videos are not part of it.
"""
    )


@pytest.mark.parametrize(
    ("configs", "said", "unsaid"),
    [
        (["ratings"], "A part of AVMIT: 32 of its 57,177", ["test set", "`label`"]),
        (["vggish_vgg16"], "A part of AVMIT: 32 of its 57,177", []),
        (["ratings", "test_set"], "prominent, 16 of them in the test set.", ["`label`"]),
        (["test_set"], "57,177 three-second videos", ["A part"]),  # nothing says of how many
    ],
)
def test_a_part_is_known_by_what_the_package_has(
    small_release: Path, tmp_path: Path, configs: list[str], said: str, unsaid: list[str]
) -> None:
    convert(small_release, tmp_path / "avmit", Options(configs=configs, workers=1))
    text = about((tmp_path / "avmit" / "README.md").read_text(encoding="utf-8"))
    assert said in text
    assert not [words for words in unsaid if words in text]


def test_a_card_of_the_full_release(
    small_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "RATED_VIDEOS", 32)
    convert(small_release, tmp_path / "avmit", Options(workers=1))
    text = about((tmp_path / "avmit" / "README.md").read_text(encoding="utf-8"))
    assert text.startswith("# Audiovisual Moments in Time (AVMIT)\n\n57,177 three-second videos")
    assert text.endswith("(https://arxiv.org/abs/2308.09685).\nThe videos are not part of it.\n")


def test_the_card_ties_label_to_the_names_in_the_ratings(text: str) -> None:
    assert '`rows.features["label"].int2str(rows[0]["label"])` is the name.' in text


def test_the_card_command_leaves_what_people_wrote(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    run("convert", small_release)
    path = tmp_path / "avmit" / "README.md"
    card = path.read_text(encoding="utf-8")
    ran = run("card", "avmit")
    assert (ran.code, ran.out) == (0, "avmit/README.md is up to date\n")
    between = "<!-- avmit:end load -->\n"
    prose = "## Ours\n\nWe measured it twice.\n"
    stale = card.replace("## What is here\n", "## What was here\n").replace("32", "31")
    assert stale != card
    path.write_text(stale.replace(between, between + prose), encoding="utf-8")
    ran = run("card", "avmit")
    assert (ran.code, ran.out) == (0, "avmit/README.md written\n")
    assert path.read_text(encoding="utf-8") == card.replace(between, between + prose)


def test_a_card_of_others_gets_ours_after_it(small_release: Path, run: Run, tmp_path: Path) -> None:
    run("convert", small_release)
    path = tmp_path / "avmit" / "README.md"
    card = path.read_text(encoding="utf-8")
    path.write_text("# Notes\n", encoding="utf-8")
    assert run("card", "avmit").code == 0
    _, body = card.split("\n---\n", 1)
    after_marks = body[body.index("<!--") :]
    assert path.read_text(encoding="utf-8").endswith("---\n# Notes\n\n" + after_marks)
    assert data_of(tmp_path / "avmit")["configs"] == read_yaml(card)["configs"]
    path.write_bytes(b"\xff")
    ran = run("card", "avmit")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "avmit: avmit/README.md is not UTF-8 text: mend or delete it\n"
