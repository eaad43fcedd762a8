"""The card's pictures on the Hub: published, replaced, deleted and brought, and never others'."""

import shutil
from pathlib import Path

import huggingface_hub
import pytest
from datasets import load_dataset
from support.commands import Run
from support.hub.server import HubServer
from support.pictures import picture, put_pictures
from support.published import REPO, contents
from support.releases import visible

from conversion.convert.build import Options, convert

LIST = "figures/avmit.json"


def on_hub(hub: HubServer) -> dict[str, bytes]:
    return contents(hub.dataset(REPO).head())


def pictures_of(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name.startswith("figures/")}


def test_published_replaced_and_deleted(hub: HubServer, copied: Path, run: Run) -> None:
    put_pictures(copied)
    ran = run("push", copied, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert "  new       figures/classes.png (1.01 kB)" in ran.out.splitlines()
    assert "left out" not in ran.out
    assert on_hub(hub) == visible(copied)
    assert run("push", copied, REPO).out.endswith("nothing to commit: the Hub has all of it\n")
    hub.put(REPO, {"figures/other.png": b"theirs"})
    put_pictures(copied, first=2, count=2)
    ran = run("push", copied, REPO)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert "  changed   figures/classes.png (1.01 kB)" in lines
    assert "  deleted   figures/flows.png (1.01 kB)" in lines
    assert lines[-2].endswith(" in 4 files")  # the two, their list and the card
    after = on_hub(hub)
    assert after.pop("figures/other.png") == b"theirs"
    assert after == visible(copied)
    assert "](figures/flows.png)" not in after["README.md"].decode()
    shutil.rmtree(copied / "figures")
    assert run("card", copied).code == 0
    ran = run("push", copied, REPO)
    assert (ran.code, ran.err) == (0, "")
    after = on_hub(hub)
    assert after.pop("figures/other.png") == b"theirs"
    assert after == visible(copied)
    assert "](figures/" not in after["README.md"].decode()


@pytest.mark.parametrize("name", ["figures/classes.png", LIST])
def test_others_files_are_in_the_way(hub: HubServer, copied: Path, run: Run, name: str) -> None:
    put_pictures(copied)
    hub.create(REPO)
    before = hub.put(REPO, {name: b"theirs"})
    ran = run("push", copied, REPO)
    assert ran.code == 1
    assert ran.err == (
        f"avmit: {name} on the Hub is in the way, and not of avmit, as no avmit.json there names "
        "it: delete or rename it there first\n"
    )
    assert hub.dataset(REPO).head() == before


def test_what_others_put_in_their_place_is_theirs(hub: HubServer, copied: Path, run: Run) -> None:
    put_pictures(copied)
    assert run("push", copied, REPO).code == 0
    hub.put(REPO, {"figures/flows.png": b"theirs"})
    put_pictures(copied, first=3)
    ran = run("push", copied, REPO)
    assert ran.code == 1
    assert ran.err.startswith("avmit: figures/flows.png on the Hub is in the way, and not of avmit")
    shutil.rmtree(copied / "figures")
    assert run("card", copied).code == 0
    assert run("push", copied, REPO).code == 0
    after = on_hub(hub)
    assert after.pop("figures/flows.png") == b"theirs"
    assert after == visible(copied)


def test_others_files_of_the_same_bytes_become_ours(hub: HubServer, copied: Path, run: Run) -> None:
    put_pictures(copied)
    hub.create(REPO)
    hub.put(REPO, {"figures/classes.png": picture(0)})
    assert run("push", copied, REPO).code == 0
    assert on_hub(hub) == visible(copied)


def test_a_push_of_other_configs_leaves_the_pictures_and_rows(
    hub: HubServer, copied: Path, run: Run
) -> None:
    put_pictures(copied)
    assert run("push", copied, REPO).code == 0
    whole = visible(copied)
    for name in ("figures", "ratings", "raw_ratings", "test_set"):
        shutil.rmtree(copied / name)
    assert run("card", copied).code == 0
    ran = run("push", copied, REPO)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "nothing to commit: the Hub has all of it")
    assert on_hub(hub) == whole


def test_pictures_of_other_rows_are_neither_shown_nor_sent(
    hub: HubServer,
    copied: Path,
    sharded_release: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_pictures(copied)
    assert run("push", copied, REPO).code == 0
    change_ratings(copied, sharded_release, tmp_path)
    assert pictures_of(visible(copied))
    assert "](figures/" not in (copied / "README.md").read_text(encoding="utf-8")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    ran = run("push", copied, REPO, "--dry-run")
    assert (ran.code, ran.out.partition(":")[0]) == (
        0,
        "left out, as they are drawn from other rows than there will be",
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    ran = run("push", copied, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert (
        "left out, as they are drawn from other rows than there will be: figures/ "
        f"(`avmit report {copied} --card` draws them again)"
    ) in ran.out.splitlines()
    assert "  deleted   figures/agreement.png (1.01 kB)" in ran.out.splitlines()
    here = visible(copied)
    assert on_hub(hub) == {name: here[name] for name in here.keys() - pictures_of(here).keys()}


def change_ratings(package: Path, release: Path, folder: Path) -> None:
    """Convert the ratings of a release again, in which two videos have changed places."""
    sources = Path(shutil.copytree(release, folder / "changed"))
    path = sources / "video_ratings.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]), encoding="utf-8")
    convert(sources, package, Options(configs=["ratings"], workers=1))


@pytest.mark.parametrize("damage", ["missing", "other bytes", "no list"])
def test_damaged_pictures_are_not_pushed(
    hub: HubServer, copied: Path, run: Run, damage: str
) -> None:
    put_pictures(copied)
    path = copied / "figures" / "flows.png"
    if damage == "missing":
        path.unlink()
        found = "figures/flows.png is missing"
    elif damage == "other bytes":
        path.write_bytes(picture(9))
        found = "figures/flows.png is not what avmit.json says (another size or SHA-256)"
    else:
        (copied / LIST).write_text("{}")
        found = (
            f"{copied / LIST} is no list of pictures (it has no pictures and sources): move "
            f"{copied / 'figures'} away, and draw them again with `avmit report {copied} --card`"
        )
    ran = run("push", copied, REPO)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"avmit: {copied} is not fit to be published ({found}): see `avmit verify {copied}`\n"
    )
    assert not hub.repositories
    said = found if damage == "no list" else f"{found}: draw them again with"
    ran = run("verify", copied, "--json")
    assert ran.code == 1
    assert said in ran.out
    assert run("card", copied).code == 0
    card = (copied / "README.md").read_text(encoding="utf-8")
    shown = [name for name in ("classes", "agreement", "flows") if f"](figures/{name}.png)" in card]
    assert shown == ([] if damage == "no list" else ["classes", "agreement"])


def test_prefetch_brings_them(hub: HubServer, copied: Path, run: Run, tmp_path: Path) -> None:
    put_pictures(copied)
    hub.put_folder(REPO, copied)
    ran = run("prefetch", REPO, "--out", tmp_path / "here")
    assert (ran.code, ran.err) == (0, "")
    assert visible(tmp_path / "here") == visible(copied)
    assert load_dataset(str(tmp_path / "here"), "ratings", split="train").num_rows == 48
    put_pictures(copied, first=5, count=1)
    hub.put(REPO, visible(copied))
    assert run("prefetch", REPO, "--out", tmp_path / "here").code == 0
    assert visible(tmp_path / "here") == visible(copied)
    assert not (tmp_path / "here" / ".avmit-work").exists()


def test_prefetch_brings_none_of_configs_that_are_not_here(
    hub: HubServer, copied: Path, run: Run, tmp_path: Path
) -> None:
    put_pictures(copied)
    hub.put_folder(REPO, copied)
    for config in ("vggish_vgg16", "ratings"):
        ran = run("prefetch", REPO, "--config", config, "--out", tmp_path / "here")
        assert (ran.code, ran.err) == (0, "")
        files = visible(tmp_path / "here")
        assert not pictures_of(files)
        assert "](figures/" not in files["README.md"].decode()
    assert run("prefetch", REPO, "--config", "test_set", "--out", tmp_path / "here").code == 0
    files = visible(tmp_path / "here")
    assert pictures_of(files) == pictures_of(visible(copied))
    assert "](figures/flows.png)" in files["README.md"].decode()


def test_prefetch_leaves_what_is_in_its_way(
    hub: HubServer, copied: Path, run: Run, tmp_path: Path
) -> None:
    put_pictures(copied)
    hub.put_folder(REPO, copied)
    mine = tmp_path / "here" / "figures" / "classes.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    ran = run("prefetch", REPO, "--out", tmp_path / "here")
    assert (ran.code, ran.err) == (
        0,
        f"avmit: the card's pictures are not brought: {mine} would be replaced and avmit did not "
        "make it: move it away\n",
    )
    assert mine.read_bytes() == b"mine"
    assert "](figures/" not in (tmp_path / "here/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("flows.png", picture(8), "figures/flows.png in 'ann/avmit' is not what avmit.json says"),
        (
            "avmit.json",
            b'{"version": 1, "drawn_from": {}, "files": {"../x.png": {"bytes": 1, "sha256": ""}}}',
            "figures/avmit.json in 'ann/avmit' is malformed (avmit draws no ../x.png)",
        ),
    ],
)
def test_prefetch_without_what_the_hub_has_damaged(
    hub: HubServer, copied: Path, run: Run, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    put_pictures(copied)
    hub.put_folder(REPO, copied)
    hub.put(REPO, {f"figures/{name}": content})
    ran = run("prefetch", REPO, "--out", tmp_path / "here")
    assert (ran.code, ran.err) == (0, f"avmit: the card's pictures are not brought: {said}\n")
    assert not (tmp_path / "here" / "figures").exists()
    assert run("verify", tmp_path / "here").code == 0


def test_a_config_cannot_be_called_figures(sharded_release: Path, run: Run, tmp_path: Path) -> None:
    ran = run("convert", sharded_release, "--tfrecords", f"figures={sharded_release}", "--out", "x")
    assert (ran.code, ran.out) == (1, "")
    said = "'figures' cannot name an embedding config: it is the folder of the card's pictures"
    assert ran.err == f"avmit: {said}\n"
