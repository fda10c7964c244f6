"""Every figure that was published for the real data, from sciexam's own functions, and nothing left over.

Each file of figures has a function in `published/` that walks the same rows to the same figures, and rules that say how
near they come. A figure that does not follow from the rows stands there with ours and the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from published import (
    agreement,
    alpacaeval,
    alttest,
    autoj,
    instructgpt,
    judgebench,
    llmbar,
    llmfao,
    pandalm,
    pointwise,
)
from published.claims import Claim, account, grown, leaves, moved
from published.rows import table

# How many leaves of each file are reproduced, differ for a stated reason, and are no figures that sciexam computes.
FILES: dict[str, tuple[Callable[[Path], Claim], tuple[int, int, int]]] = {
    "agreement/published.json": (agreement.published, (8, 0, 2)),
    "alpacaeval/published.json": (alpacaeval.published, (270, 14, 14)),
    "alttest/derived.json": (alttest.derived, (83, 0, 1)),
    "alttest/published.json": (alttest.published, (54, 0, 16)),
    "autoj_critique/published.json": (autoj.published, (10, 0, 1)),
    "instructgpt/derived.json": (instructgpt.derived, (504, 0, 1)),
    "judgebench/derived_reward_stats.json": (judgebench.derived, (83, 1, 1)),
    "judgebench/published.json": (judgebench.published, (15, 0, 5)),
    "llmbar/published.json": (llmbar.published, (696, 384, 0)),
    "llmfao/golden_evalica.csv": (llmfao.golden, (295, 0, 118)),
    "llmfao/published_leaderboard_crowd.csv": (llmfao.leaderboard, (177, 0, 0)),
    "pandalm/derived.json": (pandalm.derived, (9, 0, 1)),
    "pandalm/published.json": (pandalm.published, (43, 1, 1)),
    "pointwise/derived.json": (pointwise.derived, (23, 0, 1)),
}


@cache
def claim_of(file: str, data: Path) -> Claim:
    return FILES[file][0](data)


@pytest.mark.parametrize("file", FILES)
def test_every_figure_of_the_file_is_reproduced_or_differs_for_a_stated_reason(file: str, shared_data: Path) -> None:
    claim = claim_of(file, shared_data)
    found = account(claim)
    assert not found.faults, f"{found}:\n" + "\n".join(found.faults[:30])
    assert (found.reproduced, found.differs, found.named) == FILES[file][1], str(found)
    assert sum(FILES[file][1]) == len(list(leaves(claim.published)))


@pytest.mark.parametrize("file", FILES)
def test_no_figure_of_the_file_could_change_unnoticed(file: str, shared_data: Path) -> None:
    claim = claim_of(file, shared_data)
    reproduced, differ, named = FILES[file][1]
    found = account(moved(claim))
    assert len(found.faults) == reproduced + differ, str(found)
    assert (found.reproduced, found.differs, found.named) == (0, 0, named)


@pytest.mark.parametrize("file", FILES)
def test_a_new_figure_in_the_file_would_not_pass(file: str, shared_data: Path) -> None:
    larger, added = grown(claim_of(file, shared_data))
    found = account(larger)
    assert added > 0
    assert len(found.faults) + found.named - FILES[file][1][2] == added, str(found)


def test_every_file_of_figures_in_the_data_is_in_the_account(shared_data: Path) -> None:
    kinds = ("published*.json", "derived*.json", "published*.csv", "golden*.csv")
    there = {path.relative_to(shared_data).as_posix() for kind in kinds for path in shared_data.glob(f"*/{kind}")}
    assert there == set(FILES)


def test_pandalm_7b_is_as_good_as_gpt_35_on_these_rows_and_not_at_93_75_percent_of_it(shared_data: Path) -> None:
    """PandaLM's current README claims 93.75 % of gpt-3.5's F1, which belongs to other outputs of the judge."""
    judges = claim_of("pandalm/published.json", shared_data).ours["judge_vs_majority_percent"]
    ratio = judges["PandaLM-7B"]["f1_macro"] / judges["gpt-3.5-turbo"]["f1_macro"]
    assert round(100 * ratio, 1) == 99.8


def test_the_sides_read_from_o1_minis_replies_are_the_recorded_decisions(shared_data: Path) -> None:
    folder = shared_data / "judgebench"
    said = judgebench.said_by_o1(folder)
    recorded = {"A>B": "first", "B>A": "second", "A=B": "tie"}
    for row in table(folder / "verdicts.csv"):
        decisions = (row["decision_game1"], row["decision_game2_as_presented"])
        assert (said[row["pair_id"]]["ab"], said[row["pair_id"]]["ba"]) == tuple(recorded[d] for d in decisions)
    assert len(said) == 350
