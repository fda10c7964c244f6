"""Degenerate answers are told from all that people and models write on purpose, in any language."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase

import pytest

from sciexam.lineage.stages import Gate
from sciexam.report.record import Answer
from sciexam.train.gate.conduct import Conduct, conduct_of, faults_of
from sciexam.train.gate.degenerate import is_gibberish, is_repetitive

WRITTEN = {
    "English": "Sunlight is scattered by the air, and blue light more than red: the sky is blue, and sunsets are red.",
    "German": "Der Angstschweiß stand ihm auf der Stirn, als die Rechtsschutzversicherung beim Herbststurm schwieg.",
    "Polish": "Chrząszcz brzmi w trzcinie w Szczebrzeszynie, a źdźbło trawy było przyczyną zmartwień mieszkańców.",
    "Czech": "Vlk zmrzl a čtvrtletní zpráva zmrzlinářství potvrdila, že odešel do lesa za soumraku bez večeře.",
    "Welsh": "Mae'r ffwrn yn y gegin yn hen iawn, ond mae'n gweithio'n dda. Aeth y plant i'r ysgol ar y bws.",
    "Vietnamese": "Ánh sáng mặt trời bị tán xạ bởi các phân tử không khí, và ánh sáng xanh bị tán xạ nhiều hơn.",
    "Russian": "Солнечный свет рассеивается молекулами воздуха, и синий свет рассеивается сильнее красного.",
    "Chinese": "太阳光被空气分子散射，蓝光比红光散射得更强，所以天空看起来是蓝色的。",
    "Japanese": "太陽の光は空気の分子によって散乱され、青い光は赤い光よりも強く散乱されるため、空は青く見えます。",
    "Korean": "햇빛은 공기 분자에 의해 산란되며 파란빛이 빨간빛보다 더 강하게 산란됩니다.",
    "Arabic": "يتشتت ضوء الشمس بواسطة جزيئات الهواء، ويتشتت الضوء الأزرق أكثر من الضوء الأحمر.",
    "Hindi": "सूर्य का प्रकाश वायु के अणुओं द्वारा प्रकीर्णित होता है और नीला प्रकाश लाल से अधिक प्रकीर्णित होता है।",
    "Thai": "แสงอาทิตย์กระเจิงโดยโมเลกุลของอากาศ และแสงสีน้ำเงินกระเจิงมากกว่าแสงสีแดง",
    "Python": "def fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
    "C": "int main(void) {\n  for (size_t i = 0; i < n; i++) { p[i] ^= 0x5f; }\n  return strncmp(p, q, n) ? -1 : 0;\n}",
    "LaTeX": r"\[ \frac{\partial^2 u}{\partial t^2} = c^2 \nabla^2 u, \quad E = mc^2, \quad \int_0^\infty e^{-x} dx \]",
    "table": "| planet | radius | mass |\n|---|---|---|\n| Earth | 6371 km | 6e24 kg |\n| Mars | 3389 km | 6e23 kg |",
    "chemistry": "CH3CH2OH + 3 O2 -> 2 CO2 + 3 H2O",
    "chess": "1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 4. Ba4 Nf6 5. O-O Be7 6. Re1 b5 7. Bb3 d6 8. c3 O-O 9. h3 Nb8 10. d4 Nbd7",
    "numbers": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10; 1, 1, 2, 3, 5, 8, 13",
    "verse": "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is a dream.",
    "one word": "No.",
    "a number": "42.",
    "nothing": "",
}
LOOPS = {
    "one word": "the " * 40,
    "a sentence": "Light is scattered by the air. " * 12,
    "after a beginning": "The sky is blue because of the air. " + "It is because of the light. " * 20,
    "without blanks": "蓝光散射" * 80,
    "one letter": "a" * 300,
}
NO_TEXT = {
    "commas around a word": ",,,,, pressure,,,",
    "marks": "., ., ; .. , ,, ; ; , .. .,",
    "letters": "xkqjz wvptr lkmnw qzxwv bnmpq tgbhy wsxed plmko njiuh vcfxd",
    "halves of characters": "\ufffd\ufffd\ufffdab\ufffd\ufffd\ufffd\ufffd\ufffd",
    "scripts in one word": "preсsure теmре wоrdз дatа 光light датаset",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_what_is_written_on_purpose_is_neither_a_loop_nor_gibberish(text: str) -> None:
    assert not is_repetitive(text)
    assert not is_gibberish(text)


@pytest.mark.parametrize("text", LOOPS.values(), ids=LOOPS)
def test_loops_are_found(text: str) -> None:
    assert is_repetitive(text)


@pytest.mark.parametrize("text", NO_TEXT.values(), ids=NO_TEXT)
def test_what_is_no_text_is_found(text: str) -> None:
    assert is_gibberish(text)


def test_words_of_drawn_letters_are_found_in_most_texts() -> None:
    found = 0
    for seed in range(200):
        draw = random.Random(seed)
        words = ["".join(draw.choices(ascii_lowercase, k=draw.randint(2, 9))) for _ in range(40)]
        found += is_gibberish(" ".join(words))
    assert found >= 160


@pytest.mark.slow
def test_real_answers_are_hardly_ever_taken_for_loops_and_never_for_gibberish(shared_data: Path) -> None:
    with gzip.open(shared_data / "alpacaeval" / "answers_science.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [
            text for line in lines for text in json.loads(line).values() if isinstance(text, str) and len(text) > 60
        ]
    assert len(texts) > 400
    assert sum(map(is_repetitive, texts)) <= 0.005 * len(texts)
    assert not any(map(is_gibberish, texts))


def answers(said: Callable[[int], str], count: int = 20, cut_off: int = 0, empty: int = 0) -> Conduct:
    texts = [*(said(n) for n in range(count - empty)), *[""] * empty]
    return conduct_of(
        Answer("sft", 0, text, len(text.split()), "ok" if text else "invalid", "", n < cut_off)
        for n, text in enumerate(texts)
    )


def fine(number: int) -> str:
    return f"{WRITTEN['English']} That was so in year {number}."


@pytest.mark.parametrize(
    ("own", "before", "faults"),
    [
        (answers(fine), answers(fine), []),
        (answers(lambda n: f"{fine(n)} {fine(n + 1)}"), answers(fine), []),
        (
            answers(lambda n: " ".join((fine(n), WRITTEN["German"], WRITTEN["Polish"], WRITTEN["Welsh"]))),
            answers(fine),
            ["its answers have 72 words, those of base 26: `length: 2` times as many are allowed"],
        ),
        (answers(fine, cut_off=1), answers(fine), []),
        (
            answers(fine, cut_off=1, empty=1),
            answers(fine),
            ["10.0% of its answers have no end or no text, 0.0% of base's: `unfinished: 0.05` more is allowed"],
        ),
        (answers(fine, cut_off=20), answers(fine, cut_off=19), []),
        (
            answers(lambda n: fine(n) if n > 1 else LOOPS["one word"]),
            answers(fine),
            ["10.0% of its answers say one thing over and over, 0.0% of base's: `repetitive: 0.05` more is allowed"],
        ),
        (
            answers(lambda n: fine(n) if n > 1 else NO_TEXT["letters"]),
            answers(fine),
            ["10.0% of its answers are no text in any language, 0.0% of base's: `gibberish: 0.05` more is allowed"],
        ),
    ],
    ids=["same", "twice as long", "thrice", "one cut off", "one empty, too", "as its parent", "loops", "gibberish"],
)
def test_each_fault_is_told_where_it_exceeds_the_parents_by_more_than_is_allowed(
    own: Conduct, before: Conduct, faults: list[str]
) -> None:
    assert list(faults_of(own, before, "base", Gate())) == faults
