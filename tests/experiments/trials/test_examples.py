"""The examples without a browser or a screen: what the server gives and takes, and events."""

import http.client
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.people import table
from support.places import ROOT


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / "examples" / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    for name in ("page", "lists", "stimuli"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text(name)
    (tmp_path / "secret.txt").write_text("secret")
    folders = [tmp_path / name for name in ("page", "lists", "stimuli", "results")]
    server = example("jspsych/serve.py").server(*folders)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_each_folder_is_served(port: int) -> None:
    for path, content in (("/page.txt", b"page"), ("/lists/lists.txt", b"lists")):
        assert ask(port, "GET", path) == (200, content)
    assert ask(port, "GET", "/stimuli/stimuli.txt?x=1") == (200, b"stimuli")


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/lists/../../secret.txt", "/stimuli/%2e%2e/secret.txt", "/results/x"],
)
def test_nothing_else_is(port: int, path: str) -> None:
    status, content = ask(port, "GET", path)
    assert status == 404
    assert content != b"secret"


def test_results_are_saved_once(port: int, tmp_path: Path) -> None:
    assert ask(port, "POST", "/results/sub-01_run-01.csv", b"a,b\n")[0] == 201
    assert ask(port, "POST", "/results/sub-01_run-01.csv", b"other")[0] == 409
    assert (tmp_path / "results" / "sub-01_run-01.csv").read_bytes() == b"a,b\n"


@pytest.mark.parametrize(
    "path", ["/results/../x.csv", "/x.csv", "/results/a/b.csv", "/results/.csv"]
)
def test_no_other_place_is_written_to(port: int, tmp_path: Path, path: str) -> None:
    assert ask(port, "POST", path, b"x")[0] in (400, 409)
    assert not [*(tmp_path / "results").iterdir()]
    assert not (tmp_path / "x.csv").exists()


def test_events_of_psychopy(tmp_path: Path) -> None:
    ratings = example("psychopy_ratings.py")
    row = {
        "trial": 1,
        "stim_id": "stim-frying1",
        "stim_file": "a.mp4",
        "movie": "../a.mp4",
        "stim_type": "audiovideo",
        "label": "frying",
        "condition": "audiovisual",
        "duration": 3.0,
        "tfrecord_filename": "frying/x.tfrecord",
    }
    events = [ratings.event(row, 1.23456, "2", 0.98765)]
    ratings.write_events(tmp_path / "events.tsv", events)
    [found] = table(tmp_path / "events.tsv")
    assert found == {
        "onset": "1.2346",
        "duration": "3.0",
        "trial_type": "audiovisual",
        "stim_id": "stim-frying1",
        "stim_file": "a.mp4",
        "label": "frying",
        "tfrecord_filename": "frying/x.tfrecord",
        "response": "2",
        "response_time": "0.9877",
    }
    with pytest.raises(FileExistsError):
        ratings.write_events(tmp_path / "events.tsv", events)


def test_what_was_rated_is_written_whatever_ends_the_run(tmp_path: Path) -> None:
    ratings = example("psychopy_ratings.py")
    path = tmp_path / "events.tsv"

    def run(answers: int) -> Iterator[dict[str, object]]:
        for number in range(answers):
            yield ratings.event({"stim_id": f"s{number}", "condition": "audio"}, number, "3", 0.5)
            assert table(path)[number]["stim_id"] == f"s{number}"
        raise OSError("no sound")

    with pytest.raises(OSError, match="no sound"):
        ratings.write_events(path, run(0))
    ratings.write_events(path, [])
    assert not path.exists()  # so that the same command can be given again
    with pytest.raises(OSError, match="no sound"):
        ratings.write_events(path, run(2))
    assert [row["stim_id"] for row in table(path)] == ["s0", "s1"]


@pytest.mark.parametrize("name", ["psychopy_ratings.py", "jspsych/serve.py"])
def test_an_example_says_how_it_is_called(name: str) -> None:
    asked = [sys.executable, str(ROOT / "examples" / name), "--help"]
    ran = subprocess.run(asked, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "usage: " in ran.stdout
