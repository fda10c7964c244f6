"""The YAML of the documentation means something: each piece of a suite or a rubric is one that sciexam reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pages import name_of, pages, tokens

from sciexam.documents import parse_yaml
from sciexam.rubric import Rubric
from sciexam.suite_file import SuiteFile

# What a piece of a suite is completed with.
REST = {"suite": "exam", "prompts": "p.jsonl", "models": {"a": {"responses": "a.jsonl"}}, "contestants": ["a"]}


def written() -> Iterator[Any]:
    """Each block of YAML that has keys of a suite or a rubric, by where it stands."""
    for page in pages():
        for token in tokens(page):
            if token.type == "fence" and token.info == "yaml":
                assert token.map is not None
                where = f"{name_of(page)}:{token.map[0] + 1}"
                value, _ = parse_yaml(token.content, page)
                if isinstance(value, dict) and (set(value) <= {*SuiteFile.model_fields} or "criteria" in value):
                    yield pytest.param(value, id=where)


WRITTEN = [*written()]


@pytest.mark.parametrize("value", WRITTEN)
def test_it_is_read(value: dict[str, Any]) -> None:
    if "criteria" in value:
        Rubric.model_validate({"rubric": "good", **value})
    else:
        SuiteFile.model_validate({**REST, **value})


def test_there_are_many() -> None:
    assert len(WRITTEN) > 20
