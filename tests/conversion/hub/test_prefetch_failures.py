"""Prefetching when the connection breaks, runs are killed, or the Hub holds what is not right."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import numpy as np
import pyarrow as pa
import pytest
from support.commands import Run
from support.hub.server import Fault, HubServer
from support.prefetching import CONFIG, FIRST, REPO, contents, edit_manifest, stored

import avmit
from conversion.convert.build import Options, convert
from conversion.hub import remote as hub_remote
from conversion.hub import retry as hub_retry
from conversion.hub.prefetch import prefetch
from conversion.package.workspace import workspace
from conversion.package.writer import Encoding

ASK = "ask its owner to push it again"


@pytest.fixture
def filled(hub: HubServer, sharded_package: Path) -> HubServer:
    """The Hub with `sharded_package` as ann/avmit."""
    hub.put_folder(REPO, sharded_package)
    return hub


@pytest.mark.parametrize(
    "fault",
    [
        Fault("^/storage/", drop_after=100_000),
        Fault("^/storage/", status=503),
        Fault("/resolve/", status=429, headers={"Retry-After": "0"}),
        Fault("/api/datasets/ann/avmit$", status=500),
        Fault("/tree/[0-9a-f]{40}$", drop_after=10),
    ],
    ids=["dropped", "503", "429", "500", "listing"],
)
def test_what_passes_is_waited_out(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run, fault: Fault
) -> None:
    filled.faults = [replace(fault)]
    assert run("prefetch", REPO).code == 0
    assert filled.faults == []
    assert contents(tmp_path / "avmit") == contents(sharded_package)


def test_what_came_is_gone_on_with(
    filled: HubServer,
    sharded_package: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_remote, "RANGE", 50_000)
    filled.faults = [Fault("^/storage/", skip=7, times=99, status=404)]
    ran = run("prefetch", REPO, "--config", CONFIG)
    assert (ran.code, ran.out) == (1, "")
    assert contents(tmp_path / "avmit") == {}
    assert stored(filled) > 7 * 40_000
    filled.faults = []
    assert run("prefetch", REPO, "--config", CONFIG).code == 0
    good = [request for request in filled.of("^/storage/") if request.status == 206]
    shards = [path for path in contents(tmp_path / "avmit") if path.endswith(".arrow")]
    assert sum(request.sent for request in good) == sum(
        (sharded_package / path).stat().st_size for path in shards
    )
    assert run("verify", "avmit").code == 0


def test_damaged_unfinished_work_is_begun_again(
    filled: HubServer,
    sharded_package: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_remote, "RANGE", 50_000)
    filled.faults = [Fault("^/storage/", skip=2, times=99, status=404)]
    assert run("prefetch", REPO, "--config", CONFIG, "--parallel", "1").code == 1
    (part,) = tmp_path.glob("avmit/.avmit-work/*/.*.part")
    part.write_bytes(b"x" * part.stat().st_size)
    filled.faults = []
    assert run("prefetch", REPO, "--config", CONFIG).code == 0
    for name, content in contents(tmp_path / "avmit").items():
        assert name == "README.md" or content == (sharded_package / name).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_and_run_again(
    filled: HubServer, sharded_package: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "avmit"
    shutil.copytree(sharded_package / "ratings", out / "ratings")
    before = contents(out)
    filled.faults = [Fault("^/storage/", skip=1, bytes_per_second=50_000)]
    command = [sys.executable, "-m", "avmit_cli", "prefetch", REPO]
    command += ["--config", CONFIG, "--out", str(out), "--parallel", "1"]
    root = Path(avmit.__file__).parent
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(filled.of("^/storage/")) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert (process.returncode, error) == (130, "avmit: interrupted; run again to go on\n")
    assert contents(out) == before
    filled.reset_counts()
    subprocess.run(command, cwd=root, check=True, env=os.environ, stdout=subprocess.DEVNULL)
    assert len(filled.of("^/storage/")) == 2  # the first of three was whole
    for name, content in contents(out).items():
        assert name == "README.md" or content == (sharded_package / name).read_bytes()


def test_a_wrong_shard_is_named_and_nothing_of_it_stays(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "avmit"
    shutil.copytree(sharded_package, out)
    shutil.rmtree(out / CONFIG)
    before = contents(out)
    file = filled.dataset(REPO).head().files[FIRST]
    assert file.sha256
    filled.blobs[file.sha256] = b"x" * file.size  # what the tree says is right, what comes is not
    ran = run("prefetch", REPO)
    assert (ran.code, ran.out) == (1, "")
    *waits, error = ran.err.splitlines()
    said = f"avmit: {FIRST} came with other bytes than its manifest.json says: again in"
    assert waits == [f"{said} {wait} s" for wait in (0.02, 0.04, 0.08)]
    assert error == (
        f"avmit: {FIRST} in '{REPO}' came with other bytes than its manifest.json says, 4 times: "
        f"nothing of it is kept; run the same again later, or {ASK}"
    )
    after = contents(out)
    assert before.pop("README.md") != after.pop("README.md")  # it tells of no config that is away
    assert after == before
    assert run("verify", out).code == 0
    assert list(out.rglob(".*.part")) == []


@pytest.mark.parametrize("content", [b"short", b"x" * 246_432])
def test_a_shard_that_the_listing_belies_is_not_even_fetched(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run, content: bytes
) -> None:
    filled.put(REPO, {FIRST: content})
    ran = run("prefetch", REPO)
    assert f"avmit: {FIRST} in '{REPO}' is not what its manifest.json says" in ran.err
    assert filled.of("^/storage/") == []
    assert not (tmp_path / "avmit").exists()


def shard(change: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest["splits"]["train"][0].update(change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (shard({"file": "../train-00000-of-00002.arrow"}), "a shard's file is '../train-"),
        (shard({"file": "a/train-00000-of-00002.arrow"}), "a shard's file is 'a/train-"),
        (shard({"file": "/etc/passwd"}), "a shard's file is '/etc/passwd'"),
        (shard({"file": ".."}), "a shard's file is '..'"),
        (shard({"file": "manifest.json"}), "train shard 0 of 2 is manifest.json"),
        (shard({"file": "train-00001-of-00002.arrow"}), "train shard 0 of 2 is train-00001"),
        (shard({"sha256": "?"}), "sha256 is '?'"),
        (shard({"bytes": -1}), "bytes is -1"),
        (shard({"rows": "many"}), "rows is 'many'"),
        (lambda m: m.update(config="../x"), "config is '../x', its folder 'vggish_vgg16'"),
        (lambda m: m.update(format="exe"), "format is 'exe'"),
        (lambda m: m["splits"].update({"../up": []}), "a split has no shards"),
        (lambda m: m.pop("splits"), "splits is missing"),
        (lambda m: m.update(source=["kind"]), "source has no kind"),
        (lambda m: m.update(more=1), "'more' is unknown"),
    ],
    ids=range(15),
)
def test_a_malformed_manifest(
    filled: HubServer,
    tmp_path: Path,
    run: Run,
    change: Callable[[dict[str, Any]], object],
    reason: str,
) -> None:
    edit_manifest(filled, change)
    ran = run("prefetch", REPO)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"avmit: {CONFIG}/manifest.json in '{REPO}' is malformed (")
    assert reason in ran.err
    assert ran.err.endswith(f"): {ASK}\n")
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "avmit").exists()


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 200_000], ids=range(5))
def test_what_is_no_manifest_at_all(
    filled: HubServer, tmp_path: Path, run: Run, text: bytes
) -> None:
    filled.put(REPO, {f"{CONFIG}/manifest.json": text})
    ran = run("prefetch", REPO)
    assert ran.err.startswith(f"avmit: {CONFIG}/manifest.json in '{REPO}' is malformed (")
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "avmit").exists()
    assert run("prefetch", REPO, "--config", "ratings").code == 0


def test_names_cannot_command_the_terminal(filled: HubServer, run: Run) -> None:
    filled.put(REPO, {"\x1b]0;x\x07/manifest.json": b"{}"})
    ran = run("prefetch", REPO, "--config", "mine")
    left_out, error = ran.err.splitlines()
    assert left_out == (
        r"avmit: left out, as no file can be called so: \x1b]0;x\x07/manifest.json in ann/avmit"
    )
    assert error.endswith("there are: ratings, raw_ratings, test_set, vggish_vgg16")
    assert "\x1b" not in ran.err


def test_a_shard_that_is_not_there(filled: HubServer, tmp_path: Path, run: Run) -> None:
    filled.put(REPO, {FIRST: None})
    line = f"avmit: {FIRST} in '{REPO}' is missing, its manifest.json names it: {ASK}\n"
    assert run("prefetch", REPO).err == line
    assert not (tmp_path / "avmit").exists()


def test_a_source_that_makes_no_sense(filled: HubServer, tmp_path: Path, run: Run) -> None:
    edit_manifest(filled, lambda manifest: manifest.update(source={"kind": "tfrecords"}))
    ran = run("prefetch", REPO, "--config", CONFIG)
    line = f"avmit: {CONFIG}/manifest.json in '{REPO}' is malformed (source has no name, records): "
    assert ran.err == f"{line}{ASK}\n"
    assert contents(tmp_path / "avmit") == {}


def test_a_shard_that_is_no_arrow(filled: HubServer, tmp_path: Path, run: Run) -> None:
    content = b"not arrow at all"
    filled.put(REPO, {FIRST: content})
    digest = hashlib.sha256(content).hexdigest()
    edit_manifest(filled, shard({"bytes": len(content), "sha256": digest}))
    ran = run("prefetch", REPO, "--config", CONFIG)
    assert ran.err.startswith(f"avmit: {FIRST} in '{REPO}' makes no sense (")
    assert ran.err.endswith(f"): nothing of it is kept; {ASK}\n")
    assert ran.err.count("\n") == 1
    assert contents(tmp_path / "avmit") == {}


@pytest.mark.parametrize("offset", [2**30, -1, 2**31 - 1, -(2**31)])
def test_a_shard_that_would_crash_its_readers(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run, offset: int
) -> None:
    """Its bytes are what the manifest says, and an end offset points out of its buffer."""
    with pa.memory_map(str(sharded_package / FIRST)) as source:
        table = pa.ipc.open_stream(source).read_all().combine_chunks()
    names = table.column("filename").chunk(0)
    _, offsets, data = names.buffers()
    changed = np.frombuffer(offsets, np.int32)[: len(names) + 1].copy()
    changed[5] = offset
    hostile = pa.StringArray.from_buffers(len(names), pa.py_buffer(changed), data)
    table = table.set_column(0, table.schema.field(0), hostile)
    assert table.schema.names[0] == "filename"
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    filled.put(REPO, {FIRST: content})
    digest = hashlib.sha256(content).hexdigest()
    edit_manifest(filled, shard({"bytes": len(content), "sha256": digest}))
    ran = run("prefetch", REPO, "--config", CONFIG)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"avmit: {FIRST} in '{REPO}' makes no sense (")
    assert ran.err.endswith(f"): nothing of it is kept; {ASK}\n")
    assert ran.err.count("\n") == 1
    assert contents(tmp_path / "avmit") == {}
    kept = [path.read_bytes() for path in tmp_path.glob("avmit/**/*") if path.is_file()]
    assert content not in kept


def test_a_shard_with_another_number_of_rows(filled: HubServer, tmp_path: Path, run: Run) -> None:
    edit_manifest(filled, lambda manifest: manifest["splits"]["train"][0].update(rows=7))
    ran = run("prefetch", REPO, "--config", CONFIG)
    assert f"{FIRST} in '{REPO}' makes no sense (it has 16 rows, not 7): nothing" in ran.err
    assert contents(tmp_path / "avmit") == {}


def test_configs_of_two_formats_in_one_folder(
    filled: HubServer, sharded_release: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "avmit"
    parquet = Options(configs=["test_set"], encoding=Encoding("parquet"), workers=1)
    convert(sharded_release, out, parquet)
    before = contents(out)
    filled.reset_counts()
    ran = run("prefetch", REPO, "--config", "ratings")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("avmit: avmit would have configs of several formats (")
    assert ran.err.count("\n") == 1
    assert filled.of("^/storage/") == [] and contents(out) == before


NOT_THERE = (
    "there is no dataset '{}' on the Hub, or it is private: check the name, or log in "
    "with `hf auth login` and {}"
)
ERRORS = [
    (["ann/none"], "hf_annreads", NOT_THERE.format("ann/none", "one that may read it")),
    (["ann/secret"], "hf_bobwrites", NOT_THERE.format("ann/secret", "one that may read it")),
    (["ann/secret"], None, NOT_THERE.format("ann/secret", "a token")),
    ([REPO], "hf_unknown", "the Hub does not accept the token: log in again with `hf auth login`"),
    (
        [REPO, "--revision", "v9"],
        None,
        f"'{REPO}' has no revision 'v9': name a branch, a tag or a commit",
    ),
    (
        [REPO, "--config", "ratings", "--config", "mine"],
        None,
        f"no config 'mine' in '{REPO}'; there are: ratings, raw_ratings, test_set, {CONFIG}",
    ),
    (
        ["ann/other"],
        None,
        "'ann/other' is not an AVMIT package (no config with a manifest.json): name one that "
        "`avmit push` made",
    ),
    (["avmit"], None, "'avmit' is not the name of a package on the Hub: write user/name"),
    (
        ["a b/c"],
        None,
        "'a b/c' is not the name of a dataset on the Hub: write user/name, such as ann/avmit",
    ),
]


@pytest.mark.parametrize(("arguments", "token", "line"), ERRORS, ids=range(len(ERRORS)))
def test_one_clear_line(
    filled: HubServer,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    token: str | None,
    line: str,
) -> None:
    filled.create("ann/secret", private=True)
    filled.create("ann/other")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN")
    ran = run("prefetch", *arguments)
    assert (ran.code, ran.out, ran.err) == (1, "", f"avmit: {line}\n")
    assert not (tmp_path / "avmit").exists()


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_retry, "FIRST_WAIT", 0.02)
    said: list[str] = []
    with pytest.raises(avmit.AvmitError) as raised:
        prefetch(REPO, tmp_path / "avmit", say=said.append)
    assert str(raised.value).startswith(f"cannot reach {huggingface_hub.constants.ENDPOINT} (")
    assert str(raised.value).endswith(
        "): check the network, run the same again, it goes on where it stopped"
    )
    assert said == [
        f"the Hub cannot be reached: trying again in {wait} s" for wait in (0.02, 0.04, 0.08)
    ]
    assert not (tmp_path / "avmit").exists()


def test_offline_by_the_environment(tmp_path: Path, run: Run) -> None:
    line = "HF_HUB_OFFLINE is set: unset it where there is a network"
    assert run("prefetch", REPO).err == f"avmit: {line}\n"


def test_a_disk_too_small_is_told_before_anything_comes(
    filled: HubServer, tmp_path: Path, run: Run
) -> None:
    repository = filled.dataset(REPO)
    head = repository.head()
    huge = replace(head.files[FIRST], size=10**16)
    repository.add("refs/heads/main", head.files, {FIRST: huge})
    edit_manifest(filled, shard({"bytes": 10**16}))
    ran = run("prefetch", REPO)
    assert ran.err.startswith("avmit: 10 PB are to come and the disk of avmit has ")
    assert ran.err.endswith(
        ": make room, choose another --out, or fetch fewer configs with --config\n"
    )
    assert filled.of("^/storage/") == []
    assert contents(tmp_path / "avmit") == {}


def test_two_runs_into_one_folder(
    filled: HubServer, tmp_path: Path, run: Run, sharded_package: Path
) -> None:
    with workspace(tmp_path / "avmit"):
        ran = run("prefetch", REPO)
    assert ran.err == "avmit: another run is writing to avmit: wait for it, or stop it\n"
