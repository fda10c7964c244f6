"""sciexam: pairwise evaluation and judging for people who fine-tune language models.

import sciexam as sx

suite = sx.load_suite("science")
report = sx.compare(suite, "base", "sft")
report.pairs["base", "sft"].win_rate      # Estimate(value=..., low=..., high=..., level=0.95, n=..., method=...)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sciexam.errors import SciexamError
    from sciexam.exam import agree, compare, leaderboard
    from sciexam.exam.audit import audit
    from sciexam.exam.bulk import answer
    from sciexam.exam.marking import grade, reward
    from sciexam.exam.planning import plan_ahead
    from sciexam.exam.validating import validate
    from sciexam.report.record import Pair, Report
    from sciexam.rubric import Rubric, load_rubric
    from sciexam.stats import Estimate, Undefined
    from sciexam.suite import Suite, load_suite
    from sciexam.types import Presentation, Prompt, Response, Verdict

# Where each public name lives; a module is imported when one of its names is first used.
_HOMES = {
    "Estimate": "sciexam.stats",
    "Pair": "sciexam.report.record",
    "Presentation": "sciexam.types",
    "Prompt": "sciexam.types",
    "Report": "sciexam.report.record",
    "Response": "sciexam.types",
    "Rubric": "sciexam.rubric",
    "SciexamError": "sciexam.errors",
    "Suite": "sciexam.suite",
    "Undefined": "sciexam.stats",
    "Verdict": "sciexam.types",
    "agree": "sciexam.exam",
    "answer": "sciexam.exam.bulk",
    "audit": "sciexam.exam.audit",
    "compare": "sciexam.exam",
    "grade": "sciexam.exam.marking",
    "leaderboard": "sciexam.exam",
    "load_rubric": "sciexam.rubric",
    "plan_ahead": "sciexam.exam.planning",
    "load_suite": "sciexam.suite",
    "reward": "sciexam.exam.marking",
    "validate": "sciexam.exam.validating",
}

__all__ = [
    "Estimate",
    "Pair",
    "Presentation",
    "Prompt",
    "Report",
    "Response",
    "Rubric",
    "SciexamError",
    "Suite",
    "Undefined",
    "Verdict",
    "agree",
    "answer",
    "audit",
    "compare",
    "grade",
    "leaderboard",
    "load_rubric",
    "load_suite",
    "plan_ahead",
    "reward",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sciexam' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
