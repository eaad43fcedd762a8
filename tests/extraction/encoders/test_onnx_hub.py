"""`onnx:owner/name`: models out of repositories on the Hub."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pytest
from support import onnx_models as models
from support.commands import Run
from support.hub.server import Fault, HubServer
from support.hub.store import Commit, Repository

from avmit import AvmitError
from extraction.encoders import registry
from extraction.encoders.base import Side
from extraction.encoders.settings import Settings

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub's files."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def made(hub: HubServer) -> Repository:
    return hub.create("lab/net", "model")


def put(hub: HubServer, repository: Repository, *paths: Path, folder: Path) -> Commit:
    commit = repository.put("Put", {path.relative_to(folder).as_posix(): path for path in paths})
    hub.blobs |= {file.sha256: file.content for file in commit.files.values() if file.sha256}
    return commit


def opened(rest: str, **asked: Any) -> Side:
    return registry.find(f"onnx:{rest}", None, Settings(**asked)).open()


def problem(rest: str) -> str:
    with pytest.raises(AvmitError) as raised:
        opened(rest)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    # Before 1.0, a session that was opened online stays so.
    getattr(huggingface_hub, "configure_http_backend", lambda: None)()


def test_where_models_are_put(
    hub: HubServer, made: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = models.colours(tmp_path / "onnx" / "model.onnx", external="model.onnx_data")
    data = nested.with_name("model.onnx_data")
    processor = tmp_path / "preprocessor_config.json"
    processor.write_text(json.dumps({"do_rescale": False, "do_normalize": False}))
    commit = put(hub, made, nested, data, processor, folder=tmp_path)
    side = opened("lab/net")
    assert (side.encoder.name, side.encoder.origin) == (
        "onnx:lab/net",
        "https://huggingface.co/lab/net",
    )
    assert side.encoder.facts["revision"] == commit.oid
    assert set(side.encoder.facts["files"]) == {"model.onnx", "model.onnx_data"}
    assert side.encoder.preprocessing == "RGB, normalized 0:255, NCHW float32"
    found = np.stack(side.network.encode(side.network.prepare(FRAMES)))
    np.testing.assert_allclose(found, FRAMES.mean((1, 2)) @ models.weights(3, 8), rtol=1e-4)
    # Without the Hub, from the cache.
    offline(monkeypatch)
    again = opened("lab/net")
    assert again.encoder == side.encoder


def test_a_file_and_a_revision(
    hub: HubServer, made: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = models.colours(tmp_path / "onnx" / "small.onnx", width=4)
    first = put(hub, made, small, folder=tmp_path)
    models.colours(small, width=6)
    top = models.colours(tmp_path / "model.onnx", width=5)
    put(hub, made, small, top, folder=tmp_path)
    assert opened("lab/net").encoder.width == 5
    side = opened("lab/net/onnx/small.onnx")
    assert (side.encoder.name, side.encoder.width) == ("onnx:lab/net/onnx/small.onnx", 6)
    old = opened(f"lab/net/onnx/small.onnx@{first.oid}")
    assert (old.encoder.name, old.encoder.width) == ("onnx:lab/net/onnx/small.onnx", 4)
    assert old.encoder.facts["revision"] == first.oid
    # That there is no processor is known without the Hub, too.
    offline(monkeypatch)
    assert opened("lab/net/onnx/small.onnx").encoder == side.encoder


def test_what_is_not_there(hub: HubServer, made: Repository, tmp_path: Path) -> None:
    named = "name a file of it, as onnx:OWNER/NAME/FILE.onnx"
    assert problem("lab/net") == (
        f"lab/net has no model.onnx or onnx/model.onnx on the Hub, and no other ONNX file: {named}"
    )
    put(hub, made, models.colours(tmp_path / "onnx" / "vision.onnx"), folder=tmp_path)
    assert problem("lab/net/text.onnx") == (
        f"lab/net has no text.onnx on the Hub; there are onnx/vision.onnx: {named}"
    )
    bring = "and name onnx:/path/model.onnx"
    unknown = problem("lab/nothing")
    assert unknown.startswith("cannot fetch model.onnx of onnx:lab/nothing (")
    assert unknown.endswith(f"bring the files of https://huggingface.co/lab/nothing, {bring}")
    assert problem("lab/net@none").startswith("cannot fetch model.onnx of onnx:lab/net (")
    lacking = models.colours(tmp_path / "model.onnx", external="more.bin")
    put(hub, made, lacking, folder=tmp_path)
    assert problem("lab/net").startswith("lab/net has no more.bin on the Hub; there are ")


def test_no_hub_to_ask(
    hub: HubServer, made: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(hub, made, models.colours(tmp_path / "model.onnx"), folder=tmp_path)
    hub.faults.append(Fault("preprocessor", times=99, status=403))
    assert problem("lab/net").startswith("cannot fetch preprocessor_config.json of onnx:lab/net (")
    offline(monkeypatch)
    # Whether there is one decides over the embeddings, and is not known.
    assert problem("lab/net").startswith("cannot fetch preprocessor_config.json of onnx:lab/net (")
    assert problem("lab/other").startswith("cannot fetch onnx/model.onnx of onnx:lab/other (")


def test_names_that_are_none(run: Run) -> None:
    for rest in ("name", "models/mine.onnx", "/no/where.onnx", "a b/c", "lab/net/file.txt"):
        assert problem(rest).startswith(f"no file {rest}: onnx: takes an ONNX file, or OWNER/NAME")
    ran = run("encoders", "check", "onx:lab/net")
    assert "did you mean 'onnx:lab/net'? " in ran.err
