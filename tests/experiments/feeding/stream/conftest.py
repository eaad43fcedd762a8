"""What the tests of streams that are kept share."""

import shutil
from pathlib import Path

import pytest
from support.hub.server import HubServer
from support.keeping import rewrite
from support.prefetching import REPO


@pytest.fixture(scope="session")
def batched(sharded_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`sharded_package` with record batches of two rows; never written to."""
    package = Path(shutil.copytree(sharded_package, tmp_path_factory.mktemp("batched") / "avmit"))
    rewrite(package)
    return package


@pytest.fixture
def filled(hub: HubServer, batched: Path) -> HubServer:
    hub.put_folder(REPO, batched)
    return hub


@pytest.fixture
def keep(tmp_path: Path) -> Path:
    return tmp_path / "avmit"
