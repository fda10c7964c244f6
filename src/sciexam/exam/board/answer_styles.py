"""The style of recorded answers, as Arena-Hard v2.0 counted it: tokens and markup, in the metadata of each line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sciexam.documents import read_jsonl
from sciexam.errors import DocumentError, UsageError
from sciexam.exam.plan import Plan
from sciexam.report.standings.as_arena_hard import Style, Styles

KEYS = ("token_len", "header_count", "list_count", "bold_count")  # of Arena-Hard's metadata; counts, or counts by kind


def styles_of(plan: Plan) -> Styles:
    """The style of each answer of the plan's contestants to its prompts. Raises DocumentError with all faults, and
    UsageError for a contestant whose answers are in no file.
    """
    prompts = {prompt.id for prompt in plan.prompts}
    found: dict[tuple[str, str, int], Style] = {}
    faults: list[str] = []
    for name in plan.contestants:
        responses = getattr(plan.suite.models[name], "responses", None)
        if responses is None:
            raise UsageError(f"--style-control: {name} has no file of answers, in which Arena-Hard counted its style")
        for number, line in read_jsonl(Path(responses)):
            if str(line.get("prompt")) in prompts and not line.get("absent"):
                style = _style(line.get("metadata"))
                if style is None:
                    listed = ", ".join(KEYS)
                    faults.append(f"{responses}:{number}: metadata: --style-control needs the counts {listed}")
                else:
                    found[name, str(line["prompt"]), int(line.get("sample", 0))] = style
    if faults:
        raise DocumentError(faults)
    return found


def _style(metadata: Any) -> Style | None:
    """Tokens, headers, list items and bold passages; None where they are not all there."""
    if not isinstance(metadata, Mapping):
        return None
    counts = [_total(metadata.get(key)) for key in KEYS]
    return None if None in counts else [count for count in counts if count is not None]


def _total(value: Any) -> float | None:
    """A count, or the sum of the counts by kind; None where it is none."""
    parts = list(value.values()) if isinstance(value, Mapping) else [value]
    numbers = [part for part in parts if isinstance(part, (int, float)) and not isinstance(part, bool)]
    if len(numbers) < len(parts) or not all(math.isfinite(number) and number >= 0 for number in numbers):
        return None
    return float(sum(numbers))
