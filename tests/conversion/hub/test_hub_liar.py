"""Pushes and prefetches with a Hub that fails or lies on a quarter of its answers.

More of them: `AVMIT_HUB_RUNS=200 pytest -s tests/test_hub_liar.py`.
"""

import os
import re
import shutil
import time
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.utils._http as library
import pytest
from support.commands import Ran, Run
from support.hub.liar import Liar
from support.hub.server import HubServer
from support.prefetching import contents
from support.releases import visible

from conversion.convert.build import Options, convert
from conversion.hub import client as hub_client
from conversion.hub import retry as hub_retry

RUNS = int(os.environ.get("AVMIT_HUB_RUNS", "8"))
COUNTS: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[None]:
    """Say what happened."""
    yield
    print("", *(f"{count:6} {what}" for what, count in COUNTS.most_common()), sep="\n")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let waits be short, ours and the library's."""
    sleep = time.sleep
    short = types.SimpleNamespace(**{**vars(time), "sleep": lambda seconds: sleep(0.001)})
    monkeypatch.setattr(library, "time", short)
    monkeypatch.setattr(hub_retry, "time", short)
    for name in ("CONNECT", "READ", "DONE"):
        monkeypatch.setattr(hub_client, name, 0.25)


@pytest.fixture
def tiny(small_release: Path, tmp_path: Path) -> Path:
    """A package of some kB."""
    convert(small_release, tmp_path / "tiny", Options(workers=1, configs=["ratings", "test_set"]))
    return tmp_path / "tiny"


def until_whole(run: Run, what: str, *arguments: object) -> Ran:
    """Run a command again until it succeeds; all that is not success is one line of ours."""
    for attempt in range(40):
        ran = run(what, *arguments)
        assert "Traceback" not in ran.out + ran.err
        assert "hf_annwrites" not in ran.out + ran.err and "signature=" not in ran.out + ran.err
        if ran.code == 0:
            COUNTS[f"{what}: whole after {'the first run' if not attempt else 'more runs'}"] += 1
            return ran
        assert ran.code == 1
        line = ran.err.splitlines()[-1]
        assert line.startswith("avmit: ")
        known = re.sub(r"\(.*\)|http\S+|'[^']*'|\S+/\S+|\d+(\.\d+)?", "..", line)
        COUNTS[f"{what}: {known}"] += 1
    raise AssertionError(f"never whole: {ran.err}")


@pytest.mark.parametrize("seed", range(RUNS))
def test_push_ends_whole(hub: HubServer, tiny: Path, run: Run, seed: int) -> None:
    repo = f"ann/run-{seed}"
    card = b"# Theirs\n\nText.\n"
    if seed % 2:  # there is something of somebody else
        hub.create(repo)
        hub.put(repo, {"README.md": card, "theirs/notes.md": b"theirs"})
    liar = hub.chance = Liar(seed)
    until_whole(run, "push", tiny, repo)
    COUNTS.update(liar.met)
    head = hub.dataset(repo).head()
    found = {name: file.read(0, file.size) for name, file in head.files.items()}
    del found[".gitattributes"]
    text = found.pop("README.md").decode()
    expected = visible(tiny)
    local = expected.pop("README.md").decode()
    if seed % 2:
        assert found.pop("theirs/notes.md") == b"theirs"
        assert "# Theirs\n\nText.\n" in text and "- config_name: ratings\n" in text
    else:
        assert text == local
    assert found == expected
    authors = [commit.author for commit in hub.dataset(repo).history()]
    assert authors == ["ann", *(["somebody"] if seed % 2 else []), "system"]
    hub.chance = lambda request: None
    assert run("push", tiny, repo).out.endswith("nothing to commit: the Hub has all of it\n")


@pytest.mark.parametrize("seed", range(RUNS))
def test_prefetch_ends_whole(
    hub: HubServer, tiny: Path, run: Run, tmp_path: Path, seed: int
) -> None:
    hub.put_folder("ann/avmit", tiny)
    liar = hub.chance = Liar(1000 + seed)
    until_whole(run, "prefetch", "ann/avmit")
    COUNTS.update(liar.met)
    assert contents(tmp_path / "avmit") == contents(tiny)
    shutil.rmtree(tmp_path / "avmit")
