"""Auto-J's critiques against those of another judge: GPT-4's verdict lines A, B or C, some with the two exchanged.

Figures: GAIR-NLP/auto-j at 2ae17a3, codes/leaderboard/README.md and README.md.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from published.claims import Claim, Named, Reproduced, decimals
from published.rows import battle, document, objects, score_of, share
from sciexam.judges.parsing import parse_verdict

AUTO_J, OTHER = "Feedback 1", "Feedback 2"


def published(data: Path) -> Claim:
    folder = data / "autoj_critique"
    scores: dict[str, list[float]] = defaultdict(list)
    for row in objects(folder / "verdicts.jsonl.gz"):
        letter = row["raw"].partition(":")[0]
        said = parse_verdict(letter, "letter", "", words=("A", "B", "C")).preferred
        fought = battle(str(row["id"]), AUTO_J, OTHER, {"ba" if row["exchange"] else "ab": said})
        for group in (row["group"], "Overall"):
            scores[group].append(score_of(AUTO_J, fought))
    every = scores["Overall"]
    ours = {
        "win_rate_percent": {group: 100 * share(s == 1 for s in found) for group, found in scores.items()},
        "win_tie_lose_percent": [100 * share(s == outcome for s in every) for outcome in (1.0, 0.5, 0.0)],
    }
    rules = (
        Named("source", "where the figures were printed"),
        Reproduced("win_rate_percent/*", decimals(2)),
        Reproduced("win_tie_lose_percent", decimals(1)),
    )
    return Claim(document(folder / "published.json"), ours, rules)
