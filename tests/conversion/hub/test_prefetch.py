"""`avmit prefetch`: a package from the Hub in a folder, whole, and read without a network."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import metadata_load
from support.commands import Run
from support.hub.server import Fault, HubServer
from support.places import ROOT
from support.prefetching import CONFIG, FIRST, REPO, SHARDS, contents, edit_manifest, stored
from support.releases import CSV, SETS, csv_rows, shard_rows

from conversion.convert.build import Options, convert

OFFLINE = """
import json, sys
import avmit, datasets

read = {}
for config in sys.argv[1:]:
    read[config] = datasets.load_dataset("avmit", config).num_rows
    assert avmit.load(config).num_rows == read[config]
print(json.dumps(read))
"""
VERIFY = ("import avmit_cli; avmit_cli.main()", "verify", "avmit")


@pytest.fixture
def filled(hub: HubServer, sharded_package: Path) -> HubServer:
    """The Hub with `sharded_package` as ann/avmit."""
    hub.put_folder(REPO, sharded_package)
    return hub


def offline(folder: Path, home: Path, *command: str) -> str:
    """Run a command where there is no network, no cache and no token."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    environment["PYTHONPATH"] = str(ROOT)
    for name in ("HF_DATASETS_CACHE", "HF_TOKEN", "HF_ENDPOINT"):
        environment.pop(name, None)
    command = (sys.executable, "-c", *command)
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return ran.stdout


def test_a_whole_package(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run
) -> None:
    ran = run("prefetch", REPO)
    assert (ran.code, ran.err) == (0, "")
    assert contents(tmp_path / "avmit") == contents(sharded_package)
    lines = ran.out.splitlines()
    assert [line.split(" (")[0] for line in lines[:4]] == [
        "ratings: fetched 1 shard",
        "raw_ratings: fetched 1 shard",
        "test_set: fetched 1 shard",
        f"{CONFIG}: fetched 3 shards",
    ]
    assert lines[4].startswith(f"avmit: {REPO} at {filled.dataset(REPO).head().oid[:12]}, ")
    assert lines[4].endswith(
        f's; load it, without a network too, with load_dataset("avmit", "{CONFIG}")'
    )
    assert "all holds" in offline(tmp_path, tmp_path / "home", *VERIFY)
    read = json.loads(offline(tmp_path, tmp_path / "home", OFFLINE, *CSV, CONFIG))
    assert read[CONFIG] == {"train": 32, "test": 16}


def test_some_configs_make_a_sound_package_that_grows(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "avmit"
    assert run("prefetch", REPO, "--config", CONFIG, "--config", "ratings").code == 0
    assert {path.name for path in out.iterdir() if path.is_dir()} == {CONFIG, "ratings"}
    card = metadata_load(out / "README.md") or {}
    for key in ("configs", "dataset_info"):
        assert [entry["config_name"] for entry in card[key]] == ["ratings", CONFIG]
    assert run("verify", out).code == 0
    read = offline(tmp_path, tmp_path / "home", OFFLINE, "ratings", CONFIG)
    assert json.loads(read) == {"ratings": {"train": 48}, CONFIG: {"train": 32, "test": 16}}

    filled.reset_counts()
    ran = run("prefetch", REPO)
    assert f"{CONFIG}: unchanged, kept 3 shards" in ran.out
    assert len(filled.of("^/storage/")) == 2  # raw_ratings and test_set
    assert contents(out) == contents(sharded_package)


def test_again_brings_nothing(
    filled: HubServer, tmp_path: Path, run: Run, sharded_package: Path
) -> None:
    assert run("prefetch", REPO).code == 0
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*.arrow")}
    filled.reset_counts()
    ran = run("prefetch", REPO)
    assert ran.out.count("unchanged") == 4
    assert ", 0 bytes in " in ran.out
    assert filled.of("^/storage/") == []
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*.arrow")} == before
    assert contents(tmp_path / "avmit") == contents(sharded_package)


def test_a_newer_state_brings_what_changed(
    filled: HubServer, sharded_release: Path, sharded_package: Path, tmp_path: Path, run: Run
) -> None:
    assert run("prefetch", REPO).code == 0
    old = filled.dataset(REPO).head().oid
    newer = shutil.copytree(sharded_package, tmp_path / "newer")
    shard = newer / FIRST
    shard.write_bytes(shard.read_bytes() + b"\0" * 8)  # after the end of the stream
    digest = hashlib.sha256(shard.read_bytes()).hexdigest()
    size = shard.stat().st_size
    filled.put(REPO, {FIRST: shard})
    edit_manifest(filled, lambda m: m["splits"]["train"][0].update(bytes=size, sha256=digest))
    filled.reset_counts()
    ran = run("prefetch", REPO, "--config", CONFIG)
    assert f"{CONFIG}: fetched 1 shard (" in ran.out
    assert stored(filled) == size
    assert (tmp_path / "avmit" / FIRST).read_bytes() == shard.read_bytes()
    assert run("verify", "avmit").code == 0

    assert run("prefetch", REPO, "--revision", old).code == 0
    assert contents(tmp_path / "avmit") == contents(sharded_package)


def test_everything_is_of_the_commit_at_the_start(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run
) -> None:
    first = filled.dataset(REPO).head().oid

    def replace_everything() -> None:
        names = [name for name in filled.dataset(REPO).head().files if name.startswith(CONFIG)]
        filled.put(REPO, dict.fromkeys(names, b"other"))

    filled.faults = [Fault("^/storage/", before=replace_everything)]
    ran = run("prefetch", REPO)
    assert ran.code == 0, ran.err
    assert filled.dataset(REPO).head().oid != first
    assert f" at {first[:12]}, " in ran.out
    assert contents(tmp_path / "avmit") == contents(sharded_package)


def test_other_configs_and_the_text_of_the_card_stay(
    filled: HubServer, release: Path, package: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "avmit"
    convert(release, out, Options(configs=["yamnet_effnet"], workers=1))
    before = contents(out)
    assert run("prefetch", REPO, "--config", CONFIG).code == 0
    after = contents(out)
    assert {name: after[name] for name in before if name != "README.md"} == {
        name: content for name, content in before.items() if name != "README.md"
    }
    card = metadata_load(out / "README.md") or {}
    assert [entry["config_name"] for entry in card["configs"]] == [CONFIG, "yamnet_effnet"]
    assert len(shard_rows(out, CONFIG, "train")) == 32


def test_the_lists_of_what_is_left_out_come_too(
    hub: HubServer, small_release: Path, tmp_path: Path, run: Run
) -> None:
    names = [row["tfrecord_filename"] for row in csv_rows(small_release / CSV["ratings"])]
    records = small_release / SETS[CONFIG]
    (records / names[3]).unlink()
    (records / names[5]).write_bytes((records / names[5]).read_bytes()[:100])
    convert(small_release, tmp_path / "made", Options(workers=1, on_bad_record="skip"))
    hub.put_folder(REPO, tmp_path / "made")
    assert run("prefetch", REPO).code == 0
    found = contents(tmp_path / "avmit")
    assert found == contents(tmp_path / "made")
    assert names[3] in found[f"{CONFIG}/missing_records.csv"].decode()
    assert names[5] in found[f"{CONFIG}/bad_records.csv"].decode()
    assert run("verify", "avmit").code == 0

    shutil.rmtree(tmp_path / "avmit")
    hub.put(REPO, {f"{CONFIG}/missing_records.csv": None})
    ran = run("prefetch", REPO, "--config", CONFIG)
    assert ran.err == (
        f"avmit: {CONFIG}/missing_records.csv in '{REPO}' has 0 rows, its manifest.json says 1: "
        "ask its owner to push it again\n"
    )
    assert contents(tmp_path / "avmit") == {}


def test_a_shard_that_is_damaged_here_is_fetched_again(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run
) -> None:
    assert run("prefetch", REPO).code == 0
    shard = tmp_path / "avmit" / FIRST
    shard.write_bytes(b"x" * shard.stat().st_size)
    filled.reset_counts()
    ran = run("prefetch", REPO)
    assert f"{CONFIG}: fetched 1 shard (" in ran.out
    assert stored(filled) == shard.stat().st_size
    assert contents(tmp_path / "avmit") == contents(sharded_package)
    assert sorted(path.name for path in shard.parent.glob("*.arrow")) == SHARDS


PROSE = "\n# Our lab's copy\n\nWritten by hand: für alle.\n"


def test_the_prose_of_the_card_comes_and_its_configs_are_those_of_the_folder(
    filled: HubServer, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "avmit"
    card = filled.dataset(REPO).text("README.md") + PROSE
    theirs = "configs:\n- config_name: theirs\n  data_files: theirs/*.csv\n"
    card = card.replace("configs:\n", theirs, 1).replace("---\n", "---\nextra: [1, 2]\n", 1)
    filled.put(REPO, {"README.md": card.encode(), "theirs/a.csv": b"x\n1\n"})
    assert run("prefetch", REPO, "--config", CONFIG, "--config", "ratings").code == 0
    text = (out / "README.md").read_text(encoding="utf-8")
    content = metadata_load(out / "README.md") or {}
    assert PROSE in text
    assert content["extra"] == [1, 2]
    for key in ("configs", "dataset_info"):
        assert [entry["config_name"] for entry in content[key]] == ["ratings", CONFIG]
    assert run("verify", out).code == 0
    read = offline(tmp_path, tmp_path / "home", OFFLINE, "ratings", CONFIG)
    assert json.loads(read)[CONFIG] == {"train": 32, "test": 16}

    (out / "README.md").write_text(text.replace("by hand", "here"), encoding="utf-8")
    assert run("prefetch", REPO, "--config", "test_set").code == 0
    assert "Written here: für alle." in (out / "README.md").read_text(encoding="utf-8")
    assert run("verify", out).code == 0


@pytest.mark.parametrize("card", [b"---\nconfigs: [\n---\nx\n", b"\xff\xfe", b"", None])
def test_a_card_on_the_hub_that_is_of_no_use(
    filled: HubServer, sharded_package: Path, tmp_path: Path, run: Run, card: bytes | None
) -> None:
    filled.put(REPO, {"README.md": card})
    assert run("prefetch", REPO).code == 0
    assert run("verify", "avmit").code == 0
    if not card or b"configs" in card:
        assert contents(tmp_path / "avmit") == contents(sharded_package)
