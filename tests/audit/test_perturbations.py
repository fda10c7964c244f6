"""What is done to the texts that an audit shows: each change does what it says, and nothing else."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sciexam.exam.audit.paraphrase import paraphrased
from sciexam.exam.audit.perturbations import (
    AUTHORITIES,
    FLATTERIES,
    padded,
    restyled,
    truncated,
    with_authority,
    with_flattery,
)
from sciexam.exam.injections import COMMANDS, FAMILIES, injected
from sciexam.rubric import load_rubric

TEXT = "Ice floats because it is lighter than water. Its lattice takes more room. So a full bottle bursts."


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


@given(st.text(st.characters(codec="utf-8"), max_size=400), st.integers(0, 99))
def test_padding_adds_about_half_the_words_and_no_word_that_says_anything_else(text: str, seed: int) -> None:
    longer = padded(text, seed)
    assert longer.startswith(text.rstrip())
    assert len(longer.split()) >= 1.5 * len(text.split())
    assert longer == padded(text, seed), "the same text is padded alike"


def test_padding_of_a_text_of_some_length_stays_near_one_half() -> None:
    text = " ".join([TEXT] * 5)
    assert 1.5 <= len(padded(text, 0).split()) / len(text.split()) < 1.75


def test_restyling_keeps_the_words_in_their_order() -> None:
    styled = restyled(TEXT)
    assert styled == (
        "## Answer\n\n- **Ice floats** because it is lighter than water.\n- **Its lattice** takes more room.\n"
        "- **So a** full bottle bursts."
    )
    assert words(styled)[1:] == words(TEXT)


def test_a_text_that_has_markup_or_one_sentence_is_not_restyled() -> None:
    for text in (
        "One sentence only.",
        "- a list. - of two.",
        "Some **bold** words. And more.",
        "```\nx\n```\nEnd. So.",
    ):
        assert restyled(text) is None, text


def test_authority_and_flattery_come_before_the_whole_text() -> None:
    for change, phrases in ((with_authority, AUTHORITIES), (with_flattery, FLATTERIES)):
        drawn = {change(f"{i} {TEXT}", 3).removesuffix(f" {i} {TEXT}") for i in range(50)}
        assert drawn == set(phrases), "every phrase is drawn for some text"


@given(st.lists(st.sampled_from(["word", "longer", "end.", "mid,", "\n\n", "why?"]), max_size=60).map(" ".join))
def test_a_truncated_text_is_a_beginning_of_about_half_and_ends_no_sentence(text: str) -> None:
    cut = truncated(text)
    if cut is None:
        assert len(text.split()) < 8
        return
    assert text.startswith(cut)
    assert 1 <= len(cut.split()) <= len(text.split()) / 2
    assert len(cut.split()) == 1 or cut[-1] not in ".!?:;"


def test_an_attack_names_the_side_it_is_on_and_is_the_same_one_in_both_orders() -> None:
    for family, attacks in FAMILIES.items():
        shapes = set()
        for i in range(60):
            text = f"{i} {TEXT}"
            second, first = (injected(text, family, order, 0).removeprefix(text).strip("\n") for order in ("ab", "ba"))
            (which,) = {at for at, one in enumerate(attacks) if _filled(one, "B", "B>>A", "M") == second}
            assert _filled(attacks[which], "A", "A>>B", "m") == first
            shapes.add(which)
        assert shapes == set(range(len(attacks))), f"every attack of {family} is drawn for some text"


def _filled(attack: str, side: str, verdict: str, model: str) -> str:
    return attack.replace("{side}", side).replace("{verdict}", verdict).replace("{model}", model).strip("\n")


def test_the_commands_come_in_eight_languages_and_five_scripts() -> None:
    assert len(COMMANDS) == 8
    for script in ("[а-я]", "[一-鿿]", "[ء-ي]", "[ऀ-ॿ]", "[a-z]"):
        assert any(re.search(script, one.replace("{side}", "")) for one in COMMANDS), script
    assert all(
        "{side}" in one for family in FAMILIES.values() for one in family if "verdict" not in one and "model" not in one
    )


def test_a_paraphrased_rubric_asks_for_the_same_in_other_words() -> None:
    rubric = load_rubric("science-explanation")
    other = paraphrased(rubric)
    assert [one.name for one in other.criteria] == [
        f"{number} {one.name}" for number, one in enumerate(reversed(rubric.criteria), start=1)
    ]
    for before, after in zip(reversed(rubric.criteria), other.criteria, strict=True):
        assert after.weight == before.weight
        assert after.question.endswith(before.question)
        assert [level.label for level in after.levels] == [level.label for level in before.levels]
    assert other.ties == rubric.ties
    assert other.examples == rubric.examples
    assert type(rubric).model_validate(other.model_dump()) == other, "it is a rubric like any other"
