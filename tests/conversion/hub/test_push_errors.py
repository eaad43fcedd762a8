"""`avmit push` when the Hub refuses, fails, slows down or is changed by others meanwhile."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import Run
from support.hub.server import Fault, HubServer
from support.places import ROOT
from support.published import REPO, contents, uploaded
from support.releases import shards, visible

ENVIRONMENT = {"PYTHONPATH": str(ROOT)}
TOKENS = ("hf_annwrites", "hf_annreads", "hf_annfinedenied", "hf_bobwrites", "hf_unknowntoken")


@pytest.fixture
def small(package: Path, tmp_path: Path) -> Path:
    """A package of two small configs."""
    for config in ("ratings", "test_set"):
        shutil.copytree(package / config, tmp_path / "small" / config)
    return tmp_path / "small"


def committed(hub: HubServer) -> dict[str, bytes]:
    files = contents(hub.dataset(REPO).head())
    del files["README.md"]
    return files


def refused(run: Run, *arguments: object) -> str:
    """Run a push that fails with one line, and return it without the start."""
    ran = run("push", *arguments)
    assert ran.code == 1
    line = ran.err.splitlines()[-1]  # the client's warnings stand before
    assert line.startswith("avmit: ")
    assert "Traceback" not in ran.err
    assert not any(token in ran.out + ran.err for token in TOKENS)
    return line.removeprefix("avmit: ")


@pytest.mark.parametrize(
    "name",
    ["avmit", "a/b/c", "https://huggingface.co/datasets/ann/avmit", "ann/", "/x", "ann/a b", ""],
)
def test_a_name_that_is_none(hub: HubServer, small: Path, run: Run, name: str) -> None:
    assert refused(run, small, name) == (
        f"'{name}' is not a dataset's name: write user/name, such as ann/avmit"
    )
    assert not hub.requests


def test_without_a_token(
    hub: HubServer, small: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert refused(run, small, REPO) == "no token for the Hub: log in with `hf auth login`"
    assert not hub.requests


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("hf_unknowntoken", "the Hub does not accept the token: log in again with `hf auth login`"),
        (
            "hf_annreads",
            "the token of ann may only read: make one with write access at {url}/settings/tokens, "
            "then `hf auth login`",
        ),
        (
            "hf_annfinedenied",
            "the token may not write to ann/avmit, You don't have the required permissions for "
            "this operation: offer the change with --create-pr, or ask the owner",
        ),
        (
            "hf_bobwrites",
            "the token may not write to ann/avmit, Forbidden: pass `create_pr=1` as a query "
            "parameter to create a Pull Request: offer the change with --create-pr, or ask the "
            "owner",
        ),
    ],
)
def test_a_token_that_does_not_do(
    hub: HubServer,
    small: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    told: str,
) -> None:
    hub.create(REPO)
    monkeypatch.setenv("HF_TOKEN", token)
    assert refused(run, small, REPO) == told.format(url=hub.url)
    assert not hub.of("", "PUT")
    assert len(hub.dataset(REPO).commits) == 1


def test_a_token_that_may_not_open_requests(
    hub: HubServer, small: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.create(REPO)
    monkeypatch.setenv("HF_TOKEN", "hf_annfinedenied")
    assert refused(run, small, REPO, "--create-pr").endswith(
        ": make one with write access, then `hf auth login`"
    )


def test_nothing_is_made_under_another_name(hub: HubServer, small: Path, run: Run) -> None:
    told = refused(run, small, "bob/avmit")
    assert told.startswith("the token may not write to bob/avmit, You don't have the rights to")
    assert not hub.repositories


@pytest.mark.parametrize("kind", ["model", "space"])
def test_what_is_not_a_dataset(hub: HubServer, small: Path, run: Run, kind: str) -> None:
    hub.create(REPO, kind)
    assert refused(run, small, REPO) == (
        f"ann/avmit is a {kind}, not a dataset: choose another name, or make an empty dataset of "
        "that name on the Hub first"
    )


def test_a_request_on_what_is_not_there(hub: HubServer, small: Path, run: Run) -> None:
    assert refused(run, small, REPO, "--create-pr") == (
        "no dataset ann/avmit to open a pull request on: check the name"
    )
    hub.create(REPO)
    assert refused(run, small, REPO, "--revision", "refs/pr/7") == (
        "'ann/avmit' has no revision 'refs/pr/7': name a branch, a tag or a commit"
    )


def test_somebody_commits_meanwhile(hub: HubServer, small: Path, run: Run) -> None:
    run("push", small, REPO, "--config", "test_set")
    card = hub.dataset(REPO).text("README.md")

    def race() -> None:
        hub.put(REPO, {"README.md": (card + "\nTheirs.\n").encode(), "a.csv": b"a\n1\n"})

    hub.faults = [Fault("/commit/", before=race)]
    hub.reset_counts()
    ran = run("push", small, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert "somebody else has committed meanwhile: reading and merging again" in ran.out
    ours, theirs, *_ = hub.dataset(REPO).history()
    assert (ours.author, theirs.author) == ("ann", "somebody")
    text = hub.dataset(REPO).text("README.md")
    assert text.endswith("\nTheirs.\n") and "- config_name: ratings\n" in text
    assert committed(hub) == {**visible(small), "a.csv": b"a\n1\n"}
    assert len(hub.of("^/storage/", "PUT")) == 1


def test_somebody_commits_all_the_time(hub: HubServer, small: Path, run: Run) -> None:
    hub.create(REPO)
    count = iter(range(100))

    def race() -> None:
        hub.put(REPO, {"n.txt": str(next(count)).encode()})

    hub.faults = [Fault("/commit/", times=100, before=race)]
    assert refused(run, small, REPO) == (
        "others keep committing to ann/avmit: wait a while, and run the same again"
    )
    assert next(count) == 5
    assert set(contents(hub.dataset(REPO).head())) == {"n.txt"}


def test_an_interrupted_upload_goes_on(hub: HubServer, small: Path, run: Run) -> None:
    first, second = (
        shards(small, c, s)[0] for c, s in (("ratings", "train"), ("test_set", "test"))
    )
    hub.faults = [Fault("^/storage/", "PUT", skip=1, times=9, status=400)]
    assert refused(run, small, REPO).startswith("the Hub refuses (400")
    assert contents(hub.dataset(REPO).head()) == {}
    assert len(hub.blobs) == 1
    hub.faults = []
    hub.reset_counts()
    assert run("push", small, REPO).code == 0
    (rest,) = {first.stat().st_size, second.stat().st_size} - {
        len(blob) for blob in list(hub.blobs.values())[:1] if isinstance(blob, bytes)
    }
    assert uploaded(hub) == rest
    assert committed(hub) == visible(small)


def test_a_killed_push_goes_on(hub: HubServer, small: Path, run: Run) -> None:
    ready = []

    def kill() -> None:
        ready.append(len(hub.blobs))
        pushing.kill()

    hub.faults = [Fault("/commit/", before=kill, status=500)]
    pushing = subprocess.Popen(
        [sys.executable, "-m", "avmit_cli", "push", str(small), REPO],
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert pushing.wait(60) == -9
    assert ready == [2]
    assert contents(hub.dataset(REPO).head()) == {}
    hub.reset_counts()
    assert run("push", small, REPO).code == 0
    assert uploaded(hub) == 0
    assert committed(hub) == visible(small)


@pytest.mark.parametrize(
    "path",
    ["/api/whoami-v2", "/api/repos/create", "/tree/", "/preupload/", "^/storage/", "/commit/"],
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_is_waited_out(
    hub: HubServer, small: Path, run: Run, path: str, status: int
) -> None:
    hub.faults = [Fault(path, status=status, headers={"Retry-After": "1"})]
    ran = run("push", small, REPO)
    assert ran.code == 0, ran.err
    assert not hub.faults
    assert committed(hub) == visible(small)
    assert [commit.author for commit in hub.dataset(REPO).history()] == ["ann", "system"]


def test_the_wait_that_is_asked_for_is_told(hub: HubServer, small: Path, run: Run) -> None:
    headers = {"RateLimit": '"api";r=0;t=2', "RateLimit-Policy": '"fixed window";"api";q=1;w=300'}
    hub.faults = [Fault("/api/repos/create", status=429, headers=headers)]
    ran = run("push", small, REPO)
    assert (ran.code, ran.err) == (0, "")
    assert "the Hub answers 429: trying again in 2 s" in ran.out.splitlines()


def test_a_wait_that_is_too_long_is_left_to_the_user(hub: HubServer, small: Path, run: Run) -> None:
    hub.faults = [Fault("/api/whoami-v2", status=429, headers={"Retry-After": "3600"})]
    assert refused(run, small, REPO) == (
        "the Hub limits how often it may be asked: wait 3600 s, "
        "run the same again, it goes on where it stopped"
    )


def test_a_hub_that_goes_on_failing(hub: HubServer, small: Path, run: Run) -> None:
    hub.create(REPO)
    hub.faults = [Fault("/commit/", status=500, times=99)]
    assert refused(run, small, REPO) == (
        "the Hub fails (500, Internal Error - We are working hard to fix this.): wait a while, "
        "run the same again, it goes on where it stopped"
    )
    assert len(hub.dataset(REPO).commits) == 1


def test_a_card_that_the_hub_does_not_like(hub: HubServer, small: Path, run: Run) -> None:
    body = b'{"errors": [{"message": "license must be one of"}], "warnings": []}'
    hub.faults = [Fault("/api/validate-yaml", status=400, body=body)]
    told = refused(run, small, REPO)
    assert told.startswith("the Hub refuses (400, ")
    assert "license must be one of" in told
    assert contents(hub.dataset(REPO).head()) == {}


def test_uploads_are_compared_by_what_is_stored(hub: HubServer, small: Path, run: Run) -> None:
    shard = shards(small, "ratings", "train")[0]
    hub.create(REPO)
    hub.put(REPO, {"elsewhere.arrow": shard.read_bytes()})
    ran = run("push", small, REPO, "--config", "ratings")
    assert (ran.code, ran.err) == (0, "")
    assert uploaded(hub) == 0
    (line,) = [line for line in ran.out.splitlines() if line.startswith("to send: ")]
    card = len(hub.dataset(REPO).text("README.md").encode())
    beside = [small / "ratings" / name for name in ("manifest.json", "index.json")]
    size = card + sum(path.stat().st_size for path in beside)
    assert line == f"to send: {size / 1000:.3g} kB in 4 files"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("^/storage/", "PUT", cut_after=1000),
        Fault("^/storage/", "PUT", lose_answer=True),
        Fault("/tree/", drop_after=20),
        Fault("/preupload/", lose_answer=True),
        Fault("/commit/", cut_after=100),
        Fault("/commit/", lose_answer=True),
    ],
    ids=lambda fault: f"{fault.path}-{fault.cut_after}-{fault.lose_answer}",
)
def test_a_dropped_connection(hub: HubServer, small: Path, run: Run, fault: Fault) -> None:
    hub.faults = [fault]
    ran = run("push", small, REPO)
    assert ran.code == 0, ran.err
    assert not hub.faults
    assert committed(hub) == visible(small)
    assert [commit.author for commit in hub.dataset(REPO).history()] == ["ann", "system"]


def test_a_request_is_not_opened_twice(hub: HubServer, small: Path, run: Run) -> None:
    hub.create(REPO)
    hub.faults = [Fault("/commit/", lose_answer=True)]
    assert refused(run, small, REPO, "--create-pr") == (
        "the connection broke while the pull request was opened: look whether it is at "
        f"{hub.url}/datasets/ann/avmit/discussions before you run this again"
    )
    assert list(hub.dataset(REPO).authors) == ["refs/pr/1"]


def test_no_network(hub: HubServer, small: Path, run: Run) -> None:
    hub.__exit__(None, None, None)
    try:
        told = refused(run, small, REPO)
        assert told.startswith(f"cannot reach {hub.url} (")
        assert told.endswith(
            "): check the network, run the same again, it goes on where it stopped"
        )
    finally:
        hub.__enter__()


def test_offline(hub: HubServer, small: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "avmit_cli", "push", str(small), REPO],
        env={**os.environ, **ENVIRONMENT, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "avmit: HF_HUB_OFFLINE is set: unset it where there is a network\n"
    assert not hub.requests


def test_the_token_goes_to_the_hub_alone(hub: HubServer, small: Path, run: Run) -> None:
    ran = run("push", small, REPO)
    assert "hf_annwrites" not in ran.out + ran.err
    assert all("Authorization" not in request.headers for request in hub.of("^/storage/"))
    assert not any(b"hf_annwrites" in content for content in committed(hub).values())
