"""Four annotators of known reliability: what the ledger, the owner and the other commands make of them, by hand."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from annotate_queue import judging_by, queue_of
from conftest import Cli
from sciexam.annotate.desk import Desk
from sciexam.annotate.links import until
from sciexam.annotate.overview import Overview
from sciexam.store import Store

PROMPTS = 24
# sft is the better one in the first 18 prompts. Whoever errs says the other one.
BETTER = ["sft"] * 18 + ["base"] * 6
ERRS = {"Ann": set(), "Bob": {0, 1}, "Cid": {1, 20}}
SECONDS = {"Ann": 40.0, "Bob": 25.0, "Cid": 60.0, "Dot": 1.0}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger in results/ with everyone's judgements. Dot presses "left much better" once a second."""
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        long = " ".join(["word"] * 80)
        queue = queue_of(tmp_path, store, prompts=PROMPTS, overlap=4, annotators=4, tail=long)
        for name in ("Ann", "Bob", "Cid", "Dot"):
            desk, person = Desk(store, queue), store.annotators.add(name, until(1))
            step = SECONDS[name]
            clock = count(0.0, step)
            # The desk's own clock: the ledger looks at the time as well.
            monkeypatch.setattr(
                "sciexam.annotate.desk.time", SimpleNamespace(monotonic=lambda clock=clock: next(clock))
            )
            if name == "Dot":
                judging_by(desk, person, lambda item, shown: "left-much")
            else:
                judging_by(desk, person, lambda item, shown, name=name: said_by(name, item, shown))
    return tmp_path


def said_by(name: str, item: object, shown: tuple[int, ...]) -> str:
    """The better one slightly where the prompt's number is even, much where it is odd, wherever it stands."""
    number = int(item.prompt.id[1:])  # type: ignore[attr-defined]
    winner = BETTER[number]
    if number in ERRS[name]:
        winner = "base" if winner == "sft" else "sft"
    hand = "left" if item.by[shown[0]] == winner else "right"  # type: ignore[attr-defined]
    return f"{hand}-{'slightly' if number % 2 == 0 else 'much'}"


def alpha_by_hand(ratings: list[list[str]]) -> Fraction:
    """Krippendorff's nominal alpha, 1 - D_o / D_e, of one list of labels an item."""
    kept = [labels for labels in ratings if len(labels) > 1]
    values = Counter(label for labels in kept for label in labels)
    n = sum(values.values())
    observed = sum(
        Fraction(sum(a != b for i, a in enumerate(labels) for j, b in enumerate(labels) if i != j), len(labels) - 1)
        for labels in kept
    )
    expected = Fraction(sum(values[a] * values[b] for a in values for b in values if a != b), n - 1)
    return 1 - observed / expected


def sides_of(folder: Path) -> dict[int, dict[str, str]]:
    """Who each annotator preferred, by the number of the prompt, from what was shown and said."""
    found: dict[int, dict[str, str]] = {}
    with Store(folder / "results" / "ledger.sqlite") as store:
        from sciexam.annotate.desk import kept_queue

        [body] = store.annotations.queues().values()
        queue = kept_queue(store, body)
        names = {one.id: one.name for one in store.annotators.all()}
        for one in store.annotations.judgements(queue.id):
            item = queue.by_id[one.item]
            winner = item.by[one.shown[0 if one.choice.startswith("left") else 1]]
            found.setdefault(int(item.prompt.id[1:]), {})[str(names[one.annotator])] = winner
    return found


def test_alpha_and_the_majority_are_what_the_table_says(folder: Path, sciexam: Cli) -> None:
    sides = sides_of(folder)
    assert all(sides[n]["Ann"] == BETTER[n] for n in range(PROMPTS))
    found = json.loads(sciexam("agree", "base", "sft", "--suite", "exam.yaml", "-j", "humans", "--json").stdout)
    [together] = [one for one in found["groups"] if one["category"] is None]
    by_hand = alpha_by_hand([list(sides[n].values()) for n in range(PROMPTS)])
    assert together["items"] == PROMPTS
    assert together["alpha"]["value"] == pytest.approx(float(by_hand), abs=1e-12)
    [majority] = found["majority"]
    votes = [Counter(sides[n].values()) for n in range(PROMPTS)]
    rate = [0.5 if v["sft"] == v["base"] else float(v["sft"] > v["base"]) for v in votes]
    assert majority["split"] == rate.count(0.5)
    assert majority["win_rate"]["value"] == pytest.approx(sum(rate) / PROMPTS)
    strengths = {True: 1.0, False: 3.0}
    points = [
        sum((1 if w == "sft" else -1) * (3.0 if name == "Dot" else strengths[n % 2 == 0]) for name, w in said.items())
        / 4
        for n, said in sides.items()
    ]
    assert majority["preference"]["value"] == pytest.approx(sum(points) / PROMPTS)


def test_without_the_spammer_alpha_is_that_of_the_three(folder: Path, sciexam: Cli) -> None:
    sides = sides_of(folder)
    three = [[said[name] for name in ERRS] for _, said in sorted(sides.items())]
    # Bob errs in 0 and 1, Cid in 1 and 20.
    assert sum(len(set(labels)) > 1 for labels in three) == 3
    found = json.loads(sciexam("annotate", "status", "--json").stdout)
    without = {one["annotator"]: one["alpha_without"] for one in found["annotators"]}
    assert without["annotator-4"]["value"] == pytest.approx(float(alpha_by_hand(three)), abs=1e-12)
    assert without["annotator-4"]["value"] > without["annotator-1"]["value"]


def test_the_spammer_is_found_and_nobody_else(folder: Path, sciexam: Cli) -> None:
    found = json.loads(sciexam("annotate", "status", "--json").stdout)
    flags = {one["annotator"]: one["flags"] for one in found["annotators"]}
    assert [flags[f"annotator-{n}"] for n in (1, 2, 3)] == [[], [], []]
    said = " | ".join(flags["annotator-4"])
    assert "left in 24 of 24 decisions" in said
    assert "24 of 24 timed judgements were made faster" in said
    assert "the same choice, Left much better, in 24 of 24 judgements" in said
    assert [one["median_seconds"] for one in found["annotators"]] == [40.0, 25.0, 60.0, 1.0]
    assert "Ann" not in json.dumps(found)


def test_compare_and_validate_read_these_verdicts_as_they_are(folder: Path, sciexam: Cli) -> None:
    sides = sides_of(folder)
    done = sciexam("compare", "base", "sft", "--suite", "exam.yaml", "-j", "humans", "--json")
    [pair] = json.loads(done.stdout)["pairs"]
    shares = [sum(w == "sft" for w in said.values()) / 4 for said in sides.values()]
    assert pair["win_rate"]["value"] == pytest.approx(sum(shares) / PROMPTS)
    assert pair["verdicts"]["ok"] == 4 * PROMPTS
    validated = sciexam("validate", "measures", "base", "sft", "--suite", "exam.yaml", "--json")
    assert validated.returncode == 0, validated.stderr
    assert json.loads(validated.stdout)["annotators"] == [f"annotator-{n}" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(("names", "draw", "said"), [(("base", "sft"), 8, True), (("base", "sft"), 12, False)])
def test_labels_that_are_the_beginning_of_the_drawn_order_are_said_to_be_a_random_sample(
    tmp_path: Path, sciexam: Cli, names: tuple[str, ...], draw: int, said: bool
) -> None:
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        queue = queue_of(tmp_path, store, names=names, draw=draw)
        for name in ("Ann", "Bob"):
            judging_by(Desk(store, queue), store.annotators.add(name, until(1)), lambda item, shown: "left-much")
    done = sciexam("validate", "measures", *names, "--suite", "exam.yaml", env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    assert ("first 8 of 12 in the order that seed 7 draws: a random sample" in " ".join(done.stdout.split())) == said


def test_an_adjudicated_pair_counts_once_and_agreement_does_not_change(folder: Path, sciexam: Cli) -> None:
    before = json.loads(sciexam("agree", "base", "sft", "--suite", "exam.yaml", "-j", "humans", "--json").stdout)
    with Store(folder / "results" / "ledger.sqlite") as store:
        from sciexam.annotate.desk import kept_queue

        [body] = store.annotations.queues().values()
        queue = kept_queue(store, body)
        overview = Overview(store, queue)
        item = next(one.item for one in overview.disputed if one.item.prompt.id == "q1")
        owner, desk = store.annotators.owner(until(1)), Desk(store, queue)
        store.annotations.assign(queue.id, owner.id, 1, lambda mine, loads: (item.id, (0, 1)))
        left_is_sft = item.by[0] == "sft"
        assert desk.judge(owner, item.id, 0, {"choice": "left-much" if left_is_sft else "right-much"})
        now = Overview(store, queue)
        assert now.adjudicated == 1
        assert next(one for one in now.disputed if one.item.id == item.id).adjudicated is not None
    sides = sides_of(folder)
    done = json.loads(sciexam("compare", "base", "sft", "--suite", "exam.yaml", "-j", "humans", "--json").stdout)
    shares = {n: sum(w == "sft" for w in said.values()) / len(said) for n, said in sides.items()}
    assert done["pairs"][0]["win_rate"]["value"] == pytest.approx((sum(shares.values()) - shares[1] + 1) / PROMPTS)
    after = json.loads(sciexam("agree", "base", "sft", "--suite", "exam.yaml", "-j", "humans", "--json").stdout)
    assert after["groups"] == before["groups"]


def test_preferences_are_pairs_that_a_reward_model_and_dpo_learn_from(folder: Path, sciexam: Cli) -> None:
    done = sciexam("annotate", "export", "preferences", "--out", "pairs.jsonl")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    sides = sides_of(folder)
    votes = {n: Counter(said.values()) for n, said in sides.items()}
    assert len(lines) == sum(v["sft"] != v["base"] for v in votes.values())
    assert all(set(line) == {"prompt", "chosen", "rejected", "margin"} for line in lines)
    for line in lines:
        number = int(line["prompt"].split()[3])
        winner = votes[number].most_common(1)[0][0]
        assert line["chosen"].startswith(winner)
        each = [
            (1 if w == winner else -1) * (3 if name == "Dot" else (1, 3)[number % 2])
            for name, w in sides[number].items()
        ]
        assert line["margin"] == pytest.approx(abs(sum(each)) / 4)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_verdicts_go_out_and_come_in_to_another_ledger(folder: Path, sciexam: Cli, suffix: str) -> None:
    assert sciexam("annotate", "export", "verdicts", "--out", f"v.{suffix}", "--with-names").returncode == 0
    read = sciexam("annotate", "import", f"v.{suffix}", "base", "sft", "--suite", "exam.yaml", "--results", "other")
    assert read.stdout.startswith("96 verdicts of 4 annotators read: 96 new, 0 known already, 0 unmatched"), read.stderr
    again = sciexam("annotate", "import", f"v.{suffix}", "base", "sft", "--suite", "exam.yaml", "--results", "other")
    assert again.stdout.startswith("96 verdicts of 4 annotators read: 0 new, 96 known already, 0 unmatched")
    both = [
        json.loads(sciexam("agree", "base", "sft", "--suite", "exam.yaml", "-j", "humans", "--json", *more).stdout)
        for more in ((), ("--results", "other"))
    ]
    assert both[0]["groups"] == both[1]["groups"]
    assert both[0]["majority"] == both[1]["majority"]
