"""`avmit report` writes a page, its pictures, and what embedding-atlas reads."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.commands import Run
from support.lists import make_package, write_list
from support.releases import visible

from experiments.report.measures.embeddings import Embedded, read_embedded


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of a list with two classes and no ratings."""
    folder = tmp_path_factory.mktemp("listed")
    names = [f"a/</script>{n}.mp4" if n == 0 else f"a/{n}.mp4" for n in range(12)]
    columns = {"filename": names, "label": ["x", "y"] * 6}
    make_package(folder / "avmit", write_list(folder / "list.csv", columns))
    return folder / "avmit"


def test_a_package(run: Run, package: Path, tmp_path: Path) -> None:
    ran = run("report", package, "--out", tmp_path / "report")
    assert (ran.code, ran.err) == (0, "")
    files = visible(tmp_path / "report")
    both = [f"{c}_{m}" for c in ("vggish_vgg16", "yamnet_effnet") for m in ("audio", "visual")]
    assert set(files) == {
        "report.html",
        *(f"{name}.png" for name in ("classes", "ratings", "agreement", "flows", "sites")),
        *("norms.png", "timesteps.png"),
        *(f"{kind}_{name}.png" for name in both for kind in ("map", "confusion")),
    }
    assert ran.out.startswith(f"{tmp_path}/report/report.html (")
    assert ran.out.endswith(" and 15 pictures beside it\n")
    for name, data in files.items():
        assert name == "report.html" or data.startswith(b"\x89PNG")
    again = run("report", package, "--out", tmp_path / "report")
    assert again == ran
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    after = visible(tmp_path / "report")
    assert {name: hashlib.sha256(data).hexdigest() for name, data in after.items()} == digests


def test_a_package_of_a_list(run: Run, listed: Path, tmp_path: Path) -> None:
    assert run("report", listed, "--out", tmp_path / "report").code == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "kappa" not in page.split("<script", 1)[0]
    assert "12 videos of 2 classes." in page
    assert "a/</script>0.mp4" not in page
    assert (tmp_path / "report" / "map_mine_audio.png").is_file()
    assert not (tmp_path / "report" / "ratings.png").exists()


def test_nothing_of_the_users_is_written_over(run: Run, listed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "classes.png").write_text("mine")
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "report.html").write_text("mine")
    for name in ("mine", "page"):
        ran = run("report", listed, "--out", tmp_path / name)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == (
            f"avmit: {tmp_path / name} has files and no report of avmit's: choose another --out\n"
        )
    ran = run("report", listed, "--out", tmp_path / "mine" / "classes.png")
    assert ran.err.endswith("classes.png is a file: choose another --out\n")
    assert (tmp_path / "mine" / "classes.png").read_text() == "mine"


def test_umap_that_is_missing(
    run: Run, listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    ran = run("report", listed, "--map", "umap", "--out", tmp_path / "report")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "avmit: a map by UMAP needs umap, which is not installed or does not load: "
        "pip install umap-learn\n"
    )
    assert not (tmp_path / "report").exists()


def test_options_that_do_not_fit(run: Run, listed: Path, tmp_path: Path) -> None:
    file = tmp_path / "atlas.parquet"
    assert run("report", listed, "--atlas", file).err == (
        "avmit: --atlas is of one config: name it with --config\n"
    )
    assert run("report", listed, "--config", "mine").err == (
        "avmit: --config is of --atlas: leave it out, the page has all configs\n"
    )
    assert run("report", listed, "--atlas", file, "--config", "other").err == (
        f"avmit: no visual in 'other' of {listed}; there are: mine audio, mine visual\n"
    )
    assert (
        "name a file that ends in .parquet"
        in run("report", listed, "--atlas", tmp_path / "a.csv", "--config", "mine").err
    )
    assert not file.exists()


def test_atlas(run: Run, package: Path, tmp_path: Path) -> None:
    file = tmp_path / "atlas.parquet"
    ran = run("report", package, "--atlas", file, "--config", "yamnet_effnet")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[1] == (
        f"  embedding-atlas {file} --text filename --x x --y y --neighbors neighbors"
    )
    rows = pq.read_table(file).to_pylist()
    assert len(rows) == 48
    for number, row in enumerate(rows):
        near = row["neighbors"]
        assert len(near["ids"]) == 15 and number not in near["ids"]
        assert near["distances"] == sorted(near["distances"])
    assert set(rows[0]) == {"filename", "label", "split", "silent", "x", "y", "neighbors"}


def test_atlas_of_rows_that_are_not_finite(
    run: Run, listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extreme(*arguments: Any) -> Embedded:
        found = read_embedded(*arguments)
        found.features.matrices["visual"][[2, 4, 6]] = [[np.nan], [np.inf], [3e38]]
        return found

    monkeypatch.setattr("experiments.report.atlas.read_embedded", extreme)
    file = tmp_path / "my atlas" / "atlas.parquet"
    ran = run("report", listed, "--atlas", file, "--config", "mine")
    assert (ran.code, ran.err) == (0, "")
    command = ran.out.splitlines()[1].split(" --text ")[0]
    assert command == f"  embedding-atlas '{file}'"
    rows = pq.read_table(file).to_pylist()
    for number, row in enumerate(rows):
        expected = set() if number in (2, 4) else {*range(len(rows))} - {2, 4, number}
        assert set(row["neighbors"]["ids"]) == expected
        assert len(row["neighbors"]["distances"]) == len(expected)
        assert np.isfinite([row["x"], row["y"], *row["neighbors"]["distances"]]).all()
