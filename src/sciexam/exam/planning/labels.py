"""What people's labels find, alone and with the verdicts of a judge on prompts that nobody labelled."""

from __future__ import annotations

from sciexam.errors import UsageError
from sciexam.exam.markers import Marker
from sciexam.exam.planning.designs import LEVEL, Exam
from sciexam.exam.planning.grounds import TIES
from sciexam.report.planning.outlook import Joint, Labels
from sciexam.stats.estimate import Undefined
from sciexam.stats.power import detectable_win_rate, with_labels
from sciexam.types import HUMANS

CORRELATIONS = (0.3, 0.5, 0.7)  # of a judge with people, where none was measured


def label(exam: Exam, labels: int, prompts: int) -> Labels:
    """People's labels on `labels` of `prompts` prompts alone, and with each judge's verdicts on all of them."""
    if labels > prompts:
        raise UsageError(f"--labels: {labels} of {prompts} prompts; label at most as many as there are (--size)")
    variance, source = _label_variance(exam)
    judged = prompts - labels
    joint = [
        Joint(marker.name, rho, how, _found(exam, labels, worth), labels * variance / worth)
        for marker in exam.markers
        if not marker.human
        for rho, how in _correlations(exam, marker)
        if (worth := max(with_labels(variance, labels, judged, rho), 1e-6))
    ]
    return Labels(labels, judged, source, _found(exam, labels, variance), tuple(joint))


def _label_variance(exam: Exam) -> tuple[float, str]:
    """The variance of a prompt's label between equal contestants, and where it is known from."""
    people = exam.pilot.components(HUMANS) if exam.pilot else Undefined("")
    if isinstance(people, Undefined):
        return (1 - TIES) / 4, f"a label is assumed to be a forced choice with {TIES:.0%} ties"
    variance = people.of_score(people.orders, people.samples, people.judges, people.repeats, False)
    return max(variance, 1e-4), f"labels vary as those on {people.prompts} prompts in the ledger do"


def _found(exam: Exam, prompts: int, variance: float) -> float | Undefined:
    return detectable_win_rate(prompts, variance, power=exam.power, level=LEVEL, comparisons=exam.pairs)


def _correlations(exam: Exam, marker: Marker) -> list[tuple[float, str]]:
    measured = exam.pilot.correlation(marker.name, HUMANS) if exam.pilot else Undefined("")
    if not isinstance(measured, Undefined):
        return [(measured, "measured")]
    return [(rho, "assumed") for rho in CORRELATIONS]
