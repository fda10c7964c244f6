"""`--until-decided`: no more is asked than it takes, and what is concluded is a function of the stored facts."""

from __future__ import annotations

import hashlib
import json
import random
import re
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import COMMAND, Cli, answers, clean_environment, write_jsonl, write_suite
from endpoint import Body, Endpoint, answers_of, nonce_of, prompt_of
from sciexam.battles import in_drawn_order, pair
from sciexam.errors import Interrupted, UsageError
from sciexam.exam.plan import conversations_of, make_plan, presentations_of
from sciexam.exam.reporting import report as recount
from sciexam.exam.tally import Progress
from sciexam.exam.until import ROUND, Until
from sciexam.models.terms import USUAL
from sciexam.report.record import Pair, Report
from sciexam.stats import Undefined, decide
from sciexam.store import Store
from sciexam.types import Presentation, Reply, Response, Verdict

N = 200


def drawn(*words: object) -> float:
    """A number in [0, 1) that the words draw."""
    return int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:8]) / 2**64


def live(url: str, model: str, **more: Any) -> dict[str, Any]:
    return {"backend": "openai", "base_url": url, "api_key_env": None, "model": model} | more


@dataclass
class Judging:
    """An endpoint's behaviour: contestants say who they are, and the judge prefers the later model at a set rate.

    `rate`: how often, by the model of the judge; drawn from the question and `seed`, alike in both orders. `slow`:
    seconds that a verdict takes where the later model wins. `spoil`: the share of questions without a usable verdict.
    """

    rate: Mapping[str, float]
    seed: int = 0
    slow: float = 0.0
    spoil: float = 0.0

    def __call__(self, body: Body) -> str:
        model = str(body["model"])
        nonce = nonce_of(prompt_of(body))
        if nonce is None:
            return f"{model} says why: {body['messages'][-1]['content']}"
        said = answers_of(prompt_of(body))
        question = re.findall(r"thing (\d+)", said[0])[0]
        if drawn("spoil", question) < self.spoil:
            return "Who can say?"
        later = max(said)  # the names of the models are in the order of the alphabet
        wins = drawn(self.seed, question, min(said)[:1], later[:1]) < self.rate[model]
        if wins and self.slow:
            time.sleep(self.slow)
        best = later if wins else min(said)
        return f"So.\nVERDICT {nonce}: {'A>B' if best == said[0] else 'B>A'}"


def exam(
    folder: Path, url: str, names: tuple[str, ...] = ("a", "b"), n: int = N, judges: int = 1, **more: Any
) -> sx.Suite:
    models = {name: live(url, name) for name in names}
    panel = {f"llm{i}": live(url, f"judge-{i}") for i in range(judges)}
    return sx.load_suite(str(write_suite(folder, n, models, judges=panel)))


def held(folder: Path, suite: sx.Suite, *names: str, **more: Any) -> Report:
    return sx.compare(suite, *names, until_decided=True, results=folder / "results", **more)


def only(report: Report) -> Pair:
    (found,) = report.pairs
    return found


def stop_of(pair: Pair) -> tuple[str, int, bool]:
    assert pair.stop is not None
    return pair.conclusion, pair.stop.prompts, pair.stop.finished


class Coin:
    """A judge that prefers the later answer at a set rate, whatever is asked; alike in both orders."""

    sees_order = False

    def __init__(self, rate: float, seed: int, name: str = "coin"):
        self.name, self.rate, self.seed = name, rate, seed

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for p in presentations:
            wins = drawn(self.seed, p.prompt.id[1:], min(p.first, p.second)[:1], max(p.first, p.second)[:1]) < self.rate
            best = max(p.first, p.second) if wins else min(p.first, p.second)
            yield p.verdict(self.name, "first" if p.first == best else "second")


def recorded(folder: Path, n: int, names: tuple[str, ...] = ("a", "b"), **more: Any) -> sx.Suite:
    models = {name: {"responses": answers(folder, name, [f"{name} says {i}" for i in range(n)])} for name in names}
    return sx.load_suite(str(write_suite(folder, n, models, **more)))


def expected(suite: sx.Suite, rate: float, k: int = 1, seed: int = 0, names: str = "ab") -> Any:
    """What `stats.decide` says of the verdicts that `Judging` and `Coin` give on all prompts, in the drawn order."""
    prompts = in_drawn_order(suite.prompts, suite.seed)
    scores = [float(drawn(seed, prompt.id[1:], *names) < rate) for prompt in prompts]
    return decide(scores, level=1 - 0.05 / k)


def asked(endpoint: Endpoint) -> dict[str, int]:
    return dict(Counter(str(body["model"]) for body in endpoint.received))


# ---------------------------------------------------------------- what it saves, and what it says


def test_a_clear_difference_takes_about_half_of_the_calls(tmp_path: Path) -> None:
    """800 calls are planned. At a true rate of .70 the draw decides after 103 of 200 prompts, and 412 would do."""
    with Endpoint(Judging({"judge-0": 0.70})) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        report = held(tmp_path, suite)
        known = expected(suite, 0.70)
        assert stop_of(only(report)) == ("better", known.prompts, True) == ("better", 103, True)
        made = asked(endpoint)
        for name in ("a", "b"):
            assert 0 <= made[name] - known.prompts <= 2 * ROUND
        assert 0 <= made["judge-0"] - 2 * known.prompts <= 2 * 2 * ROUND
        assert report.calls.made == endpoint.requests <= 0.6 * 4 * N
    with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:  # what was in flight came back, and was kept
        assert raw.execute("SELECT count(*) FROM replies").fetchone() == (endpoint.requests,)


def test_the_estimate_is_the_sequence_and_no_figure_is_of_a_fixed_number(tmp_path: Path) -> None:
    with Endpoint(Judging({"judge-0": 0.80})) as endpoint:
        suite = exam(tmp_path, endpoint.url, n=100)
        report = held(tmp_path, suite)
    found, known = only(report), expected(suite, 0.80)
    assert found.win_rate == known.estimate
    assert found.win_rate.method == "confidence sequence by betting, valid at every look, over prompts"
    assert (found.p_value, found.p_holm) == (known.p, known.p)
    assert found.sentence.endswith(f", ties half: better, decided after {known.prompts} of 100 prompts.")
    assert found.wins + found.ties + found.losses == found.used == known.estimate.n
    assert (found.bounds, found.power, found.categories) == (None, None, ())
    for figure in (found.preference, found.length.longer_wins, found.length.controlled):
        assert isinstance(figure, Undefined)
        assert figure.why == "the number of prompts followed the outcome, and its interval would need a fixed one"
    assert found.order_consistency.method.startswith("approximate, since the number of prompts followed the outcome: ")
    assert found.position_bias.method.startswith("approximate, ")
    assert any(line.startswith("The prompts ended where the sequence was decided: ") for line in report.caveats)
    assert len(report.items) == known.prompts < 60


def test_the_same_command_and_the_report_find_the_same_without_a_call(tmp_path: Path) -> None:
    with Endpoint(Judging({"judge-0": 0.80})) as endpoint:
        suite = exam(tmp_path, endpoint.url, n=100)
        report = held(tmp_path, suite)
        made = endpoint.requests
        again = held(tmp_path, suite)
        counted = recount(report.run, results=tmp_path / "results")
        assert endpoint.requests == made
    assert again.pairs == counted.pairs == report.pairs
    assert again.items == counted.items == report.items
    assert again.run == report.run


def test_a_ledger_that_holds_all_verdicts_is_read_up_to_the_decision(tmp_path: Path) -> None:
    with Endpoint(Judging({"judge-0": 0.75})) as endpoint:
        suite = exam(tmp_path, endpoint.url, n=80)
        fixed = sx.compare(suite, results=tmp_path / "results")
        made = endpoint.requests
        report = held(tmp_path, suite)
        assert endpoint.requests == made == 4 * 80
    assert stop_of(only(report)) == ("better", expected(suite, 0.75).prompts, True)
    assert only(report).used < only(fixed).used == 80
    assert report.run != fixed.run


def test_without_a_decision_all_prompts_are_used(tmp_path: Path) -> None:
    suite = recorded(tmp_path, 40)
    found = only(held(tmp_path, suite, judges=[Coin(0.5, 3)]))
    assert stop_of(found) == ("undecided", 40, True)
    assert found.sentence.endswith("ties half: undecided after 40 of 40 prompts.")


def test_worse_is_decided_as_better_is(tmp_path: Path) -> None:
    suite = recorded(tmp_path, 60)
    found = only(held(tmp_path, suite, judges=[Coin(0.1, 0)]))
    assert stop_of(found) == ("worse", expected(suite, 0.1).prompts, True)
    assert found.stop.prompts < 60


class Undecided(Coin):
    """A judge for whom everything is a tie."""

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        for p in presentations:
            yield p.verdict(self.name, "tie")


def test_a_margin_lets_it_stop_at_equivalence(tmp_path: Path) -> None:
    suite = recorded(tmp_path, 150)
    found = only(held(tmp_path, suite, judges=[Undecided(0.5, 0)], margin=0.1))
    known = decide([0.5] * 150, margin=0.1)
    assert stop_of(found) == ("equivalent", known.prompts, True)
    assert found.stop.prompts < 150
    assert only(held(tmp_path, suite, judges=[Undecided(0.5, 0)])).conclusion == "undecided"


# ---------------------------------------------------------------- the error rate


@pytest.mark.slow
def test_between_equals_a_decision_is_as_rare_as_the_level_says(tmp_path: Path) -> None:
    """300 exams of 60 prompts, whose verdicts come in an order that goes with the outcome. 23 or more errors would have
    a probability of 2 % were the rate .05 (binomial); what is bound by .05 is the chance to err at any look at all."""
    suite = recorded(tmp_path, 60)
    plan, _ = make_plan(suite, (), [Coin(0.5, 0)], None, "mean", None, "category", None, USUAL, until_decided=True)
    (rater,) = plan.raters
    wrong = 0
    with Store(tmp_path / "ledger.sqlite") as store:
        replies = {
            name: {slot: Response(*slot, Reply(c.key, f"{name} {slot[1]}")) for slot, c in conversations_of(plan, name)}
            for name in plan.contestants
        }
        shown = [
            next(iter(presentations_of(plan, rater, c, store)))
            for c in pair(plan.prompts, plan.pairs, 1, replies["a"] | replies["b"])
        ]
        for seed in range(300):
            until = Until(plan, store)
            for name in plan.contestants:
                until.answered(name, plan.prompts, replies[name])
            wins = {p.key: drawn("null", seed, p.prompt.id) < 0.5 for p in shown}
            for p in sorted(shown, key=lambda p: wins[p.key]):  # all that b loses come first
                until.settled(rater, p.verdict("coin", "second" if wins[p.key] else "first"))
            wrong += until.decided
    assert wrong <= 22
    assert wrong > 0, "a sequence that never errs in 300 exams was not watched"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_between_equals_whole_runs_err_as_rarely(tmp_path: Path) -> None:
    """200 runs of `compare` over 60 prompts; 16 or more errors would have a probability of 4 % were the rate .05."""
    suite = recorded(tmp_path, 60)
    wrong = sum(only(held(tmp_path, suite, judges=[Coin(0.5, seed)])).conclusion != "undecided" for seed in range(200))
    print(wrong)
    assert wrong <= 15


@pytest.mark.slow
def test_slow_verdicts_for_one_side_do_not_move_the_stop(tmp_path: Path) -> None:
    stops = []
    for name, slow in (("even", 0.0), ("slow", 0.15)):
        with Endpoint(Judging({"judge-0": 0.72}, slow=slow)) as endpoint:
            suite = exam(tmp_path / name, endpoint.url, n=100)
            stops.append(stop_of(only(held(tmp_path / name, suite))))
    assert stops[0] == stops[1] == ("better", expected(suite, 0.72).prompts, True)


# ---------------------------------------------------------------- what may happen on the way


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_stop(tmp_path: Path) -> None:
    with Endpoint(Judging({"judge-0": 0.70}), latency=0.02) as endpoint:
        exam(tmp_path, endpoint.url)
        command = [str(COMMAND), "compare", "--suite", "exam.yaml", "--until-decided", "--quiet"]
        running = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stderr=subprocess.PIPE)
        while endpoint.requests < 150:
            time.sleep(0.01)
        running.kill()
        running.communicate()
        run = sqlite3.connect(tmp_path / "results" / "ledger.sqlite").execute("SELECT run FROM runs").fetchone()[0]
        half = only(recount(run, results=tmp_path / "results"))
        assert (half.conclusion, half.stop.finished) == ("undecided", False)
        assert 0 < half.stop.prompts < 103
        assert f"undecided so far, after {half.stop.prompts} of 200 prompts." in half.sentence
        report = held(tmp_path, sx.load_suite(str(tmp_path / "exam.yaml")))
        assert stop_of(only(report)) == ("better", 103, True)
        assert (report.run, endpoint.requests <= 0.62 * 4 * N) == (run, True)


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_goes_on_to_the_same_stop(tmp_path: Path) -> None:
    stop = threading.Event()

    def enough(progress: Progress) -> None:
        if progress.verdicts > 40:
            stop.set()

    with Endpoint(Judging({"judge-0": 0.70})) as endpoint:
        suite = exam(tmp_path, endpoint.url)
        with pytest.raises(Interrupted):
            held(tmp_path, suite, stop=stop, progress=enough)
        assert stop_of(only(held(tmp_path, suite))) == ("better", 103, True)
        assert endpoint.stats()["billed_twice"] == 0


def test_a_shuffled_file_of_prompts_gives_the_same_stop(tmp_path: Path) -> None:
    suite = recorded(tmp_path, 80)
    before = only(held(tmp_path, suite, judges=[Coin(0.8, 1)]))
    lines = (tmp_path / "prompts.jsonl").read_text().splitlines(keepends=True)
    random.Random(5).shuffle(lines)
    (tmp_path / "prompts.jsonl").write_text("".join(lines))
    shuffled = sx.load_suite(str(tmp_path / "exam.yaml"))
    assert [p.id for p in shuffled.prompts] != [p.id for p in suite.prompts]
    after = only(held(tmp_path / "again", shuffled, judges=[Coin(0.8, 1)]))
    assert (after.stop, after.win_rate, after.p_value) == (before.stop, before.win_rate, before.p_value)
    assert before.stop.prompts < 80


def test_a_group_is_one_unit_and_counts_when_all_of_it_is_there(tmp_path: Path) -> None:
    n = 120
    rows = [{"id": f"q{i}", "text": f"Why does thing {i} happen?", "group": f"g{i % 50}"} for i in range(n)]
    recorded(tmp_path, n)
    write_jsonl(tmp_path / "prompts.jsonl", rows)
    suite = sx.load_suite(str(tmp_path / "exam.yaml"))
    found = only(held(tmp_path, suite, judges=[Coin(0.8, 2)]))
    prompts = in_drawn_order(suite.prompts, suite.seed)
    scores = [float(drawn(2, prompt.id[1:], "a", "b") < 0.8) for prompt in prompts]
    known = decide(scores, [prompt.group for prompt in prompts])
    assert stop_of(found) == ("better", known.prompts, True)
    assert found.win_rate == known.estimate
    assert found.win_rate.n == known.stopped_at < 50
    assert "over groups" in found.win_rate.method


@pytest.mark.slow
def test_pairs_and_judges_are_corrected_for_and_each_is_asked_until_it_is_decided(tmp_path: Path) -> None:
    """Three contestants by two judges, one of which hardly sees a difference: k = 6."""
    with Endpoint(Judging({"judge-0": 0.95, "judge-1": 0.55})) as endpoint:
        suite = exam(tmp_path, endpoint.url, ("a", "b", "c"), n=60, judges=2)
        report = held(tmp_path, suite, judges=["llm0", "llm1"])
        made = asked(endpoint)
    assert len(report.pairs) == 6
    read = {"llm0": 0, "llm1": 0}
    for found in report.pairs:
        rate = 0.95 if found.judge == "llm0" else 0.55
        known = expected(suite, rate, k=6, names=found.a + found.b)
        assert stop_of(found) == (known.conclusion, known.prompts, True)
        assert (found.win_rate, found.win_rate.level) == (known.estimate, 1 - 0.05 / 6)
        assert (found.p_value, found.p_holm) == (known.p, min(1.0, 6 * known.p))
        read[found.judge] += found.stop.prompts
    assert {found.conclusion for found in report.pairs if found.judge == "llm0"} == {"better"}
    assert read["llm0"] < 3 * 30
    assert made["judge-0"] <= 2 * (read["llm0"] + 3 * ROUND)
    assert made["judge-1"] <= 2 * (read["llm1"] + 3 * 2 * ROUND)


def test_unusable_verdicts_are_passed_over_and_counted(tmp_path: Path) -> None:
    with Endpoint(Judging({"judge-0": 0.75}, spoil=0.1)) as endpoint:
        suite = exam(tmp_path, endpoint.url, n=120)
        found = only(held(tmp_path, suite))
    prompts = in_drawn_order(suite.prompts, suite.seed)
    usable = [prompt for prompt in prompts if drawn("spoil", prompt.id[1:]) >= 0.1]
    known = decide([float(drawn(0, prompt.id[1:], "a", "b") < 0.75) for prompt in usable])
    assert (found.conclusion, found.used) == ("better", known.stopped_at)
    assert found.stop.prompts == prompts.index(usable[known.stopped_at - 1]) + 1
    assert found.used + found.invalid == found.stop.prompts
    assert found.verdicts["invalid"] == 2 * found.invalid > 0
    assert found.reasons


def test_failed_calls_are_asked_for_again_before_it_goes_on(tmp_path: Path) -> None:
    """Every 400 is a failure for good in that run; the next run finds a server that answers."""
    judging = Judging({"judge-0": 0.75})
    with Endpoint(judging) as endpoint:
        suite = exam(tmp_path, endpoint.url, n=80)

        def sometimes(body: Body) -> Any:
            said = judging(body)
            question = re.findall(r"thing (\d+)", prompt_of(body))[-1]
            return {"error": {"message": "no", "code": 400}} if drawn("fail", question) < 0.1 else said

        endpoint.reply = sometimes
        first = only(held(tmp_path, suite))
        assert first.failed > 0
        endpoint.reply = judging
        found = only(held(tmp_path, suite))
    assert found.failed == 0
    assert stop_of(found) == ("better", expected(suite, 0.75).prompts, True)


def test_prompts_without_a_recorded_answer_are_passed_over(tmp_path: Path) -> None:
    suite = recorded(tmp_path, 60)
    lines = (tmp_path / "a.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "a.jsonl").write_text("".join(lines[::2]))
    found = only(held(tmp_path, suite, judges=[Coin(0.9, 0)]))
    prompts = [prompt.id for prompt in in_drawn_order(suite.prompts, suite.seed)]
    read = prompts[: found.stop.prompts]
    assert found.conclusion == "better"
    assert (found.used, found.skipped) == (sum(int(p[1:]) % 2 == 0 for p in read), sum(int(p[1:]) % 2 for p in read))


def test_two_annotators_of_a_file_are_read_round_by_round(tmp_path: Path) -> None:
    suite = recorded(tmp_path, 60)
    rows = [
        {"prompt": f"q{i}", "first": "a", "second": "b", "preferred": "second", "rater": who, "kind": "human"}
        for who in ("ann", "ben")
        for i in range(60)
    ]
    path = write_jsonl(tmp_path / "people.jsonl", rows)
    found = only(held(tmp_path, suite, judges=[str(path)]))
    assert stop_of(found) == ("better", decide([1.0] * 60).prompts, True)
    again = only(held(tmp_path, suite, judges=[str(path)]))
    assert again == found


def test_a_file_that_a_kill_left_half_read_is_read_to_its_end_before_anything_is_decided(tmp_path: Path) -> None:
    """ann always prefers b, ben is undecided: by ann alone it would be over sooner."""
    suite = recorded(tmp_path, 60)
    rows = [
        {"prompt": f"q{i}", "first": "a", "second": "b", "preferred": side, "rater": who, "kind": "human"}
        for who, side in (("ann", "second"), ("ben", "tie"))
        for i in range(60)
    ]
    path = write_jsonl(tmp_path / "people.jsonl", rows)
    before = only(held(tmp_path, suite, judges=[str(path)]))
    known = decide([0.75] * 60).prompts
    assert stop_of(before) == ("better", known, True)
    assert decide([1.0] * 60).prompts < known
    with sqlite3.connect(tmp_path / "results" / "ledger.sqlite") as raw:
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")  # they keep it append-only
        gone = raw.execute("DELETE FROM verdicts WHERE rater = (SELECT id FROM names WHERE name = ?)", (b"ben",))
        assert gone.rowcount >= known
    after = only(held(tmp_path, suite, judges=[str(path)]))
    assert (after.stop, after.win_rate) == (before.stop, before.win_rate)


def test_a_judge_that_marks_answers_one_by_one_can_decide(tmp_path: Path) -> None:
    suite = recorded(tmp_path, 60)

    class Marks:
        name = "marks"

        def grade(self, submissions: Iterable[Any]) -> Iterator[Any]:
            for s in submissions:
                yield s.grade(self.name, 2.0 if s.text.startswith("b") else 1.0)

    found = only(held(tmp_path, suite, judges=[Marks()]))
    assert stop_of(found) == ("better", decide([1.0] * 60).prompts, True)


# ---------------------------------------------------------------- what it refuses, and the command line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"judges": ["humans"]}, "--until-decided: 'humans' cannot be asked for verdicts; leave one of the two out"),
        ({"by": "group"}, "--by group: a run that stops when it is decided has no slices; leave out --until-decided"),
        ({"margin": 0.5}, "--margin: a difference of win rates between 0 and 0.5, not 0.5"),
    ],
)
def test_what_does_not_go_with_it_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    suite = recorded(tmp_path, 6)
    prompts = tuple(prompt.model_copy(update={"group": "g"}) for prompt in suite.prompts)
    with pytest.raises(UsageError) as caught:
        held(tmp_path, suite.model_copy(update={"prompts": prompts}), **options)
    assert str(caught.value) == said


@pytest.mark.parametrize("whole", ["panel", "cascade"])
def test_judges_that_judge_together_are_watched_one_by_one(tmp_path: Path, whole: str) -> None:
    fake = {"backend": "scripted", "rules": [{"say": "So."}]}
    judges = {"x": fake, "y": fake, "both": {"backend": whole, "judges": ["x", "y"]}}
    suite = recorded(tmp_path, 6, judges=judges)
    said = f"--until-decided: 'both' is a {whole}; name its judges one by one: --judge x --judge y"
    with pytest.raises(UsageError, match=re.escape(said)):
        held(tmp_path, suite, judges=["both"])


def test_on_the_command_line_a_stopped_run_is_a_result(tmp_path: Path, sciexam: Cli) -> None:
    with Endpoint(Judging({"judge-0": 0.80})) as endpoint:
        exam(tmp_path, endpoint.url, n=100)
        command = ("compare", "--suite", "exam.yaml", "--until-decided")
        done = sciexam(*command)
        made = endpoint.requests
        again = sciexam(*command, "--json")
        assert endpoint.requests == made
    assert done.returncode == 0, done.stderr
    assert re.search(r"better, decided after \d+ of\s+100 prompts", done.stdout)
    assert done.stderr.startswith("sciexam: at most 400 calls: 200 for answers, 200 for verdicts, besides retries; ")
    assert (again.returncode, again.stderr) == (0, "")
    report = json.loads(again.stdout)
    (found,) = report["pairs"]
    assert found["stop"]["finished"] is True
    assert (found["bounds"], found["power"], found["categories"]) == (None, None, [])
    counted = sciexam("report", report["run"], "--json")
    assert json.loads(counted.stdout)["pairs"] == report["pairs"]
    page = (tmp_path / "results" / "exam" / report["run"] / "report.html").read_text()
    assert "Holm" not in page
    assert "valid at every look" in page
    markdown = (tmp_path / "results" / "exam" / report["run"] / "report.md").read_text()
    assert "p (any time)" in markdown
    assert "decided after" in markdown


def test_a_run_stopped_on_its_way_says_that_it_is_not_finished(tmp_path: Path, sciexam: Cli) -> None:
    stop = threading.Event()
    with Endpoint(Judging({"judge-0": 0.5})) as endpoint:
        suite = exam(tmp_path, endpoint.url, n=60)
        with pytest.raises(Interrupted):
            held(tmp_path, suite, stop=stop, progress=lambda now: stop.set() if now.verdicts > 30 else None)
    run = next(iter(sqlite3.connect(tmp_path / "results" / "ledger.sqlite").execute("SELECT run FROM runs")))[0]
    done = sciexam("report", run)
    said = " ".join(done.stdout.split())
    assert re.search(r"ties half: undecided so far, after \d+ of 60 prompts\.", said)
    assert "Answers or verdicts on the next prompt are missing; the same command asks for them and goes on." in said
