"""Cards whose YAML means more than a machine holds, or nothing that a card may mean."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cards import ODD, REFUSED
from support.commands import Run
from support.damage import failures

from avmit import AvmitError
from conversion.card.head import keep_configs, read_yaml
from conversion.card.merge import merge_cards

CONFIGS = "configs:\n- config_name: theirs\n  data_files: data/*.csv\n"


@pytest.mark.parametrize("case", list(REFUSED))
def test_yaml_of_no_use_is_refused_at_once(copied: Path, run: Run, case: str) -> None:
    head, reason = REFUSED[case]
    card = f"---\n{head}{CONFIGS}---\nText.\n"
    started = time.process_time()
    (copied / "README.md").write_text(card)
    ran = run("card", copied)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith(f"avmit: {copied}/README.md: {reason}")
    assert ran.err.endswith(": mend it\n")
    assert (copied / "README.md").read_text() == card
    with pytest.raises(AvmitError, match=r"^README\.md on the Hub: its YAML"):
        read_yaml(card, "README.md on the Hub")
    with pytest.raises(AvmitError, match=r"^README\.md: its YAML"):
        keep_configs(card, ["ratings"])
    found = [text for name, where, text in failures(copied) if name == "card"]
    assert [text.startswith(f"README.md: {reason}") for text in found] == [True]
    assert time.process_time() - started < 10  # each of the four took minutes, or all memory


@pytest.mark.parametrize("case", list(ODD))
def test_odd_entries_are_kept_or_left_out(copied: Path, run: Run, case: str) -> None:
    ours = read_yaml((copied / "README.md").read_text(encoding="utf-8"))
    (copied / "README.md").write_text(f"---\n{ODD[case]}---\nText.\n")
    ran = run("card", copied)
    assert (ran.code, ran.err) == (0, "")
    content = read_yaml((copied / "README.md").read_text(encoding="utf-8"))
    names = [entry["config_name"] for entry in content["configs"]]
    assert [name for name in names if name != "theirs"] == [
        entry["config_name"] for entry in ours["configs"]
    ]
    assert run("card", copied).out.endswith("README.md is up to date\n")
    assert keep_configs(f"---\n{ODD[case]}---\nText.\n", ["ratings"]).endswith("---\nText.\n")


def test_a_number_that_cannot_be_written_again_is_one_line() -> None:
    card = f"---\nconfigs:\n- config_name: theirs\n  x: 0x{'f' * 9000}\n---\n"
    ours = "---\nconfigs:\n- config_name: a\n  default: true\ndataset_info: []\n"
    with pytest.raises(AvmitError) as refused:
        merge_cards(card, f"{ours}size_categories: [n<1K]\n---\n", "README.md")
    assert str(refused.value).startswith("README.md: its YAML cannot be written again (Exceeds ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkdir, "is no regular file"),
        (os.mkfifo, "is no regular file"),
        (
            lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**30),
            "has 1,073,741,824 bytes, more than 16,000,000",
        ),
    ],
)
def test_what_is_no_card_to_read(
    copied: Path, run: Run, make: Callable[[Path], None], reason: str
) -> None:
    path = copied / "README.md"
    path.unlink()
    make(path)
    ran = run("card", copied)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"avmit: {path} {reason}: mend or delete it\n"
    assert [text for name, _, text in failures(copied) if name == "card"] == [
        f"{path} {reason}: mend or delete it"
    ]
    if path.is_dir():
        shutil.rmtree(path)
