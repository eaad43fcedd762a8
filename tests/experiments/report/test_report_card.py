"""`avmit report --card` draws pictures into a package, and its card shows them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from support.commands import Run
from support.hub.server import HubServer
from support.lists import make_package, write_list
from support.published import REPO, contents
from support.releases import visible

from conversion.convert.build import Options, convert

pytest.importorskip("matplotlib")

PICTURES = ["classes", "agreement", "flows"]
NAMES = ", ".join(f"figures/{name}.png" for name in PICTURES)


def card_of(package: Path) -> str:
    return (package / "README.md").read_text(encoding="utf-8")


def shown(package: Path) -> list[str]:
    card = card_of(package)
    return [name for name in PICTURES if f"](figures/{name}.png)" in card]


def test_three_pictures(copied: Path, run: Run, tmp_path: Path) -> None:
    before = card_of(copied)
    ran = run("report", copied, "--card")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{copied}: {NAMES} drawn, README.md shows them\n"
    files = visible(copied)
    assert {name for name in files if name.startswith("figures/")} == {
        *(f"figures/{name}.png" for name in PICTURES),
        "figures/avmit.json",
    }
    assert run("report", copied, "--out", tmp_path / "report").code == 0
    for name in PICTURES:  # those of the page
        assert files[f"figures/{name}.png"] == (tmp_path / "report" / f"{name}.png").read_bytes()
    lines = card_of(copied).splitlines()
    added = [line for line in lines if line not in before.splitlines()]
    assert added == [
        "![Bars: how many videos each class has, by split.](figures/classes.png)",
        "How far raters agree, by class: 1 is full agreement, 0 what chance would give.",
        "![Points with 95% intervals: Fleiss' kappa of the ratings of each class.]"
        "(figures/agreement.png)",
        "Which label Moments in Time gives the videos of each class:",
        "![Bars: how many videos of each class have that label in Moments in Time too, and how "
        "many have another.](figures/flows.png)",
    ]
    ran = run("report", copied, "--card")
    assert (ran.code, ran.out) == (0, f"{copied}: {NAMES}: up to date\n")
    assert visible(copied) == files
    assert not (copied / ".avmit-work").exists()
    checks = json.loads(run("verify", copied, "--json").out)
    assert checks["ok"]
    (check,) = [check for check in checks["checks"] if check["name"] == "pictures"]
    assert check["found"] == "as drawn from ratings and test_set"
    assert load_dataset(str(copied), "ratings", split="train").num_rows == 48
    shutil.rmtree(copied / "figures")
    ran = run("verify", copied, "--json")
    (check,) = [c for c in json.loads(ran.out)["checks"] if not c["ok"]]
    assert check["found"] == (
        "figures/agreement.png, which README.md shows, is missing; figures/classes.png, which "
        "README.md shows, is missing; figures/flows.png, which README.md shows, is missing: draw "
        f"them again with `avmit report {copied} --card`"
    )
    assert run("card", copied).code == 0
    assert card_of(copied) == before


def test_another_config_keeps_them_and_changed_rows_do_not(
    small_release: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    convert(small_release, out, Options(configs=["ratings", "test_set"], workers=1))
    assert run("report", out, "--card").code == 0
    convert(small_release, out, Options(configs=["vggish_vgg16"], workers=1))
    assert shown(out) == PICTURES
    drawn = visible(out)
    path = small_release / "video_ratings.csv"
    first, one, two, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([first, two, one, *rest]), encoding="utf-8")
    convert(small_release, out, Options(workers=1))
    assert not shown(out)
    after = visible(out)
    assert {n: after[n] for n in after if n.startswith("figures/")} == {
        n: drawn[n] for n in drawn if n.startswith("figures/")
    }
    ran = run("verify", out, "--json")
    (check,) = [c for c in json.loads(ran.out)["checks"] if c["name"] == "pictures"]
    assert (ran.code, check["found"]) == (
        0,
        "drawn from other rows, and not in README.md: draw them again with "
        f"`avmit report {out} --card`",
    )
    (out / "README.md").write_bytes(drawn["README.md"])
    ran = run("verify", out, "--json")
    (check,) = [c for c in json.loads(ran.out)["checks"] if c["name"] == "pictures"]
    assert not check["ok"]
    assert check["found"].startswith("README.md shows figures/agreement.png, of other rows; ")
    assert run("report", out, "--card").out.endswith("README.md shows them\n")
    assert shown(out) == PICTURES


def test_those_that_can_be_drawn(run: Run, tmp_path: Path) -> None:
    columns = {"filename": [f"{n}.mp4" for n in range(4)], "label": ["x", "y"] * 2}
    make_package(tmp_path / "avmit", write_list(tmp_path / "list.csv", columns))
    ran = run("report", "avmit", "--card")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "avmit: figures/classes.png drawn, README.md shows them",
        "not drawn: agreement.png, as the rows have no r1, r2 and r3",
        "not drawn: flows.png, as the rows have no MIT_label",
    ]
    assert shown(tmp_path / "avmit") == ["classes"]
    assert run("verify", "avmit").code == 0


def test_nothing_to_draw(run: Run, small_release: Path, tmp_path: Path) -> None:
    make_package(tmp_path / "bare", write_list(tmp_path / "list.csv", {"filename": ["a.mp4"]}))
    convert(small_release, tmp_path / "single", Options(configs=["raw_ratings"], workers=1))
    for name, said in (
        ("bare", "bare: no pictures can be drawn of videos without labels"),
        (
            "single",
            "single has single ratings alone, and pictures are of videos: convert the ratings too",
        ),
        ("none", "no folder none: make a package with `avmit convert SOURCE --out none`"),
    ):
        before = visible(tmp_path / name) if name != "none" else {}
        ran = run("report", name, "--card")
        assert (ran.code, ran.out, ran.err) == (1, "", f"avmit: {said}\n")
        assert not before or visible(tmp_path / name) == before
    assert not (tmp_path / "none").exists()


def test_the_embeddings_alone(run: Run, small_release: Path, tmp_path: Path) -> None:
    convert(small_release, tmp_path / "avmit", Options(configs=["vggish_vgg16"], workers=1))
    assert run("report", "avmit", "--card").out.startswith(f"avmit: {NAMES} drawn")


@pytest.mark.parametrize("name", ["figures/other.png", "figures", "figures/classes.png"])
def test_files_of_others_stay(copied: Path, run: Run, name: str) -> None:
    path = copied / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"mine")
    before = visible(copied)
    ran = run("report", copied, "--card")
    assert (ran.code, ran.out, ran.err) == (
        1,
        "",
        f"avmit: {path} would be replaced and avmit did not make it: move it away\n",
    )
    assert visible(copied) == before


def test_a_card_that_cannot_be_made_out(copied: Path, run: Run) -> None:
    (copied / "README.md").write_bytes(b"\xff")
    ran = run("report", copied, "--card")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"avmit: {copied}/README.md is not UTF-8 text: mend or delete it\n"
    assert not (copied / "figures").exists()


def test_what_a_run_was_cut_off_from_is_taken_away(copied: Path, run: Run) -> None:
    assert run("report", copied, "--card").code == 0
    files = visible(copied)
    left = copied / ".avmit-work" / "figures.kept-0-00000000"
    left.mkdir(parents=True)
    (left / "classes.png").write_bytes(b"half")
    (copied / "figures").rename(copied / ".figures.replaced")  # where names cannot be exchanged
    assert run("report", copied, "--card").out.endswith(": up to date\n")
    assert visible(copied) == files
    assert not (copied / ".avmit-work").exists()


def test_options_that_do_not_fit(copied: Path, run: Run) -> None:
    ran = run("report", copied, "--card", "--config", "vggish_vgg16")
    assert (ran.code, ran.err) == (
        1,
        "avmit: --card goes with no --atlas and no --config: leave them out\n",
    )


def test_pushed_again_with_other_pictures(
    hub: HubServer, small_release: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "avmit"
    convert(small_release, out, Options(workers=1))
    assert run("report", out, "--card").code == 0
    assert run("push", out, REPO).code == 0
    assert contents(hub.dataset(REPO).head()) == visible(out)
    rng = np.random.default_rng(0)
    path = small_release / "video_ratings.csv"
    first, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([first, *(rows[n] for n in rng.permutation(len(rows)))]))
    convert(small_release, out, Options(workers=1))
    assert run("report", out, "--card").code == 0
    ran = run("push", out, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert "  changed   figures/avmit.json (" in ran.out
    assert contents(hub.dataset(REPO).head()) == visible(out)
