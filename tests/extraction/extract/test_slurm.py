"""`avmit extract --executor slurm` on a real Slurm, where tasks are disturbed in every way.

Each time the package is, byte for byte, what one machine makes.
"""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import onnx_models as models
from support import slurm as slurms
from support.commands import Ran
from support.hub.server import HubServer
from support.lab import BY_HELD, Lab, ended, files
from support.slurm import Slurm

from conversion.convert.build import Options, convert

TIME = ("--slurm-time", "10", "--slurm-grace", "1")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm whose node has four cores, and whose arrays have four tasks at most."""
    if reason := slurms.why_not():
        pytest.skip(reason)
    with slurms.running(tmp_path_factory.mktemp("slurm"), max_array_size=4) as started:
        if isinstance(started, str):
            pytest.skip(started)
        yield started


def job_of(ran: Ran) -> str:
    """Return the number of the array that was submitted."""
    assert (ran.code, ran.err) == (0, ""), ran
    return ran.out.partition("submitted job ")[2].partition(" ")[0]


@pytest.fixture(scope="module")
def lab(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    found = {name: slurm.environment[name] for name in ("PATH", "SLURM_CONF")}
    return Lab(tmp_path_factory.mktemp("lab"), found)


def test_more_shards_than_an_array_may_have_and_one_that_is_lost(slurm: Slurm, lab: Lab) -> None:
    assert lab.extract("local", "10kB").code == 0
    ran = lab.extract("wide", "10kB", "--executor", "slurm")
    job = job_of(ran)
    assert ran.out.splitlines() == [
        f"mine: submitted job {job} with 4 tasks for 6 shards (0-5 of 6)",
        f"  job {int(job) + 1} puts them together when they have ended",
        "  look with `avmit jobs wide`; logs are in wide/.avmit-work/mine.slurm",
    ]
    slurm.until(lambda: not slurm.jobs())
    assert files(lab.folder / "wide") == files(lab.folder / "local"), slurm.told()
    before = lab.calls
    (lab.folder / "wide" / "mine" / "test-00002-of-00006.arrow").unlink()
    again = lab.extract("wide", "10kB", "--executor", "slurm", "--wait")
    assert (again.code, again.err) == (0, ""), again
    assert again.out.endswith('\nwide: load it with load_dataset("wide", "mine")\n')
    assert files(lab.folder / "wide") == files(lab.folder / "local")
    assert lab.calls - before == 3  # videos of a shard; the others are taken as they are

    done = lab.extract("wide", "10kB", "--executor", "slurm")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "mine: all is done and put together (6 shards): nothing to start",
        'wide: load it with load_dataset("wide", "mine")',
    ]
    assert not slurm.jobs()
    assert lab.avmit("jobs", "wide").out == "mine: done and put together\n"
    assert lab.extract("wide", "20kB", "--executor", "slurm", "--dry-run").code == 0  # others


def test_scripts_of_a_dry_run_are_submitted_by_hand(slurm: Slurm, lab: Lab) -> None:
    assert lab.extract("here", "12kB").code == 0
    ran = lab.extract("later", "12kB", "--executor", "slurm", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert not slurm.jobs()
    first, last = (line.split() for line in ran.out.splitlines()[-2:])
    job = slurm.call(first[0], str(lab.folder / first[1])).split()[-1]
    last = [one.replace("ARRAY", job) for one in last]
    slurm.call(*last[:-1], str(lab.folder / last[-1]))
    slurm.until(lambda: not slurm.jobs())
    assert files(lab.folder / "later") == files(lab.folder / "here"), slurm.told()


def test_tasks_that_are_disturbed(slurm: Slurm, lab: Lab) -> None:
    assert lab.extract("quiet", "12kB").code == 0
    before = lab.calls
    for task in range(4):
        lab.hold(task).touch()
    job = job_of(lab.extract("rough", "12kB", "--executor", "slurm", *TIME))
    slurm.until(lambda: lab.calls - before >= 12)
    time.sleep(0.5)
    os.kill(lab.process(0), signal.SIGKILL)
    slurm.call("scancel", f"{job}_1")
    slurm.call("scancel", "--batch", "--signal=USR1", f"{job}_2")  # as --signal does
    time.sleep(0.5)
    for task in (1, 2):
        lab.hold(task).unlink()
    slurm.until(lambda: {f"{job}_0", f"{job}_1"}.isdisjoint(slurm.jobs()))
    slurm.until(lambda: slurm.jobs()[f"{job}_2"] == "PENDING")
    slurm.call("sbatch", "--partition=high", "--ntasks=4", "--output=/dev/null", "--wrap=sleep 1")
    slurm.until(lambda: slurm.jobs()[f"{job}_3"] != "RUNNING")
    lab.hold(3).unlink()
    slurm.until(lambda: slurm.jobs()[f"{job}_3"] == "PENDING")

    ran = lab.extract("rough", "12kB", "--executor", "slurm", *TIME)
    assert ran.out.splitlines()[:2] == [
        f"mine: submitted job {job_of(ran)} with 2 tasks for 2 shards (0-1 of 4)",
        "mine: 2 shards in the queue already",
    ]
    states = json.loads(lab.avmit("jobs", "rough", "--json").out)["mine"]["shards"]
    assert [one["state"] for one in states[2:]] == ["queued", "queued"]
    assert states[2]["where"] == f"job {job}_2 pending"
    lab.hold(0).unlink()
    slurm.started_now(f"{job}_2", f"{job}_3")
    slurm.until(lambda: not slurm.jobs())
    assert files(lab.folder / "rough") == files(lab.folder / "quiet"), slurm.told()
    # Of 16 videos, two that were done of the task that was killed, and up to two of each that
    # were being done; the two that were done of each other task are kept.
    assert lab.calls - before <= 16 + 2 + 4 * 2
    assert "going on in this task's next turn" in lab.log("rough", f"{job}_2")


def test_a_node_that_lacks_the_weights(slurm: Slurm, lab: Lab, hub: HubServer) -> None:
    model = models.colours(lab.folder / "upload" / "model.onnx")
    commit = hub.create("lab/net", "model").put("Put", {"model.onnx": model})
    hub.blobs |= {file.sha256: file.content for file in commit.files.values() if file.sha256}
    online = ("--audio", "none", "--visual", "onnx:lab/net")
    assert lab.extract_by("alone", *online).code == 0
    asked = (*online, "--executor", "slurm", "--weights-folder", "weights")
    process = lab.start(*lab.command("far", *asked, "--slurm", "hold", "--wait"))
    slurm.until(lambda: len(slurm.jobs()) == 2)
    job = min(slurm.jobs(), key=lambda one: "_" not in one).partition("_")[0]
    weights, away = lab.folder / "weights", lab.folder / "away"
    weights.rename(away)
    slurm.call("scontrol", "release", *slurm.jobs())
    ran = ended(process)
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.splitlines()[-1] == (
        "mine: shards 0 of 1 are not done: `avmit jobs far --failed` says why; run again to go on"
    )
    said = f"does not see {weights}, into which the weights were fetched: name a --weights-folder"
    assert said in lab.log("far", f"{job}_0").splitlines()[-1]
    away.rename(weights)
    again = lab.extract_by("far", *asked, "--wait")
    assert (again.code, again.err) == (0, ""), again
    assert files(lab.folder / "far") == files(lab.folder / "alone")


def test_waiting_ends_and_the_jobs_go_on(slurm: Slurm, lab: Lab) -> None:
    hold = lab.hold(0)
    hold.touch()
    asked = ("--max-shard-size", "20kB", *BY_HELD, "--executor", "slurm", "--wait")
    process = lab.start(*lab.command("left", *asked))
    slurm.until(lambda: "RUNNING" in slurm.jobs().values())
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert (code, err) == (
        130,
        "avmit: waits no longer, and the jobs go on: look with `avmit jobs left`, or run this "
        "again to wait\n",
    )
    assert "submitted job " in out
    assert "RUNNING" in slurm.jobs().values()
    hold.unlink()
    again = lab.extract_by("left", *asked)
    assert (again.code, again.err) == (0, ""), again
    assert lab.extract("undisturbed", "20kB").code == 0
    assert files(lab.folder / "left") == files(lab.folder / "undisturbed")


def test_two_submissions_at_once(slurm: Slurm, lab: Lab) -> None:
    asked = ("--max-shard-size", "20kB", *BY_HELD, "--executor", "slurm")
    processes = [lab.start(*lab.command("twice", *asked)) for _ in range(2)]
    first, second = sorted(map(ended, processes), key=lambda ran: "submitted" not in ran.out)
    job = job_of(first)
    assert "submitted" not in second.out
    if second.code:  # it came while the other one was at it
        assert " is submitting work of twice at this moment: run this again" in second.err
    slurm.until(lambda: not slurm.jobs())
    logs = (lab.folder / "twice").rglob("*.log")
    arrays = [re.fullmatch(r"(\d+)_\d+\.log", path.name) for path in logs]
    assert {found[1] for found in arrays if found} <= {job}


def test_convert(slurm: Slurm, lab: Lab, small_release: Path, tmp_path: Path) -> None:
    convert(small_release, tmp_path / "alone", Options(workers=1, max_shard_bytes=60_000))
    command = ("convert", str(small_release), "--out", "converted", "--max-shard-size", "60kB")
    ran = lab.avmit(*command, "--executor", "slurm", "--slurm-per-task", "8", "--wait")
    assert (ran.code, ran.err) == (0, ""), ran
    assert f"{job_of(ran)} with 2 tasks for 15 shards (0-14 of 15)" in ran.out.splitlines()[0]
    assert files(lab.folder / "converted") == files(tmp_path / "alone")
