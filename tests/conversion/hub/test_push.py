"""`avmit push`, through the real client, against a Hub on the loopback: what ends up there."""

import json
import re
import shutil
from pathlib import Path

import pytest
from datasets import load_dataset
from support.commands import Run
from support.hub.server import HubServer
from support.published import REPO, contents, uploaded
from support.releases import (
    CONFIGS,
    SPLITS,
    assert_same_rows,
    expected_rows,
    shards,
    visible,
    write_set,
)

from conversion.card.head import read_yaml
from conversion.convert.build import Options, convert


@pytest.fixture
def copy(package: Path, tmp_path: Path) -> Path:
    """A copy of the package, to be changed."""
    return Path(shutil.copytree(package, tmp_path / "avmit"))


@pytest.fixture
def extended(release: Path, tmp_path: Path) -> Path:
    """A package that has nothing but a config of other records, `mine`."""
    folder = Path(shutil.copytree(release, tmp_path / "sources"))
    records = write_set(folder, "mine", (8, 16))
    only = Options(configs=["mine"], tfrecords={"mine": records}, workers=1)
    convert(folder, tmp_path / "mine", only)
    return tmp_path / "mine"


def test_the_first_push_makes_the_dataset(hub: HubServer, package: Path, run: Run) -> None:
    ran = run("push", package, REPO)
    assert (ran.code, ran.err) == (0, "")
    head = hub.dataset(REPO).head()
    assert contents(head) == visible(package)
    assert not hub.dataset(REPO).private
    lines = ran.out.splitlines()
    assert lines[0] == "ann/avmit: a new public dataset"
    assert lines[-1] == f"published: {hub.url}/datasets/ann/avmit/commit/{head.oid}"
    size = (package / "ratings/train-00000-of-00001.arrow").stat().st_size / 1000
    assert f"  new       ratings/train-00000-of-00001.arrow ({size:.3g} kB)" in lines
    assert "+license: other" in lines
    assert head.title == f"Update {', '.join(sorted(CONFIGS[:3]))}, {', '.join(CONFIGS[3:])}" + (
        " with avmit 0.1.0"
    )


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("config", ["test_set", "yamnet_effnet"])
def test_datasets_reads_what_was_pushed(
    hub: HubServer,
    package: Path,
    release: Path,
    run: Run,
    cache: Path,
    config: str,
    streaming: bool,
) -> None:
    assert run("push", package, "ann/read").code == 0
    for split in SPLITS[config]:
        rows = load_dataset("ann/read", config, split=split, streaming=streaming)
        assert_same_rows(rows.with_format("numpy"), expected_rows(release, config, split))


def test_pushing_the_same_again_makes_no_commit(hub: HubServer, package: Path, run: Run) -> None:
    run("push", package, REPO)
    before = dict(hub.dataset(REPO).commits)
    hub.reset_counts()
    ran = run("push", package, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert hub.dataset(REPO).commits == before
    assert not hub.of("", "PUT") and not hub.of("/commit/|/preupload/|\\.git/")
    assert not hub.of("[.]arrow")  # no shard is asked for
    *_, unchanged, to_send, last = ran.out.splitlines()
    count = len(visible(package))
    assert unchanged.startswith(f"  unchanged {count} files (")
    assert to_send == "to send: 0 bytes in 0 files"
    assert last == "nothing to commit: the Hub has all of it"


def test_a_config_is_added_beside_what_others_have_there(
    hub: HubServer, package: Path, extended: Path, run: Run
) -> None:
    run("push", package, REPO)
    card = hub.dataset(REPO).text("README.md")
    theirs = card.replace("license: other\n", "license: cc0-1.0 # agreed\nextra_key: [1,  2]\n")
    entry = "configs:\n- config_name: theirs\n  data_files: notes/*.arrow\n"
    theirs = theirs.replace("configs:\n", entry, 1)
    theirs = theirs.replace(
        "<!-- avmit:begin load -->", "Mind the gap.\n\n<!-- avmit:begin load -->"
    )
    others = {"README.md": theirs.encode(), "notes/a.arrow": b"x\n1\n", "ratings/notes.md": b"note"}
    before = contents(hub.put(REPO, others))
    hub.reset_counts()
    ran = run("push", extended, REPO)
    assert (ran.code, ran.err) == (0, "")
    after = contents(hub.dataset(REPO).head())
    mine = visible(extended)
    assert {name for name in after if name not in before} == set(mine) - {"README.md"}
    assert {name: after[name] for name in mine if name != "README.md"} == {
        name: content for name, content in mine.items() if name != "README.md"
    }
    del before["README.md"]
    assert {name: after[name] for name in before} == before
    sizes = [
        p.stat().st_size for split in ("train", "test") for p in shards(extended, "mine", split)
    ]
    assert uploaded(hub) == sum(sizes)
    merged = hub.dataset(REPO).text("README.md")
    assert "license: cc0-1.0 # agreed\nextra_key: [1,  2]\n" in merged
    assert "Mind the gap.\n\n<!-- avmit:begin load -->" in merged
    content = read_yaml(merged)
    configs = {entry["config_name"]: entry for entry in content["configs"]}
    assert set(configs) == {"theirs", *CONFIGS, "mine"}
    assert configs["theirs"] == {"config_name": "theirs", "data_files": "notes/*.arrow"}
    assert [name for name, entry in configs.items() if "default" in entry] == ["ratings"]
    infos = {entry["config_name"]: entry for entry in content["dataset_info"]}
    former = {entry["config_name"]: entry for entry in read_yaml(card)["dataset_info"]}
    assert {name: infos[name] for name in CONFIGS} == former
    for name in (*CONFIGS, "mine"):
        assert f"\n| `{name}` | " in merged


def test_a_replaced_config_loses_its_old_shards_in_the_same_commit(
    hub: HubServer, release: Path, copy: Path, run: Run, tmp_path: Path
) -> None:
    records = Options(configs=["vggish_vgg16"], max_shard_bytes=30_000, workers=1)
    convert(release, copy, records)
    many = [p.name for split in ("train", "test") for p in shards(copy, "vggish_vgg16", split)]
    assert len(many) > 4
    run("push", copy, REPO)
    hub.put(REPO, {"vggish_vgg16/notes.md": b"theirs"})
    commits = len(hub.dataset(REPO).commits)
    convert(release, copy, Options(configs=["vggish_vgg16"], workers=1))
    ran = run("push", copy, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert len(hub.dataset(REPO).commits) == commits + 1
    after = contents(hub.dataset(REPO).head())
    assert after.pop("vggish_vgg16/notes.md") == b"theirs"
    assert after == visible(copy)
    deleted = re.findall(r"^  deleted   (\S+) \(", ran.out, re.MULTILINE)
    assert deleted == sorted(f"vggish_vgg16/{name}" for name in many)


def test_an_index_is_planned_sent_replaced_and_taken_away(
    hub: HubServer, copy: Path, run: Run
) -> None:
    name = "vggish_vgg16/index.json"
    index = (copy / name).read_bytes()
    (copy / name).unlink()
    assert run("push", copy, REPO).code == 0
    assert name not in hub.dataset(REPO).head().files
    size = f"({len(index) / 1000:.3g} kB)"
    for state, there in (("new", None), ("changed", b"{}")):
        if there is not None:
            hub.put(REPO, {name: there})
        assert run("index", copy).code == 0
        ran = run("push", copy, REPO)
        assert f"  {state:<9} {name} {size}" in ran.out.splitlines()
        assert ran.out.splitlines()[-2] == f"to send: {size[1:-1]} in 1 files"
        assert contents(hub.dataset(REPO).head()) == visible(copy)
    (copy / name).unlink()
    ran = run("push", copy, REPO)
    assert f"  deleted   {name} {size}" in ran.out.splitlines()
    assert contents(hub.dataset(REPO).head()) == visible(copy)


def test_one_config_alone(hub: HubServer, package: Path, run: Run) -> None:
    assert run("push", package, REPO, "--config", "ratings", "--config", "test_set").code == 0
    after = contents(hub.dataset(REPO).head())
    assert {name.split("/")[0] for name in after} == {"README.md", "ratings", "test_set"}
    content = read_yaml(hub.dataset(REPO).text("README.md"))
    for key in ("configs", "dataset_info"):
        assert [entry["config_name"] for entry in content[key]] == ["ratings", "test_set"]
    assert "`yamnet_effnet`" not in hub.dataset(REPO).text("README.md")


def test_a_dry_run_only_reads(hub: HubServer, package: Path, extended: Path, run: Run) -> None:
    ran = run("push", package, REPO, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert not hub.repositories
    run("push", package, REPO)
    before = dict(hub.dataset(REPO).commits)
    hub.reset_counts()
    ran = run("push", extended, REPO, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert {request.method for request in hub.requests} <= {"GET", "HEAD"}
    assert hub.dataset(REPO).commits == before
    assert "+- config_name: mine" in ran.out.splitlines()
    assert "  changed   README.md (" in ran.out


def test_a_dry_run_needs_no_token(
    hub: HubServer, package: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    hub.create(REPO)
    ran = run("push", package, REPO, "--dry-run")
    assert (ran.code, ran.err) == (0, "")


def test_a_pull_request(
    hub: HubServer, package: Path, extended: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("push", package, REPO)
    main = hub.dataset(REPO).head()
    monkeypatch.setenv("HF_TOKEN", "hf_bobwrites")
    ran = run("push", extended, REPO, "--create-pr", "--message", "Add mine")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith(f"pull request: {hub.url}/datasets/ann/avmit/discussions/1\n")
    assert hub.dataset(REPO).head() == main
    offered = hub.dataset(REPO).head("refs/pr/1")
    assert (offered.parent, offered.author, offered.title) == (main.oid, "bob", "Add mine")
    assert set(contents(offered)) == set(contents(main)) | set(visible(extended))
    again = run("push", extended, REPO, "--revision", "refs/pr/1")
    assert (again.code, again.err) == (0, "")
    assert again.out.endswith("nothing to commit: the Hub has all of it\n")


def test_a_branch_is_made_where_there_is_none(hub: HubServer, package: Path, run: Run) -> None:
    hub.create(REPO)
    main = hub.dataset(REPO).head()
    ran = run("push", package, REPO, "--revision", "next")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"next of ann/avmit: a new branch from main at {main.oid[:7]}\n")
    assert hub.dataset(REPO).head() == main
    assert contents(hub.dataset(REPO).head("next")) == visible(package)


def test_private(hub: HubServer, package: Path, run: Run) -> None:
    assert run("push", package, REPO, "--private").code == 0
    assert hub.dataset(REPO).private
    assert run("push", package, REPO, "--private").code == 0  # it is that already
    hub.dataset(REPO).private = False
    ran = run("push", package, REPO, "--private")
    assert ran.code == 1
    assert ran.err == (
        "avmit: ann/avmit is there already and public: make it private in its settings first, "
        "or leave --private out\n"
    )


def test_what_does_not_belong_there_is_not_sent(hub: HubServer, copy: Path, run: Run) -> None:
    wanted = visible(copy)
    for name in ("avmit.py", "ratings/train-00001.arrow.part", "ratings/.hidden", ".avmit-work/x"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_bytes(b"secret")
    (copy / "elsewhere.csv").symlink_to("/etc/hostname")
    ran = run("push", copy, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert contents(hub.dataset(REPO).head()) == wanted
    assert ran.out.splitlines()[0] == (
        "left out, as no manifest names it: avmit.py, elsewhere.csv, ratings/train-00001.arrow.part"
    )


def test_a_shard_that_leads_out_of_the_package(hub: HubServer, copy: Path, run: Run) -> None:
    shard = shards(copy, "ratings", "train")[0]
    outside = shard.rename(copy.parent / "outside.arrow")
    shard.symlink_to(outside)
    ran = run("push", copy, REPO)
    name = "avmit/ratings/train-00000-of-00001.arrow"
    assert ran.code == 1
    assert ran.err == (
        f"avmit: {copy.parent}/{name} is a link out of {copy}: put the file itself there\n"
    )
    assert not hub.requests


def test_a_package_that_is_not_fit_is_not_sent(hub: HubServer, copy: Path, run: Run) -> None:
    shard = shards(copy, "ratings", "train")[0]
    size = shard.stat().st_size
    with shard.open("ab") as file:
        file.write(b"x")
    name = "ratings/train-00000-of-00001.arrow"
    ran = run("push", "avmit", REPO)
    assert ran.code == 1
    assert ran.err == (
        f"avmit: avmit is not fit to be published ({name} has {size + 1:,} bytes, "
        f"in the manifest {size:,}): see `avmit verify avmit`\n"
    )
    assert not hub.requests
    assert run("push", "avmit", REPO, "--config", "test_set").code == 0


def test_a_shard_that_was_damaged_is_not_sent(hub: HubServer, copy: Path, run: Run) -> None:
    shard = shards(copy, "yamnet_effnet", "train")[0]
    content = bytearray(shard.read_bytes())
    content[-2000] ^= 1
    shard.write_bytes(content)
    ran = run("push", "avmit", REPO)
    assert ran.code == 1
    assert ran.err == (
        "avmit: avmit/yamnet_effnet/train-00000-of-00001.arrow is not what its manifest says "
        "(another SHA-256): convert it again\n"
    )
    assert set(hub.dataset(REPO).head().files) == {".gitattributes"}


def test_a_config_of_others_is_not_replaced(hub: HubServer, package: Path, run: Run) -> None:
    hub.create(REPO)
    hub.put(REPO, {"ratings/data.csv": b"a\n1\n"})
    ran = run("push", package, REPO)
    assert ran.code == 1
    assert ran.err == (
        "avmit: the config 'ratings' on the Hub was not made by avmit (it has no manifest.json): "
        "give yours another name, or delete that one there first\n"
    )


def test_a_card_on_the_hub_that_cannot_be_read(hub: HubServer, package: Path, run: Run) -> None:
    hub.create(REPO)
    hub.put(REPO, {"README.md": b"---\na: [\n---\n"})
    ran = run("push", package, REPO)
    assert ran.code == 1
    assert ran.err.startswith("avmit: README.md on the Hub: its YAML cannot be read (")
    assert ran.err.endswith("): mend it\n") and ran.err.count("\n") == 1


def test_a_card_on_the_hub_does_not_reach_the_terminal_as_commands(
    hub: HubServer, package: Path, run: Run
) -> None:
    hub.create(REPO)
    hub.put(REPO, {"README.md": b"# Theirs \x1b[2J\n"})
    ran = run("push", package, REPO, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert r" # Theirs \x1b[2J" in ran.out.splitlines()


def test_a_config_that_is_not_there(hub: HubServer, package: Path, run: Run) -> None:
    ran = run("push", package, REPO, "--config", "nothing")
    assert ran.code == 1
    assert ran.err == (
        f"avmit: no config 'nothing' in {package}; there are: "
        "ratings, raw_ratings, test_set, vggish_vgg16, yamnet_effnet\n"
    )


def test_manifests_on_the_hub_are_read_with_suspicion(
    hub: HubServer, package: Path, extended: Path, run: Run
) -> None:
    run("push", package, REPO)
    manifest = json.loads((package / "vggish_vgg16/manifest.json").read_text())
    manifest["splits"]["train"][0]["file"] = "../../README.md"
    hub.put(REPO, {"vggish_vgg16/manifest.json": json.dumps(manifest).encode()})
    assert run("push", extended, REPO).code == 0
    configs = read_yaml(hub.dataset(REPO).text("README.md"))["configs"]
    assert {entry["config_name"] for entry in configs} == {*CONFIGS, "mine"}
