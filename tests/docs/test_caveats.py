"""docs/reading-a-report.md explains every caveat that a report can print, in the words in which it is printed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reading-a-report.md"
SHORT = 20  # letters: what is shorter is a part of a sentence

# Who says what a reader must know, by module.
SAY_IT = {
    "report/caveats.py": (
        "caveats_of",
        "_of_measures",
        "_of_trust",
        "_by_people_and_judge",
        "_by_judge",
        "_of_one_person",
        "_of_those_who_cannot",
        "_of_opposites",
        "_doubts",
        "_of_length",
        "_of_undone",
        "_of_confounded",
    ),
    "report/heard.py": ("heard",),
    "report/by_chance.py": ("agreed_by_chance",),
    "report/equal_texts.py": ("equal_texts",),
    "report/drift.py": ("sentence",),
    "report/stopping.py": ("LEFT_OUT",),
    "report/standings/board.py": ("build_leaderboard", "_missing", "_null_caveats"),
    "report/marking/grades.py": ("_caveats",),
    "report/marking/rewards.py": ("_caveats",),
    "report/agreeing/agreement.py": ("_caveats",),
    "report/validating/validation.py": ("_caveats",),
    "report/training/training_text.py": ("caveats_of", "spiked"),
    "report/escalation.py": ("counts",),
    "exam/cautions.py": (
        "caveats_of",
        "ids_for_questions",
        "_of_settings",
        "contaminations_of",
        "_contaminated",
        "strangers_of",
    ),
    "exam/drawn_again.py": ("_said",),
    "exam/facts.py": ("_of_members", "_of_other_rubrics"),
    "exam/people.py": ("_held", "_audited"),
    "exam/ends.py": ("ends_of", "_as_shown"),
    "exam/echoes.py": ("strange",),
    "exam/board/as_peers.py": ("_against_others",),
    "exam/marking.py": ("_caveats",),
    "exchange/bench_result.py": ("_limited", "_mixed"),
    "models/terms.py": ("unasked",),
    "models/huggingface.py": ("notes",),
}


def fragments(module: str, names: tuple[str, ...]) -> Iterator[str]:
    """The longest fixed part of every sentence that these functions and constants hold."""
    tree = ast.parse((ROOT / "src" / "sciexam" / module).read_text(encoding="utf-8"))
    found = {name for node in ast.walk(tree) if (name := _name(node)) in names}
    assert found == set(names), f"{module} has no {set(names) - found}"
    for node in ast.walk(tree):
        if _name(node) in names:
            yield from _sentences(node)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return node.name if isinstance(node, ast.FunctionDef) else ""


def _sentences(node: ast.AST) -> Iterator[str]:
    inside = {id(part) for one in ast.walk(node) if isinstance(one, ast.JoinedStr) for part in ast.walk(one)} - {
        id(one) for one in ast.walk(node) if isinstance(one, ast.JoinedStr)
    }
    docstring = ast.get_docstring(node, clean=False) if isinstance(node, ast.FunctionDef) else None
    for one in ast.walk(node):
        parts = one.values if isinstance(one, ast.JoinedStr) else [one]
        fixed = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        longest = max(fixed, key=len, default="")
        if id(one) not in inside and longest != docstring and len(longest.strip()) >= SHORT:
            yield longest


def plain(text: str) -> str:
    return re.sub(r"[\s*`]+", " ", text).strip(" .;,:()'")


@pytest.mark.parametrize("module", SAY_IT)
def test_every_caveat_is_explained(module: str) -> None:
    page = plain(PAGE.read_text(encoding="utf-8"))
    missing = [one for one in fragments(module, SAY_IT[module]) if plain(one) not in page]
    assert not missing, f"docs/reading-a-report.md does not explain, of {module}: {missing}"


def test_a_caveat_that_the_page_does_not_have_would_be_seen() -> None:
    assert plain("nobody has ever judged the moon") not in plain(PAGE.read_text(encoding="utf-8"))
    assert all(list(fragments(module, names)) for module, names in SAY_IT.items())
