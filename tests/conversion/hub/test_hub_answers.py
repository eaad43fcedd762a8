"""What the Hub, or a proxy, sends in place of its answer: it is asked again, then one line."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.commands import Ran, Run
from support.hub.liar import LIES, PAGE
from support.hub.server import Fault, HubServer
from support.prefetching import contents
from support.published import contents as committed
from support.releases import visible

from conversion.convert.build import Options, convert
from conversion.hub import client as hub_client
from conversion.hub import prefetch as prefetching
from conversion.hub import published as hub_published
from conversion.hub import push as hub
from conversion.hub import retry as hub_retry
from conversion.threads import Pause

REPO = "ann/avmit"
AGAIN = "run the same again, it goes on where it stopped"
PUSHED = [
    "/api/whoami-v2",
    "/api/datasets/ann/avmit$",
    "/tree/",
    "/api/repos/create",
    "/api/validate-yaml",
    "/preupload/",
    "info/lfs/objects/batch",
    "/commit/",
]
MISSED = {
    "repository": Fault("/ann/avmit$", status=404, headers={"X-Error-Code": "RepoNotFound"}),
    "file": Fault("/resolve/", status=404, headers={"X-Error-Code": "EntryNotFound"}),
    "proxy": Fault("/tree/", status=404, body=PAGE),
}


@pytest.fixture
def tiny(small_release: Path, tmp_path: Path) -> Path:
    """A package of two small configs."""
    convert(small_release, tmp_path / "tiny", Options(workers=1, configs=["ratings", "test_set"]))
    return tmp_path / "tiny"


@pytest.fixture
def filled(hub: HubServer, tiny: Path) -> HubServer:
    """The Hub with the package."""
    hub.put_folder(REPO, tiny)
    return hub


def told(ran: Ran) -> list[str]:
    """All that a command printed, which is no traceback and has no secrets."""
    text = ran.out + ran.err
    assert "Traceback" not in text and "hf_annwrites" not in text and "signature=" not in text
    return text.splitlines()


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("path", PUSHED)
def test_push_asks_again_for_what_makes_no_sense(
    hub: HubServer, tiny: Path, run: Run, path: str, lie: str
) -> None:
    hub.faults = [Fault(path, skip=path.endswith("$"), change=LIES[lie])]
    ran = run("push", tiny, REPO)
    assert ran.code == 0, told(ran)
    assert not hub.faults
    assert committed(hub.dataset(REPO).head()) == visible(tiny)
    assert [commit.author for commit in hub.dataset(REPO).history()] == ["ann", "system"]


@pytest.mark.parametrize("path", PUSHED)
@pytest.mark.parametrize("lie", ["html", "{}", "[]"])
def test_push_ends_in_one_line_if_it_stays_so(
    hub: HubServer, tiny: Path, run: Run, path: str, lie: str
) -> None:
    if (path, lie) == ("/api/validate-yaml", "{}"):
        return  # which says that nothing is wrong
    hub.create(REPO)
    hub.faults = [Fault(path, status=200, body=LIES[lie](b""), times=99)]
    ran = run("push", tiny, "ann/new" if "create" in path else REPO)
    (line,) = ran.err.splitlines()
    assert ran.code == 1 and told(ran)
    assert line.startswith("avmit: the Hub's answer makes no sense (")
    assert f"): wait a while, {AGAIN}; if it stays so, look whether a proxy answers" in line
    assert committed(hub.dataset(REPO).head()) == {}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize(
    "path", ["/api/datasets/ann/avmit$", "/tree/", "/README.md$", "/manifest.json$", "^/storage/"]
)
def test_prefetch_asks_again_for_what_makes_no_sense(
    filled: HubServer, tiny: Path, tmp_path: Path, run: Run, path: str, lie: str
) -> None:
    filled.faults = [Fault(path, change=LIES[lie])]
    ran = run("prefetch", REPO)
    assert ran.code == 0, told(ran)
    assert not filled.faults
    assert contents(tmp_path / "avmit") == contents(tiny)


@pytest.mark.parametrize("path", ["/README.md$", "/manifest.json$"])
def test_a_small_file_that_stays_wrong_is_not_kept(
    filled: HubServer, tmp_path: Path, run: Run, path: str
) -> None:
    filled.faults = [Fault(path, times=99, change=LIES["other"])]
    ran = run("prefetch", REPO)
    *waits, line = ran.err.splitlines()
    assert ran.code == 1
    assert [wait.rsplit(":", 1)[1] for wait in waits] == [
        f" trying again in {wait} s" for wait in (0.02, 0.04, 0.08)
    ]
    assert "came with other bytes than the Hub lists): wait a while, " in line
    assert not (tmp_path / "avmit").exists()


def test_a_manifest_of_other_numbers_is_not_believed(
    filled: HubServer, tiny: Path, tmp_path: Path, run: Run
) -> None:
    """As large as the right one, and well-formed."""

    def other(body: bytes) -> bytes:
        assert b'"missing_records": 0' in body
        return body.replace(b'"missing_records": 0', b'"missing_records": 7')

    filled.faults = [Fault("ratings/manifest.json$", change=other)]
    assert run("prefetch", REPO).code == 0
    assert contents(tmp_path / "avmit") == contents(tiny)
    filled.faults = [Fault("ratings/manifest.json$", change=other)]
    assert run("push", tiny, REPO).out.endswith("nothing to commit: the Hub has all of it\n")


def test_a_list_that_lacks_files_is_not_believed(filled: HubServer, tiny: Path, run: Run) -> None:
    filled.put(REPO, {"README.md": filled.dataset(REPO).text("README.md").encode() + b"\nMine.\n"})

    def shorter(body: bytes) -> bytes:
        return json.dumps([e for e in json.loads(body) if e["path"] != "README.md"]).encode()

    filled.faults = [Fault("/tree/", change=shorter)]
    ran = run("push", tiny, REPO)
    assert ran.out.endswith("nothing to commit: the Hub has all of it\n"), told(ran)
    assert "the list of files lacks README.md" in ran.out


@pytest.mark.parametrize("command", ["push", "prefetch"])
@pytest.mark.parametrize("missed", MISSED)
def test_what_is_not_there_for_a_moment(
    filled: HubServer, tiny: Path, run: Run, command: str, missed: str
) -> None:
    filled.faults = [replace(MISSED[missed])]
    ran = run(command, *([tiny] if command == "push" else []), REPO)
    assert ran.code == 0, told(ran)
    assert not filled.faults
    assert "a new public dataset" not in ran.out


def test_a_shard_that_comes_wrong_once(
    filled: HubServer, tiny: Path, tmp_path: Path, run: Run
) -> None:
    filled.faults = [Fault("^/storage/", change=LIES["one byte"])]
    ran = run("prefetch", REPO)
    assert ran.code == 0
    assert "came with other bytes than its manifest.json says: again in 0.02 s" in ran.err
    assert contents(tmp_path / "avmit") == contents(tiny)


def test_a_shard_that_the_hub_took_and_lost(hub: HubServer, tiny: Path, run: Run) -> None:
    hub.faults = [
        Fault("^/storage/", "PUT", status=200, body=PAGE),
        Fault("/lfs/verify", times=2, status=200, body=PAGE),
    ]
    ran = run("push", tiny, REPO)
    assert ran.code == 0, told(ran)
    assert "the Hub lacks a file that it took: sending again" in ran.out
    assert committed(hub.dataset(REPO).head()) == visible(tiny)


def test_a_request_whose_answer_makes_no_sense_is_not_opened_twice(
    hub: HubServer, tiny: Path, run: Run
) -> None:
    hub.create(REPO)
    hub.faults = [Fault("/commit/", change=LIES["{}"])]
    ran = run("push", tiny, REPO, "--create-pr")
    assert ran.code == 1
    assert "look whether it is at" in ran.err
    assert list(hub.dataset(REPO).authors) == ["refs/pr/1"]


@pytest.mark.parametrize(
    "limit", [{"Retry-After": "1"}, {"RateLimit": '"resolvers";r=0;t=1'}], ids=["after", "limit"]
)
@pytest.mark.parametrize("path", ["/api/datasets/ann/avmit$", "/tree/", "/README", "^/storage/"])
def test_prefetch_waits_as_the_hub_says(
    filled: HubServer,
    tiny: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    limit: dict[str, str],
) -> None:
    waits: list[float] = []

    class Brief(Pause):
        def __call__(self, seconds: float = 0) -> None:
            waits.append(seconds)
            super().__call__(0)

    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(prefetching, "Pause", Brief)
    filled.faults = [Fault(path, status=429, times=3, headers=limit)]
    ran = run("prefetch", REPO)
    assert ran.code == 0, told(ran)
    assert ran.err == "avmit: the Hub answers 429: trying again in 1 s\n" * 3
    assert waits.count(1) == 3
    assert contents(tmp_path / "avmit") == contents(tiny)


@pytest.mark.parametrize("command", ["push", "prefetch"])
@pytest.mark.parametrize("path", ["/api/datasets/ann/avmit$", "/tree/", "/README.md$"])
def test_a_hub_that_sends_nothing(
    filled: HubServer,
    tiny: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    path: str,
) -> None:
    monkeypatch.setattr(hub_client, "READ", 0.2)
    filled.faults = [Fault(path, cut_after=1)]
    ran = run(command, *([tiny] if command == "push" else []), REPO)
    assert ran.code == 0, told(ran)
    assert "the Hub sends nothing: trying again in 0.02 s" in ran.out + ran.err
    filled.faults = [Fault(path, cut_after=1, times=99)]
    ran = run(command, *([tiny] if command == "push" else []), REPO)
    assert ran.code == 1
    line = ran.err.splitlines()[-1]
    assert line.startswith(f"avmit: {filled.url} sends nothing (")
    assert line.endswith(f"): check the network, {AGAIN}")


def test_a_hub_that_is_slow_to_answer_is_waited_for_aloud(
    hub: HubServer, tiny: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_retry, "SILENCE", 0.1)
    hub.faults = [Fault("/commit/", before=lambda: time.sleep(0.25))]
    ran = run("push", tiny, REPO)
    assert ran.code == 0
    assert "still waiting for the Hub to commit (0.1 s)" in ran.out.splitlines()
    assert "still waiting for the Hub to commit (0.2 s)" in ran.out.splitlines()


@pytest.mark.parametrize("raised", [KeyError, ValueError, TypeError, AttributeError])
def test_a_fault_of_our_own_is_no_answer_of_the_hub(
    filled: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch, raised: type[Exception]
) -> None:
    def wrong(*_: object) -> None:
        raise raised("ours")

    for where, name in ((hub_published, "_named"), (hub, "make_plan")):
        with monkeypatch.context() as patched:
            patched.setattr(where, name, wrong)
            with pytest.raises(raised, match="ours"):
                hub.push(tiny, REPO, hub.Options(), lambda line: None)


@pytest.mark.parametrize("command", ["push", "prefetch"])
def test_the_token_is_in_no_line(filled: HubServer, tiny: Path, run: Run, command: str) -> None:
    said = {"X-Error-Message": "Bad token hf_annwrites at http://x/y?signature=secret&a=b"}
    for status in (400, 403, 500):
        filled.faults = [Fault("/tree/", status=status, times=99, headers=said)]
        ran = run(command, *([tiny] if command == "push" else []), REPO)
        assert ran.code == 1
        assert "Bad token *** at http://x/y" in told(ran)[-1]
    filled.faults = [Fault("/README.md$", times=99, change=lambda body: b"hf_annwrites")]
    assert run(command, *([tiny] if command == "push" else []), REPO).code == 1


def test_what_the_library_says_has_no_signature(hub: HubServer, tiny: Path, run: Run) -> None:
    hub.faults = [Fault("^/storage/", "PUT", status=503)]
    ran = run("push", tiny, REPO)
    assert ran.code == 0
    assert any(line.startswith("HTTP Error 503 thrown while requesting PUT") for line in told(ran))


@pytest.mark.parametrize("name", ["../manifest.json", "a/../b", "/x", "a//b", "a\\b", "\x1b[2J"])
@pytest.mark.parametrize("command", ["push", "prefetch"])
def test_names_that_lead_elsewhere_are_left_out(
    filled: HubServer, tiny: Path, tmp_path: Path, run: Run, command: str, name: str
) -> None:
    filled.put(REPO, {name: b"{}"})
    ran = run(command, *([tiny] if command == "push" else []), REPO)
    assert ran.code == 0, told(ran)
    shown = name.encode("unicode_escape").decode() if "\x1b" in name else name
    assert f"left out, as no file can be called so: {shown} in ann/avmit" in ran.out + ran.err
    if command == "prefetch":
        assert contents(tmp_path / "avmit") == contents(tiny)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {"sources", "tiny", *(["avmit"] if command == "prefetch" else [])}
    )


def test_a_link_to_the_next_page_leads_nowhere_else(
    filled: HubServer, tiny: Path, tmp_path: Path, run: Run
) -> None:
    filled.page = 3
    with HubServer() as other:
        real, other_url = filled.url, other.url
        filled.url = other_url  # as the Hub's own links then say
        ran = run("prefetch", REPO)
        filled.url = real
        assert other.requests == [] or all(
            "Authorization" not in request.headers for request in other.requests
        )
    assert ran.code in (0, 1) and told(ran)


def test_an_answer_without_end(
    filled: HubServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.faults = [Fault("/manifest.json$", times=99, change=lambda body: body * 1000)]
    ran = run("prefetch", REPO)
    assert ran.code == 1
    assert "bytes came): wait a while, " in ran.err.splitlines()[-1]
