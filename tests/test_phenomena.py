"""The knowledge base beside the default suite: what it holds, and that a true sentence is never also a false one."""

from __future__ import annotations

import re
from collections import Counter

from sciexam.documents import read_jsonl, shipped

SCIENCE = shipped() / "suites" / "science"
PHENOMENA = [line for _, line in read_jsonl(SCIENCE / "phenomena.jsonl")]
PROMPTS = {line["id"]: line for _, line in read_jsonl(SCIENCE / "prompts.jsonl")}

WORDS = {  # the fewest and the most words of each text
    "topic": (2, 6),
    "question": (1, 12),
    "definition": (6, 12),
    "mechanism": (8, 14),
    "example": (6, 12),
    "conclusion": (6, 12),
    "false_mechanism": (8, 14),
    "false_example": (6, 12),
}
SMALL_WORDS = {"a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "that", "the", "to", "with"}


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+(?:['./][a-z0-9]+)*", text.lower())


def runs_of_five(text: str) -> set[tuple[str, ...]]:
    spoken = words(text)
    return {tuple(spoken[at : at + 5]) for at in range(len(spoken) - 4)}


def stems(text: str) -> set[str]:
    """The first five letters of each word that carries meaning, without a plural's s."""
    return {word.rstrip("s")[:5] for word in words(text) if word not in SMALL_WORDS}


def test_every_prompt_has_its_phenomenon_and_every_field_of_science_has_13() -> None:
    ids = [p["id"] for p in PHENOMENA]
    assert len(ids) == len(set(ids)) >= 104
    assert set(PROMPTS) <= set(ids)
    assert all(re.fullmatch(r"x\d{3}", name) for name in set(ids) - set(PROMPTS))
    assert [(p["id"], p["category"]) for p in PHENOMENA if p["id"] in PROMPTS] == [
        (name, prompt["category"]) for name, prompt in PROMPTS.items()
    ]
    fields = Counter(p["category"] for p in PHENOMENA)
    assert set(fields) == {prompt["category"] for prompt in PROMPTS.values()}
    assert min(fields.values()) >= 13


def test_every_line_has_the_same_texts_of_the_lengths_that_are_asked() -> None:
    assert {tuple(p) for p in PHENOMENA} == {("id", "category", *WORDS)}
    lengths = [(p["id"], key, len(p[key].split())) for p in PHENOMENA for key in WORDS]
    assert [case for case in lengths if not WORDS[case[1]][0] <= case[2] <= WORDS[case[1]][1]] == []


def test_no_text_stands_twice_so_no_true_sentence_is_a_false_one() -> None:
    texts = Counter(" ".join(words(p[key])) for p in PHENOMENA for key in WORDS)
    assert [text for text, times in texts.items() if times > 1] == []


def test_no_question_shares_five_words_in_a_row_with_a_prompt() -> None:
    asked = set().union(*(runs_of_five(prompt["text"]) for prompt in PROMPTS.values()))
    assert [p["id"] for p in PHENOMENA if runs_of_five(p["question"]) & asked] == []


def test_questions_ask_why_or_how() -> None:
    assert [p["id"] for p in PHENOMENA if not re.fullmatch(r"(Why|How) [^?]+\?", p["question"])] == []


def test_sentences_begin_and_end_as_their_place_in_a_document_needs() -> None:
    alone, after_a_comma = r"[A-Z][^!?:;]*[A-Za-z0-9]\.", r"[a-z][^!?:;]*[A-Za-z0-9]\."
    shapes = {"definition": alone, "mechanism": alone, "false_mechanism": alone}
    shapes |= dict.fromkeys(("example", "conclusion", "false_example"), after_a_comma)
    wrong = [(p["id"], key) for p in PHENOMENA for key, shape in shapes.items() if not re.fullmatch(shape, p[key])]
    assert wrong == []
    said = " ".join(p[key].lower() for p in PHENOMENA for key in shapes)
    assert "for example" not in said
    assert "in short" not in said


def test_a_definition_begins_with_the_thing_that_its_topic_names() -> None:
    starts = {p["id"]: set().union(*map(stems, p["definition"].split()[:4])) for p in PHENOMENA}
    assert [p["id"] for p in PHENOMENA if not starts[p["id"]] & stems(p["topic"])] == []


def test_every_text_is_plain_ascii() -> None:
    plain = re.compile(r"[A-Za-z0-9 .,'?/]+")
    assert [(p["id"], key) for p in PHENOMENA for key in WORDS if not plain.fullmatch(p[key])] == []


def test_the_vocabulary_is_small_and_most_words_recur() -> None:
    spoken = Counter(word for p in PHENOMENA for key in WORDS for word in words(p[key]))
    assert len(spoken) < 1050
    assert sum(times == 1 for times in spoken.values()) < 160
