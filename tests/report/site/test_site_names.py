"""Names from data become names of files: safe on every file system, and never two for one."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sciexam.report.site.names import category_id, contestant_page, pair_page, slug

HOSTILE = (
    *(
        "../../x",
        "..",
        ".",
        "",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "a--b",
        "-",
        "--",
        "CON",
        "con",
        "con.txt",
        "Lpt1",
        "nul",
    ),
    *(
        "index",
        "GPT-4",
        "gpt-4",
        "Gpt-4",
        "🦙",
        "🦜",
        "\u202egnp",
        "line\nbreak",
        "tab\t",
        "\x1b[31m",
        "x" * 300,
        "x" * 301,
    ),
    *(
        "{{7*7}}",
        "</script>",
        '"><img onerror=1>',
        "%2e%2e%2f",
        "a b",
        "a~b",
        "~",
        ".git",
        "_x",
        "#x",
        "x.",
        "..x",
        "\ud800",
    ),
    *("模型", "модель", "Ａ", "é", "e\u0301", "a:b", "a?b", "a*b", "|"),
)


@pytest.mark.parametrize("name", ["base", "gpt-4.1-mini-2025-04-14", "llama_3", "a.b", "7b"])
def test_a_plain_name_is_its_own_file(name: str) -> None:
    assert contestant_page(name) == f"contestants/{name}.html"


def is_safe(made: str) -> bool:
    """Letters, digits and marks that no system, shell or server reads in a way of its own."""
    device = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", made)
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9._~-]*", made)) and ".." not in made and len(made) < 64 and not device


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_becomes_a_safe_one(name: str) -> None:
    assert is_safe(slug(name))
    assert contestant_page(name).count("/") == 1


@given(st.text())
@example("0:\u20250")
def test_any_text_becomes_a_safe_name(name: str) -> None:
    assert is_safe(slug(name))
    assert "--" not in slug(name)
    assert re.fullmatch(r"category-[a-z0-9._~-]+", category_id(name))


@given(st.text(), st.text())
def test_two_names_never_get_one_file(one: str, other: str) -> None:
    assert (slug(one) == slug(other)) == (one == other)


def test_hostile_names_and_their_pairs_have_a_file_each_where_capital_letters_count_for_nothing() -> None:
    assert len({slug(name).casefold() for name in HOSTILE}) == len(set(HOSTILE))
    pairs = list(combinations([*HOSTILE, "a", "b", "b--c", "c", "a--b"], 2))
    assert len({pair_page(a, b).casefold() for a, b in pairs if a != b}) == len({(a, b) for a, b in pairs if a != b})
    assert max(len(pair_page(a, b)) for a, b in pairs) < 200
