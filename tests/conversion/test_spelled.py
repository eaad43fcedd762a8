"""What was asked for, as Python and the command line spell it."""

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avmit import AvmitError
from conversion.spelled import argument, at_command_line, spelled


@pytest.mark.parametrize(
    ("value", "python", "option"),
    [
        ("skip", "per_class='skip'", "--per-class skip"),
        ("two words", "per_class='two words'", "--per-class 'two words'"),
        (3, "per_class=3", "--per-class 3"),
        (0.5, "per_class=0.5", "--per-class 0.5"),
        (True, "per_class=True", "--per-class"),
    ],
)
def test_an_argument_and_its_option(value: Any, python: str, option: str) -> None:
    error = AvmitError(spelled("pass ", argument("per_class", value), " now"))
    for one in (error, pickle.loads(pickle.dumps(error))):  # as from a worker process
        assert str(one) == f"pass {python} now"
        assert at_command_line(one) == f"pass {option} now"


def test_an_argument_without_a_value() -> None:
    error = AvmitError(spelled("pass ", argument("choice_from"), " a folder"))
    assert str(error) == "pass choice_from= a folder"
    assert at_command_line(error) == "pass --choice-from a folder"


@given(st.text())
def test_what_is_spelled_one_way(text: str) -> None:
    for error in (AvmitError(text), AvmitError(spelled(text)), AvmitError(spelled(spelled(text)))):
        assert str(error) == at_command_line(error) == text
