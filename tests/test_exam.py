"""The exam from Python: any object is a judge, what is known is not asked again, and a report can be counted again."""

from __future__ import annotations

import json
import sqlite3
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import answers, write_jsonl, write_suite
from endpoint import Body, Endpoint, nonce_of, prompt_of
from sciexam.battles import pair
from sciexam.errors import Interrupted, UsageError
from sciexam.exam import reporting
from sciexam.exam.tally import Progress
from sciexam.report.calls import Calls
from sciexam.report.record import Pair, Report
from sciexam.types import Presentation, Verdict

PROMPTS = 6

asked: list[
    Presentation
] = []  # what the judges below were shown; no part of their state, which is part of who they are


@pytest.fixture(autouse=True)
def _asked_afresh() -> None:
    asked.clear()


def shorter_of(p: Presentation) -> Any:
    return "tie" if len(p.first) == len(p.second) else "first" if len(p.first) < len(p.second) else "second"


class Shorter:
    name = "shorter"

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for p in presentations:
            asked.append(p)
            yield p.verdict(rater=self.name, preferred=shorter_of(p))


def folder_suite(folder: Path, names: Sequence[str] = ("base", "sft"), prompts: int = PROMPTS, **more: Any) -> sx.Suite:
    """Recorded contestants, each with shorter answers than the one before."""
    models = {
        name: {"responses": answers(folder, name, [f"Because of {i}" + "." * (5 - place) for i in range(prompts)])}
        for place, name in enumerate(names)
    }
    return sx.load_suite(str(write_suite(folder, prompts, models, **more)))


def rows(folder: Path, query: str) -> list[Any]:
    with sqlite3.connect(folder / "results" / "ledger.sqlite") as raw:
        return raw.execute(query).fetchall()


def compare(folder: Path, suite: sx.Suite, *names: str, **more: Any) -> Report:
    return sx.compare(suite, *names, results=folder / "results", **more)


def only(report: Report) -> Pair:
    (found,) = report.pairs
    return found


def value(pair: Pair) -> float:
    assert isinstance(pair.win_rate, sx.Estimate), pair.win_rate
    return pair.win_rate.value


# ---------------------------------------------------------------- judges of one's own


def test_a_judge_is_a_name_and_one_method(tmp_path: Path) -> None:
    report = compare(tmp_path, folder_suite(tmp_path), "base", "sft", judges=[Shorter()])
    found = report.pairs["base", "sft"]
    assert (found.judge, found.judge_is, found.raters) == (
        "shorter",
        "a judge of your own, not validated",
        ("shorter",),
    )
    assert (value(found), found.used, found.wins, found.conclusion) == (1.0, PROMPTS, PROMPTS, "better")
    assert len(asked) == 2 * PROMPTS, "both orders"
    assert len(report.to_frame()) == 1


def test_three_contestants_are_three_pairs_and_each_answer_is_asked_for_once(tmp_path: Path) -> None:
    report = compare(tmp_path, folder_suite(tmp_path, ("base", "sft", "rlhf")), judges=[Shorter()])
    assert [(p.a, p.b, value(p)) for p in report.pairs] == [
        ("base", "sft", 1.0),
        ("base", "rlhf", 1.0),
        ("sft", "rlhf", 1.0),
    ]
    assert len(asked) == 3 * 2 * PROMPTS
    assert rows(tmp_path, "SELECT count(*) FROM replies") == [(3 * PROMPTS,)]


def test_every_comparison_is_put_to_the_judge_once_and_the_way_round_the_plan_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contestants come in any order, with two samples, and one reply may answer two prompts that ask the same."""
    from sciexam.exam.sitting import contestants

    walked: list[set[tuple[str, str]]] = []

    def noted(prompts: Any, pairs: Any, *rest: Any) -> Any:
        walked.append(set(pairs))
        return pair(prompts, pairs, *rest)

    monkeypatch.setattr(contestants, "pair", noted)
    names = ("e", "d", "c", "b", "a")
    questions = [{"id": f"q{i}", "text": f"Why {i % 5}?", "reference": f"{i}"} for i in range(PROMPTS)]
    assert len({question["text"] for question in questions}) == PROMPTS - 1
    script = {"backend": "scripted", "rules": [{"when": "Why (.)", "say": "So \\1."}]}
    models: dict[str, Any] = {"a": script}
    for name in names[:-1]:
        lines = [
            {"prompt": f"q{i}", "sample": sample, "text": f"{name} {i} {sample}"}
            for i in range(PROMPTS)
            for sample in range(2)
        ]
        models[name] = {"responses": write_jsonl(tmp_path / f"{name}.jsonl", lines).name}
    write_suite(tmp_path, PROMPTS, models, generation={"samples": 2})
    write_jsonl(tmp_path / "prompts.jsonl", questions)
    seen: list[Progress] = []
    suite = sx.load_suite(str(tmp_path / "exam.yaml"))
    compare(tmp_path, suite, *names, judges=[Shorter()], progress=seen.append)
    contests = list(combinations(names, 2))
    planned = Counter(
        (p.prompt.id, p.sample, *((p.first_by, p.second_by) if p.order == "ab" else (p.second_by, p.first_by)))
        for p in asked
    )
    expected = [(f"q{i}", sample, a, b) for i in range(PROMPTS) for sample in range(2) for a, b in contests]
    assert planned == dict.fromkeys(expected, 2)
    assert seen[-1].verdicts_planned == seen[-1].verdicts == 2 * len(expected)
    for pairs in walked:
        assert len(pairs) == len(names) - 1, "a reply is looked at with the contestants that it meets, and no others"
        assert set.intersection(*(set(contest) for contest in pairs))


def test_the_same_comparison_again_asks_for_nothing_and_finds_the_same(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path)
    first = compare(tmp_path, suite, judges=[Shorter()])
    asked.clear()
    again = compare(tmp_path, suite, judges=[Shorter()])
    assert asked == []
    assert replace(again, calls=first.calls) == first
    turned = compare(tmp_path, suite, "sft", "base", judges=[Shorter()])
    assert asked == [], "the pair named the other way round is the same pair"
    assert value(turned.pairs["sft", "base"]) == 0.0


def test_added_prompts_are_all_that_is_asked_for(tmp_path: Path) -> None:
    compare(tmp_path, folder_suite(tmp_path), judges=[Shorter()])
    asked.clear()
    larger = folder_suite(tmp_path, prompts=PROMPTS + 3)
    report = compare(tmp_path, larger, judges=[Shorter()])
    assert {p.prompt.id for p in asked} == {"q6", "q7", "q8"}
    assert only(report).used == PROMPTS + 3
    asked.clear()
    limited = compare(tmp_path, larger, judges=[Shorter()], limit=4)
    assert (only(limited).planned, asked) == (4, [])


def test_a_renamed_contestant_has_its_verdicts_already_because_they_are_about_texts(tmp_path: Path) -> None:
    compare(tmp_path, folder_suite(tmp_path, ("base", "sft")), judges=[Shorter()])
    asked.clear()
    report = compare(tmp_path, folder_suite(tmp_path, ("llama", "tuned")), judges=[Shorter()])
    assert asked == []
    found = report.pairs["llama", "tuned"]
    assert (found.used, value(found)) == (PROMPTS, 1.0)
    assert {(o.first, o.second) for o in report.items[0].opinions} == {("llama", "tuned"), ("tuned", "llama")}


def test_one_order_shows_each_pair_once_and_the_seed_draws_which(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path, prompts=20)
    report = compare(tmp_path, suite, judges=[Shorter()], orders="one")
    assert len(asked) == 20
    assert 0 < sum(p.first_by == "base" for p in asked) < 20
    assert only(report).used == 20
    asked.clear()
    compare(tmp_path, suite, judges=[Shorter()])
    assert len(asked) == 20, "the other order is all that both orders add"


EDITED = """
class Taste:
    name = "taste"

    def judge(self, presentations):
        for p in presentations:
            yield p.verdict(rater=self.name, preferred={expression})
"""


@pytest.mark.parametrize("typed_in", [False, True], ids=["in a file", "typed into a session"])
def test_an_edited_judge_is_another_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed_in: bool) -> None:
    """In a notebook a class has no source to read: an edited one must not be given the old one's verdicts."""

    def taste(number: int, expression: str) -> Any:
        source = EDITED.format(expression=expression)
        if typed_in:
            space: dict[str, Any] = {"__name__": "__main__"}
            exec(source, space)
            return space["Taste"]()
        monkeypatch.syspath_prepend(str(tmp_path))
        (tmp_path / f"taste{number}.py").write_text(source)
        return __import__(f"taste{number}").Taste()

    suite = folder_suite(tmp_path)
    longer = '"first" if len(p.first) > len(p.second) else "second"'
    for number, (expression, rate) in enumerate([('"tie"', 0.5), (longer, 0.0), ('"tie"', 0.5)]):
        assert value(only(compare(tmp_path, suite, judges=[taste(number, expression)]))) == rate
    assert rows(tmp_path, "SELECT count(DISTINCT key) FROM verdicts") == [(4 * PROMPTS,)], (
        "the old ones are known again"
    )


@dataclass(slots=True)
class Holder:
    """A judge with state: a threshold that matters, and a set whose order differs between processes."""

    threshold: int
    client: object = None
    words: frozenset[str] = frozenset({"alpha", "beta", "gamma"})
    name: str = "holder"

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for p in presentations:
            asked.append(p)
            yield p.verdict(self.name, "tie" if abs(len(p.first) - len(p.second)) < self.threshold else shorter_of(p))


def test_the_state_of_a_judge_makes_it_another(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path)
    assert value(only(compare(tmp_path, suite, judges=[Holder(5)]))) == 0.5
    asked.clear()
    compare(tmp_path, suite, judges=[Holder(5)])
    assert asked == []
    assert value(only(compare(tmp_path, suite, judges=[Holder(1)]))) == 1.0


def test_a_judge_whose_state_cannot_be_told_apart_is_asked_for_a_digest(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path)
    with pytest.raises(UsageError, match=r"^judge 'holder' holds a object in 'client', .* give the judge a `digest`"):
        compare(tmp_path, suite, judges=[Holder(5, client=object())])

    class Named(Shorter):
        digest = "my judge 1"
        client = object()

    assert value(only(compare(tmp_path, suite, judges=[Named()]))) in (0.0, 1.0)


def test_a_judge_that_raises_keeps_what_it_had_given(tmp_path: Path) -> None:
    class Fragile(Shorter):
        def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
            yield from islice(super().judge(presentations), 5)
            raise RuntimeError("the wire was cut")

    with pytest.raises(UsageError, match=r"^shorter raised RuntimeError at .*test_exam.py:\d+: the wire was cut$"):
        compare(tmp_path, folder_suite(tmp_path), judges=[Fragile()])
    assert rows(tmp_path, "SELECT count(*) FROM verdicts WHERE status = 0") == [(5,)]


class Reticent(Shorter):
    """Says nothing about prompt q0."""

    name = "reticent"

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for p in presentations:
            asked.append(p)
            if p.prompt.id != "q0":
                yield p.verdict(self.name, shorter_of(p))


def test_a_presentation_that_a_judge_passes_over_is_failed_and_asked_again(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path)
    report = compare(tmp_path, suite, judges=[Reticent()])
    found = only(report)
    assert (found.used, found.failed, found.skipped) == (PROMPTS - 1, 1, 0)
    assert found.reasons == {"failed: no verdict given": 1}
    assert report.incomplete
    asked.clear()
    again = only(compare(tmp_path, suite, judges=[Reticent()]))
    assert {p.prompt.id for p in asked} == {"q0"}
    assert (again.used, again.failed) == (PROMPTS - 1, 1)


def test_a_judge_that_stops_early_is_told_so_and_nothing_is_written_over_what_it_left(tmp_path: Path) -> None:
    class Early(Shorter):
        def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
            yield from super().judge(islice(presentations, 3))

    with pytest.raises(UsageError, match=r"^shorter stopped after 3 of 12; it must go through all it gets$"):
        compare(tmp_path, folder_suite(tmp_path), judges=[Early()])
    assert rows(tmp_path, "SELECT status FROM verdicts") == [(0,)] * 3


@pytest.mark.parametrize("given", ["first", None, Verdict("", "q0", "base", "sft", "odd", preferred="first")])
def test_a_judge_that_gives_back_something_else_is_told_so(tmp_path: Path, given: Any) -> None:
    class Odd:
        name = "odd"

        def judge(self, presentations: Iterable[Presentation]) -> Iterator[Any]:
            for _ in presentations:
                yield given

    with pytest.raises(UsageError, match=r"^odd gave back .*, which answers nothing that it was asked$"):
        compare(tmp_path, folder_suite(tmp_path), judges=[Odd()])
    assert rows(tmp_path, "SELECT count(*) FROM verdicts") == [(0,)]


def test_a_judge_may_skip_and_its_prompts_are_counted_as_skipped(tmp_path: Path) -> None:
    class Choosy:
        name = "choosy"

        def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
            for p in presentations:
                if p.prompt.id in ("q1", "q2"):
                    yield p.verdict(self.name, status="skipped", failure="not my field")
                else:
                    yield p.verdict(self.name, shorter_of(p))

    report = compare(tmp_path, folder_suite(tmp_path), judges=[Choosy()])
    found = only(report)
    assert (found.used, found.skipped, found.reasons) == (PROMPTS - 2, 2, {"skipped: not my field": 2})
    assert not report.incomplete


@pytest.mark.parametrize("judges", [["measures", "measures"], [Shorter(), Shorter()], ["humans", "humans"]])
def test_two_judges_of_one_name_are_refused_and_not_pooled(tmp_path: Path, judges: list[Any]) -> None:
    with pytest.raises(UsageError, match=r"two judges are called '\w+'; name each once, and no two the same"):
        compare(tmp_path, folder_suite(tmp_path), judges=judges)


# ---------------------------------------------------------------- the ledger and the report


def test_a_report_counted_again_from_the_ledger_is_the_same_but_for_the_calls(tmp_path: Path) -> None:
    """Null fields of a prompt and a suite without a baseline have to survive the way through the manifest."""
    folder_suite(tmp_path)
    lines = [{"id": f"q{i}", "text": f"Why {i}?", "level": None, "source": {"url": None}} for i in range(PROMPTS)]
    write_jsonl(tmp_path / "prompts.jsonl", lines)
    verdicts = [{"prompt": "q0", "first": "base", "second": "sft", "preferred": "second", "strength": "clear"}]
    verdicts += [{"prompt": "q1", "first": "sft", "second": "base", "failure": "refused"}]
    write_jsonl(tmp_path / "v.jsonl", verdicts)
    suite = sx.load_suite(str(tmp_path / "exam.yaml"))
    made = compare(
        *(tmp_path, suite),
        judges=["measures", str(tmp_path / "v.jsonl"), Shorter()],
        policy="conservative",
        margin=0.1,
        by="source",
        limit=5,
    )
    for run in (made.run, made.run[:6]):
        again = reporting.report(run, results=tmp_path / "results")
        assert replace(again, calls=made.calls) == made
        assert again.calls == Calls(usd=None, recounted=True)
    assert made.pairs["base", "sft", "v"].reasons == {"skipped: no recorded verdict": 3, "invalid: refused": 1}
    with pytest.raises(UsageError, match=r"'xyz' is not a run in .*ledger\.sqlite; the latest comparisons are"):
        reporting.report("xyz", results=tmp_path / "results")


def test_prompts_of_one_text_keep_their_own_recorded_answers(tmp_path: Path) -> None:
    folder_suite(tmp_path)
    lines = [{"id": f"q{i}", "text": "Why?", "reference": f"{i}"} for i in range(PROMPTS)]
    write_jsonl(tmp_path / "prompts.jsonl", lines)
    report = compare(tmp_path, sx.load_suite(str(tmp_path / "exam.yaml")), judges=[Shorter()])
    assert [item.answers[0].text for item in report.items] == [f"Because of {i}....." for i in range(PROMPTS)]
    assert isinstance(only(report).win_rate, sx.Undefined), "and are one piece of evidence"


def test_what_decides_a_run_is_in_its_id(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path)
    plain: dict[str, Any] = {"judges": [Shorter()]}
    changes = [{}, {"policy": "conservative"}, {"margin": 0.1}, {"limit": 3}, {"by": "group"}, {"orders": "one"}]
    write_jsonl(tmp_path / "prompts.jsonl", [{"id": f"q{i}", "text": f"Why {i}?", "group": "g"} for i in range(6)])
    suite = sx.load_suite(str(tmp_path / "exam.yaml"))
    runs = [compare(tmp_path, suite, **plain | change).run for change in changes]
    assert len(set(runs)) == len(runs)
    assert compare(tmp_path, suite, **plain).run == runs[0]


def test_a_stop_ends_the_exam_and_what_was_given_is_kept(tmp_path: Path) -> None:
    stop = threading.Event()

    class Stopping(Shorter):
        def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
            for number, verdict in enumerate(super().judge(presentations), 1):
                if number == 3:
                    stop.set()
                yield verdict

    suite = folder_suite(tmp_path)
    with pytest.raises(Interrupted, match=r"^stopped at 3/12 verdicts; run the same command to go on$"):
        compare(tmp_path, suite, judges=[Stopping()], stop=stop)
    assert rows(tmp_path, "SELECT status FROM verdicts") == [(0,)] * 3
    asked.clear()
    stop.clear()
    seen: list[Progress] = []
    report = compare(tmp_path, suite, judges=[Stopping()], progress=seen.append)
    assert len(asked) == 2 * PROMPTS - 3
    assert only(report).used == PROMPTS
    assert (seen[-1].verdicts, seen[-1].verdicts_planned) == (12, 12), "what was stored before counts too"


def test_samples_meet_one_by_one_and_are_averaged_by_prompt(tmp_path: Path) -> None:
    folder_suite(tmp_path, generation={"samples": 2})
    for name, long in (("base", "xx"), ("sft", "x")):
        lines = [
            {"prompt": f"q{i}", "sample": sample, "text": long * (1 + sample if name == "sft" else 2 - sample)}
            for i in range(PROMPTS)
            for sample in range(2)
        ]
        write_jsonl(tmp_path / f"{name}.jsonl", lines)
    # Sample 0: xxxx against x, won by the shorter; sample 1: xx against xx, a tie.
    report = compare(tmp_path, sx.load_suite(str(tmp_path / "exam.yaml")), judges=[Shorter()])
    found = only(report)
    assert (value(found), found.used, found.planned, found.wins) == (0.75, PROMPTS, PROMPTS, PROMPTS)
    assert [(a.contestant, a.sample, a.text) for a in report.items[0].answers] == [
        *[("base", 0, "xxxx"), ("base", 1, "xx")],
        *[("sft", 0, "x"), ("sft", 1, "xx")],
    ]


def test_a_margin_makes_many_ties_equivalent(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path, prompts=60)
    judge = Holder(99, None)
    assert only(compare(tmp_path, suite, judges=[judge])).conclusion == "undecided"
    report = compare(tmp_path, suite, judges=[judge], margin=0.15)
    assert (only(report).conclusion, report.margin) == ("equivalent", 0.15)


# ---------------------------------------------------------------- LLM judges


def test_a_scripted_llm_judge_goes_the_whole_way(tmp_path: Path) -> None:
    """The script repeats the nonce of the prompt's first verdict line, so it always says that A is better."""
    said = "A is terse.\nVERDICT \\1: A>B"
    judges = {"llm": {"backend": "scripted", "rules": [{"when": "VERDICT (\\w+): A>>B", "say": said}]}}
    report = compare(tmp_path, folder_suite(tmp_path, judges=judges))
    found = only(report)
    assert (found.judge, found.judge_is) == ("llm", "a scripted fake, not a judge")
    assert (value(found), found.ties) == (0.5, PROMPTS)
    for figure, expected in ((found.position_bias, 1.0), (found.order_consistency, 0.0), (found.preference, 0.0)):
        assert isinstance(figure, sx.Estimate)
        assert figure.value == expected
    opinion = report.items[0].opinions[0]
    assert (opinion.preferred, opinion.strength, opinion.reason) == ("base", "clear", "A is terse.")


def test_a_rubric_edited_where_no_prompt_shows_it_asks_an_llm_nothing_again(tmp_path: Path) -> None:
    rule = {"when": "VERDICT (\\w+): A>>B", "say": "So.\nVERDICT \\1: A=B"}
    suite = folder_suite(tmp_path, judges={"llm": {"backend": "scripted", "rules": [rule]}})
    compare(tmp_path, suite)
    before = rows(tmp_path, "SELECT hex(key), at FROM verdicts")
    assert len(before) == 2 * PROMPTS
    criteria = tuple(criterion.model_copy(update={"measure": "clarity"}) for criterion in suite.rubric.criteria)
    assert criteria != suite.rubric.criteria
    compare(tmp_path, suite.model_copy(update={"rubric": suite.rubric.model_copy(update={"criteria": criteria})}))
    assert rows(tmp_path, "SELECT hex(key), at FROM verdicts") == before


def test_a_changed_rubric_or_template_asks_again_and_keeps_the_old_verdicts(tmp_path: Path) -> None:
    rule = {"when": "VERDICT (\\w+): A>>B", "say": "So.\nVERDICT \\1: A=B"}
    scripted = {"backend": "scripted", "rules": [rule]}
    suite = folder_suite(tmp_path, judges={"llm": scripted})
    compare(tmp_path, suite)
    before = set(rows(tmp_path, "SELECT hex(key), at FROM verdicts"))
    other = suite.model_copy(update={"rubric": suite.rubric.model_copy(update={"about": "Brevity alone."})})
    compare(tmp_path, other)
    after = set(rows(tmp_path, "SELECT hex(key), at FROM verdicts"))
    assert before < after
    assert len({key for key, _ in after}) == 2 * len(before) == 4 * PROMPTS
    (tmp_path / "mine.j2").write_text(
        "{{ question }}{{ boundary }}{{ answer_a }}{{ answer_b }}\nVERDICT {{ nonce }}: A>>B\n"
    )
    compare(tmp_path, folder_suite(tmp_path, judges={"llm": scripted | {"template": "mine.j2"}}))
    assert rows(tmp_path, "SELECT count(DISTINCT key) FROM verdicts") == [(6 * PROMPTS,)]


def cutting(keeps: Callable[[Body], bool]) -> Callable[[Endpoint], Callable[[Body], Any]]:
    """An endpoint that prefers A, and cuts a reply off after its verdict line unless `keeps` lets it pass."""

    def made(endpoint: Endpoint) -> Callable[[Body], Any]:
        def reply(body: Body) -> Any:
            text = f"Because.\nVERDICT {nonce_of(prompt_of(body))}: A>B"
            return text if keeps(body) else endpoint.body(body, text, finish="length")

        return reply

    return made


@pytest.mark.parametrize("cut_again", [False, True])
def test_a_cut_off_reply_is_asked_once_more_with_twice_the_tokens_and_is_never_read(
    tmp_path: Path, cut_again: bool
) -> None:
    with Endpoint() as endpoint:
        endpoint.reply = cutting(lambda body: not cut_again and body["max_tokens"] == 100)(endpoint)
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        judges = {"llm": spec | {"generation": {"max_tokens": 50}}}
        suite = folder_suite(tmp_path, judges=judges)
        report = compare(tmp_path, suite)
        found = only(report)
        sent = sorted(body["max_tokens"] for body in endpoint.received)
        assert sent == [50] * 2 * PROMPTS + [100] * 2 * PROMPTS
        assert len({prompt_of(body) for body in endpoint.received}) == 2 * PROMPTS, "the very same prompt"
        assert report.calls.made == 4 * PROMPTS
        if cut_again:
            assert (found.invalid, found.used, found.reasons) == (PROMPTS, 0, {"invalid: truncated": PROMPTS})
        else:
            assert (found.used, value(found)) == (PROMPTS, 0.5)
        statuses = rows(tmp_path, "SELECT attempt, status, count(*) FROM verdicts GROUP BY 1, 2 ORDER BY 1")
        assert statuses == [(0, 1, 2 * PROMPTS), (1, 1 if cut_again else 0, 2 * PROMPTS)]
        again = compare(tmp_path, suite)
        assert (again.calls.made, again.calls.reused) == (0, 2 * PROMPTS)
        assert endpoint.requests == 4 * PROMPTS


# ---------------------------------------------------------------- recorded and human verdicts


def recorded(rater: str, preferred: str, kind: str = "judge", both: bool = True, count: int = PROMPTS) -> list[Any]:
    """`rater` prefers one contestant on every prompt, in one order or in both."""
    orders = [("base", "sft"), ("sft", "base")] if both else [("base", "sft")]
    return [
        {"prompt": f"q{i}", "first": first, "second": second, "rater": rater, "kind": kind}
        | {"preferred": "first" if first == preferred else "second"}
        for i in range(count)
        for first, second in orders
    ]


def test_two_judges_in_one_file_are_two_rows_and_two_annotators_are_one(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path)
    lines = recorded("gpt-4", "sft") + recorded("claude", "base")
    lines += recorded("ann", "sft", "human", both=False) + recorded("bob", "base", "human", both=False, count=3)
    path = write_jsonl(tmp_path / "mixed.jsonl", lines)
    report = compare(tmp_path, suite, judges=[str(path)])
    assert [(p.judge, p.raters, value(p), p.judge_is) for p in report.pairs] == [
        ("gpt-4", ("gpt-4",), 1.0, "recorded verdicts, not validated"),
        ("claude", ("claude",), 0.0, "recorded verdicts, not validated"),
        ("mixed", ("ann", "bob"), 0.75, "2 annotators, recorded"),
    ]
    assert report.pairs["base", "sft", "mixed"].ties == 3


def test_a_file_of_one_order_is_used_and_says_that_the_bias_cannot_be_told(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "one.jsonl", recorded("gpt-4", "sft", both=False))
    found = only(compare(tmp_path, folder_suite(tmp_path), judges=[str(path)]))
    assert (found.judge, found.used, found.skipped, value(found)) == ("one", PROMPTS, 0, 1.0)
    assert isinstance(found.order_consistency, sx.Undefined)
    assert isinstance(found.position_bias, sx.Undefined)
    assert "same order" in found.position_bias.why


def test_humans_are_everyone_whose_verdicts_are_in_the_ledger(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path)
    with pytest.raises(UsageError, match=r"holds no human verdict on base, sft; let people judge them"):
        compare(tmp_path, suite, judges=["humans"])
    ann = write_jsonl(tmp_path / "ann.jsonl", recorded("ann", "sft", "human", both=False, count=4))
    compare(tmp_path, suite, judges=[str(ann), "measures", Shorter()])
    alone = only(compare(tmp_path, suite, judges=["humans"]))
    assert (alone.judge, alone.judge_is, alone.raters) == ("humans", "1 annotator", ("ann",))
    assert (value(alone), alone.used, alone.skipped) == (1.0, 4, 2)
    bob = write_jsonl(tmp_path / "bob.jsonl", recorded("bob", "base", "human", both=False))
    compare(tmp_path, suite, judges=[str(bob)])
    pooled = only(compare(tmp_path, suite, judges=["humans"]))
    assert (pooled.judge_is, pooled.raters, pooled.used) == ("2 annotators", ("ann", "bob"), PROMPTS)
    assert (pooled.ties, pooled.losses) == (4, 2)


def test_a_corrected_file_of_human_verdicts_replaces_what_it_corrects(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path)
    for preferred in ("base", "sft"):
        path = write_jsonl(tmp_path / "ann.jsonl", recorded("ann", preferred, "human", both=False))
        compare(tmp_path, suite, judges=[str(path)])
    assert value(only(compare(tmp_path, suite, judges=["humans"]))) == 1.0


def test_a_human_verdict_counts_in_every_pair_that_shows_its_texts(tmp_path: Path) -> None:
    folder_suite(tmp_path, ("base", "sft", "rlhf"))
    (tmp_path / "rlhf.jsonl").write_bytes((tmp_path / "sft.jsonl").read_bytes())
    suite = sx.load_suite(str(tmp_path / "exam.yaml"))
    path = write_jsonl(tmp_path / "ann.jsonl", recorded("ann", "sft", "human", both=False))
    compare(tmp_path, suite, "base", "sft", judges=[str(path)])
    report = compare(tmp_path, suite, "base", "sft", "rlhf", judges=["humans"])
    assert [(p.b, p.used) for p in report.pairs if p.a == "base"] == [("sft", PROMPTS), ("rlhf", PROMPTS)]


# ---------------------------------------------------------------- models of one's own


def test_a_model_of_ones_own_is_asked_once_and_its_silence_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        from sciexam.types import Reply

        class Terse:
            def __init__(self, silent):
                self.digest = f"terse {silent}"
                self.silent = silent

            def generate(self, conversations):
                for c in conversations:
                    if c.prompt != self.silent:
                        yield Reply(c.key, "So.")
    """
    (tmp_path / "my_models.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_models", raising=False)
    terse = {"backend": "my_models:Terse", "settings": {"silent": "q1"}}
    base = {"responses": answers(tmp_path, "base", ["Because of it."] * PROMPTS)}
    suite = sx.load_suite(str(write_suite(tmp_path, PROMPTS, {"base": base, "terse": terse})))
    report = compare(tmp_path, suite, judges=[Shorter()])
    found = only(report)
    assert (found.used, value(found), found.failed) == (PROMPTS - 1, 1.0, 1)
    assert found.reasons == {"failed: terse: no reply given": 1}
    assert json.loads((tmp_path / "results/exam" / report.run / "report.json").read_text())["pairs"][0]["failed"] == 1


def test_a_suite_of_one_contestant_or_a_doubled_one_is_refused(tmp_path: Path) -> None:
    suite = folder_suite(tmp_path)
    with pytest.raises(UsageError, match="a comparison needs two contestants"):
        compare(tmp_path, suite, "base")
    with pytest.raises(UsageError, match="a contestant is named twice"):
        compare(tmp_path, suite, "base", "sft", "base")
    with pytest.raises(UsageError, match=r"'gpt' is not a model of suite 'exam'"):
        compare(tmp_path, suite, "base", "gpt")
