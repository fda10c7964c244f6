"""Annotators who agree with each other as dice would, for all that their verdicts show."""

from __future__ import annotations

from collections.abc import Iterator

from sciexam.battles import cluster
from sciexam.report.agreeing.votes import matrix, shared, votes_of
from sciexam.report.evidence import Evidence
from sciexam.report.scores import distinct
from sciexam.stats import Undefined, krippendorff_alpha


def agreed_by_chance(evidence: Evidence) -> Iterator[str]:
    """That the annotators are not shown to agree better than by chance, where several judged the same comparisons.

    Nominal alpha of their sides (a, tie, b), over all pairs of contestants, as `sciexam agree` prints it.
    """
    people = votes_of([bench for bench in evidence.benches if bench.trust == "people"])
    if not (items := shared(people)):
        return
    label = {prompt.id: cluster(prompt) for prompt in evidence.prompts}
    sides = matrix([one.sides for one in people], items)
    alpha = krippendorff_alpha(sides, "nominal", distinct(label[prompt] for _, _, prompt, _ in items))
    # Where all agree on all, a wide interval says that they are few, and not that it may be chance.
    if not isinstance(alpha, Undefined) and alpha.low <= 0 and alpha.value < 1:
        yield f"The annotators are not shown to agree better than by chance: Krippendorff's alpha is {alpha}."
