"""Hostile cards on the Hub, through push and prefetch."""

from pathlib import Path

import pytest
from huggingface_hub import metadata_load
from support.cards import ODD, REFUSED
from support.commands import Run
from support.hub.server import HubServer

from conversion.card.readme import LONGEST

REPO = "ann/avmit"
BOMBS = ["aliases of aliases", "itself", "lists in lists", "mappings in mappings"]


@pytest.mark.parametrize("case", BOMBS)
def test_yaml_of_no_use(
    hub: HubServer, sharded_package: Path, run: Run, tmp_path: Path, case: str
) -> None:
    head, reason = REFUSED[case]
    assert run("push", sharded_package, REPO).code == 0
    hub.put(REPO, {"README.md": f"---\n{head}configs:\n- config_name: theirs\n---\n".encode()})
    ran = run("push", sharded_package, REPO)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert ran.err.startswith(f"avmit: README.md on the Hub: {reason}")
    ran = run("prefetch", REPO, "--config", "ratings")
    assert ran.code == 0
    assert ran.err == f"avmit: README.md in '{REPO}' cannot be made out: a new one is written\n"
    card = metadata_load(tmp_path / "avmit" / "README.md") or {}
    assert [entry["config_name"] for entry in card["configs"]] == ["ratings"]


@pytest.mark.parametrize("case", list(ODD))
def test_odd_entries(
    hub: HubServer, sharded_package: Path, run: Run, tmp_path: Path, case: str
) -> None:
    assert run("push", sharded_package, REPO).code == 0
    hub.put(REPO, {"README.md": f"---\n{ODD[case]}---\nText.\n".encode()})
    ran = run("push", sharded_package, REPO, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    ran = run("prefetch", REPO, "--config", "ratings")
    assert (ran.code, ran.err) == (0, "")
    assert "Text.\n" in (tmp_path / "avmit" / "README.md").read_text(encoding="utf-8")


def test_a_card_without_end(
    hub: HubServer, sharded_package: Path, run: Run, tmp_path: Path
) -> None:
    assert run("push", sharded_package, REPO).code == 0
    hub.put(REPO, {"README.md": b"x" * (LONGEST + 1)})
    ran = run("push", sharded_package, REPO)
    assert (ran.code, ran.err) == (
        1,
        "avmit: README.md on the Hub has 16,000,001 bytes, more than 16,000,000: "
        "mend or delete it there\n",
    )
    assert run("prefetch", REPO, "--config", "ratings").code == 0
    assert (tmp_path / "avmit" / "README.md").stat().st_size < 100_000
