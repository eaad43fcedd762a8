"""`avmit show` prints everything known of one video."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.lists import make_package, write_list
from support.releases import DIMS, csv_rows, shard_rows
from support.silence import embedded, with_silent


def shown(run: Run, package: Path, name: str, *options: Any) -> Any:
    ran = run("show", package, name, "--json", *options)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def expected_rows(package: Path, video: str) -> list[dict[str, Any]]:
    found = []
    for config, splits in (
        ("ratings", ["train"]),
        ("test_set", ["test"]),
        ("vggish_vgg16", ["train", "test"]),
        ("yamnet_effnet", ["train", "test"]),
    ):
        for split in splits:
            for number, row in enumerate(shard_rows(package, config, split)):
                if row["tfrecord_filename"] == video:
                    widths = dict(zip(("audio", "visual"), DIMS.get(config, ()), strict=False))
                    shapes = {name: [len(row[name]), width] for name, width in widths.items()}
                    place = {"config": config, "split": split, "row": number}
                    found.append({**place, "shapes": shapes, "has_audio": None})
    return found


def test_every_video(run: Run, package: Path, release: Path) -> None:
    raw = csv_rows(release / "raw_video_ratings.csv")
    test = {row["filename"]: row for row in csv_rows(release / "test_set.csv")}
    for row in csv_rows(release / "video_ratings.csv")[::5]:
        filename = row["filename"]
        said = shown(run, package, filename)
        assert said["rows"] == expected_rows(package, row["tfrecord_filename"])
        assert said["ratings"] == [int(r["rating"]) for r in raw if r["filename"] == filename]
        assert said["test_stimulus"] == (filename in test)
        columns = said["columns"]
        assert columns.pop("label") == row.pop("AVMIT_label")
        new = {"new_filename": test[filename]["new_filename"]} if filename in test else {}
        assert {name: str(value) for name, value in columns.items()} == {**row, **new}


def test_each_of_its_names(run: Run, package: Path, release: Path) -> None:
    row = csv_rows(release / "test_set.csv")[5]
    whole = shown(run, package, row["filename"])
    stems = [Path(row[name]).stem for name in ("filename", "new_filename")]
    for name in (row["tfrecord_filename"], row["new_filename"], *stems):
        assert shown(run, package, name) == whole


def test_lines(run: Run, package: Path, release: Path) -> None:
    row = csv_rows(release / "test_set.csv")[0]
    ran = run("show", package, row["new_filename"])
    lines = ran.out.splitlines()
    assert lines[0] == f"filename:          {row['filename']}"
    assert "test stimulus:     yes" in lines
    assert "sound:             not told here: `avmit silent` lists the silent" in lines
    assert lines[-1].startswith("                   yamnet_effnet test ")


def test_nobody_has_the_name(run: Run, package: Path, release: Path) -> None:
    ran = run("show", package, "barking_11")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"avmit: no video 'barking_11' in {package}; near it: barking/barking_1.mp4: "
        "name one by its filename\n"
    )
    ran = run("show", package, "\x1b[1m")
    assert ran.err == (f"avmit: no video '\\x1b[1m' in {package}: name one by its filename\n")


def test_several_have_the_stem(run: Run, tmp_path: Path) -> None:
    columns = {"filename": ["a/one_1.mp4", "b/one_1.mp4", "b/yt-one_2.mp4", "b/two.mp4"]}
    package = tmp_path / "avmit"
    make_package(package, write_list(tmp_path / "list.csv", columns))
    ran = run("show", package, "one_1")
    assert ran.err == (
        f"avmit: 'one_1' means 2 videos of {package} (a/one_1.mp4; b/one_1.mp4): name one of them\n"
    )
    said = shown(run, package, "a/one_1")
    assert said["columns"] == {"filename": "a/one_1.mp4", "label": None}
    assert (said["ratings"], said["test_stimulus"], said["silent"]) == ([], None, False)
    assert [other["filename"] for other in said["siblings"]] == ["b/one_1.mp4", "b/yt-one_2.mp4"]
    assert said["rows"][0]["shapes"] == {"audio": [1, 2], "visual": [1, 3]}
    assert "its other clips:   b/one_1.mp4" in run("show", package, "a/one_1").out


@pytest.mark.parametrize("silent", [True, False])
def test_silent(run: Run, tmp_path: Path, silent: bool) -> None:
    package = embedded(tmp_path / "avmit", "mine", with_silent([3, 8]))
    listed = tmp_path / "silent.csv"
    assert run("silent", package, "--config", "mine", "--out", listed).code == 0
    name = f"clap/v_{3 if silent else 4}.mp4"
    assert shown(run, package, name)["silent"] is None
    assert shown(run, package, name, "--silent", listed)["silent"] is silent
