"""What is asked of Slurm, and the scripts that it would get."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avmit import AvmitError
from conversion.executors.slurm import prepare
from conversion.executors.slurm_options import SlurmOptions
from conversion.executors.slurm_script import array_script, finish_script
from conversion.executors.work import Work, ranges


def work(folder: Path, missing: list[int], shards: int) -> Work:
    return Work(
        arguments=("extract", "--config=mine", "--", "a b"),
        finish=("finish", "--", str(folder / "out")),
        out=folder / "out",
        label="mine",
        shards=shards,
        missing=lambda: missing,
        is_together=lambda: False,
        folder=folder / "100% mine",
        cwd=folder,
        environment={"HF_HUB_OFFLINE": "1", "PLACE": "it's here"},
    )


def directives(script: str) -> list[str]:
    lines = [line for line in script.splitlines() if line.startswith("#SBATCH ")]
    return [line.removeprefix("#SBATCH ") for line in lines]


def refused(**options: object) -> str:
    with pytest.raises(AvmitError) as raised:
        SlurmOptions(**options)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_an_array_asks_for(tmp_path: Path) -> None:
    options = SlurmOptions(
        partition="gpu",
        time="4:00:00",
        gpus="a100:1",
        mem="16G",
        cpus=8,
        parallel=20,
        account="lab",
        setup=("module load cuda", "source env/bin/activate"),
        more=("qos=long", "--exclusive"),
        command="apptainer exec --nv avmit.sif avmit",
        requeues=7,
        grace=300,
    )
    given_work = work(tmp_path, [0, 1, 2, 5], 6)
    script = array_script(given_work, options, [0, 1, 2, 5], 6)
    assert directives(script) == [
        f"--job-name={given_work.name}-6x6",
        "--array=0-2,5%20",
        "--ntasks=1",
        "--cpus-per-task=8",
        "--gres=gpu:a100:1",
        f"--chdir={tmp_path}",
        f'--output="{tmp_path}/100%% mine/%A_%a.log"',
        "--open-mode=append",
        "--partition=gpu",
        "--account=lab",
        "--time=4:00:00",
        "--mem=16G",
        "--qos=long",
        "--exclusive",
        "--requeue",
        "--signal=B:USR1@300",
    ]
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    called = "apptainer exec --nv avmit.sif avmit extract --shards"
    assert f"{called} \"$SLURM_ARRAY_TASK_ID/6\" --config=mine -- 'a b' &" in lines
    setup = lines.index("module load cuda")
    assert lines[setup - 3 : setup + 2] == [
        'export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"',
        "export HF_HUB_OFFLINE=1",
        "export PLACE='it'\"'\"'s here'",
        "module load cuda",
        "source env/bin/activate",
    ]
    last = finish_script(given_work, options)
    assert f"apptainer exec --nv avmit.sif avmit finish -- {tmp_path}/out" in last.splitlines()
    assert not [one for one in directives(last) if one.startswith(("--gres", "--array"))]


@pytest.mark.parametrize("per_task", [1, 2, 3, 50])
def test_shards_are_dealt_to_tasks(tmp_path: Path, per_task: int) -> None:
    missing = [0, 3, 4, 9]
    options = SlurmOptions(per_task=per_task)
    submission = prepare(work(tmp_path, missing, 10), options, there=False)
    of = -(-10 // per_task)
    dealt = {shard for task in submission.tasks for shard in range(task, 10, of)}
    assert set(missing) <= dealt
    assert all(set(range(task, 10, of)) & set(missing) for task in submission.tasks)
    assert f"$SLURM_ARRAY_TASK_ID/{of}" in submission.scripts[tmp_path / "100% mine" / "array.sh"]


def test_nothing_is_missing(tmp_path: Path) -> None:
    submission = prepare(work(tmp_path, [], 10), SlurmOptions(), there=False)
    assert [path.name for path in submission.scripts] == ["finish.sh"]
    assert not (tmp_path / "100% mine").exists()


def test_scripts_are_bash(tmp_path: Path) -> None:
    options = SlurmOptions(setup=("module load x",))
    for script in prepare(work(tmp_path, [1], 3), options, there=False).scripts.values():
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("limit", "grace"),
    [("6", 120), ("6:00", 120), ("0:06:00", 120), ("1-0", 3600), ("0-1", 1740), ("0", 9999)],
)
def test_a_time_limit_with_room(limit: str, grace: int) -> None:
    SlurmOptions(time=limit, grace=grace)
    SlurmOptions(more=(f"time={limit}",), grace=grace)


@pytest.mark.parametrize("limit", ["5", "5:59", "0:05:59", "0-0:05", "0-0:5:59"])
def test_a_grace_that_is_too_near_the_time_limit(limit: str) -> None:
    line = (
        f"--slurm-time {limit} is too short for --slurm-grace 120: tasks may be told to stop 180 s "
        "before it, so give at least 0:06:00, or a shorter --slurm-grace"
    )
    assert refused(time=limit) == line
    assert refused(more=(f"time={limit}",)) == line
    assert refused(more=(f"--time={limit}",), time="9:00:00") == line


@pytest.mark.parametrize("limit", ["", "x", "1:2:3:4", "-5", "4h", "1.5", "1-", "٣"])
def test_what_is_no_time_limit(limit: str) -> None:
    assert refused(time=limit).startswith(f"--slurm-time {limit}: write it as sbatch takes it")


@pytest.mark.parametrize("text", ["array=1", "--array=1-4", "J=x", "signal=TERM", "wrap=ls", "W"])
def test_options_that_avmit_sets(text: str) -> None:
    key = text.lstrip("-").partition("=")[0]
    assert refused(more=(text,)) == f"--slurm {text}: avmit sets {key} itself; leave it away"


@pytest.mark.parametrize("text", ["", "=x", "-", "a b", "1=2"])
def test_what_is_no_option(text: str) -> None:
    assert refused(more=(text,)).startswith(f"--slurm {text}: write KEY=VALUE")


@given(st.sets(st.integers(0, 300)))
def test_ranges(numbers: set[int]) -> None:
    found: list[int] = []
    for span in filter(None, ranges(sorted(numbers)).split(",")):
        first, _, last = span.partition("-")
        found += range(int(first), int(last or first) + 1)
    assert found == sorted(numbers)


def test_a_name_is_of_one_folder_and_config(tmp_path: Path) -> None:
    one = work(tmp_path, [], 1)
    (tmp_path / "other").mkdir()
    assert one.name == work(tmp_path, [0], 5).name
    assert one.name != work(tmp_path / "other", [], 1).name
    assert one.name.startswith("avmit-mine-")
