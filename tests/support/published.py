"""A dataset on the loopback Hub, and what is committed there."""

from support.hub.server import HubServer
from support.hub.store import Commit

REPO = "ann/avmit"


def contents(commit: Commit) -> dict[str, bytes]:
    """All files of a commit with their bytes, but the one that the Hub makes."""
    files = {name: file.read(0, file.size) for name, file in commit.files.items()}
    del files[".gitattributes"]
    return files


def uploaded(hub: HubServer) -> int:
    return sum(request.received for request in hub.of("^/storage/", "PUT"))
