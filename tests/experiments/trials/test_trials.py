"""`avmit trials`: files of each format, what is printed, and what is in the way."""

import csv
import json
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.commands import Ran, Run
from support.people import table, tree

AVMIT = [sys.executable, "-c", "from avmit_cli import main; main()"]
DESIGN = ("--runs", 2, "--per-run", 8, "--subjects", 3, "--seed", 7, "--repeat-clips")
COLUMNS = [
    *("trial", "stim_id", "stim_file", "movie", "stim_type"),
    *("label", "condition", "duration", "tfrecord_filename"),
]


def trials(run: Run, stimuli: Path, *more: object) -> Ran:
    return run("trials", "--stimuli", stimuli, *DESIGN, *more)


@pytest.fixture
def study(stimuli: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stimuli, tmp_path / "study"))


def test_events_of_bids(study: Path, run: Run) -> None:
    before = tree(study)
    ran = trials(run, study, "--no-repeat-class")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "3 subjects, 2 runs of 8 trials: 48 trials",
        "in each run: a class 2 times, a condition 4 times, a class under a condition once",
        "over all: a clip 6 times, a stimulus 3 times, 8 clips; a class twice in a row: 0 times",
        "of one subject: a clip 2 times at most",
        f"{study}: 6 lists",
    ]
    assert before.items() <= tree(study).items()
    described = json.loads((study / "task-avmit_events.json").read_text())
    stimuli = {row["stimulus_id"]: row for row in table(study / "stimuli" / "stimuli.tsv")}
    keys = {row["stimulus_id"]: row for row in table(study / "stimuli" / "rows.tsv")}
    files = sorted(study.glob("sub-*/beh/*_events.tsv"))
    assert [file.name for file in files] == [
        f"sub-0{s}_task-avmit_run-0{r}_events.tsv" for s in (1, 2, 3) for r in (1, 2)
    ]
    for file in files:
        rows = table(file)
        assert {*rows[0]} <= {*described}
        onset = 1.0
        for row in rows:
            stimulus = stimuli[row["stim_id"]]
            assert row["stim_file"] == stimulus["filename"]
            assert (study / "stimuli" / row["stim_file"]).is_file()
            assert row["trial_type"] == stimulus["condition"]
            assert row["tfrecord_filename"] == keys[row["stim_id"]]["tfrecord_filename"]
            assert float(row["onset"]) == pytest.approx(onset)
            assert (row["response"], row["response_time"]) == ("n/a", "n/a")
            onset += float(row["duration"]) + 1
    assert table(study / "participants.tsv")[2] == {"participant_id": "sub-03"}


def test_the_tree_is_a_dataset_of_bids(study: Path, run: Run) -> None:
    validator = Path(sys.executable).with_name("bids-validator-deno")
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed")
    trials(run, study)
    asked = [str(validator), str(study), "--format", "json"]
    ran = subprocess.run(asked, capture_output=True, text=True)
    issues = json.loads(ran.stdout)["issues"]["issues"]
    assert not [issue for issue in issues if issue["severity"] == "error"], issues
    # docs/people.md explains them.
    explained = {"JSON_KEY_RECOMMENDED", "SIDECAR_KEY_RECOMMENDED"}
    assert {issue["code"] for issue in issues} <= explained, issues
    assert sorted(json.loads(ran.stdout)["summary"]["subjects"]) == ["01", "02", "03"]


def read_xlsx(path: Path) -> list[dict[str, Any]]:
    openpyxl = pytest.importorskip("openpyxl")
    header, *rows = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("psychopy", read_csv),
        ("xlsx", read_xlsx),
        ("jspsych", lambda path: json.loads(path.read_text())),
    ],
)
def test_the_same_lists_in_each_format(study: Path, run: Run, form: str, read: Any) -> None:
    assert trials(run, study).code == 0
    assert trials(run, study, "--format", form, "--out", "lists").code == 0
    files = sorted(Path("lists").iterdir())
    assert [file.stem for file in files] == [
        f"sub-0{s}_run-0{r}" for s in (1, 2, 3) for r in (1, 2)
    ]
    for file in files:
        subject, number = file.stem.split("_")
        events = table(study / subject / "beh" / f"{subject}_task-avmit_{number}_events.tsv")
        rows = read(file)
        assert all([*row] == COLUMNS for row in rows)
        assert [row["stim_id"] for row in rows] == [event["stim_id"] for event in events]
        assert [int(row["trial"]) for row in rows] == [*range(1, 9)]
        for row in rows:
            assert (file.parent / row["movie"]).resolve() == (
                study / "stimuli" / row["stim_file"]
            ).resolve()
            assert float(row["duration"]) == pytest.approx(0.4, abs=0.05)
    before = tree(Path("lists"))
    again = trials(run, study, "--format", form, "--out", "lists")
    assert again.out.splitlines()[-1] == "lists: 6 lists (unchanged)"
    shutil.rmtree("lists")
    trials(run, study, "--format", form, "--out", "lists")
    assert tree(Path("lists")) == before


def test_psychopy_reads_the_lists(study: Path, run: Run) -> None:
    # Run with PsychoPy 2026.2.5, which no extra brings: it is 1.5 GB, with Qt and more. To read
    # lists, `pip install --no-deps psychopy json_tricks i18next` is enough (70 MB).
    data = pytest.importorskip("psychopy.data", exc_type=ImportError)
    for form, ending in (("psychopy", "csv"), ("xlsx", "xlsx")):
        trials(run, study, "--format", form, "--out", form)
        rows, fields = data.importConditions(f"{form}/sub-01_run-02.{ending}", True)
        assert (len(rows), list(fields)) == (8, COLUMNS)
        assert [float(row["duration"]) for row in rows] == [row["duration"] for row in rows]


def test_columns_are_names_that_psychopy_takes(study: Path, run: Run) -> None:
    # PsychoPy makes a variable of each column, and of a row's text that is a number, a number.
    trials(run, study, "--format", "psychopy", "--out", "lists")
    for row in read_csv(Path("lists/sub-01_run-01.csv")):
        assert all(name.isidentifier() for name in row)
        assert all(value and value.strip() == value for value in row.values())


def test_some_conditions_only(study: Path, run: Run) -> None:
    ran = trials(run, study, "--condition", "audio", "--format", "jspsych", "--out", "lists")
    assert ran.code == 0
    rows = json.loads(Path("lists/sub-01_run-01.json").read_text())
    assert Counter(row["stim_type"] for row in rows) == {"audio": 8}
    again = trials(run, study, "--conditions", "audio", "--format", "jspsych", "--out", "lists")
    assert again.out.splitlines()[-1] == "lists: 6 lists (unchanged)"
    refused = trials(run, study, "--condition", "upside-down")
    assert refused.err == (
        f"avmit: --condition upside-down: {study}/stimuli/stimuli.tsv has audiovisual, audio\n"
    )


def test_what_was_filled_in_stays(study: Path, run: Run) -> None:
    trials(run, study)
    events = study / "sub-02" / "beh" / "sub-02_task-avmit_run-01_events.tsv"
    text = events.read_text().replace("n/a", "3", 1)
    events.write_text(text)
    (study / "participants.tsv").write_text("participant_id\tage\nsub-01\t33\n")
    before = tree(study)
    ran = trials(run, study)
    assert ran.code == 1
    assert ran.err == (
        f"avmit: {study} has other files of these names: sub-02/beh/{events.name}: "
        "choose another --out\n"
    )
    assert tree(study) == before


def test_participants_grow_until_others_write_to_their_table(study: Path, run: Run) -> None:
    path = study / "participants.tsv"
    trials(run, study, "--subjects", 1)
    assert path.read_text() == "participant_id\nsub-01\n"
    assert trials(run, study).out.splitlines()[-1] == f"{study}: 6 lists"
    assert path.read_text() == "participant_id\nsub-01\nsub-02\nsub-03\n"
    fewer = trials(run, study, "--subjects", 2)
    assert fewer.out.splitlines()[-1] == f"{study}: 4 lists (unchanged)"
    path.write_text("participant_id\tage\nsub-02\t33\n")
    assert trials(run, study).out.splitlines()[-2:] == [
        f"{path}, which stays as it is, lacks sub-01; sub-03",
        f"{study}: 6 lists (unchanged)",
    ]
    assert path.read_text() == "participant_id\tage\nsub-02\t33\n"


def test_events_never_go_among_the_stimuli(study: Path, run: Run) -> None:
    before = tree(study / "stimuli")
    ran = trials(run, study / "stimuli")
    assert ran.out.splitlines()[-1] == f"{study}: 6 lists"
    assert tree(study / "stimuli") == before
    assert len(list(study.glob("sub-*/beh/*_events.tsv"))) == 6


def test_clips_without_one_of_the_conditions_are_left_out(study: Path, run: Run) -> None:
    path = study / "stimuli" / "stimuli.tsv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("stim-frying1Audio\t")))
    ran = trials(run, study, "--format", "psychopy", "--out", "lists")
    assert "clips left out, which lack one of the conditions: 1" in ran.out.splitlines()


def test_stimuli_that_are_elsewhere(study: Path, run: Run) -> None:
    path = study / "stimuli" / "stimuli.tsv"
    path.write_text(path.read_text().replace("\ttrue\tfrying", "\tfalse\tfrying"))
    ran = trials(run, study)
    assert f"stimuli without a file in {study}/stimuli: 4" in ran.out.splitlines()
    moved, removed, *_ = (
        study / "stimuli" / row["filename"] for row in table(path) if row["label"] == "mowing"
    )
    moved.unlink()
    moved.symlink_to("a copy of Moments in Time that was moved")
    removed.unlink()
    ran = trials(run, study)
    assert f"stimuli without a file in {study}/stimuli: 6" in ran.out.splitlines()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a\tb\n1\t2\n", "has no column stimulus_id, filename, label, condition, "),
        ("stimulus_id\tfilename\nx\n", "has no column label, condition, "),
        ("", "has no column stimulus_id, "),
        (b"\xff\xfe", "is not text in UTF-8"),
    ],
)
def test_tables_that_are_none(study: Path, run: Run, content: str | bytes, said: str) -> None:
    path = study / "stimuli" / "stimuli.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    ran = trials(run, study)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"avmit: {path} {said}")
    assert ran.err.count("\n") == 1


def test_rows_and_durations_that_are_none(study: Path, run: Run) -> None:
    path = study / "stimuli" / "stimuli.tsv"
    header, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([header, first.rpartition("\t")[0], *rest]) + "\n")
    assert trials(run, study).err == f"avmit: {path}, line 2: 24 values for 25 columns\n"
    values = first.split("\t")
    for duration in ("long", "nan", "inf", "-1"):
        values[header.split("\t").index("duration")] = duration
        path.write_text("\n".join([header, "\t".join(values), *rest]) + "\n")
        assert trials(run, study).err == (
            f"avmit: {path}: duration of {values[0]} is '{duration}', not seconds\n"
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "jspsych"], "--format jspsych needs --out DIR, where the lists go"),
        (["--pause", "inf"], "--pause inf: give seconds, such as 1"),
        (["--task", "a_b"], "--task a_b: BIDS takes letters and digits only, such as avmit"),
        (
            ["--per-run", "9"],
            "--per-run 9: 4 classes and 2 conditions cannot come equally often: take --per-run 8 "
            "or 12",
        ),
    ],
)
def test_options_that_cannot_be(study: Path, run: Run, options: list[str], said: str) -> None:
    ran = trials(run, study, *options)
    assert (ran.code, ran.out, ran.err) == (1, "", f"avmit: {said}\n")


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    study: Path, run: Run, tmp_path: Path
) -> None:
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    design = ["trials", "--stimuli", study, *DESIGN, "--format", "psychopy"]
    command = shlex.join([*AVMIT, *map(str, design), "--out", str(disk / "lists")])
    script = f"""
        mount -t tmpfs -o size=8k tmpfs {disk} || exit 77
        {command}; echo "exit $?"; ls {disk}/lists
        mount -o remount,size=1m {disk}
        {command} && cp -a {disk}/lists {copy}
    """
    ran = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    if ran.returncode == 77 or "unshare failed" in ran.stderr:
        pytest.skip(f"a small file system cannot be mounted here: {ran.stderr}")
    assert ran.stderr == (
        "avmit: the disk is full: make room and run again; what was finished is kept\n"
    )
    lines = ran.stdout.splitlines()
    first = lines[1 : lines.index("3 subjects, 2 runs of 8 trials: 48 trials")]
    trials(run, study, "--format", "psychopy", "--out", "other/lists")
    files = tree(Path("other/lists"))
    # In the order in which they are needed.
    assert (lines[0], first) == ("exit 1", list(files)[: len(first)])
    assert len(first) < len(files)
    assert tree(copy) == files


def test_no_stimuli(run: Run, tmp_path: Path) -> None:
    ran = trials(run, Path("nowhere"))
    assert ran.err == (
        "avmit: no stimuli.tsv in nowhere: make stimuli with `avmit stimuli --out nowhere`\n"
    )
