"""An annotator answers at random, in one second each, always on one side, always the opposite, or without reading."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from annotate_queue import judging_by, queue_of
from conftest import Cli, write_jsonl
from rows import Tally
from sciexam.annotate.desk import Desk
from sciexam.annotate.flags import Conduct, Look, conduct_of
from sciexam.annotate.links import until
from sciexam.annotate.queue import Item
from sciexam.stats import cohen_kappa, krippendorff_alpha, majority_vote
from sciexam.store import Store
from sciexam.store.annotations import Slots

NONE = (0, 0)

# ---------------------------------------------------------------- the rule, on teams of four


def team(rng: np.random.Generator, spammer: str, items: int = 60) -> Iterator[Conduct]:
    """Four annotators, three of them right in 85 %; the first one does as `spammer` says, or is honest as well."""
    better = rng.integers(0, 2, items)
    right_side = [rng.permutation(np.arange(items) % 2) for _ in range(4)]  # 1: the first contestant is on the left
    said = [np.where(rng.random(items) < 0.85, better, 1 - better) for _ in range(4)]
    if spammer == "random":
        said[0] = rng.integers(0, 2, items)
    elif spammer == "left":
        said[0] = right_side[0].copy()
    elif spammer == "opposite":
        said[0] = 1 - said[0]
    for rater in range(4):
        seconds = np.ones(items) if spammer == "random" and rater == 0 else 300 / rng.uniform(200, 400, items) * 60
        left = said[rater] == right_side[rater]
        strength = rng.permutation(["much", "slightly"] * (items // 2))
        mine = [
            Look(f"{('right', 'left')[int(on_left)]}-{how}", "left" if on_left else "right", float(time), 300)
            for on_left, how, time in zip(left, strength, seconds, strict=True)
        ]
        others = np.delete(np.array(said, float), rater, axis=0)
        kappa = cohen_kappa(said[rater].astype(float), np.array(majority_vote(others).labels, float))
        yield conduct_of(mine, NONE, NONE, kappa, krippendorff_alpha(others))


@pytest.mark.parametrize(
    ("spammer", "sentence"), [("random", "timed"), ("left", "left in 60"), ("opposite", "less than")]
)
def test_simulated_spammers_are_found_and_the_honest_beside_them_are_not(
    spammer: str, sentence: str, tally: Tally
) -> None:
    rng = np.random.default_rng(7)
    teams = [list(team(rng, spammer)) for _ in range(20)]
    assert sum(sentence in " ".join(first.flags) for first, *_ in teams) == 20
    assert sum(bool(one.flags) for _, *others in teams for one in others) <= 1
    tally(80)


def test_of_simulated_honest_annotators_hardly_any_is_flagged(tally: Tally) -> None:
    rng = np.random.default_rng(8)
    assert sum(bool(one.flags) for _ in range(40) for one in team(rng, "honest")) <= 2
    tally(160)


# ---------------------------------------------------------------- a study with gold items

PROMPTS = 40
Choose = Callable[[Item, Slots], str]


def honest(seed: int) -> Choose:
    """Prefers `sft` on even prompts and `base` on odd ones, wherever they stand, nine times in ten; knows all gold."""
    drawn = random.Random(seed)

    def choose(item: Item, shown: Slots) -> str:
        right = item.kind == "gold" or drawn.random() < 0.9
        good = "It is" if item.kind == "gold" else ("sft", "base")[int(item.prompt.id[1:]) % 2]
        best = next(slot for slot in range(2) if item.texts[slot].startswith(good))
        side = ("left" if shown[0] == best else "right") if right else ("right" if shown[0] == best else "left")
        return f"{side}-{drawn.choice(('much', 'slightly'))}"

    return choose


def at_random(seed: int) -> Choose:
    """Drawn by what is compared, wherever it stands: the same study finds the same whatever its lot."""

    def choose(item: Item, shown: Slots) -> str:
        drawn = random.Random(f"{seed}\n{sorted(item.texts)}")
        side = "left" if item.texts[shown[0]] == drawn.choice(sorted(item.texts)) else "right"
        return f"{side}-{drawn.choice(('much', 'slightly'))}"

    return choose


@pytest.fixture
def studied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three honest annotators, one who answers at random in a second each, and one who always says left."""
    sides = {"better": "It is {0}.", "worse": "No, {0}."}
    gold = [{"question": f"What is {i}?"} | {side: text.format(i) for side, text in sides.items()} for i in range(8)]
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        queue = queue_of(
            *(tmp_path, store),
            **{"prompts": PROMPTS, "overlap": 5, "annotators": 5, "tail": " ".join(["word"] * 80)},
            gold=write_jsonl(tmp_path / "gold.jsonl", gold),
        )
        people: list[tuple[Choose, float]] = [(honest(one), 30.0) for one in range(3)]
        people += [(at_random(4), 1.0), (lambda item, shown: "left-much", 30.0)]
        for number, (choose, seconds) in enumerate(people, 1):
            desk, person = Desk(store, queue), store.annotators.add(f"Person {number}", until(1))
            clock = count(0.0, seconds)
            monkeypatch.setattr(
                "sciexam.annotate.desk.time", SimpleNamespace(monotonic=lambda clock=clock: next(clock))
            )
            judging_by(desk, person, choose)
    return tmp_path


def test_who_does_not_read_is_flagged_by_name_of_the_fault_and_nobody_else(
    studied: Path, sciexam: Cli, tally: Tally
) -> None:
    found = json.loads(sciexam("annotate", "status", "--json").stdout)["annotators"]
    flags = {one["annotator"]: " | ".join(one["flags"]) for one in found}
    assert [flags[f"annotator-{number}"] for number in (1, 2, 3)] == ["", "", ""]
    assert "timed judgements were made faster" in flags["annotator-4"]
    assert "gold" in flags["annotator-4"]
    assert "left in" in flags["annotator-5"]
    assert "the same choice" in flags["annotator-5"]
    without = {one["annotator"]: one["alpha_without"]["value"] for one in found}
    assert min(without["annotator-4"], without["annotator-5"]) > max(without[f"annotator-{n}"] for n in (1, 2, 3))
    tally(5 * PROMPTS)


def test_a_flag_takes_nothing_away(studied: Path, sciexam: Cli, tmp_path: Path) -> None:
    """What those who are flagged said stays in the ledger, in what is exported, and in what is counted."""
    assert sciexam("annotate", "export", "verdicts", "-o", "v.csv").returncode == 0
    with (tmp_path / "v.csv").open(encoding="utf-8", newline="") as file:
        raters = [row["rater"] for row in csv.DictReader(file)]
    assert {raters.count(f"annotator-{number}") for number in range(1, 6)} == {PROMPTS}
    done = sciexam("compare", "base", "sft", "-s", "exam.yaml", "-j", "humans", "--json")
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads(done.stdout)["pairs"]
    assert pair["used"] == PROMPTS
    assert pair["verdicts"]["ok"] == 5 * PROMPTS
