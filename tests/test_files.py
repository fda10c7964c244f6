"""JSON as our files have it."""

from __future__ import annotations

import json
import math

import pytest

from sciexam.files import json_pieces, json_text

VALUE = {
    "a": [1, 2.5, None, True],
    "b": {},
    "c": [],
    "d": {"e": {"f": {"g": {"h": ["deep", {"1": "é\ud800"}]}}}},
    "i": "x",
}


def test_a_file_of_json_says_what_the_value_is_and_ends_its_last_line() -> None:
    assert json.loads(json_text(VALUE)) == VALUE
    assert json_text(VALUE).endswith("}\n")
    assert json_text([]) == "[]\n"
    assert (
        json_text({1: {2: "a number is no name in JSON"}})
        == '{\n "1": {\n  "2": "a number is no name in JSON"\n }\n}\n'
    )


def test_the_upper_levels_have_a_line_for_each_entry_and_what_is_deeper_stands_on_one() -> None:
    lines = json_text(VALUE).splitlines()
    assert lines[1:7] == [' "a": [', "  1,", "  2.5,", "  null,", "  true", " ],"]
    assert '     "g": {"h": ["deep", {"1": "\\u00e9\\ud800"}]}' not in lines
    assert '    "g": {"h": ["deep", {"1": "\\u00e9\\ud800"}]}' in lines


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_strict_json_has_no_word_for_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text({"a": {"b": {"c": {"d": {"e": number}}}}})


def test_a_list_may_come_one_by_one() -> None:
    listed = {"a": [{"b": 1}, {"b": [2, 3]}], "c": 4}
    assert "".join(json_pieces(listed | {"a": iter(listed["a"])})) == json_text(listed)
