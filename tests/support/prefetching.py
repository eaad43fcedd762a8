"""What the tests of prefetch share: a Hub with a package, and what a folder holds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.hub.server import HubServer

REPO = "ann/avmit"
CONFIG = "vggish_vgg16"
SHARDS = ["test-00000-of-00001.arrow", "train-00000-of-00002.arrow", "train-00001-of-00002.arrow"]
FIRST = f"{CONFIG}/{SHARDS[1]}"


def contents(folder: Path) -> dict[str, bytes]:
    """What anyone sees in a folder: unfinished work and the lock left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".avmit")
    }


def stored(hub: HubServer) -> int:
    """How many bytes of shards went out."""
    return sum(request.sent for request in hub.of("^/storage/"))


def edit_manifest(hub: HubServer, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the manifest of CONFIG on the Hub says."""
    name = f"{CONFIG}/manifest.json"
    manifest = json.loads(hub.dataset(REPO).text(name))
    change(manifest)
    hub.put(REPO, {name: json.dumps(manifest, indent=2).encode() + b"\n"})
