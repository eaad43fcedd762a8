"""Where test data comes from; set before `datasets` is imported: caches of our own, no network."""

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

_CACHES = tempfile.mkdtemp(prefix="avmit-tests-")
os.environ["HF_HOME"] = _CACHES
os.environ["AVMIT_CACHE"] = str(Path(_CACHES, "avmit"))
os.environ["HF_DATASETS_CACHE"] = str(Path(_CACHES, "datasets"))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ["NO_PROXY"] = "127.0.0.1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as extraction sets it; tests import it first
for _name in ("AVMIT_HOME", "AVMIT_ZENODO_URL"):
    os.environ.pop(_name, None)
# As `avmit extract` sets it; some tests import TensorFlow first.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# Where the fixture `hub` listens; nothing does otherwise, and nobody asks while the Hub is offline.
with socket.create_server(("127.0.0.1", 0)) as _free:
    HUB_PORT = _free.getsockname()[1]
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{HUB_PORT}"
os.environ["HF_HUB_DISABLE_XET"] = "1"
for _name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
    os.environ.pop(_name, None)

import datasets  # noqa: E402
import huggingface_hub  # noqa: E402
import huggingface_hub.constants  # noqa: E402
from support.commands import Ran, Run  # noqa: E402
from support.downloading import FILES  # noqa: E402
from support.hub.server import HubServer  # noqa: E402
from support.releases import sharded_options, with_extreme_values  # noqa: E402
from support.zenodo import ZenodoServer  # noqa: E402

import avmit_cli  # noqa: E402
from conversion.convert.build import Options, convert  # noqa: E402
from conversion.convert.demo import run_demo  # noqa: E402
from conversion.hub import retry as hub_retry  # noqa: E402
from conversion.release.generate import generate_release  # noqa: E402

hypothesis.settings.register_profile("avmit", deadline=None, database=None)
hypothesis.settings.load_profile("avmit")


def pytest_unconfigure() -> None:
    shutil.rmtree(_CACHES, ignore_errors=True)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release in the published layout, both sets; never written to after it is made."""
    folder = tmp_path_factory.mktemp("release") / "sources"
    generate_release(folder, videos_per_label=3, test_per_label=1)
    with_extreme_values(folder)
    return folder


@pytest.fixture(scope="session")
def package(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hub package of `release`, in a folder named avmit; never written to."""
    out = tmp_path_factory.mktemp("package") / "avmit"
    convert(release, out, Options(workers=1))
    return out


@pytest.fixture(scope="session")
def after_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which `make demo` was called."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        list(run_demo(Path("demo/avmit"), lambda done, total: None))
    return folder


@pytest.fixture
def small_release(tmp_path: Path) -> Path:
    """A release of 32 videos with one set of records, VGGish and VGG16, to be damaged freely."""
    folder = tmp_path / "sources"
    generate_release(folder, videos_per_label=2, test_per_label=1, sets=["vggish_vgg16"])
    return folder


@pytest.fixture(scope="session")
def sharded_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of 48 videos with the VGGish and VGG16 records; never written to."""
    folder = tmp_path_factory.mktemp("sharded-release") / "sources"
    generate_release(folder, videos_per_label=3, test_per_label=1, sets=["vggish_vgg16"])
    return folder


@pytest.fixture(scope="session")
def sharded_package(sharded_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its package: 32 videos of train in two shards, 16 of test in one; never written to."""
    out = tmp_path_factory.mktemp("sharded-package") / "avmit"
    convert(sharded_release, out, sharded_options())
    return out


@pytest.fixture
def copied(sharded_package: Path, tmp_path: Path) -> Path:
    """A copy of `sharded_package`, to be damaged."""
    return Path(shutil.copytree(sharded_package, tmp_path / "avmit"))


@pytest.fixture
def zenodo() -> Iterator[ZenodoServer]:
    """A server on the loopback that has the record of `downloading`."""
    with ZenodoServer(dict(FILES)) as running:
        yield running


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Where a download goes; not there yet."""
    return tmp_path / "sources"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder that `datasets` uses during the test."""
    folder = tmp_path / "hf-cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder))
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """An empty Hub where HF_ENDPOINT is; the user is ann, with a token that may write."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE")  # of processes that a test starts
    monkeypatch.setenv("HF_TOKEN", "hf_annwrites")
    monkeypatch.setattr(hub_retry, "FIRST_WAIT", 0.02)
    # Before 1.0, a session that was opened offline stays so.
    getattr(huggingface_hub, "configure_http_backend", lambda: None)()
    with HubServer(port=HUB_PORT) as server:
        yield server


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Run]:
    """Run the `avmit` command in this process, with the test's own folder as the current one."""
    monkeypatch.chdir(tmp_path)

    def run_avmit(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["avmit", *map(str, arguments)])
        usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with pytest.raises(SystemExit) as stopped:
            avmit_cli.main()
        for number, handler in usual.items():
            signal.signal(number, handler)
        captured = capsys.readouterr()
        if stopped.value.code == 130:  # it was meant for the tests, as by `timeout`
            pytest.exit("a signal came while a test ran `avmit`", 130)
        return Ran(stopped.value.code or 0, captured.out, captured.err)

    yield run_avmit
