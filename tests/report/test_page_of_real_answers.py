"""The page of real answers and GPT-4's recorded verdicts (AlpacaEval): its numbers are those of --json; its size."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from test_views import made

from conftest import Cli, write_jsonl
from sciexam.report.html import to_html
from sciexam.report.record import Answer, Item, Opinion, Outcome
from test_alpacaeval import objects, suite_file, verdict_lines

MODELS = (
    *("text_davinci_003", "phi-2", "phi-2-sft", "phi-2-dpo", "alpaca-7b", "alpaca-farm-ppo-human"),
    *("llama-2-7b-chat-hf", "gpt-3.5-turbo-1106", "gpt4", "gpt4_1106_preview"),
)


def all_ten(data: Path, folder: Path) -> Path:
    """The 58 science prompts with the answers of all ten models, and GPT-4's verdicts on those against the first."""
    asked = [one for one in objects(data, "prompts.jsonl.gz") if one["science"]]
    given = objects(data, "answers_science.jsonl.gz")
    for name in MODELS:
        rows = [{"prompt": one["index"], "text": one["output"]} for one in given if one["model"] == name]
        write_jsonl(folder / f"{name}.jsonl", rows)
    prompts = [{"id": one["index"], "text": one["instruction"], "category": one["dataset"]} for one in asked]
    verdicts = [
        line
        for line in verdict_lines(data, "v1", {str(one["index"]) for one in asked})
        if {line["first"], line["second"]} <= set(MODELS)
    ]
    return suite_file(folder, prompts, verdicts, list(MODELS))


def text(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", "", markup)).split())


def rows_of(markup: str, start: str) -> list[list[str]]:
    """The cells of the first table after `start`."""
    (table,) = re.findall(r"<tbody>(.*?)</tbody>", markup[markup.index(start) :], re.DOTALL)[:1]
    cells = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)
    return [[text(cell) for cell in cells.findall(row)] for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)]


def figure(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "n/a"
    value, low, high = (round(found[key], 2) + 0.0 for key in ("value", "low", "high"))  # and no minus before 0.00
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def p_value(p: float | None) -> str:
    return "n/a" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def figures(pair: dict[str, Any]) -> Iterator[str]:
    """What the table of a pair shows, by its JSON."""
    yield figure(pair["win_rate"])
    yield from (
        [p_value(pair["p_value"])] if pair["p_value"] is None else map(p_value, (pair["p_value"], pair["p_holm"]))
    )
    yield from (figure(pair[key]) for key in ("preference", "order_consistency", "position_bias"))
    if pair["length"]:
        yield "{b:.0f} against {a:.0f}".format(**pair["length"])
        yield figure(pair["length"]["longer_wins"])
        yield figure(pair["length"]["controlled"])


@pytest.mark.slow
def test_ten_models_by_two_judges_have_the_numbers_of_the_json_and_a_page_under_three_megabytes(
    tmp_path: Path, shared_data: Path, sciexam: Cli
) -> None:
    path = all_ten(shared_data, tmp_path)
    done = sciexam("compare", "--suite", str(path), "--judge", "gpt-4", "--judge", "measures", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    folder = tmp_path / "results" / "alpaca" / report["run"]
    page = (folder / "report.html").read_text()
    assert len(report["pairs"]) == 90
    judged = [pair for pair in report["pairs"] if pair["judge"] == "gpt-4" and pair["used"]]
    assert len(judged) == 8

    table = rows_of(page, "<h2>All comparisons</h2>")
    for row, pair in zip(table, report["pairs"], strict=True):
        assert row == [
            f"{pair['b']} against {pair['a']}",
            pair["judge"],
            row[2],  # the interval, drawn
            figure(pair["win_rate"]),
            f"{pair['wins']}/{pair['ties']}/{pair['losses']}",
            f"{pair['used']}/{pair['planned']}",
            p_value(pair["p_holm"]),
            pair["conclusion"],
        ]
    details = page[page.index('<h2 id="details">') : page.index('<h2 id="prompts">')]
    sections = details.split("<h3>")[1:]
    for section, pair in zip(sections, report["pairs"], strict=True):
        assert f"{pair['used']} of {pair['planned']} prompts used" in text(section)
        assert [row[1] for row in rows_of(section, "")] == list(figures(pair))
    for caveat in report["caveats"]:
        assert text(caveat.replace("<", "&lt;")) in text(page)
    for step in report["next_steps"]:
        assert step["command"] in text(page)

    items = json.loads((folder / "report.json").read_text())["items"]
    said = re.findall(r'<article [^>]*id="p(\d+)"[^>]*data-outcomes="([^"]*)"', page)
    for (number, letters), item in zip(said, items, strict=True):
        scores = [one["score"] for one in item["outcomes"]]
        assert letters == "".join("-" if s is None else "t" if s == 0.5 else "b" if s > 0.5 else "a" for s in scores), (
            number
        )
    assert len(page.encode()) < 3_000_000


def sat(data: Path, prompts: int) -> Any:
    """A report of two: real answers of about 2 kB, and in each order a verdict with a reason of 500 characters."""
    given = [one["output"] for one in objects(data, "answers_science.jsonl.gz") if len(one["output"]) > 1500]
    texts = islice(cycle(given), 2 * prompts)
    asked = [one["instruction"] for one in objects(data, "prompts.jsonl.gz")][:prompts]
    report = made()
    pair = report.pairs[0]

    def item(number: int, question: str) -> Item:
        both = (next(texts), next(texts))
        answers = tuple(
            Answer(n, 0, t, len(t.split()), "ok", "", False) for n, t in zip(("base", "sft"), both, strict=True)
        )
        opinions = tuple(
            Opinion("judge", "judge", first, second, 0, first, "clear", None, both[place][-500:], "ok", "")
            for place, (first, second) in enumerate((("base", "sft"), ("sft", "base")))
        )
        outcome = Outcome("judge", "base", "sft", 0.5, "ok", False, None)
        return Item(f"p{number}", question, f"c{number % 5}", None, answers, opinions, (outcome,))

    assert pair.judge == "judge"
    return replace(report, items=tuple(item(*numbered) for numbered in enumerate(asked)), prompts=prompts)


def test_a_hundred_prompts_with_real_answers_stand_open_in_less_than_two_megabytes(shared_data: Path) -> None:
    page = to_html(sat(shared_data, 100))
    assert page.count("<article") == 100
    assert "text/plain" not in page
    assert len(page.encode()) < 2_000_000


def test_eight_hundred_prompts_are_listed_and_packed_in_less_than_four_megabytes(shared_data: Path) -> None:
    page = to_html(sat(shared_data, 805))
    assert page.count("<article") == 805
    assert page.count("text/plain") > 20
    assert len(page.encode()) < 4_000_000
