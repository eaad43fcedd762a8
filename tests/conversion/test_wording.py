"""Sizes, names and lists as people read and write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avmit import AvmitError
from conversion.wording import count_of, format_bytes, parse_size, printable, some


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (3_214_000_000, "3.21 GB"),
        (999_600_000_000, "1 TB"),
        (1_500_000_000_000, "1.5 TB"),
        (2_500_000_000_000_000, "2.5 PB"),
        (2_500_000_000_000_000_000_000, "2,500,000 PB"),
    ],
)
def test_sizes_are_written_as_people_write_them(size: int, text: str) -> None:
    assert format_bytes(size) == text


@given(st.integers(0, 9 * 10**14))
def test_no_size_is_written_with_an_exponent_or_far_from_what_it_is(size: int) -> None:
    text = format_bytes(size)
    assert "e" not in text.split()[0]
    number = text.upper().replace("BYTES", "B").replace(" ", "")
    assert abs(parse_size(number) - size) <= size * 0.005 if size else number == "0B"


@pytest.mark.parametrize(("text", "size"), [("256MB", 256_000_000), (" 1.5 GiB ", 3 * 2**29)])
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_a_size_of_a_few_bytes_is_refused() -> None:
    with pytest.raises(AvmitError, match=r"^'10' is less than 10 kB: write one such as 256MB$"):
        parse_size("10", 10_000)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café 北京 👩‍🔬"[:7], "café 北京"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("one\ntwo\u2028three\x0bfour", r"one\ntwo\u2028three\x0bfour"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202eevil", r"\u202eevil"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_printable_text_is_one_line_that_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert printable(shown) == shown


def test_some_names_a_few_and_counts_the_rest() -> None:
    assert some(["a", "b"]) == "a; b"
    assert some(list("abcdef")) == "a; b; c; and 3 more"


@pytest.mark.parametrize(
    ("counted", "text"),
    [
        ((0, "run"), "0 runs"),
        ((1, "run"), "1 run"),
        ((2000, "run"), "2,000 runs"),
        ((1, "class", "classes"), "1 class"),
        ((2, "class", "classes"), "2 classes"),
    ],
)
def test_a_noun_goes_with_its_number(
    counted: tuple[int, str] | tuple[int, str, str], text: str
) -> None:
    assert count_of(*counted) == text
