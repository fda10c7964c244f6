"""AlpacaEval's figures: the win rate against the baseline, and the length-controlled one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sciexam.battles import Battle
from sciexam.report.evidence import Evidence
from sciexam.report.record import Figure, plain
from sciexam.report.standings.peer_rows import (
    Part,
    PeerRow,
    against_baseline,
    answers_lacking,
    peer_row,
    score_of_b,
    win_rate_of,
)
from sciexam.stats import Calibration, Estimate, Undefined, alpacaeval_length_controlled
from sciexam.stats.alpacaeval import alpacaeval_row

SHOWN = ("win_rate", "standard_error", "discrete_win_rate", "length_controlled_winrate")
HEADLINES = ("length_controlled_winrate", "win_rate")
RULE = (
    "AlpacaEval: win_rate = 100 mean(preference - 1) against the baseline over the prompts with a verdict, "
    "discrete_win_rate counts wins and half of the draws, standard_error takes prompts as independent. "
    "length_controlled_winrate is its fit at equal length by the calibration of its own prompts, here without its "
    "penalty; sciexam's length controlled is that figure with an interval. The column 'at equal length' of a board "
    "without --as is another fit, of these answers alone."
)


def alpacaeval_rows(part: Part, calibration: Calibration | None) -> Iterator[PeerRow]:
    """Each battle is a row of AlpacaEval's, also where a prompt has several samples or raters."""
    evidence, baseline = part.evidence, part.board.baseline
    for name in against_baseline(part):
        met = [one for one in evidence.benches[0].battles if (one.a, one.b) == (baseline, name)]
        fought = [one for one in met if one.score is not None]
        found = alpacaeval_row([score_of_b(battle) for battle in fought])
        theirs: dict[str, float | int | None] = {} if isinstance(found, Undefined) else plain(found)
        controlled = _controlled(evidence, fought, calibration)
        given = [one for one in evidence.responses.values() if one.contestant == name and one.reply.status == "ok"]
        lengths = [len(one.text) for one in given if not one.absent]
        theirs["avg_length"] = int(np.mean(lengths)) if lengths else None
        theirs["length_controlled_winrate"] = 100 * controlled.value if isinstance(controlled, Estimate) else None
        why = {"length_controlled_winrate": controlled.why} if isinstance(controlled, Undefined) else {}
        ours = {"win rate": win_rate_of(part, name), "length controlled": controlled}
        yield peer_row(part, name, (one.prompt for one in fought), theirs, ours, why)


def _controlled(evidence: Evidence, fought: Sequence[Battle], calibration: Calibration | None) -> Figure:
    if calibration is None:
        return Undefined("it needs AlpacaEval's calibration; name the file with --calibration")
    answers = [[evidence.responses[name, one.prompt, one.sample] for name in (one.a, one.b)] for one in fought]
    if lacking := sum(one.absent or other.absent for one, other in answers):
        return Undefined(answers_lacking(lacking, len(answers)))
    known = dict(zip(calibration.prompts, np.asarray(calibration.difficulty).tolist(), strict=True))
    difficulty = {prompt.id: known[prompt.id] for prompt in evidence.prompts}
    judged = [battle.prompt for battle in fought]
    unjudged = difficulty.keys() - set(judged)
    return alpacaeval_length_controlled(
        judged,
        [score_of_b(battle) for battle in fought],
        [len(one.text) for one, _ in answers],
        [len(other.text) for _, other in answers],
        [difficulty[prompt] for prompt in judged],
        calibration,
        unjudged={prompt: difficulty[prompt] for prompt in sorted(unjudged)},
    )
