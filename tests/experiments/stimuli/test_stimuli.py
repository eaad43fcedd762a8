"""`avmit stimuli`: names, tables, links, what is missing, and what is in the way."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from support.blocked import run_without
from support.commands import Ran, Run
from support.people import table, textured_clip, tree

import avmit

Study = tuple[Path, Path]


def stimuli(run: Run, study: Study, *more: object, out: str = "out") -> Ran:
    videos, annotations = study
    named = ("--videos", videos, "--annotations", annotations, "--out", out)
    return run("stimuli", *named, "--workers", 2, *more)


def copied(study: Study, root: Path) -> Study:
    videos = Path(shutil.copytree(study[0], root / "mit"))
    return videos, study[1]


def test_the_test_clips_under_their_own_names(study: Study, run: Run, tmp_path: Path) -> None:
    ran = stimuli(run, study)
    assert (ran.code, ran.err) == (0, "")
    first, second, last = ran.out.splitlines()
    assert first.startswith("32 stimuli of 16 labels, ")
    assert first.endswith(": audiovisual 32")
    assert second.startswith("loudness: -")
    assert last == "out/stimuli: stimuli.tsv says what each is, rows.tsv which row of each config"
    folder = tmp_path / "out" / "stimuli"
    with (study[1] / "test_set.csv").open() as file:
        header, *lines = (line.rstrip("\n").split(",") for line in file)
    wanted = [dict(zip(header, line, strict=True)) for line in lines]
    rows, keys = table(folder / "stimuli.tsv"), table(folder / "rows.tsv")
    assert [row["filename"] for row in rows] == [row["new_filename"] for row in wanted]
    for row, key, test in zip(rows, keys, wanted, strict=True):
        source = study[0] / test["video_location"] / test["filename"]
        content = (folder / row["filename"]).read_bytes()
        assert content == source.read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert (row["size"], row["present"]) == (str(len(content)), "true")
        assert (
            row["stimulus_id"]
            == key["stimulus_id"]
            == "stim-" + "".join(c for c in Path(test["new_filename"]).stem if c.isalnum())
        )
        for column in ("filename", "tfrecord_filename", "new_filename", "MIT_label"):
            assert key[column] == test[column]
        assert key["label"] == row["label"] == test["AVMIT_label"]
        assert (row["duration"], row["frames"], row["frame_rate"]) == ("1.0", "10", "10.0")
        assert (row["width"], row["height"], row["video_codec"]) == ("64", "48", "h264")
        assert (row["audio_codec"], row["sample_rate"]) == ("aac", "22050")
    assert {row["channels"] for row in rows} == {"1", "2"}
    assert [key["test_set_row"] for key in keys] == [str(n) for n in range(32)]


def test_every_column_and_file_is_described(study: Study, run: Run, tmp_path: Path) -> None:
    stimuli(run, study, "--names", "bids", "--conditions", "scrambled-audio")
    folder = tmp_path / "out" / "stimuli"
    for name in ("stimuli", "rows"):
        described = json.loads((folder / f"{name}.json").read_text())
        assert [*described] == [*table(folder / f"{name}.tsv")[0]]
        assert all(len(column["Description"]) > 10 for column in described.values())
    for row in table(folder / "stimuli.tsv"):
        assert row["filename"] == f"{row['stimulus_id']}_audiovideo.mp4"
        sidecar = json.loads((folder / f"{row['stimulus_id']}_audiovideo.json").read_text())
        assert sidecar["SHA256"] == row["sha256"]
        assert sidecar["AudioPresent"] is True
        assert sidecar["Recipe"]["Condition"] == row["condition"] == "scrambled-audio"
        assert str(sidecar["AudioLoudness"]) == row["loudness"]
        assert len(sidecar["Sources"]["video"]["SHA256"]) == 64


def test_the_same_again_is_the_same(study: Study, run: Run, tmp_path: Path) -> None:
    options = ("--label", "frying", "--label", "barking", "--condition", "scrambled-frames")
    more = ("--condition", "audio", "--condition", "other-class-audio", "--seed", 5)
    assert stimuli(run, study, *options, *more).code == 0
    before = tree(tmp_path / "out")
    ran = stimuli(run, study, *options, *more)
    assert "(unchanged)" in ran.out
    assert stimuli(run, study, *options, *more, out="again").code == 0
    assert tree(tmp_path / "out") == before == tree(tmp_path / "again")
    assert stimuli(run, study, *options, *more[:-1], 6, out="other").code == 0
    assert tree(tmp_path / "other") != before


def test_links_lead_to_the_videos(study: Study, run: Run, tmp_path: Path) -> None:
    assert stimuli(run, study, "--link", "--condition", "audiovisual").code == 0
    assert stimuli(run, study, "--link").out.count("(unchanged)") == 1
    linked = tmp_path / "out" / "stimuli" / "frying" / "frying_1.mp4"
    assert linked.is_symlink()
    assert linked.resolve().is_relative_to(study[0].resolve())
    refused = stimuli(run, study, "--copy")
    assert refused.code == 1
    # Whichever a thread comes to first.
    named = re.sub(r"_[1-9].mp4", "_N.mp4", refused.err)
    assert named == (
        "avmit: out/stimuli has other stimuli: barking/barking_N.mp4 is not there, or not what "
        "would be made: choose another --out, or move it away\n"
    )


def test_tables_without_files(study: Study, run: Run, tmp_path: Path) -> None:
    ran = stimuli(run, study, "--without-files", "--names", "bids")
    assert "tables and sidecars only: present is false in stimuli.tsv" in ran.out.splitlines()
    folder = tmp_path / "out" / "stimuli"
    assert not [*folder.rglob("*.mp4")]
    rows = table(folder / "stimuli.tsv")
    assert {row["present"] for row in rows} == {"false"}
    assert all(len(row["sha256"]) == 64 for row in rows)
    assert "(unchanged)" in stimuli(run, study, "--without-files", "--names", "bids").out
    both = stimuli(run, study, "--without-files", "--link")
    assert both.err == "avmit: --link and --without-files: choose one of them\n"


def test_what_is_missing_is_named(study: Study, run: Run, tmp_path: Path) -> None:
    videos, annotations = copied(study, tmp_path)
    keys = table_csv(annotations / "test_set.csv")
    places = [videos / row["video_location"] / row["filename"] for row in keys[:3]]
    places[0].unlink()
    places[1].write_bytes(b"no video at all")
    textured_clip(places[2], channels=0)
    ran = stimuli(run, (videos, annotations))
    assert ran.code == 1
    first, second = (row["filename"] for row in keys[:2])
    assert ran.err.startswith(
        f"avmit: 2 stimuli cannot be made: {first} is not among the videos; {second} cannot be "
        "decoded ("
    )
    assert ran.err.endswith(": --on-missing skip leaves them out and lists them in missing.tsv\n")
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "out" / "stimuli").exists()
    options = ("--on-missing", "skip", "--condition", "audio", "--condition", "visual")
    ran = stimuli(run, (videos, annotations), *options)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    at = lines.index("5 missing, of which missing.tsv says why, first:")
    third = keys[2]["filename"]
    assert lines[at + 1] == f"  {first} is not among the videos"
    assert lines[at + 2].startswith(f"  {second} cannot be decoded (")
    assert lines[at + 3] == f"  {third}, audio, has no sound"
    missing = table(tmp_path / "out" / "stimuli" / "missing.tsv")
    assert [(row["filename"], row["stimulus_id"][-5:]) for row in missing] == [
        *((filename, which) for filename in (first, second) for which in ("Audio", "isual")),
        (third, "Audio"),
    ]
    rows = table(tmp_path / "out" / "stimuli" / "stimuli.tsv")
    assert len(rows) == 29 + 30


def table_csv(path: Path) -> list[dict[str, str]]:
    header, *lines = (line.split(",") for line in path.read_text().splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_nothing_of_others_is_replaced(study: Study, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "sub-01").mkdir(parents=True)
    (out / "README.md").write_text("mine")
    (out / "sub-01" / "notes").write_text("mine too")
    assert stimuli(run, study, "--label", "frying").code == 0
    assert (out / "README.md").read_text() == "mine"
    assert (out / "sub-01" / "notes").read_text() == "mine too"
    (out / "stimuli" / "frying" / "mine.txt").write_text("x")
    before = tree(out)
    ran = stimuli(run, study, "--label", "frying")
    assert ran.err == (
        "avmit: out/stimuli has other stimuli: there is also frying/mine.txt: choose another "
        "--out, or move it away\n"
    )
    assert tree(out) == before
    (out / "stimuli" / "frying" / "mine.txt").unlink()
    (out / "stimuli" / "frying" / "frying_1.mp4").write_bytes(b"changed")
    before = tree(out)
    ran = stimuli(run, study, "--label", "frying")
    assert "frying/frying_1.mp4 is not there, or not what would be made" in ran.err
    assert tree(out) == before


def test_a_folder_of_stimuli_that_is_not_ours(study: Study, run: Run, tmp_path: Path) -> None:
    (tmp_path / "out" / "stimuli").mkdir(parents=True)
    (tmp_path / "out" / "stimuli" / "mine.mp4").write_bytes(b"mine")
    ran = stimuli(run, study)
    assert ran.code == 1
    assert ran.err.startswith("avmit: out/stimuli has other stimuli: ")
    assert tree(tmp_path / "out") == {"stimuli/mine.mp4": b"mine"}


def test_clips_by_a_list(study: Study, run: Run, tmp_path: Path) -> None:
    rated = table_csv(study[1] / "video_ratings.csv")
    tested = {row["tfrecord_filename"] for row in table_csv(study[1] / "test_set.csv")}
    others = [row for row in rated if row["tfrecord_filename"] not in tested][:2]
    chosen = [others[0]["filename"], others[1]["tfrecord_filename"], "frying/frying_2.mp4"]
    (tmp_path / "list.txt").write_text("\n".join([*chosen, "", chosen[0]]))
    assert stimuli(run, study, "--list", "list.txt").code == 0
    folder = tmp_path / "out" / "stimuli"
    keys, rows = table(folder / "rows.tsv"), table(folder / "stimuli.tsv")
    assert [key["tfrecord_filename"] for key in keys[:2]] == [
        row["tfrecord_filename"] for row in others
    ]
    assert [key["new_filename"] for key in keys] == ["n/a", "n/a", "frying/frying_2.mp4"]
    assert rows[0]["filename"] == others[0]["tfrecord_filename"].replace(".tfrecord", ".mp4")
    assert all(row["stimulus_id"].removeprefix("stim-").isalnum() for row in rows)
    (tmp_path / "list.txt").write_text("frying/nobody.mp4\n")
    ran = stimuli(run, study, "--list", "list.txt")
    assert ran.err == (
        "avmit: --list list.txt: not among the rated videos: frying/nobody.mp4: name one a line, "
        "by its filename, tfrecord_filename or new_filename\n"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--label", "flying"], "--label flying: no such label; there are barking, diving, "),
        (["--condition", "upside-down"], "--condition upside-down: there are audiovisual, audio, "),
        (["--list", "."], "--list . cannot be read (. is no regular file)"),
        (["--list", "nowhere"], "--list nowhere cannot be read (No such file or directory)"),
        (["--package", "nowhere"], "no folder nowhere: make a package with "),
    ],
)
def test_what_there_is_not(study: Study, run: Run, options: list[str], said: str) -> None:
    ran = stimuli(run, study, *options)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"avmit: {said}")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("name", ["../outside.mp4", "/tmp/x.mp4", "a/b/c.mp4", "frying/..", "\\x"])
def test_names_that_lead_elsewhere(study: Study, run: Run, tmp_path: Path, name: str) -> None:
    sources = Path(shutil.copytree(study[1], tmp_path / "sources"))
    text = (sources / "test_set.csv").read_text().replace("frying/frying_1.mp4", name)
    (sources / "test_set.csv").write_text(text)
    ran = stimuli(run, (study[0], sources))
    assert ran.code == 1
    assert ran.err.startswith(f"avmit: '{name}' is no name for a stimulus")


def test_rows_of_a_package(study: Study, run: Run, package: Path, release: Path) -> None:
    ran = stimuli(run, study, "--package", package)
    assert ran.code == 0
    keys = table(Path("out/stimuli/rows.tsv"))
    assert {"vggish_vgg16_split", "yamnet_effnet_row"} <= {*keys[0]}
    videos = {
        (split, row): name
        for split in ("train", "test")
        for row, name in enumerate(
            avmit.load("yamnet_effnet", split, data_dir=package)["tfrecord_filename"]
        )
    }
    for key in keys:
        if key["yamnet_effnet_split"] != "n/a":
            place = key["yamnet_effnet_split"], int(key["yamnet_effnet_row"])
            assert videos[place] == key["tfrecord_filename"]


def test_without_pyav(tmp_path: Path, sharded_release: Path) -> None:
    named = ("--videos", tmp_path, "--annotations", sharded_release, "--out", "out")
    ran = run_without(["av"], "-m", "avmit_cli", "stimuli", *named, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "avmit: avmit stimuli needs av, which is not installed or does not load: "
        "pip install 'avmit[stimuli]'\n"
    )


def test_an_older_pyav(tmp_path: Path, sharded_release: Path, run: Run) -> None:
    av = pytest.importorskip("av")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(av, "AudioFrame", object)
        patch.setattr(av, "__version__", "16.0.0")
        ran = stimuli(run, (tmp_path, sharded_release))
    assert ran.err == (
        "avmit: avmit stimuli needs PyAV 18.1 or later, and this is 16.0.0: "
        "pip install --upgrade 'avmit[stimuli]'\n"
    )
