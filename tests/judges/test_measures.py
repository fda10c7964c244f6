"""The offline judge and its measures: what a reader would say, the arithmetic by hand, and texts made to break it."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciexam.errors import UsageError
from sciexam.judges import text_measures as lexicon
from sciexam.judges.measures import CLEAR, STRONG, THRESHOLD, Measures
from sciexam.judges.text import read, syllables
from sciexam.judges.text_measures import (
    MEASURES,
    clarity,
    coherence,
    directness,
    register,
    repetition,
    structure,
)
from sciexam.types import Message, Presentation, Prompt, Verdict

QUESTION = "Why is the sky blue?"
CLAIM = (
    "The sky is blue because air molecules scatter short wavelengths of sunlight more strongly than long ones. "
    "Sunlight contains all colours, and each colour has its own wavelength."
)
MECHANISM = (
    "When the light enters the atmosphere, it meets molecules that are much smaller than the wavelength, which leads "
    "to Rayleigh scattering (scattering that grows with the fourth power of frequency). This scattering sends blue "
    "light across the whole sky, while red light mostly passes straight through."
)
SUPPORT = (
    "For example, at sunset the light takes a longer path through the air, so most of the blue has been scattered away "
    "and the sun appears red."
)
CONCLUSION = "Therefore, the blue light that reaches our eyes from every direction is scattered sunlight."
GOOD = " ".join([CLAIM, MECHANISM, SUPPORT, CONCLUSION])
ECHO = "Why is the sky blue? The sky is blue. So the question is why the sky is blue, and the sky is blue."

ALL = [(name, name, 1.0) for name in MEASURES]
CUES = lexicon.MECHANISM + lexicon.SUPPORT + lexicon.CONCLUSION + lexicon.FILLER + lexicon.HEDGES + lexicon.ABSOLUTES
CUE_TEXTS = st.lists(
    st.sampled_from([*CUES, ". ", "! ", "? ", "\n- ", "(", ")", "sky", "blue", "photosynthesis", "3.5"])
)
TEXTS = st.one_of(st.text(), CUE_TEXTS.map(" ".join), st.sampled_from([GOOD, CLAIM, SUPPORT, ECHO, "", "Yes."]))
each_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


def sentences(text: str) -> list[str]:
    return [part.rstrip(".") + "." for part in text.split(". ")]


def shuffled(text: str, draws: int = 60) -> list[str]:
    parts = sentences(text)
    return [" ".join(random.Random(seed).sample(parts, len(parts))) for seed in range(draws)]


def show(first: str, second: str, question: str = QUESTION) -> Presentation:
    prompt = Prompt(id="p1", messages=(Message(role="user", content=question),))
    return Presentation(prompt, first, second, "ab", key="k", first_by="base", second_by="sft")


def verdict(judge: Measures, first: str, second: str, question: str = QUESTION) -> Verdict:
    (only,) = judge.judge([show(first, second, question)])
    return only


# structure


def test_an_explanation_with_all_four_parts_in_order_has_full_structure() -> None:
    assert structure(QUESTION, GOOD) == 1.0


def test_each_missing_part_costs_its_quarter_of_structure() -> None:
    assert structure(QUESTION, " ".join([CLAIM, MECHANISM, SUPPORT])) == 0.75
    assert structure(QUESTION, " ".join([CLAIM, MECHANISM, CONCLUSION])) == 0.75
    assert structure(QUESTION, "The sky is blue. Grass is green.") == 0.25


def test_a_conclusion_counts_only_at_the_end() -> None:
    parts = ["The sky is blue.", "Thus it is day.", "Grass is green.", "Snow is white."]
    assert structure(QUESTION, " ".join(parts)) == 0.25
    assert structure(QUESTION, " ".join([parts[0], *parts[2:], parts[1]])) == 0.5


def test_a_part_that_comes_before_an_earlier_one_counts_half() -> None:
    support_first = "For example, sunsets look red. The sky is blue because air scatters light."
    assert structure(QUESTION, support_first) == pytest.approx(1 / 4 + 1 / 4 + 1 / 8)


@pytest.mark.parametrize("measure", [structure, coherence])
def test_shuffling_the_sentences_of_an_explanation_lowers_structure_and_coherence(
    measure: Callable[[str, str], float],
) -> None:
    scores = [measure(QUESTION, text) for text in shuffled(GOOD)]
    assert sum(scores) / len(scores) < measure(QUESTION, GOOD) - 0.03


# coherence


def test_coherence_is_the_mean_of_linked_sentences_and_shared_words() -> None:
    # By hand: one pair of two is opened by a connective (1/1 saturates); {plant, need, light} and {turn, light, sugar}
    # share one of three, 1/3 over 1/2.
    assert coherence(QUESTION, "Plants need light. They turn light into sugar.") == pytest.approx((1 + 2 / 3) / 2)


def test_unrelated_sentences_without_connectives_have_no_coherence() -> None:
    assert coherence(QUESTION, "Plants need light. Granite cools slowly. Sharks hunt seals.") == 0.0


def test_a_first_sentence_that_leans_on_nothing_costs_a_link() -> None:
    leaning = "Therefore plants need light. Then granite cools slowly. Sharks hunt seals."
    standing = "Plants need light. Then granite cools slowly. Sharks hunt seals."
    assert coherence(QUESTION, leaning) < coherence(QUESTION, standing)


def test_the_same_sentence_again_is_not_a_shared_topic() -> None:
    assert coherence(QUESTION, "Plants need light. Plants need light.") == 0.0


# clarity


def test_clarity_follows_fleschs_formula_sentence_length_and_glosses() -> None:
    # Flesch: 6 words, 6 syllables: 206.835 - 6.09 - 84.6 = 116 -> 1; length 6/8; no hard word -> 1.
    assert clarity(QUESTION, "The cat sat on the mat.") == pytest.approx((1 + 6 / 8 + 1) / 3)
    # Flesch: 10 words, 17 syllables: 206.835 - 10.15 - 143.82 = 52.865 of 60; length 1; no word of four syllables -> 1.
    text = "Water vapour rises, cools slowly and later forms heavy rainstorms."
    assert [syllables(w) for w in read(text).words] == [2, 2, 2, 1, 2, 1, 2, 1, 2, 2]
    assert clarity(QUESTION, text) == pytest.approx((52.865 / 60 + 1 + 1) / 3)


def test_a_term_that_is_explained_is_clearer_than_one_that_is_not() -> None:
    bare = "Plants rely on photosynthesis every day of the year."
    glossed = "Plants rely on photosynthesis (they make sugar from light) every day of the year."
    assert clarity(QUESTION, glossed) > clarity(QUESTION, bare) + 0.2


def test_one_sentence_of_sixty_words_is_less_clear_than_the_same_words_in_four() -> None:
    part = "the light meets the air and the air sends the blue part of the light on"
    assert clarity(QUESTION, f"{part}. " * 4) > clarity(QUESTION, f"{part} and " * 4) + 0.2


@pytest.mark.parametrize(
    ("word", "count"),  # as divided by ear; the usual dictionary figures
    [
        *(
            ("cat", 1),
            ("the", 1),
            ("blue", 1),
            ("waves", 1),
            ("water", 2),
            ("any", 2),
            ("science", 2),
            ("scattered", 2),
        ),
        *(
            ("energy", 3),
            ("molecule", 3),
            ("particles", 3),
            ("information", 4),
            ("photosynthesis", 5),
            ("x" * 300, 100),
        ),
    ],
)
def test_syllables_are_counted_as_a_reader_counts_them(word: str, count: int) -> None:
    assert syllables(word) == count


# directness


def test_an_answer_is_more_direct_than_the_question_restated() -> None:
    assert directness(QUESTION, GOOD) == 1.0
    assert directness(QUESTION, ECHO) < 0.6
    assert directness(QUESTION, "The sky is blue. Why is the sky blue? Because it is blue.") == 0.0


def test_a_preamble_before_the_answer_costs_directness() -> None:
    preamble = "Great question! I would be happy to help. Many people have wondered about nature over the years. "
    assert directness(QUESTION, preamble + GOOD) < directness(QUESTION, GOOD) - 0.3


def test_an_answer_about_something_else_is_not_direct() -> None:
    assert directness(QUESTION, "Granite cools slowly. Sharks hunt seals in cold waters.") == 0.0


@pytest.mark.parametrize(
    ("question", "fits", "misses"),
    [
        ("How far is the Moon?", "The Moon is 384,400 km from Earth.", "The Moon is far from the planet Earth."),
        (
            "Why do leaves fall?",
            "The leaves fall because a cork layer seals them.",
            "The leaves fall every dry October.",
        ),
        ("Is blood ever green?", "Yes, in some skinks.", "Skinks, some worms, leeches."),
        ("What is a quasar?", "A quasar is a bright galaxy core.", "Bright galaxy core, quasar."),
    ],
)
def test_an_answer_that_holds_what_the_question_asks_for_is_more_direct(question: str, fits: str, misses: str) -> None:
    assert directness(question, fits) > directness(question, misses) + 0.2


def test_the_question_of_a_long_prompt_is_its_asking_sentence() -> None:
    padded = "I visited a museum with my niece last week. She loved the dinosaurs. Why is the sky blue?"
    assert directness(padded, GOOD) == directness(QUESTION, GOOD)


# register


def test_a_hedged_statement_has_more_scientific_register_than_an_absolute_one() -> None:
    hedged = "The evidence suggests that smoking probably increases the likelihood of disease."
    absolute = "The evidence obviously proves that smoking always increases the likelihood of disease."
    assert register(QUESTION, hedged) > register(QUESTION, absolute) + 0.1


def test_chatty_writing_loses_register() -> None:
    plain = "Blue light is scattered by the molecules of the atmosphere."
    assert register(QUESTION, plain) > register(QUESTION, "Wow, blue stuff is super cool, guys! 😀") + 0.3


def test_hedging_every_clause_gains_nothing_over_hedging_some() -> None:
    words = (
        "atoms absorb light and emit light at their own wavelength each time they cool down again quietly there too "
    )
    some, every = words * 4 + "perhaps possibly maybe", words * 4 + "perhaps possibly may might could probably likely"
    assert register(QUESTION, every) <= register(QUESTION, some) + 0.03


# repetition


def test_repetition_is_the_share_of_distinct_runs_of_four_words() -> None:
    # By hand: eight different words twice make 13 runs of four, 8 of them different.
    once = "red orange yellow green blue indigo violet white "
    assert repetition(QUESTION, once) == 1.0
    assert repetition(QUESTION, once * 2) == pytest.approx(8 / 13)


def test_a_repeated_paragraph_loses_on_repetition() -> None:
    assert repetition(QUESTION, f"{GOOD}\n\n{GOOD}") < 0.6 < 0.95 < repetition(QUESTION, GOOD)


@pytest.mark.parametrize("text", ["a" * 100_000, "no " * 1000, "的" * 500], ids=["letter", "word", "no spaces"])
def test_a_key_held_down_is_repetition_whether_or_not_it_has_spaces(text: str) -> None:
    assert repetition(QUESTION, text) < 0.01


# all measures


@each_measure
@given(prompt=TEXTS, answer=TEXTS)
def test_a_measure_lies_between_zero_and_one_for_any_text(
    measure: Callable[[str, str], float], prompt: str, answer: str
) -> None:
    value = measure(prompt, answer)
    assert 0 <= value <= 1
    read.cache_clear()
    assert measure(prompt, answer) == value


@each_measure
@pytest.mark.parametrize("answer", ["", "  \n", "?!...", "\u200b", "---"])
def test_an_answer_without_a_word_measures_zero(measure: Callable[[str, str], float], answer: str) -> None:
    assert measure(QUESTION, answer) == 0.0


UNITS = {
    **{"letters": "a", "spaces": " ", "sentence ends": ".", "lines": "\n", "apostrophes": "a'", "brackets": "(ab "},
    **{"quotes": '."', "hashes": "# ", "code": "x = f(x)  # why?\n", "cues": "so that "},
}
ABSURD = {
    **{name: unit * (200_000 // len(unit)) for name, unit in UNITS.items()},
    "distinct words": " ".join(f"word{i}" for i in range(20_000)),
    "an unended sentence": "because the light is scattered " * 6_000,
    "emoji": "😀" * 50_000,
    "lone surrogates": "\ud800 " * 50_000,
}


@pytest.mark.parametrize("text", ABSURD.values(), ids=ABSURD)
def test_absurd_answers_of_200_kb_get_a_value(text: str) -> None:
    for measure in MEASURES.values():
        assert 0 <= measure(QUESTION, text) <= 1
        assert 0 <= measure(text, GOOD) <= 1


GROWING: dict[str, Callable[[int], str]] = {
    "prose": lambda n: f"{GOOD} " * (n // 100),
    "one sentence": lambda n: "because the light " * n,
    "short sentences": lambda n: "Light? " * n,
    "brackets": lambda n: "(ab " * n,
    "one word": lambda n: "a" * n,
    "two sentences of distinct words": lambda n: ". ".join(" ".join(f"{i}{x}" for i in range(n)) for x in "xy"),
}


@each_measure
@pytest.mark.parametrize("grown", GROWING.values(), ids=GROWING)
def test_work_grows_no_faster_than_the_text(measure: Callable[[str, str], float], grown: Callable[[int], str]) -> None:
    measure(QUESTION, grown(2400))  # the tables of cues and syllables are made once
    assert steps(measure, grown(2400)) < 2.2 * steps(measure, grown(1200)) + 1000


def steps(measure: Callable[[str, str], float], answer: str) -> int:
    """Bytecode instructions executed: the same on every machine, where seconds are not."""
    read.cache_clear()
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        measure(QUESTION, answer)
    finally:
        sys.settrace(before)
    return count


def test_list_markers_abbreviations_and_decimals_end_no_sentence() -> None:
    text = read("1. Light at 3.5 eV, e.g. from the sun, heats Dr. Smith.\n- It works (i.e. well).\n## Why?")
    assert [len(s.words) for s in text.sentences] == [13, 5, 1]
    assert [s.asks for s in text.sentences] == [False, False, True]


# the judge


def test_the_better_explanation_is_preferred_from_either_side() -> None:
    judge = Measures("measures", ALL)
    assert verdict(judge, GOOD, ECHO).preferred == "first"
    assert verdict(judge, ECHO, GOOD).preferred == "second"


@given(first=TEXTS, second=TEXTS)
def test_swapping_the_texts_mirrors_the_verdict(first: str, second: str) -> None:
    judge = Measures("measures", ALL)
    there, back = verdict(judge, first, second), verdict(judge, second, first)
    assert there.preferred == {"first": "second", "second": "first", "tie": "tie"}[str(back.preferred)]
    assert there.strength == back.strength
    assert verdict(judge, first, first).preferred == "tie"


def test_a_verdict_is_addressed_to_its_presentation_and_rater() -> None:
    made = verdict(Measures("form", ALL), GOOD, ECHO)
    assert (made.key, made.prompt, made.first, made.second) == ("k", "p1", "base", "sft")
    assert (made.rater, made.kind, made.status) == ("form", "judge", "ok")


@pytest.fixture
def given_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measures read their value from the answer itself: "0.62 0.41" is structure 0.62, clarity 0.41."""
    monkeypatch.setitem(MEASURES, "structure", lambda _, answer: float(answer.split()[0]))
    monkeypatch.setitem(MEASURES, "clarity", lambda _, answer: float(answer.split()[1]))


TWO = [("order", "structure", 2.0), ("ease", "clarity", 1.0)]


@pytest.mark.usefixtures("given_values")
def test_the_reason_shows_every_criterion_for_first_and_second_and_the_weighted_total() -> None:
    made = verdict(Measures("measures", TWO), "0.62 0.50", "0.41 0.80")
    assert made.reason == "order 0.62 / 0.41, ease 0.50 / 0.80; total 0.58 / 0.54"
    assert (made.preferred, made.strength) == ("first", "slight")


@pytest.mark.usefixtures("given_values")
@pytest.mark.parametrize(
    ("gap", "strength"),
    [
        *((0.0, None), (THRESHOLD - 0.001, None), (THRESHOLD + 0.001, "slight"), (CLEAR - 0.001, "slight")),
        *((CLEAR + 0.001, "clear"), (STRONG - 0.001, "clear"), (STRONG + 0.001, "strong"), (0.5, "strong")),
    ],
)
def test_the_gap_of_the_totals_decides_tie_and_strength(gap: float, strength: str | None) -> None:
    made = verdict(Measures("measures", TWO), "0.4 0.4", f"{0.4 + gap} {0.4 + gap}")
    assert (made.preferred, made.strength) == ("second" if strength else "tie", strength)


@pytest.mark.usefixtures("given_values")
def test_with_threshold_zero_only_equal_totals_tie() -> None:
    judge = Measures("measures", TWO, threshold=0.0)
    assert verdict(judge, "0.4 0.4", "0.4 0.4").preferred == "tie"
    assert verdict(judge, "0.4 0.4", "0.4 0.401").preferred == "second"


@pytest.mark.usefixtures("given_values")
def test_a_text_is_scored_once_in_a_run() -> None:
    asked: list[str] = []

    def counted(_: str, answer: str) -> float:
        asked.append(answer)
        return 0.5

    MEASURES["structure"] = counted
    judge = Measures("measures", [("order", "structure", 1.0)])
    assert len(list(judge.judge([show("a", "b"), show("b", "a"), show("a", "c")]))) == 3
    assert sorted(asked) == ["a", "b", "c"]


@pytest.mark.parametrize("other", ["?", "x", GOOD])
@pytest.mark.parametrize("empty", ["", " \n\t"])
def test_an_empty_answer_loses_against_any_other(empty: str, other: str) -> None:
    judge = Measures("measures", ALL)
    assert (verdict(judge, empty, other).preferred, verdict(judge, other, empty).preferred) == ("second", "first")


def test_two_empty_answers_tie() -> None:
    assert verdict(Measures("measures", ALL), "", " ").preferred == "tie"


def test_verdicts_come_one_by_one_as_presentations_arrive() -> None:
    pulled: list[int] = []

    def arriving() -> Any:
        for i in range(3):
            pulled.append(i)
            yield show(GOOD, ECHO)

    next(iter(Measures("measures", ALL).judge(arriving())))
    assert pulled == [0]


def test_an_unknown_measure_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        Measures("form", [("order", "strucure", 1.0)])
    assert str(caught.value) == (
        "judge form: criterion 'order' asks for an unknown measure 'strucure'; did you mean 'structure'?"
    )


@pytest.mark.parametrize(
    ("criteria", "threshold", "message"),
    [
        ([], 0.02, "no criterion with a measure and a positive weight"),
        ([("order", "structure", 0.0)], 0.02, "no criterion with a measure and a positive weight"),
        ([("order", "structure", -1.0)], 0.02, "criterion 'order' has the weight -1.0; give 0 or more"),
        ([("order", "structure", float("nan"))], 0.02, "criterion 'order' has the weight nan; give 0 or more"),
        ([("order", "structure", float("inf"))], 0.02, "criterion 'order' has the weight inf; give 0 or more"),
        ([("order", "structure", 1.0)], 1.0, "the threshold must be at least 0 and less than 1, not 1.0"),
    ],
)
def test_settings_that_cannot_judge_are_refused(criteria: Any, threshold: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Measures("form", criteria, threshold)


def test_the_digest_names_everything_that_could_change_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Measures("a", ALL).digest
    assert Measures("b", ALL).digest == base
    assert Measures("a", ALL, threshold=0.03).digest != base
    assert Measures("a", [*ALL[:-1], ("repetition", "repetition", 2.0)]).digest != base
    monkeypatch.setattr("sciexam.judges.measures.VERSION", 999)
    assert Measures("a", ALL).digest != base


def test_importing_the_judge_loads_no_heavy_package() -> None:
    code = (
        "import sys, sciexam.judges.measures;"
        "print([m for m in ('pyphen', 'scipy', 'pandas', 'numpy', 'openai', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_saying_everything_twice_never_pays_on_real_answers() -> None:
    folder = Path(os.environ.get("SCIEXAM_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "alpacaeval"
    if not (folder / "answers_science.jsonl.gz").exists():
        pytest.skip(f"no AlpacaEval answers in {folder}; set SCIEXAM_SHARED_DATA")
    with gzip.open(folder / "prompts.jsonl.gz", "rt", encoding="utf-8") as file:
        prompts = {p["index"]: p["instruction"] for p in map(json.loads, file)}
    with gzip.open(folder / "answers_science.jsonl.gz", "rt", encoding="utf-8") as file:
        answers = [json.loads(line) for line in file]
    judge = Measures("measures", ALL)
    assert len(answers) == 580
    for answer in answers:
        question, text = prompts[answer["index"]], answer["output"]
        assert judge.scores(question, f"{text}\n\n{text}")[-1] <= judge.scores(question, text)[-1]
