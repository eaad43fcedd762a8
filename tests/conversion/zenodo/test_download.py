"""`download` and `avmit download` bring the record byte for byte."""

import shutil
from pathlib import Path

import pytest
import typer
from support.downloading import BODY, FILES, ONCE, OTHER, VGG, YAMNET, Heard, fetch, names, partial
from support.zenodo import RECORD, Fault, ZenodoServer
from typer.testing import CliRunner, Result

from avmit import AvmitError
from conversion.zenodo.command import download as download_command
from conversion.zenodo.download import CHUNK, download
from conversion.zenodo.record import read_record


def test_brings_the_whole_record_byte_for_byte(zenodo: ZenodoServer, sources: Path) -> None:
    retrieved = fetch(zenodo, sources, only=())
    assert {name: (sources / name).read_bytes() for name in FILES} == FILES
    assert names(sources) == sorted([*FILES, "record.json"])
    assert [(r.file.name, r.fetched, r.received) for r in retrieved] == [
        (name, True, len(content)) for name, content in FILES.items()
    ]


def test_asks_for_each_file_once_under_its_quoted_name_as_itself(
    zenodo: ZenodoServer, sources: Path
) -> None:
    name = "ratings Ä #1 50%+?.csv"
    zenodo.files = {name: b"a,b\n"}
    fetch(zenodo, sources, only=())
    assert (sources / name).read_bytes() == b"a,b\n"
    assert [request.path for request in zenodo.requests] == [
        f"/api/records/{RECORD}",
        f"/api/records/{RECORD}/files/ratings%20%C3%84%20%231%2050%25%2B%3F.csv/content",
    ]
    for request in zenodo.requests:
        assert request.headers["User-Agent"].startswith("avmit/")
    assert zenodo.requests[1].headers["Accept-Encoding"] == "identity"


def test_only_brings_the_named_kinds(zenodo: ZenodoServer, sources: Path) -> None:
    fetch(zenodo, sources, only=("annotations", "yamnet_effnet"))
    csvs = [name for name in FILES if name.endswith(".csv")]
    assert names(sources) == sorted([*csvs, YAMNET, "record.json"])
    assert zenodo.of(VGG) == [] == zenodo.of("README.txt")


def test_progress_counts_up_to_each_file_s_size(zenodo: ZenodoServer, sources: Path) -> None:
    seen: list[int] = []
    record = read_record(base=zenodo.url)
    download(sources, record, ["vggish_vgg16"], progress=lambda file, done: seen.append(done))
    assert seen == [*range(0, len(BODY), CHUNK), len(BODY)]


def test_what_is_here_and_right_is_kept(zenodo: ZenodoServer, sources: Path) -> None:
    fetch(zenodo, sources)
    before = (sources / VGG).stat()
    partial(sources, b"of a run killed at its last step")
    zenodo.requests.clear()
    heard = Heard()
    assert [(r.fetched, r.received) for r in fetch(zenodo, sources, say=heard)] == [(False, 0)]
    assert heard == [f"{VGG}: already here"]
    assert zenodo.of(VGG) == []
    assert (sources / VGG).stat().st_ino == before.st_ino
    assert (sources / VGG).stat().st_mtime_ns == before.st_mtime_ns
    assert names(sources) == [VGG, "record.json"]


@pytest.mark.parametrize("content", [OTHER, b"short", b""])
def test_what_is_here_and_wrong_stays_until_the_right_one_is_whole(
    zenodo: ZenodoServer, sources: Path, content: bytes
) -> None:
    fetch(zenodo, sources)
    (sources / VGG).write_bytes(content)
    during: list[bytes] = []
    zenodo.on_request = lambda: during.append((sources / VGG).read_bytes())
    zenodo.faults[VGG] = [Fault(drop_after=CHUNK), Fault(drop_after=CHUNK)]
    heard = Heard()
    fetch(zenodo, sources, say=heard)
    assert heard[0] == (
        f"{VGG}: what is here is not the record's; it stays until the right one is whole"
    )
    assert during == [content] * 3
    assert (sources / VGG).read_bytes() == BODY


@pytest.mark.parametrize("name", [VGG, "record.json"])
def test_what_no_run_brought_is_not_replaced(
    zenodo: ZenodoServer, sources: Path, name: str
) -> None:
    sources.mkdir()
    (sources / name).write_bytes(b"mine")
    zenodo.requests.clear()
    with pytest.raises(AvmitError) as stopped:
        fetch(zenodo, sources)
    assert str(stopped.value) in (
        f"{sources / VGG} is not the record's, and avmit did not bring it: move it away, or choose "
        "another --out",
        f"{sources / 'record.json'} is not the one that avmit writes, and is in the way: move it",
    )
    assert name in str(stopped.value)
    assert (sources / name).read_bytes() == b"mine"
    assert names(sources) == [name]
    assert zenodo.of(VGG) == []


def test_what_is_here_and_wrong_stays_when_the_download_fails(
    zenodo: ZenodoServer, sources: Path
) -> None:
    fetch(zenodo, sources)
    (sources / VGG).write_bytes(b"mine")
    zenodo.faults[VGG] = [Fault(status=503)]
    with pytest.raises(AvmitError):
        fetch(zenodo, sources, retry=ONCE)
    assert (sources / VGG).read_bytes() == b"mine"


def invoke(zenodo: ZenodoServer, *arguments: object, **environment: str) -> Result:
    app = typer.Typer()
    app.command()(download_command)
    given = [*map(str, arguments), "--base-url", zenodo.url]
    return CliRunner().invoke(app, given, env={"COLUMNS": "100", **environment})


def test_command_downloads_and_sums_up(zenodo: ZenodoServer, sources: Path) -> None:
    sources.mkdir()
    (sources / YAMNET).write_bytes(FILES[YAMNET])
    zenodo.faults[VGG] = [Fault(status=503, retry_after="0")]
    arguments = ("--out", sources, "--only", "vggish_vgg16", "--only", "yamnet_effnet")
    result = invoke(zenodo, *arguments, COLUMNS="60")
    assert result.exit_code == 0, result.output
    assert (sources / VGG).read_bytes() == BODY
    assert result.stdout.endswith(
        f"{sources}: fetched 1 (655 kB), kept 1 that were here; every md5 is the record's\n"
        f"next: avmit convert {sources} --out avmit\n"
    )
    host = zenodo.url.removeprefix("http://")
    assert result.stderr.splitlines() == [
        f"{VGG}: {host} answers 503 Service Unavailable; next attempt in 0 s",
        f"{YAMNET}: already here",
    ]


def test_command_lists_every_file_and_writes_nothing(zenodo: ZenodoServer, sources: Path) -> None:
    result = invoke(zenodo, "--list", "--out", sources, "--only", "yamnet_effnet")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["doi:10.5281/zenodo.8253350,", "version", "1.0.0,", "2023-08-16"] in rows
    assert [row for row in rows if row and row[0] in FILES] == [
        ["raw_video_ratings.csv", "annotations", "24", "bytes"],
        ["video_ratings.csv", "annotations", "30", "bytes"],
        ["test_set.csv", "annotations", "0", "bytes"],
        [VGG, "vggish_vgg16", "655", "kB"],
        [YAMNET, "yamnet_effnet", "262", "kB", "yes"],
        ["README.txt", "unknown", "7", "bytes"],
    ]
    assert ["1", "chosen", "262", "kB"] in rows
    assert not sources.exists()
    assert len(zenodo.requests) == 1


def test_command_shows_bars_on_a_terminal_only(zenodo: ZenodoServer, sources: Path) -> None:
    zenodo.faults[VGG] = [Fault(drop_after=CHUNK), Fault(ignore_range=True)]
    arguments = ("--out", sources, "--only", "vggish_vgg16")
    shown = invoke(zenodo, *arguments, FORCE_COLOR="1")
    assert shown.exit_code == 0, shown.output
    assert "all files" in shown.stderr
    assert f"{VGG}: the server sends it from the beginning" in shown.stderr
    assert "all files" not in shown.stdout
    shutil.rmtree(sources)
    plain = invoke(zenodo, *arguments)
    assert plain.exit_code == 0, plain.output
    assert plain.stderr == ""


def test_command_takes_the_server_from_the_environment(zenodo: ZenodoServer, sources: Path) -> None:
    app = typer.Typer()
    app.command()(download_command)
    result = CliRunner().invoke(app, ["--list"], env={"AVMIT_ZENODO_URL": zenodo.url})
    assert result.exit_code == 0, result.output
    assert len(zenodo.requests) == 1


def test_command_leaves_its_one_line_to_the_caller(zenodo: ZenodoServer, sources: Path) -> None:
    result = invoke(zenodo, "--out", sources, "--only", "csv")
    assert isinstance(result.exception, AvmitError)
    assert str(result.exception).startswith("--only csv: there is no such kind; give annotations,")
    assert not sources.exists()


def test_command_help_has_an_example(zenodo: ZenodoServer) -> None:
    result = invoke(zenodo, "--help")
    assert "Example: avmit download --out sources --only annotations" in result.stdout
    assert "AVMIT_ZENODO_URL" in result.stdout
