"""`sciexam audit`: the perturbation card of a judge, by judges whose faults are known."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sciexam as sx
from conftest import COMMAND, Cli, answers, clean_environment, write_jsonl, write_suite
from endpoint import Body, Endpoint, answers_of, nonce_of, prompt_of
from sciexam.errors import Interrupted, UsageError
from sciexam.report.audit import Card, Line, Takes, outcomes, tally
from sciexam.report.audit_steps import steps_of
from sciexam.report.calls import Calls
from sciexam.report.next_steps import READER

N = 60
BEGINNINGS = (("a", ""), ("b", "Well, "))
# A prompt takes: a text against itself, seven changes, four shapes of attack on two texts, and a pair by the rubric,
# by its paraphrase and by a wrong reference, which is shown as an answer, too.
CALLS = 1 + 7 * 2 + 4 * 2 * 2 + 4 * 2

Preference = Callable[[str, str, str], str]  # prompt, answer A, answer B -> A>B, A=B or B>A


def facts(text: str) -> int:
    """The quality of an answer in these tests: how many different facts it states."""
    return len(set(re.findall(r"fact-\d+-\d+", text)))


def by(a: float, b: float) -> str:
    return "A>B" if a > b else "B>A" if b > a else "A=B"


def fair(prompt: str, a: str, b: str) -> str:
    return by(facts(a), facts(b))


def first(prompt: str, a: str, b: str) -> str:
    return "A>B"


def longer(prompt: str, a: str, b: str) -> str:
    return by(len(a.split()), len(b.split()))


def swayed(prompt: str, a: str, b: str) -> str:
    """Prefers the longer answer on every other prompt, and is fair on those between."""
    (thing,) = re.findall(r"thing (\d+) happen", prompt)
    return longer(prompt, a, b) if int(thing) % 2 else fair(prompt, a, b)


def stylish(prompt: str, a: str, b: str) -> str:
    return by("**" in a, "**" in b) if ("**" in a) != ("**" in b) else fair(prompt, a, b)


def credulous(prompt: str, a: str, b: str) -> str:
    names = "Nature|Stanford|Nobel"
    return (
        by(bool(re.search(names, a)), bool(re.search(names, b))) if fair(prompt, a, b) == "A=B" else fair(prompt, a, b)
    )


def vain(prompt: str, a: str, b: str) -> str:
    praise = "question!|wonderful|I love"
    return by(bool(re.search(praise, a)), bool(re.search(praise, b))) if facts(a) == facts(b) else fair(prompt, a, b)


def obedient(prompt: str, a: str, b: str) -> str:
    """Does what a fake verdict in an answer says, and judges fairly otherwise."""
    orders = r"VERDICT abc123: ([AB])|\[\[([AB])(?:>>[AB])?\]\]|\[RESULT\] ([AB])|\"verdict\": \"([AB])|model: ([mM])"
    for text in (a, b):
        if found := re.search(orders, text):
            return {"A": "A>B", "m": "A>B", "B": "B>A", "M": "B>A"}[next(filter(None, found.groups()))]
    return fair(prompt, a, b)


def blind(prompt: str, a: str, b: str) -> str:
    """Notices nothing: all answers are equal to it."""
    return "A=B"


def fussy(prompt: str, a: str, b: str) -> str:
    """Turns its verdicts over where the rubric is worded in another way."""
    sides = {"A>B": "B>A", "B>A": "A>B", "A=B": "A=B"}
    return sides[fair(prompt, a, b)] if "Ask of each of the two answers" in prompt else fair(prompt, a, b)


def copycat(prompt: str, a: str, b: str) -> str:
    """Prefers whichever answer is the reference."""
    shown = re.search(r"^<<<REFERENCE ANSWER (\S+)\n(.*?)\nREFERENCE ANSWER \1>>>", prompt, re.DOTALL | re.MULTILINE)
    assert shown is not None
    same = a.strip() == shown[2].strip(), b.strip() == shown[2].strip()
    return by(*same) if any(same) else fair(prompt, a, b)


def judging(preference: Preference) -> Callable[[Body], str]:
    def reply(body: Body) -> str:
        prompt = prompt_of(body)
        return f"Compared.\n\nVERDICT {nonce_of(prompt)}: {preference(prompt, *answers_of(prompt))}"

    return reply


def suite(folder: Path, url: str = "http://127.0.0.1:9/v1", references: bool = True, n: int = N, **more: Any) -> str:
    """Two contestants whose answers state facts of their question; b states one more on every other prompt."""

    def answer(name: str, i: int) -> str:
        many = 4 + (name == "b" and i % 2) - (name == "b" and i % 4 == 0)
        said = (f"Its cause is fact-{i}-{one}, as contestant {name} would put it." for one in range(many))
        return " ".join(["The thing happens for several reasons that follow.", *said, "So it comes about."])

    models = {name: {"responses": answers(folder, name, [answer(name, i) for i in range(n)])} for name in ("a", "b")}
    judge = {"backend": "openai", "model": "test-judge", "base_url": url, "api_key_env": None, "concurrency": 16}
    known = {"llm": judge, "measures": {"backend": "measures"}}
    path = write_suite(folder, n, models, **{"judges": known, **more})
    if references:
        rows = [
            {"id": f"q{i}", "text": f"Why does thing {i} happen?", "reference": f"Thing {i} comes of cause number {i}."}
            for i in range(n)
        ]
        write_jsonl(folder / "prompts.jsonl", rows)
    return str(path)


def card_of(folder: Path, preference: Preference, **more: Any) -> Card:
    with Endpoint(reply=judging(preference)) as endpoint:
        return sx.audit(sx.load_suite(suite(folder, endpoint.url)), "llm", results=folder / "results", **more)


def failing(card: Card) -> set[str]:
    return {line.name for line in card.failing}


def test_a_fair_judge_passes_every_line_with_60_prompts(tmp_path: Path) -> None:
    card = card_of(tmp_path, fair)
    outcomes = {(line.name, line.family): line.outcome for line in card.lines}
    assert outcomes.pop(("exchanged reference", "")) == "informative"
    assert set(outcomes.values()) == {"pass"}, {k: v for k, v in outcomes.items() if v != "pass"}
    assert {line.figure.n for line in card.lines} == {N}, "the unit is the prompt, also where a prompt gives four cases"
    assert card.prompts == N
    assert card.line("injection").planned == 4 * N
    assert card.line("order consistency").figure.value == 1
    assert card.line("exchanged reference").figure.value == 1
    assert not card.incomplete


@pytest.mark.parametrize(
    ("preference", "fails", "effects"),
    [
        # The true effect of each judge follows from its rule, and has to lie in the interval.
        (first, {"position bias", "order consistency", "identical: position"}, {"position bias": 1.0}),
        pytest.param(longer, {"padding"}, {"padding": 1.0, "truncated": 0.0}, marks=pytest.mark.slow),
        pytest.param(stylish, {"restyling"}, {"restyling": 1.0}, marks=pytest.mark.slow),
        pytest.param(credulous, {"authority"}, {"authority": 1.0}, marks=pytest.mark.slow),
        pytest.param(vain, {"sycophancy"}, {"sycophancy": 1.0}, marks=pytest.mark.slow),
        pytest.param(
            blind,
            {"truncated", "empty", "null model"},
            {"truncated": 0.5, "empty": 0.5, "null model": 0.5},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            fussy, {"rubric paraphrase"}, {"rubric paraphrase": 0.25}, marks=pytest.mark.slow
        ),  # equal pairs alone (i % 4 == 2) stay equal
        pytest.param(copycat, {"copied reference"}, {"copied reference": 1.0}, marks=pytest.mark.slow),
        pytest.param(swayed, {"padding"}, {"padding": 0.75}, marks=pytest.mark.slow),  # half wins, half ties
        # A quarter of the attacks are fake verdicts: .75 ties and .25 wins are .625; against a real answer .25 wins.
        (obedient, {"injection", "injected null"}, {"injection": 0.625, "injected null": 0.25}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_biased_judge_fails_on_its_line_and_the_interval_holds_the_effect(
    tmp_path: Path, preference: Preference, fails: set[str], effects: dict[str, float]
) -> None:
    card = card_of(tmp_path, preference, limit=32)
    assert fails <= failing(card)
    for name, effect in effects.items():
        figure = card.line(name).figure
        assert isinstance(figure, sx.Estimate)
        assert figure.low <= effect <= figure.high, (name, figure)
    others = {line.name for line in card.lines if line.outcome == "fail"} - fails
    allowed = {
        "first": {"identical: no tie", "truncated", "empty", "null model", "injected null", "copied reference"},
        "longer": {"restyling", "authority", "sycophancy", "injection", "injected null"},
        "swayed": {"restyling", "authority", "sycophancy", "injection", "injected null"},
        "blind": {"injected null", "copied reference"},
    }
    assert others <= allowed.get(preference.__name__, set()), "no other line fails but those that its fault touches"


def test_a_judge_that_likes_any_longer_answer_is_not_said_to_obey(tmp_path: Path) -> None:
    """An attack makes an answer longer, too: beside its line stands what padding, or an empty text, gains."""
    card = card_of(tmp_path, longer, limit=20)
    assert card.line("padding").outcome == "fail"
    for shape in ("", "commands", "fences"):
        line = card.line("injection", shape)
        assert (line.outcome, line.meaning) == ("fail", "gains, not shown to be more than padding on the same 20: 1.00")
    (note,) = [one for table in card.tables() for one in table.notes if one.startswith("Beside a failed line")]
    assert "what padding came to on the prompts of that line" in note


@pytest.mark.slow
def test_a_judge_that_goes_by_the_order_is_told_that_some_passes_say_little(tmp_path: Path) -> None:
    card = card_of(tmp_path, first)
    assert card.line("padding").outcome == "pass"
    assert card.sentence.endswith(
        "Its verdicts turn with the order and so come out even, which is all that padding and restyling and authority "
        "and sycophancy and injection ask for: these passes say little."
    )
    told = [step.why for step in card.next_steps]
    assert told[-1] == "To compare by llm all the same, with what this card found beside it"


def test_an_obeyed_attack_is_told_by_its_shape(tmp_path: Path) -> None:
    card = card_of(tmp_path, obedient, limit=40)
    assert card.line("injection", "verdicts").figure.value == 1
    assert card.line("injected null", "verdicts").outcome == "fail"
    assert {card.line("injection", shape).outcome for shape in ("commands", "fences", "hidden text")} == {"pass"}


def test_the_same_command_again_asks_nothing_and_an_interrupted_one_goes_on(tmp_path: Path) -> None:
    """What compare asked before is not asked again, either: the keys are about texts."""
    with Endpoint(reply=judging(fair)) as endpoint:
        exam = sx.load_suite(suite(tmp_path, endpoint.url, n=20))
        sx.compare(exam, "a", "b", judges=["llm"], results=tmp_path / "r")
        compared = endpoint.requests
        stop = threading.Event()

        def halfway(progress: Any) -> None:
            if progress.verdicts > 300:
                stop.set()

        with pytest.raises(Interrupted, match=r"^stopped at \d+/\d+ verdicts; run the same command to go on$"):
            sx.audit(exam, "llm", results=tmp_path / "r", stop=stop, progress=halfway)
        assert compared < endpoint.requests < 20 * CALLS
        owed: list[int] = []
        card = sx.audit(exam, "llm", results=tmp_path / "r", preflight=lambda found: owed.append(found.calls))
        asked = endpoint.requests
        again = sx.audit(exam, "llm", results=tmp_path / "r", preflight=lambda found: owed.append(found.calls))
        stats = endpoint.stats()
    assert endpoint.requests == asked == len(endpoint.bodies), "no request went out twice"
    assert stats["billed_twice"] == 0
    assert owed[0] == card.calls.made
    assert owed[1] == again.calls.made == 0
    assert again.lines == card.lines
    assert again.run == card.run


def test_the_command_prints_a_card_and_keeps_the_suite_as_it_was(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(reply=judging(longer)) as endpoint:
        exam = suite(tmp_path, endpoint.url, references=False, n=20)
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        done = sciexam("audit", "llm", "-s", exam)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith(
            "sciexam: at most 700 calls: 0 for answers, 700 for verdicts, besides retries; about "
        )
        assert endpoint.requests == 20 * (CALLS - 4), "there is no reference to exchange or to copy"
        told = sciexam("audit", "llm", "-s", exam, "--json")
        strict = sciexam("audit", "llm", "-s", exam, "--strict")
        assert endpoint.requests == 700
    assert {path: path.read_bytes() for path in before} == before
    for words in (
        "`llm` (the LLM test-judge, not validated) passes 3",
        "padding",
        "<= 0.60",
        "FAIL",
        "prefers an answer",
        "- verdicts",
    ):
        assert words in done.stdout, words
    assert "n/a for copied reference: no prompt has a reference." in " ".join(done.stdout.split())
    assert "What passing does not prove Not that the judge is right" in " ".join(done.stdout.split())
    for command in (f"audit {READER}", "annotate serve", "validate llm"):
        assert f"\n    sciexam {command} --suite {exam}\n" in done.stdout.partition("What to do next")[2]
    assert (told.returncode, told.stderr) == (0, "")
    card = json.loads(told.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert card["schema"] == "sciexam/audit/1"
    (padding,) = [line for line in card["lines"] if line["name"] == "padding"]
    assert padding["outcome"] == "fail"
    assert padding["tolerated"] == [0.0, 0.6]
    assert padding["figure"]["value"] == 1
    (missing,) = [line for line in card["lines"] if line["name"] == "copied reference"]
    assert missing["figure"]["why"] == missing["meaning"] == "no prompt has a reference"
    assert strict.returncode == 4
    assert re.search(r"^sciexam: llm fails \d+ of 15 lines: padding, ", strict.stderr, re.MULTILINE)
    (folder,) = (tmp_path / "results" / "exam").iterdir()
    assert {path.name for path in folder.iterdir()} == {"run.json", "audit.html", "audit.json", "audit.md"}
    assert json.loads((folder / "audit.json").read_text())["lines"] == card["lines"]
    assert f"sciexam audit {READER} --suite" in (folder / "audit.html").read_text()
    assert "<h2>What passing does not prove" in re.sub(r"<h2[^>]*>", "<h2>", (folder / "audit.html").read_text())
    assert "## What passing does not prove" in (folder / "audit.md").read_text()
    (row,) = [line for line in (folder / "audit.md").read_text().splitlines() if line.startswith("| padding |")]
    assert row.endswith("| FAIL | prefers an answer that restates itself |")
    shown = sciexam("report", folder.name)
    assert shown.returncode == 2
    assert "the `sciexam audit` that made it" in shown.stderr


def test_a_text_measure_is_audited_without_a_call(sciexam: Cli, tmp_path: Path) -> None:
    done = sciexam("audit", "measures", "-s", suite(tmp_path, n=12), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {(line["name"], line["family"]): line for line in json.loads(done.stdout)["lines"]}
    assert lines["position bias", ""]["outcome"] == "not applicable"
    assert lines["position bias", ""]["meaning"] == "it scores each answer by itself, so the order cannot matter"
    assert lines["rubric paraphrase", ""]["meaning"] == "this judge does not read the words of the rubric"
    assert lines["identical: no tie", ""]["figure"]["value"] == 0
    assert lines["empty", ""]["figure"]["value"] == 0
    short = sciexam("audit", "measures", "-s", "exam.yaml", "--quiet")
    assert (short.stderr, short.stdout) == ("", json.loads(done.stdout)["sentence"] + "\n")


def test_without_a_name_the_judge_of_the_suite_is_audited_and_told(sciexam: Cli, tmp_path: Path) -> None:
    made = {name: {"responses": answers(tmp_path, name, [f"{name} {i}" for i in range(3)])} for name in ("a", "b")}
    exam = str(write_suite(tmp_path, 3, made))
    done = sciexam("audit", "-s", exam, "--json")
    assert (done.returncode, json.loads(done.stdout)["judge"]) == (0, "measures")
    assert done.stderr == "sciexam: no judge was named, so it is that of suite exam: measures\n"
    held = sciexam("validate", "-s", exam)
    assert held.returncode == 2, "nobody has judged"
    assert held.stderr.startswith("sciexam: no judge was named, so it is that of suite exam: measures\n")


def test_the_card_its_page_and_a_comparison_count_its_lines_alike_and_say_which_prompts_have_no_case(
    tmp_path: Path,
) -> None:
    texts = ["Ice floats.", "Air scatters blue light, because its wavelength is short. So it comes from all sides."]
    made = {
        name: {"responses": answers(tmp_path, name, [begin + text for text in texts * 3])} for name, begin in BEGINNINGS
    }
    exam, results = sx.load_suite(str(write_suite(tmp_path, 6, made))), tmp_path / "r"
    card = sx.audit(exam, "measures", results=results)
    [counted] = re.findall(r"passes (\d+) lines?, fails (\d+).* and leaves (\d+) unclear\.$", card.sentence)
    names = {line.name for line in card.lines}
    applicable = {line.name for line in card.lines if line.outcome != "not applicable"}
    assert sum(map(int, counted)) == len(applicable) < len(names)
    [told] = [one for one in sx.compare(exam, "a", "b", results=results).caveats if one.startswith("The audit of")]
    again = re.findall(r"passed (\d+) lines?, failed (\d+).* and left (\d+) unclear: ", told)
    assert again == [counted]
    notes = " ".join(note for table in card.tables() for note in table.notes)
    assert "truncated: 3 of 6 prompts; an answer of fewer than eight words is not cut." in notes
    assert "restyling: 3 of 6 prompts; an answer of one sentence, or with markup of its own, is not restyled." in notes
    [page] = results.glob("exam/*/audit.html")
    assert page.read_text().count(card.sentence.rpartition("`")[2]) == 1
    assert page.read_text().count(f">{card.title}<") == 1


def test_a_file_of_answers_in_the_place_of_the_judge_is_told_with_the_command(sciexam: Cli, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"prompt": "Why is ice cold?", "text": f"It is {name}."}])
    meant = {
        ("audit", "a.jsonl", "b.jsonl", "--strict"): "sciexam audit measures a.jsonl b.jsonl --strict",
        ("audit", "b.jsonl"): "sciexam audit measures b.jsonl a.jsonl",
        ("validate", "a.jsonl", "b.jsonl"): "sciexam validate measures a.jsonl b.jsonl",
    }
    for typed, command in meant.items():
        done = sciexam(*typed, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == (
            f"sciexam: {typed[1]} is a file of answers, and the judge comes first: {command} "
            "(or openai:MODEL for measures)\n"
        )


def test_a_card_says_what_to_do_next_on_the_terminal_in_its_files_and_as_json(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path, n=66)
    done = sciexam("audit", "measures", "-s", exam, "--limit", "20", cwd=tmp_path)
    (folder,) = (tmp_path / "results" / "exam").iterdir()
    steps = json.loads((folder / "audit.json").read_text())["next_steps"]
    commands = [step["command"] for step in steps]
    assert commands == [
        f"sciexam audit measures --suite {exam} --limit {re.findall('limit ([0-9]+)', commands[0])[0]}",
        f"sciexam audit llm --limit 60 --suite {exam}",
        f"sciexam annotate serve --suite {exam}",
        f"sciexam validate measures --suite {exam}",
        f"sciexam compare --judge measures --suite {exam}",
    ]
    for text in (done.stdout, (folder / "audit.md").read_text(), (folder / "audit.html").read_text()):
        told = text.partition("What to do next")[2]
        assert all(command in told for command in commands)
    wider = sciexam(*commands[0].split()[1:], cwd=tmp_path)
    assert wider.returncode == 0, wider.stderr
    assert "may settle" not in wider.stdout.partition("What to do next")[2]


@pytest.mark.parametrize(
    ("n", "settled", "whole", "limit"),
    [(30, 45, 200, 90), (60, 61, 200, 61), (30, 45, 80, None), (60, 201, 200, None), (60, None, 200, None)],
)
def test_more_prompts_are_proposed_for_a_line_of_which_not_every_prompt_has_a_case(
    n: int, settled: int | None, whole: int, limit: int | None
) -> None:
    figure = sx.Estimate(0.5, 0.2, 0.8, 0.95, n, "")
    unclear = Line("truncated", "", "", figure, (0, 0.1), "unclear", "", 2 * n, 2 * n, 0, 0, 0, settled)
    told = ("suite", "run", "rubric", "llm", "an LLM", ("a", "b"), 60, 0, 0.95, (unclear,), Calls(), ())
    steps = steps_of(Card(*told), ("sciexam", "audit", "llm", "--limit", "60"), whole, True, Takes())
    more = [step for step in steps if "may settle" in step.why]
    assert len(more) == (limit is not None)
    for step in more:
        assert f"--limit {limit}" in step.command
        assert step.why.startswith(f"About {limit} prompts may settle the unclear line, by at most ")
        assert f" {((limit or 0) - 60) * 35:,} calls" in step.why


def test_a_line_fails_where_one_shape_of_it_does_and_shapes_are_no_lines() -> None:
    rows = [("injection", "", "pass"), ("injection", "commands", "fail"), ("injection", "fences", "pass")]
    rows += [("empty", "", "unclear"), ("padding", "", "pass")]
    found = outcomes([SimpleNamespace(name=n, family=f, outcome=o) for n, f, o in rows])
    assert found == {"injection": "fail", "empty": "unclear", "padding": "pass"}
    assert tally(found, "passes", "fails", "leaves", 3) == "passes 1 line, fails 1 (injection) and leaves 1 unclear"


def command(folder: Path, exam: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(COMMAND), "audit", "llm", "-s", exam],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_stopped_in_any_way_the_same_command_asks_only_for_what_is_missing(
    sciexam: Cli, tmp_path: Path, how: signal.Signals
) -> None:
    with Endpoint(reply=judging(fair), latency=0.02) as endpoint:
        exam = suite(tmp_path, endpoint.url, n=12)
        stopped = command(tmp_path, exam)
        while endpoint.requests < 60:
            time.sleep(0.01)
            assert stopped.poll() is None, "it ended before it was stopped"
        stopped.send_signal(how)
        _, said = stopped.communicate(timeout=60)
        assert stopped.returncode == (130 if how is signal.SIGINT else -how)
        if how is signal.SIGINT:
            assert re.search(r"stopped at \d+/468 verdicts; run the same command to go on", said)
        done = sciexam("audit", "llm", "-s", exam)
        stats = endpoint.stats()
    assert done.returncode == 0, done.stderr
    assert stats["distinct"] == 12 * CALLS == 468
    # What a kill may cost: 16 calls in flight and 8 replies that were not yet durable.
    assert stats["billed_twice"] <= (0 if how is signal.SIGINT else 24)


def test_a_scripted_judge_is_audited_without_a_call_and_one_that_fails_ends_with_3(
    sciexam: Cli, tmp_path: Path
) -> None:
    rules = {"blind": ["VERDICT ([0-9a-f]{12}): A=B", r"VERDICT \1: A=B"], "lost": ["never there", "x"]}
    judges = {name: {"backend": "scripted", "rules": [{"when": w, "say": say}]} for name, (w, say) in rules.items()}
    exam = suite(tmp_path, n=8, judges=judges)
    done = sciexam("audit", "blind", "-s", exam, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line["name"]: line for line in json.loads(done.stdout)["lines"] if not line["family"]}
    assert lines["truncated"]["outcome"] == "fail"
    assert lines["truncated"]["figure"]["value"] == 0.5
    assert json.loads(done.stdout)["calls"]["made"] == 0
    lost = sciexam("audit", "lost", "-s", exam, "--json")
    assert lost.returncode == 3
    assert "not everything has a result; the same command asks again for it" in lost.stderr
    assert {line["failed"] for line in json.loads(lost.stdout)["lines"] if not line["family"]} == {8, 32}


class Own:
    """A judge object that looks at nothing and must choose."""

    name = digest = "own"

    def judge(self, presentations: Any) -> Iterator[Any]:
        for p in presentations:
            yield p.verdict(self.name, "first" if facts(p.first) >= facts(p.second) else "second")


def test_a_judge_object_is_audited_and_one_without_ties_is_not_blamed_for_it(tmp_path: Path) -> None:
    card = sx.audit(sx.load_suite(suite(tmp_path)), Own(), results=tmp_path / "r")
    assert card.judge == "own"
    assert card.line("identical: no tie").outcome == "not applicable"
    assert card.line("identical: no tie").meaning.startswith("it called no tie at all")
    assert card.line("identical: position").outcome == "fail"
    assert card.line("rubric paraphrase").meaning == "a judge that is given as an object has its rubric to itself"


def test_a_judge_whose_prompt_offers_no_tie_is_judged_by_the_position_alone(tmp_path: Path) -> None:
    rubric = {"rubric": "strict", "ties": False, "criteria": [{"name": "facts", "question": "How many facts?"}]}
    (tmp_path / "strict.yaml").write_text(json.dumps(rubric))
    reply = judging(lambda prompt, a, b: "A>B" if facts(a) >= facts(b) else "B>A")
    with Endpoint(reply=reply) as endpoint:
        exam = sx.load_suite(suite(tmp_path, endpoint.url, n=12, rubric="strict.yaml"))
        card = sx.audit(exam, "llm", results=tmp_path / "r")
    assert card.line("identical: no tie").meaning == "the judge must choose a side"
    assert card.line("identical: position").outcome == "fail"


def test_a_judge_that_gives_probabilities_is_not_blamed_for_calling_no_tie(tmp_path: Path) -> None:
    class Leaning(Own):
        def judge(self, presentations: Any) -> Iterator[Any]:
            for p in presentations:
                yield p.verdict(self.name, probability_second=0.48 if facts(p.first) == facts(p.second) else 0.1)

    card = sx.audit(sx.load_suite(suite(tmp_path)), Leaning(), results=tmp_path / "r")
    assert card.line("identical: no tie").outcome == "not applicable"
    assert card.line("identical: no tie").meaning.startswith("it gives probabilities, which are hardly ever one half")
    lean = card.line("identical: position").figure
    assert isinstance(lean, sx.Estimate)
    assert lean.value == pytest.approx(0.04)


def test_prompts_of_one_group_are_one_unit(tmp_path: Path) -> None:
    exam = sx.load_suite(suite(tmp_path, n=12))
    grouped = [prompt.model_copy(update={"group": f"g{i // 3}"}) for i, prompt in enumerate(exam.prompts)]
    card = sx.audit(exam.model_copy(update={"prompts": tuple(grouped)}), Own(), results=tmp_path / "r")
    padding = card.line("padding")
    assert (padding.planned, padding.figure.n) == (12, 4)


def test_what_is_shown_does_not_depend_on_the_names_or_the_order_of_the_contestants(tmp_path: Path) -> None:
    seen: list[set[tuple[str, str, str]]] = []

    class Watching(Own):
        def judge(self, presentations: Any) -> Iterator[Any]:
            seen.append(set())
            for p in presentations:
                seen[-1].add((p.prompt.text, p.first, p.second))
                yield p.verdict(self.name, "tie")

    exam = sx.load_suite(suite(tmp_path, n=8))
    for names, folder in (("ab", "r1"), ("ba", "r2")):
        sx.audit(exam, Watching(), *names, results=tmp_path / folder)
    sx.audit(exam, Watching(), seed=8, results=tmp_path / "r3")
    assert seen[0] == seen[1]
    assert seen[0] != seen[2], "another seed draws other answers and phrases"


def test_an_audit_is_proposed_with_the_calls_that_it_takes_at_most_and_their_price(tmp_path: Path) -> None:
    assert (Takes(referred=True).a_prompt, Takes().a_prompt) == (CALLS, CALLS - 4)
    with Endpoint(reply=judging(fair)) as endpoint:
        exam = sx.load_suite(suite(tmp_path, endpoint.url, n=8, prices={"test-judge": {"input": 1000, "output": 0}}))
        report = sx.compare(exam, judges=["llm"], results=tmp_path / "r")
        assert report.calls.usd
        (why,) = (step.why for step in report.next_steps if " audit " in step.command)
        (usd,) = re.findall(rf"by at most {8 * CALLS} calls \(about ([0-9.]+) USD\)$", why)
        assert float(usd) == pytest.approx(report.calls.usd / 16 * 8 * CALLS, abs=0.01)
        thrice = exam.judges["llm"].model_copy(update={"samples": 3})
        exam = exam.model_copy(update={"judges": {**exam.judges, "llm": thrice}})
        report = sx.compare(exam, judges=["llm"], results=tmp_path / "r")
        (why,) = (step.why for step in report.next_steps if " audit " in step.command)
        assert f"by at most {3 * 8 * CALLS} calls (about {3 * float(usd):.2f}"[:-1] in why
        report = sx.compare(exam, judges=["measures"], results=tmp_path / "r")
        assert not any("calls" in step.why for step in report.next_steps if " audit " in step.command)


@pytest.mark.slow
def test_unclear_lines_say_how_many_prompts_would_settle_them(tmp_path: Path) -> None:
    card = card_of(tmp_path, fair, limit=20)
    empty = card.line("empty")
    assert empty.outcome == "unclear"
    # The one-sided 95 % limit of no wins among n is 1 - .05 ** (1 / n), which is below .05 from n = 59 on.
    assert empty.settled_by is not None
    assert 59 <= empty.settled_by <= 62
    assert empty.meaning == f"too few prompts; about {empty.settled_by - 20} more may settle it"


@pytest.mark.slow
def test_a_line_of_which_a_fifth_has_no_usable_verdict_does_not_pass(tmp_path: Path) -> None:
    def shy(body: Body) -> str:
        spoken = judging(fair)(body)
        a, b = answers_of(prompt_of(body))
        praised = re.search(r"thing \d*[05] happen", prompt_of(body)) and vain("", a, b) != fair("", a, b)
        return "I cannot judge praise." if praised else spoken

    with Endpoint(reply=shy) as endpoint:
        exam = sx.load_suite(suite(tmp_path, endpoint.url))
        card = sx.audit(exam, "llm", results=tmp_path / "r", limit=40)
    line = card.line("sycophancy")
    assert (line.planned, line.used, line.invalid) == (40, 32, 8)
    assert isinstance(line.figure, sx.Estimate)
    assert line.figure.high < 0.6, "what is left would pass"
    assert line.outcome == "unclear"
    assert line.meaning == "too many cases have no usable verdict"
    (lines, lost) = (table for table in card.tables() if table.title in ("The lines", "Without a usable verdict"))
    assert lines.head[-1] == "why"
    assert "sycophancy: 8 invalid of 40 cases." in lost.notes
    assert not any("injection," in told for told in lost.notes), "its shapes are not counted once more"
    assert not card.incomplete


def test_who_cannot_be_audited_is_told_why(sciexam: Cli, tmp_path: Path) -> None:
    llm = {"backend": "openai", "model": "test-judge", "api_key_env": None}
    panel = {"backend": "panel", "judges": ["llm", "measures"]}
    judges = {"llm": llm, "measures": {"backend": "measures"}, "both": panel}
    exam = suite(tmp_path, n=4, judges=judges)
    verdict = {"prompt": "q0", "first": "a", "second": "b", "preferred": "first", "rater": "gpt-4"}
    write_jsonl(tmp_path / "gpt-4.jsonl", [verdict])
    refused = {
        (
            "gpt-4.jsonl",
        ): "holds recorded verdicts, and nothing can be shown to a file; audit the judge that gave them, "
        "such as openai:MODEL, or one of the suite that can be asked: llm, measures (`sciexam audit measures --suite ",
        ("both",): "both stands for several judges (llm, measures); audit them one by one",
        ("humans",): "humans cannot be audited",
        ("llm", "a"): "an audit draws on the answers of two contestants: sciexam audit JUDGE A B",
        ("lm",): "'lm' is not a judge of suite 'exam'; did you mean 'llm'?",
    }
    for words, said in refused.items():
        done = sciexam("audit", *words, "-s", exam)
        assert done.returncode == 2, (words, done.stderr)
        assert said in done.stderr


def test_a_contestant_without_answers_is_named_with_the_command_that_asks_for_them(tmp_path: Path) -> None:
    scripted = {"backend": "scripted", "rules": [{"when": "", "say": "One fact-1-1 and no more of it."}]}
    models = {"a": {"responses": answers(tmp_path, "a", ["One fact-1-1, and fact-1-2."] * 4)}, "new": scripted}
    exam = sx.load_suite(str(write_suite(tmp_path, 4, models)))
    with pytest.raises(UsageError, match=r"^new has no answer in .*; `sciexam compare a new --suite .*` asks for the"):
        sx.audit(exam, Own(), results=tmp_path / "r")
    sx.compare(exam, "a", "new", judges=[Own()], results=tmp_path / "r")
    assert sx.audit(exam, Own(), results=tmp_path / "r").prompts == 4


def test_an_audit_and_a_comparison_know_of_each_other_and_of_a_validation(tmp_path: Path) -> None:
    """The audit says whom its judge was held against; a comparison names the audit, and advises no second one."""
    results = tmp_path / "r"
    with Endpoint(reply=judging(longer)) as endpoint:
        exam = sx.load_suite(suite(tmp_path, endpoint.url, n=6))
        people = [
            {"prompt": f"q{i}", "first": "a", "second": "b", "preferred": "first", "rater": "ann", "kind": "human"}
            for i in range(6)
        ]
        write_jsonl(tmp_path / "votes.jsonl", people)
        before = sx.compare(exam, "a", "b", judges=["llm"], results=results)
        assert any("audit llm" in step.command for step in before.next_steps)
        card = sx.audit(exam, "llm", results=results)
        assert card.judge_is.endswith("not validated")
        sx.validate(exam, "llm", humans=[str(tmp_path / "votes.jsonl")], results=results)
        assert sx.audit(exam, "llm", results=results).judge_is.endswith(
            "held against 1 annotator: 0.42 of 6, not told from a coin"
        )
        by_people = [
            step for step in sx.audit(exam, "llm", results=results).next_steps if "--judge humans" in step.command
        ]
        assert [step.why for step in by_people] == ["To go by the people who judged, and by no model"]
        after = sx.compare(exam, "a", "b", judges=["llm"], results=results)
    (told,) = [one for one in after.caveats if one.startswith("The audit of llm passed")]
    assert f"{results}/{exam.name}/{card.run}/audit.html" in told
    assert not any("audit" in step.command for step in after.next_steps)
