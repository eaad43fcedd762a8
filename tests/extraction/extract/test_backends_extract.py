"""Extraction by either backend: the same embeddings, and a run goes on by the one it began with."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import tensorflow_models as networks
from support.clips import make_clip
from support.commands import Ran, Run
from support.mit import going_on_anywhere_gives_the_same, lay_out, path_of, rows

from conversion.package.manifest import read_manifest
from conversion.release.generate import generate_release
from extraction.compare.comparison import compare
from extraction.encoders import registry
from extraction.encoders.settings import Settings
from extraction.encoders.tensorflow.published import YAMNET
from extraction.extract import checkpoint


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "sources"
    generate_release(folder, videos_per_label=2, test_per_label=1, sets=[])
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        make_clip(folder / "a.mp4", rate=30),
        make_clip(folder / "b.mp4", rate=25, amplitudes=(0.4, 0.2), sample_rate=48000),
    ]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    networks.tiny_model().save(folder / "tiny.keras")
    return {"audio": networks.save_yamnet(folder / "yamnet"), "visual": folder / "tiny.keras"}


@pytest.fixture
def videos(tmp_path: Path, annotations: Path, clips: list[Path]) -> Path:
    return lay_out(tmp_path / "mit", annotations, clips)


Extract = Callable[..., Ran]


@pytest.fixture
def extract(run: Run, videos: Path, annotations: Path, models: dict[str, Path]) -> Extract:
    """Run `avmit extract` into ./avmit with more options."""
    sources = ["--videos", videos, "--annotations", annotations]
    encoders = ["--audio", "yamnet", "--visual", f"keras:{models['visual']}"]

    def with_options(*options: Any, config: str = "mine") -> Ran:
        weights = ["--audio-weights", models["audio"]]
        return run("extract", *sources, *encoders, *weights, "--config", config, *options)

    return with_options


def backends(out: Path, config: str = "mine") -> set[tuple[str, str]]:
    encoders = read_manifest(out / config).source["encoders"].values()
    return {(encoder["backend"], encoder["device"]) for encoder in encoders}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def shards(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents(folder).items() if "-of-" in name}


def test_configs_by_either_backend_are_the_same(extract: Extract, tmp_path: Path) -> None:
    for config in ("tensorflow", "onnx"):
        assert extract("--backend", config, config=config).code == 0
        assert backends(tmp_path / "avmit", config) == {(config, "cpu")}
    for column in compare(tmp_path / "avmit", "tensorflow", "onnx").columns.values():
        assert column.videos == 32
        assert column.mismatches == 0
        assert column.worst_cosine > 0.999999
        assert column.worst_relative < 2e-6
    libraries = read_manifest(tmp_path / "avmit" / "onnx").source["libraries"]
    assert "onnxruntime" in libraries
    assert "tensorflow" not in libraries
    assert "tensorflow" in read_manifest(tmp_path / "avmit" / "tensorflow").source["libraries"]


def test_a_backend_stays_with_what_was_published(extract: Extract, tmp_path: Path) -> None:
    assert extract("--backend", "tensorflow").code == 0
    before = contents(tmp_path / "avmit" / "mine")
    ran = extract()
    assert "yamnet: by TensorFlow on cpu\n" in ran.out
    assert "(unchanged)" in ran.out
    assert contents(tmp_path / "avmit" / "mine") == before
    assert extract("--backend", "onnx").code == 0
    assert backends(tmp_path / "avmit") == {("onnx", "cpu")}


@pytest.mark.parametrize("began", ["tensorflow", "onnx"])
def test_a_run_goes_on_by_the_backend_that_it_began_with(
    extract: Extract, annotations: Path, videos: Path, tmp_path: Path, began: str
) -> None:
    row = rows(annotations)[20]
    content, facts = path_of(videos, row).read_bytes(), path_of(videos, row).stat()
    other = {"tensorflow": "onnx", "onnx": "tensorflow"}[began]
    extract("--backend", began, config="whole")
    path_of(videos, row).write_bytes(b"no video")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
        assert extract("--backend", began).code == 1
    path_of(videos, row).write_bytes(content)
    os.utime(path_of(videos, row), ns=(facts.st_atime_ns, facts.st_mtime_ns))
    [folder] = (tmp_path / "avmit" / ".avmit-work").glob("mine.*")

    ran = extract("--backend", other)
    assert (ran.code, ran.err) == (
        1,
        f"avmit: --backend {other}: the unfinished run of 'mine' computes yamnet by {began}; leave "
        f"--backend away to go on with it, or delete avmit/.avmit-work/{folder.name}\n",
    )
    assert [*folder.glob(".*.spill")]
    assert extract().code == 0
    assert shards(tmp_path / "avmit" / "mine") == shards(tmp_path / "avmit" / "whole")
    assert backends(tmp_path / "avmit") == {(began, "cpu")}
    assert not (tmp_path / "avmit" / ".avmit-work").exists()


def test_retrying_keeps_the_backend(
    extract: Extract, annotations: Path, videos: Path, tmp_path: Path
) -> None:
    row = rows(annotations)[3]
    away = path_of(videos, row).rename(tmp_path / "away.mp4")
    assert extract("--backend", "tensorflow", "--on-bad-video", "skip").code == 0
    away.rename(path_of(videos, row))
    ran = extract("--backend", "onnx", "--retry-failed")
    assert ran.code == 1
    assert "was made with other encoders (audio: backend tensorflow, now onnx): retry" in ran.err
    ran = extract("--retry-failed")
    assert ran.code == 0
    assert "1 videos that failed before have a row now" in ran.out
    assert backends(tmp_path / "avmit") == {("tensorflow", "cpu")}


def test_a_measured_difference_is_no_other_making(
    extract: Extract, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extract("--backend", "onnx")
    before = contents(tmp_path / "avmit" / "mine")
    monkeypatch.setenv("AVMIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "extraction.encoders.tensorflow.onnx_backend._apart", lambda expected, found: 2e-5
    )
    ran = extract()
    assert "exported now; at most 2e-05 of the largest value from TensorFlow" in ran.out
    assert "2 of 2 shards kept from an earlier run" in ran.out
    after = contents(tmp_path / "avmit" / "mine")
    assert after.pop("manifest.json") != before.pop("manifest.json")
    assert after == before


def test_going_on_anywhere_gives_the_same(
    clips: list[Path], models: dict[str, Path], tmp_path: Path
) -> None:
    settings = Settings(backend="onnx")
    visual = registry.find(f"keras:{models['visual']}", "visual", settings).open()
    audio = YAMNET.configured(settings).open(models["audio"])
    counts = going_on_anywhere_gives_the_same(clips, {"audio": audio, "visual": visual}, tmp_path)
    assert sum(one.get("visual", 0) for one in counts) > 100
