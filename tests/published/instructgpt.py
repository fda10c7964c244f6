"""InstructGPT's samples on TruthfulQA: truthfulness and informativeness of 12 models under 3 prompts.

The figures were made for this data with pandas; the paper's own table is of another run and does not follow from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from published.claims import Claim, Named, Reproduced
from published.judgebench import described
from published.rows import document, share


def derived(data: Path) -> Claim:
    folder = data / "instructgpt"
    frame = pd.read_csv(folder / "truthfulqa_scores.csv.gz")
    ours: dict[str, Any] = {}
    for (prompt, model), rows in frame.groupby(["prompt_type", "model"]):
        ours.setdefault(prompt, {})[model] = {
            quality: described(rows[quality].to_numpy()) | {"share_above_half": share(rows[quality] > 0.5)}
            for quality in ("truthful", "informative")
        }
    rules = (
        Named("source", "how the figures were made"),
        Reproduced("stats/*/*/truthful|informative/n"),
        Reproduced("stats/*/*/truthful|informative/mean|std_ddof1|median|min|max|share_above_half", 1e-12),
    )
    return Claim(document(folder / "derived.json"), {"stats": ours}, rules)
