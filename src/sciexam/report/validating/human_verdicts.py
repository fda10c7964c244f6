"""What humans say together of each comparison: the reference that a judge is held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sciexam.battles import cluster
from sciexam.report.agreeing.votes import ItemKey, Votes, matrix, side_of_score
from sciexam.report.evidence import Evidence
from sciexam.report.scores import distinct
from sciexam.stats import majority_vote

NOT_JUDGED = "the judge has no usable verdict on a comparison that a human judged"

Sides = Mapping[ItemKey, float]  # -1 for a, 0 for a tie, 1 for b


class HumanVerdicts:
    """The annotators' sides, their majority on each comparison that one of them judged, and its prompts and lengths.

    The majority is that of the annotators alone. What was adjudicated, by somebody who had read what they said, is a
    score, and `adjudicated` the sides with it in the place of the majority's. A comparison of two equal texts has a
    score, a tie, and no majority: nobody can be right about it.
    """

    def __init__(self, evidence: Evidence, votes: Sequence[Votes]):
        self.votes = tuple(votes)
        self.sides = [human.sides for human in votes]
        self.majority = majority_of(self.sides)
        self.settled = {
            item: 1 - battle.score
            for bench in evidence.benches
            for battle in bench.adjudicated
            if battle.score is not None
            and (item := (battle.a, battle.b, battle.prompt, battle.sample)) in self.majority
        }
        self.of_one_text = frozenset(item for human in votes for item in human.of_one_text)
        self.adjudicated = self.majority | {item: side_of_score(score) for item, score in self.settled.items()}
        self._responses = evidence.responses
        self._cluster = {prompt.id: cluster(prompt) for prompt in evidence.prompts}

    def without(self, index: int) -> Sides:
        """The majority of all annotators but one."""
        return majority_of([sides for other, sides in enumerate(self.sides) if other != index])

    def clusters(self, items: Iterable[ItemKey]) -> list[str] | None:
        """The units of these comparisons, as statistics take them."""
        return distinct(self._cluster[prompt] for _, _, prompt, _ in items)

    def cluster_of(self, prompt: str) -> str:
        """The unit of a prompt."""
        return self._cluster[prompt]

    def longer_by(self, item: ItemKey) -> int:
        """By how many words b's answer is longer than a's."""
        a, b, prompt, sample = item
        return self._words(b, prompt, sample) - self._words(a, prompt, sample)

    def score(self, item: ItemKey) -> float:
        """b's score by humans, ties half, as a comparison counts it: what was adjudicated, or what annotators said."""
        return self.settled[item] if item in self.settled else self.said(item)

    def said(self, item: ItemKey) -> float:
        """The mean of b's scores by the annotators who judged the comparison, ties half."""
        if item in self.of_one_text:
            return 0.5
        given = [human.scores[item] for human in self.votes if item in human.scores]
        return sum(given) / len(given)

    def _words(self, contestant: str, prompt: str, sample: int) -> int:
        return len(self._responses[contestant, prompt, sample].text.split())


def majority_of(sides: Sequence[Sides]) -> dict[ItemKey, float]:
    """The side that most raters take on each comparison that one of them judged; without a majority it is a tie."""
    items = sorted({item for mine in sides for item in mine})
    if not items:
        return {}
    labels: Sequence[object] = majority_vote(matrix(sides, items)).labels
    return {item: 0.0 if label is None else float(str(label)) for item, label in zip(items, labels, strict=True)}
