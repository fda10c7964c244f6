"""`sciexam leaderboard`: the standings by one judge, with a null contestant that must not do well."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Endpoint
from sciexam.digests import draw
from sciexam.exam.null_contestant import TEXTS

N = 24


def suite(folder: Path, **more: Any) -> str:
    """Three contestants of which the second is usually better than the first, and the third than the second."""
    texts = {
        "base": ["It does." for _ in range(N)],
        "sft": ["It does, because heat flows." if i % 6 else "No." for i in range(N)],
        "rlhf": ["It does, because heat flows. For example, a kettle whistles." if i % 5 else "No." for i in range(N)],
    }
    models = {name: {"responses": answers(folder, name, said)} for name, said in texts.items()}
    return str(write_suite(folder, N, models, baseline="base", **more))


class Longer:
    name = "longer"
    digest = "longer"

    def judge(self, presentations: Any) -> Iterator[Any]:
        for p in presentations:
            first, second = len(p.first), len(p.second)
            side = "tie" if first == second else "first" if first > second else "second"
            yield p.verdict(rater=self.name, preferred=side)


def board(folder: Path, judge: Any, **more: Any) -> Any:
    return sx.leaderboard(sx.load_suite(suite(folder)), judge=judge, results=folder / "r", **more)


def test_contestants_are_ranked_with_the_baseline_at_1000_and_a_null_row(sciexam: Cli, tmp_path: Path) -> None:
    done = sciexam("leaderboard", "-s", suite(tmp_path), "-j", "measures", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["schema"] == "sciexam/leaderboard/1"
    overall, *sliced = found["standings"]
    assert [one["category"] for one in sliced] == ["c0", "c1"]
    rows = {row["contestant"]: row for row in overall["rows"]}
    assert rows.keys() == {"base", "sft", "rlhf", "null"}
    for one in sliced:
        assert {row["contestant"] for row in one["rows"]} == {"base", "sft", "rlhf"}, "empty words are held once"
    assert rows["base"]["rating"]["value"] == 1000
    assert rows["base"]["win_rate"]["why"] == "it is the baseline"
    assert rows["sft"]["battles"] == 2 * N, "against base and against rlhf"
    assert rows["null"]["battles"] == N, "null meets the baseline alone"
    assert all(row["rank_low"] <= row["rank"] <= row["rank_high"] for row in overall["rows"] if row["rank"])
    report = sciexam("compare", "base", "sft", "-s", suite(tmp_path), "-j", "measures", "--json", cwd=tmp_path)
    (pair,) = json.loads(report.stdout)["pairs"]
    assert rows["sft"]["win_rate"]["value"] == pair["win_rate"]["value"], "the same facts, the same figure"


def test_the_files_hold_the_same_figures_as_the_json(sciexam: Cli, tmp_path: Path) -> None:
    done = sciexam("leaderboard", "-s", suite(tmp_path), "-j", "measures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (one for one in (tmp_path / "results" / "exam").iterdir() if one.name != "leaderboard")
    assert {path.name for path in folder.iterdir()} == {
        *("run.json", "leaderboard.json", "leaderboard.csv", "leaderboard.md")
    }
    found = json.loads((folder / "leaderboard.json").read_text())
    with (folder / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    said = [(one["category"] or "", row) for one in found["standings"] for row in one["rows"]]
    assert len(rows) == len(said) == 10
    for line, (category, row) in zip(rows, said, strict=True):
        assert (line["category"], line["contestant"]) == (category, row["contestant"])
        for name in ("rating", "win_rate", "length_controlled", "order_consistency"):
            for end, key in (("", "value"), ("_low", "low"), ("_high", "high")):
                assert line[name + end] == ("" if row[name][key] is None else str(row[name][key]))
    page = (folder / "leaderboard.md").read_text()
    for heading in ("# Leaderboard of exam by measures", "## By category", "| c0 |", "| c1 |"):
        assert heading in page
    assert "Win rate: the prompts against base alone. With few prompts the two can disagree: quote the win rate" in page


def test_a_board_ends_with_what_to_do_next(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint("judge-first") as server:
        model = {"backend": "openai", "model": "judge-1", "base_url": server.url, "api_key_env": None}
        path = suite(tmp_path, judges={"llm": model})
        done = sciexam("leaderboard", "base", "sft", "-s", path, "-j", "llm", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    steps = done.stdout.partition("What to do next\n")[2]
    commands = [line.strip() for line in steps.splitlines() if line.strip().startswith("sciexam ")]
    assert commands == [
        f"sciexam annotate serve base sft --suite {path}",
        f"sciexam validate llm base sft --suite {path}",
        f"sciexam audit llm base sft --suite {path}",
    ]
    (page,) = tmp_path.glob("results/*/leaderboard/index.html")
    assert all(command in page.read_text() for command in commands)
    said = sciexam("leaderboard", "base", "sft", "-s", path, "-j", "measures", "--quiet", cwd=tmp_path).stdout
    by = "By `measures` (a text measure, not validated)"
    assert said == f"{by}: sft leads: at 95 % no other contestant may hold rank 1.\n"
    (read,) = sx.leaderboard(sx.load_suite(path), judge="measures", results=tmp_path / "m").next_steps
    assert read.why == "A text measure has judged, which knows nothing of meaning; to ask a language model"
    assert read.command == "sciexam leaderboard base sft rlhf --judge llm --suite exam"
    tied = sx.leaderboard(sx.load_suite(path), "sft", "rlhf", judge=Longer(), results=tmp_path / "t")
    assert tied.next_steps[0].command == "sciexam plan sft rlhf --judge longer --suite exam"


def test_what_a_board_lacks_is_asked_again_first_and_what_was_drawn_again_is_said(tmp_path: Path) -> None:
    with Endpoint("judge-longer") as server:
        usual, replies = server.reply, []
        server.reply = lambda body: replies.append(body) or ("I like both." if len(replies) < 6 else usual(body))  # type: ignore[func-returns-value]
        model = {"backend": "openai", "model": "judge-1", "base_url": server.url, "api_key_env": None}
        known = {"llm": {**model, "samples": 3}, "text": {"backend": "measures"}}
        prices = {"judge-1": {"input": 1000, "output": 0}}
        exam = sx.load_suite(suite(tmp_path, judges=known, prices=prices))
        first = sx.leaderboard(exam, "base", "sft", judge="llm", limit=6, results=tmp_path / "r")
        why, command = first.next_steps[0].why, first.next_steps[0].command
        assert why == "5 verdicts are missing, as replies could not be used; to draw once more"
        assert command == "sciexam leaderboard base sft --suite exam --judge llm --retry-invalid"
        assert "drawn again" not in " ".join(first.caveats)
        again = sx.leaderboard(exam, "base", "sft", judge="llm", limit=6, results=tmp_path / "r", retry_invalid=True)
    assert not any("retry-invalid" in step.command for step in again.next_steps)
    [said] = [caveat for caveat in again.caveats if "drawn again" in caveat]
    assert re.match(r"5 of [0-9]+ usable verdicts of llm were drawn again, as their replies could not be used", said)
    (audit,) = (step for step in again.next_steps if "audit" in step.command)
    calls = re.search(r", by (at most 630 calls \(about [0-9.]+ USD\))$", audit.why)
    assert calls
    page = (tmp_path / "r" / "exam" / "leaderboard" / "judges" / "llm.html").read_text()
    assert f"To make one, by {calls[1]}:" in page


def test_people_who_judged_something_else_are_not_those_to_hold_a_judge_against(tmp_path: Path) -> None:
    exam = sx.load_suite(suite(tmp_path))
    said = {"prompt": "q1", "first": "base", "second": "rlhf", "preferred": "second", "rater": "ann", "kind": "human"}
    write_jsonl(tmp_path / "ann.jsonl", [said])
    sx.compare(exam, "base", "rlhf", judges=[str(tmp_path / "ann.jsonl")], results=tmp_path / "r")
    told = sx.leaderboard(exam, "base", "sft", judge=Longer(), results=tmp_path / "r").next_steps
    assert any(step.why.startswith("Once people have, to hold") for step in told)
    told = sx.leaderboard(exam, "base", "rlhf", judge=Longer(), results=tmp_path / "r").next_steps
    assert any(step.why.startswith("To hold longer against what they say") for step in told)


def test_a_judge_that_empty_words_win_over_is_told_on(tmp_path: Path) -> None:
    class Gamed(Longer):
        name = digest = "gamed"

        def judge(self, presentations: Any) -> Iterator[Any]:
            for p in presentations:
                yield p.verdict(rater=self.name, preferred="first" if p.first in TEXTS else "second")

    found = board(tmp_path, Gamed())
    null = next(row for row in found.rows if row.contestant == "null")
    assert null.win_rate.value == 1
    asked = [[("user", f"Why does thing {i} happen?")] for i in range(N)]
    given = Counter(TEXTS[draw(list(TEXTS), "empty words", said)] for said in asked)
    kind, n = given.most_common(1)[0]  # the surest of three rates of 1
    told = f"] over {n} prompts against the baseline with {kind}, surely above 0.05: this judge"
    assert any(caveat.startswith("The null contestant scores 1.00 [") and told in caveat for caveat in found.caveats)

    class Careful(Gamed):
        name = digest = "careful"

        def judge(self, presentations: Any) -> Iterator[Any]:
            for p in presentations:
                if p.first in TEXTS or p.second in TEXTS:
                    yield p.verdict(rater=self.name, preferred="second" if p.first in TEXTS else "first")
                else:
                    yield from Longer.judge(self, [p])

    fair = board(tmp_path / "fair", Careful())
    assert not any("null contestant" in caveat for caveat in fair.caveats)
    null = next(row for row in fair.rows if row.contestant == "null")
    assert isinstance(null.rating, sx.Undefined), "it lost every battle, so its rating has no lower limit"
    others = [row for row in fair.rows if row.contestant != "null"]
    assert all(isinstance(row.rating, sx.Estimate) for row in others), "and that costs nobody else a rating"
    assert fair.rows[-1] is null


def test_recorded_verdicts_cannot_judge_the_null_contestant(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path)
    rows = [
        {"prompt": f"q{i}", "first": a, "second": b, "preferred": "second" if i % 3 else "first", "rater": "gpt-4"}
        for a, b in (("base", "sft"), ("base", "rlhf"), ("sft", "rlhf"))
        for i in range(N)
    ]
    write_jsonl(tmp_path / "gpt-4.jsonl", rows)
    done = sciexam("leaderboard", "-s", exam, "-j", "gpt-4.jsonl", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    null = found["standings"][0]["rows"][-1]
    assert null["contestant"] == "null"
    assert null["win_rate"]["why"].startswith("it answers no prompt, and is not judged")
    assert any(
        "whether empty words win: it answers no prompt, and is not judged" in caveat for caveat in found["caveats"]
    )

    two = [{**row, "rater": rater} for row in rows for rater in ("gpt-4", "gpt-5")]
    write_jsonl(tmp_path / "two.jsonl", two)
    refused = sciexam("leaderboard", "-s", exam, "-j", "two.jsonl", cwd=tmp_path)
    assert refused.returncode == 2
    assert "a leaderboard is by one judge" in refused.stderr
    assert "gpt-4, gpt-5" in refused.stderr


def test_the_calls_of_an_endpoint_are_announced_before_the_first_and_not_repeated(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint("judge-longer") as endpoint:
        judge = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        exam = suite(tmp_path, judges={"gpt": judge})
        first = sciexam("leaderboard", "-s", exam, "--limit", "4", cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        asked = endpoint.requests
        assert f"at most {asked} calls: 0 for answers, {asked} for verdicts" in first.stderr
        # Orders x prompts x (pairs of three contestants, and null against the baseline); equal texts are judged once.
        assert 0 < asked < 2 * 4 * (3 + 1)
        again = sciexam("leaderboard", "-s", exam, "--limit", "4", cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        assert "at most" not in again.stderr
        assert endpoint.requests == asked
        alone = sciexam("leaderboard", "-s", exam, "--limit", "4", "--pairs", "baseline", "--json", cwd=tmp_path)
        rows = json.loads(alone.stdout)["standings"][0]["rows"]
        assert {row["contestant"]: row["battles"] for row in rows} == {"base": 12, "sft": 4, "rlhf": 4, "null": 4}
        assert endpoint.requests == asked


def test_a_failed_call_makes_the_board_incomplete(sciexam: Cli, tmp_path: Path) -> None:
    rules = [{"when": "thing 3", "failure": "refused"}, {"say": "A"}]
    judge = {"backend": "scripted", "rules": rules, "template": "verdict-only"}
    done = sciexam("leaderboard", "-s", suite(tmp_path, judges={"fake": judge}), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["invalid"] == 2 * 4
    assert any("verdicts are invalid or failed" in caveat for caveat in found["caveats"])
    rules = [{"when": "thing [0-2]", "say": "A"}]  # no rule matches the others: their calls fail
    judge = {"backend": "scripted", "rules": rules, "template": "verdict-only"}
    failed = sciexam("leaderboard", "-s", suite(tmp_path, judges={"fake": judge}), cwd=tmp_path)
    assert failed.returncode == 3
    assert "the same command asks again" in failed.stderr


def test_what_failed_and_what_cannot_be_used_are_asked_again_by_different_commands(
    sciexam: Cli, tmp_path: Path
) -> None:
    rules = [{"when": "thing 3", "say": "I like both."}, {"when": "thing [0-2]", "say": "A"}]  # the other calls fail
    judge = {"backend": "scripted", "rules": rules, "template": "verdict-only"}
    exam = suite(tmp_path, judges={"fake": judge})
    said = "asks again for what failed, and --retry-invalid for replies that could not be used, too\n"
    compared = sciexam("compare", "base", "sft", "-s", exam, cwd=tmp_path)
    for done in (compared, sciexam("report", cwd=tmp_path)):
        assert done.returncode == 3
        assert done.stderr.endswith(f"sciexam: not everything has a result; the same `sciexam compare` {said}")
    board = sciexam("leaderboard", "-s", exam, cwd=tmp_path)
    assert board.stderr.endswith(f"sciexam: not everything has a result; the same command {said}")


def test_a_contestant_that_is_named_alone_still_meets_the_baseline(tmp_path: Path) -> None:
    found = sx.leaderboard(sx.load_suite(suite(tmp_path)), "sft", judge=Longer(), results=tmp_path / "r")
    assert found.baseline == "base"
    assert found.contestants == ("base", "sft", "null")


@pytest.mark.parametrize("name", ["base", "sft"])
def test_leaving_a_contestant_out_leaves_the_win_rates_of_the_others(tmp_path: Path, name: str) -> None:
    whole = {row.contestant: row for row in board(tmp_path, Longer()).rows}
    fewer = sx.leaderboard(sx.load_suite(suite(tmp_path)), "base", "sft", judge=Longer(), results=tmp_path / "r")
    assert {row.contestant: row.win_rate for row in fewer.rows}[name] == whole[name].win_rate


def test_a_finished_board_is_read_again_without_a_key(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint("judge-longer", key="sk-1") as endpoint:
        judge = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": "EXAM_KEY"}
        exam = suite(tmp_path, judges={"gpt": judge})
        key = {"EXAM_KEY": "sk-1"}
        made = sciexam("leaderboard", "-s", exam, "--limit", "4", "--json", cwd=tmp_path, env=key)
        assert made.returncode == 0, made.stderr
    # The same judge, of which the suite now says that it is far away: another address would be another judge.
    again = sciexam("leaderboard", "-s", exam, "--limit", "4", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["standings"] == json.loads(made.stdout)["standings"]


def test_words_of_a_category_are_those_of_its_prompts(tmp_path: Path) -> None:
    found = board(tmp_path, Longer())
    for one in found.standings[1:]:
        (row,) = (row for row in one.rows if row.contestant == "sft")
        odd = one.category == "c1"
        counts = [5 if i % 6 else 1 for i in range(N) if i % 2 == odd]
        assert row.words == pytest.approx(sum(counts) / len(counts))


def test_two_judges_are_refused_and_so_is_the_report_of_a_board(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path)
    done = sciexam("leaderboard", "-s", exam, "-j", "measures", "-j", "humans", cwd=tmp_path)
    assert done.returncode == 2
    assert "verdicts of several are never mixed" in done.stderr
    run = json.loads(sciexam("leaderboard", "-s", exam, "-j", "measures", "--json", cwd=tmp_path).stdout)["run"]
    report = sciexam("report", run, cwd=tmp_path)
    assert report.returncode == 2
    assert "the `sciexam leaderboard` that made it counts it anew" in report.stderr


def test_what_equal_length_and_a_null_row_are_is_said_wherever_they_stand(sciexam: Cli, tmp_path: Path) -> None:
    words = {"base": 7, "sft": 11, "rlhf": 13}
    texts = {name: ["so it is. " * (1 + i * step % 9) for i in range(N)] for name, step in words.items()}
    models = {name: {"responses": answers(tmp_path, name, said)} for name, said in texts.items()}
    rows = [
        {"prompt": f"q{i}", "first": a, "second": b, "preferred": "second" if i % 3 else "first", "rater": "gpt-4"}
        for a, b in (("base", "sft"), ("base", "rlhf"), ("sft", "rlhf"))
        for i in range(N)
    ]
    write_jsonl(tmp_path / "gpt-4.jsonl", rows)
    exam = str(write_suite(tmp_path, N, models))
    done = sciexam("leaderboard", "-s", exam, "-j", "gpt-4.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place = tmp_path / "results" / "exam"
    (folder,) = (one for one in place.iterdir() if one.name != "leaderboard")
    for text in (
        done.stdout,
        (folder / "leaderboard.md").read_text(),
        (place / "leaderboard" / "index.html").read_text(),
    ):
        told = " ".join(re.sub(r"</?\w+[^>]*>|[`\\]|&#\d+;", "", text).split())
        assert (
            "by one fit over all pairs of this board. sciexam compare of two contestants fits these two alone" in told
        )
        assert "it answers no prompt, and is not judged" in told
    assert "Win rate: beta interval at the effective number of prompts." in " ".join(done.stdout.split())


def test_the_notes_of_the_contestants_stand_on_the_page(sciexam: Cli, tmp_path: Path) -> None:
    noted = {
        name: {"responses": answers(tmp_path, name, [name] * 6), "note": f"{name} of May"} for name in ("old", "new")
    }
    done = sciexam("leaderboard", "-s", str(write_suite(tmp_path, 6, noted)), "-j", "measures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (one for one in (tmp_path / "results" / "exam").iterdir() if one.name != "leaderboard")
    for text in (done.stdout, (folder / "leaderboard.md").read_text()):
        assert "old of May" in text
        assert "new of May" in text


def test_where_no_empty_text_has_prompts_enough_the_board_says_so(tmp_path: Path) -> None:
    texts = {"base": ["It does."] * 2, "sft": ["It does, because heat flows."] * 2}
    models = {name: {"responses": answers(tmp_path, name, said)} for name, said in texts.items()}
    exam = sx.load_suite(str(write_suite(tmp_path, 2, models, baseline="base")))
    found = sx.leaderboard(exam, judge=Longer(), results=tmp_path / "results")
    assert "None of the texts of the null contestant has prompts enough for a win rate of its own." in found.caveats


def test_a_null_contestant_of_ones_own_has_to_be_one(sciexam: Cli, tmp_path: Path) -> None:
    texts = {
        "base": ["It does."] * 6,
        "sft": ["It does, because heat flows."] * 6,
        "null": [f"No {i}." for i in range(6)],
    }
    models = {name: {"responses": answers(tmp_path, name, said)} for name, said in texts.items()}
    exam = str(write_suite(tmp_path, 6, models, baseline="base", contestants=["base", "sft"]))
    done = sciexam("leaderboard", "-s", exam, "-j", "measures", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    caveats = json.loads(done.stdout)["caveats"]
    assert caveats[0] == "null gave 6 different texts: it is no null contestant, and shows nothing of empty words."
    assert not any("null contestant scores" in caveat for caveat in caveats)


def test_what_each_stage_of_training_gained_stands_below_the_board(sciexam: Cli, tmp_path: Path) -> None:
    suite(tmp_path)
    write_jsonl(tmp_path / "demos.jsonl", [{"prompt": "What is heat?", "completion": "Motion."}])
    stages = {
        "base": {"responses": "base.jsonl"},
        "sft": {"from": "base", "stage": "sft", "data": "demos.jsonl", "responses": "sft.jsonl"},
        "rlhf": {"from": "sft", "stage": "external", "weights": "w", "responses": "rlhf.jsonl"},
    }
    trained = str(write_suite(tmp_path, N, stages, baseline="base"))
    done = sciexam("leaderboard", "-s", trained, "-j", "measures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (one for one in (tmp_path / "results" / "exam").iterdir() if one.name != "leaderboard")
    found = json.loads((folder / "leaderboard.json").read_text())
    assert [(one["contestant"], one["parent"], one["stages"]) for one in found["lineage"]] == [
        ("sft", "base", ["sft"]),
        ("rlhf", "sft", ["external"]),
    ]
    rates = [one["win_rate"] for one in found["lineage"]]
    said = [f"{rate['value']:.2f} [{rate['low']:.2f}, {rate['high']:.2f}]" for rate in rates]
    assert "What training gained" in done.stdout
    rows = [line.split() for line in done.stdout.partition("What training gained")[2].splitlines()]
    assert ["sft", "base", "sft", said[0].split()[0]] in [row[:4] for row in rows]
    assert ["rlhf", "sft", "external", said[1].split()[0]] in [row[:4] for row in rows]
    assert f"| rlhf | sft | external | {said[1]} |" in (folder / "leaderboard.md").read_text()
    site = (tmp_path / "results" / "exam" / "leaderboard" / "index.html").read_text()
    assert "what it gained by this judge" in site
    sided = sciexam("leaderboard", "-s", trained, "-j", "measures", "--pairs", "baseline", cwd=tmp_path)
    assert "n/a: the two were not compared." in sided.stdout
