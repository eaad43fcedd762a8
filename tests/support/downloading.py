"""A record to download, and what tests look at afterwards."""

import hashlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from conversion.zenodo.download import CHUNK, Retrieved, download
from conversion.zenodo.record import read_record
from conversion.zenodo.retry import Retry
from support.zenodo import ZenodoServer

QUICK = Retry(attempts=3, first_wait=0, longest_asked=5)
ONCE = Retry(attempts=1)
VGG = "VGGish_VGG16.zip"
YAMNET = "YamNet_EffNetB0.tar.gz"
FILES = {
    "raw_video_ratings.csv": b"filename,rating\na.mp4,3\n",
    "video_ratings.csv": b"filename,r1,r2,r3\na.mp4,0,0,3\n",
    "test_set.csv": b"",
    VGG: random.Random(1).randbytes(5 * CHUNK + 17),
    YAMNET: random.Random(2).randbytes(2 * CHUNK),
    "README.txt": b"read me",
}
BODY = FILES[VGG]
MD5 = hashlib.md5(BODY).hexdigest()
OTHER = bytes(len(BODY))
LAYOUT = (
    "not a layout that this version knows; look for a newer avmit, or fetch the files by hand from "
    "the record's page"
)


class Heard(list[str]):
    """The lines that a run said."""

    def __call__(self, line: str) -> None:
        self.append(line)


def fetch(
    zenodo: ZenodoServer,
    sources: Path,
    only: Sequence[str] = ("vggish_vgg16",),
    retry: Retry = QUICK,
    say: Callable[[str], None] = Heard(),  # noqa: B008 - of those who do not listen
) -> list[Retrieved]:
    return download(sources, read_record(base=zenodo.url, retry=retry), only, retry=retry, say=say)


def names(folder: Path) -> list[str]:
    """What is in a folder, but for the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".avmit.lock")


def partial(sources: Path, content: bytes) -> Path:
    """Leave what an earlier run may have left of VGG."""
    sources.mkdir(exist_ok=True)
    path = sources / f".{VGG}.part"
    path.write_bytes(content)
    return path


def ranges(zenodo: ZenodoServer) -> list[str | None]:
    return [request.range for request in zenodo.of(VGG)]


def sent(zenodo: ZenodoServer) -> list[int]:
    return [request.sent for request in zenodo.of(VGG)]
