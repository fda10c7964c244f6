"""Every refusal has an exit code, and an unknown word gets the nearest known one."""

from __future__ import annotations

import pytest

from sciexam.errors import (
    DocumentError,
    EndpointRefused,
    GateNotMet,
    Incomplete,
    SciexamError,
    StoreError,
    UsageError,
    did_you_mean,
)


def test_every_error_has_the_exit_code_that_its_docstring_draws() -> None:
    codes = {UsageError: 2, DocumentError: 2, EndpointRefused: 2, Incomplete: 3, GateNotMet: 4, StoreError: 5}
    assert {error: error.exit_code for error in codes} == codes
    assert all(issubclass(error, SciexamError) for error in codes)
    assert issubclass(DocumentError, UsageError)


def test_a_document_error_shows_one_line_for_each_fault() -> None:
    error = DocumentError(fault for fault in ("a.yaml:1: x: wrong", "a.yaml:2: y: wrong"))
    assert error.faults == ("a.yaml:1: x: wrong", "a.yaml:2: y: wrong")
    assert str(error).splitlines() == list(error.faults)


@pytest.mark.parametrize(
    ("word", "known", "tail"),
    [
        ("wieght", ["weight", "name"], "; did you mean 'weight'?"),
        ("zzz", ["weight", "name", "name"], "; known: name, weight"),
        ("zzz", [], ""),
    ],
)
def test_an_unknown_word_gets_the_nearest_one_or_else_all_of_them(word: str, known: list[str], tail: str) -> None:
    assert did_you_mean(word, known) == tail
