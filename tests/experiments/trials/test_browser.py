"""examples/jspsych in a real browser: every trial is answered, and the ratings are saved."""

import csv
import importlib.util
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.places import ROOT

EXAMPLE = ROOT / "examples" / "jspsych"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def serve_module() -> Any:
    spec = importlib.util.spec_from_file_location("serve", EXAMPLE / "serve.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with jsPsych installed, from the registry."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm")
    folder = Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("page") / "jspsych"))
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    installed = subprocess.run([npm, "install", *quiet], cwd=folder, capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"npm install fails: {installed.stderr.strip()[-200:]}")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def served(stimuli: Path, page: Path, run: Run, tmp_path: Path) -> Iterator[str]:
    """The address of a server with lists of one subject."""
    design = ("--runs", 2, "--per-run", 8, "--subjects", 1, "--repeat-clips")
    made = run("trials", "--stimuli", stimuli, *design, "--format", "jspsych", "--out", "lists")
    assert made.code == 0
    server = serve_module().server(
        page, tmp_path / "lists", stimuli / "stimuli", tmp_path / "results"
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def rate(tab: Any, address: str, trials: int) -> None:
    tab.goto(address)
    tab.get_by_role("button", name="Begin").click()
    for number in range(trials):
        button = tab.locator("button:enabled").nth(number % 3)
        button.wait_for(timeout=20_000)
        button.click()
        tab.locator("button:enabled").nth(number % 3).wait_for(state="hidden")


def test_a_run_is_shown_rated_and_saved(served: str, browser: Any, tmp_path: Path) -> None:
    tab = browser.new_page()
    problems: list[str] = []
    asked: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    tab.on("request", lambda request: asked.append(request.url))
    rate(tab, f"{served}/index.html?run=sub-01_run-01", 8)
    tab.get_by_text("Your ratings are saved.").wait_for()
    assert leaves(tab)
    assert problems == []
    assert all(url.startswith((f"{served}/", "blob:", "data:")) for url in asked)
    listed = json.loads((tmp_path / "lists" / "sub-01_run-01.json").read_text())
    assert {row["stim_type"] for row in listed} == {"audio", "audiovideo"}
    with (tmp_path / "results" / "sub-01_run-01.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["stim_id"] for row in rows] == [row["stim_id"] for row in listed]
    assert [row["tfrecord_filename"] for row in rows] == [r["tfrecord_filename"] for r in listed]
    assert [row["rating"] for row in rows] == [str(1 + number % 3) for number in range(8)]
    # No answer before the clip has ended.
    assert all(float(row["rt"]) > 300 for row in rows)
    tab.close()


def leaves(tab: Any) -> bool:
    """Whether the page lets a tab be closed without asking."""
    return bool(tab.evaluate("dispatchEvent(new Event('beforeunload', {cancelable: true}))"))


def test_a_run_is_not_left_by_mistake(served: str, browser: Any) -> None:
    tab = browser.new_page()
    rate(tab, f"{served}/index.html?run=sub-01_run-01", 1)
    assert not leaves(tab)
    tab.close()


def test_results_that_are_there_stay(served: str, browser: Any, tmp_path: Path) -> None:
    mine = tmp_path / "results" / "sub-01_run-02.csv"
    mine.write_text("mine")
    tab = browser.new_page()
    with tab.expect_download() as downloading:
        rate(tab, f"{served}/index.html?run=sub-01_run-02", 8)
        tab.get_by_text("are in your downloads").wait_for()
    assert downloading.value.suggested_filename == "sub-01_run-02.csv"
    with Path(downloading.value.path()).open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 8
    assert mine.read_text() == "mine"
    tab.close()


@pytest.mark.parametrize("run_name", ["", "sub-99_run-01", "../secret"])
def test_no_such_run(served: str, browser: Any, run_name: str) -> None:
    tab = browser.new_page()
    tab.goto(f"{served}/index.html?run={run_name}")
    tab.get_by_text(f"There is no list of the name '{run_name}'").wait_for()
    tab.close()
