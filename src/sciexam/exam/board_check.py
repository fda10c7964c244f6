"""Whether every row of a leaderboard is complete, and like the others: nobody is asked, and nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sciexam.battles import pair
from sciexam.errors import GateNotMet, Incomplete, UsageError
from sciexam.exam.board import Sat, read_board
from sciexam.exam.drift import drift_of
from sciexam.exam.echoes import is_another, strange
from sciexam.exam.other_rubrics import verdicts_under_other_rubrics
from sciexam.exam.plan import Plan, conversations_of, shown_of
from sciexam.exam.recordings import recording_of
from sciexam.exam.references import with_references
from sciexam.exam.stored import stored_of
from sciexam.models.recorded import RecordedModel
from sciexam.models.settings import Endpoint
from sciexam.report.evidence import Evidence
from sciexam.report.standings.outcomes import STATUSES, Outcomes
from sciexam.store import Store
from sciexam.suite import HUMANS
from sciexam.types import Comparison

AGAIN = "run the command without --check, which asks for what is missing"
RETRY = "run the command with --retry-invalid instead of --check"
PIN = "write a dated name as its `model:` in the suite; what is asked under that name is a fact of its own"
LACKS = {"skipped": "no answer of", "failed": "a failed answer of", "invalid": "an unusable answer of"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row, and what to do about it."""

    row: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.row}: {self.what}; {self.remedy}."


def faults_of(plan: Plan, evidence: Evidence, outcomes: Outcomes, store: Store) -> Iterator[Fault]:
    """All faults of all rows. `plan` is that of the evidence, with the references."""
    yield from _incomplete(plan, evidence, outcomes)
    yield from _other_models(plan, store)
    yield from _other_judges(plan, evidence, store)
    yield from _changed_judges(plan, store)
    if list(plan.benches) == [HUMANS] and not plan.raters:
        yield from _other_rubrics(plan, evidence, store)


# ---------------------------------------------------------------- complete


def _incomplete(plan: Plan, evidence: Evidence, outcomes: Outcomes) -> Iterator[Fault]:
    baseline = plan.contestants[0]
    files = {n: file for n in plan.contestants if (file := recording_of(plan.suite, n)) is not None}
    for place, (a, b) in enumerate(evidence.pairs):
        if a != baseline:
            continue
        own, theirs = (set(_answered(evidence, name)) for name in (b, a))
        if own and theirs and not own & theirs:
            what = f"its {len(own)} answers are to other prompts than the {len(theirs)} of {a}"
            yield Fault(b, what, "give both answers to the same prompts")
            continue
        bare = [q for q, status in enumerate(outcomes.status[place].tolist()) if STATUSES[status] != "ok"]
        reasons = Counter(_reason(files, evidence, outcomes, place, q) for q in bare)
        for (why, remedy), count in reasons.items():
            what = f"{count} of {len(evidence.prompts)} prompts without a score against {a}"
            yield Fault(b, f"{what}: {'each has ' if count > 1 else 'it has '}{why}", remedy)


def _answered(evidence: Evidence, name: str) -> Iterator[str]:
    return (prompt for (who, prompt, _), r in evidence.responses.items() if who == name and r.reply.status == "ok")


def _reason(
    files: Mapping[str, RecordedModel], evidence: Evidence, outcomes: Outcomes, place: int, q: int
) -> tuple[str, str]:
    """Why a prompt has no score for a pair, and what to type."""
    prompt = evidence.prompts[q]
    slots = [(name, prompt.id, sample) for name in evidence.pairs[place] for sample in range(evidence.samples)]
    lacking = {s[0]: word for s in slots if (word := evidence.responses[s].reply.status) != "ok"}
    # Nobody is asked where a file holds no answer to compare with.
    if never := {n: file.path for n, file in files.items() if n in lacking and not file.answers(prompt)}:
        why = " and ".join(f"no answer of {name}" for name in never)
        return why, f"add what is missing to {' and '.join(map(str, never.values()))}"
    if lacking:
        why = " and ".join(f"{LACKS[word]} {name}" for name, word in lacking.items())
        return why, RETRY if "invalid" in lacking.values() else AGAIN
    match STATUSES[outcomes.status[place, q]]:
        case "invalid":
            return "an unusable verdict", RETRY
        case "failed":
            return "a verdict whose call failed", AGAIN
    return "no verdict", AGAIN


# ---------------------------------------------------------------- alike


def _other_models(plan: Plan, store: Store) -> Iterator[Fault]:
    """Contestants behind which several models answered, or another than was asked for."""
    for name in plan.contestants:
        spec = plan.suite.models[name]
        if isinstance(spec, Endpoint):
            for told in strange(name, spec.model, store.echoed(c.key for _, c in conversations_of(plan, name))):
                yield Fault(name, told.removeprefix(f"{name}: ").rstrip("."), PIN)


def _other_judges(plan: Plan, evidence: Evidence, store: Store) -> Iterator[Fault]:
    """Rows whose verdicts came from another model than was asked for, or than those of most rows."""
    for rater in plan.raters:
        if not rater.model:
            continue
        said: dict[str, Mapping[str, int]] = {}
        for name, comparisons in _by_row(plan, evidence):
            said[name] = store.echoed({seen.key for c in comparisons for seen in shown_of(plan, rater, c, store)})
        counts: Counter[str] = Counter()
        for one in said.values():
            counts.update(one)
        ours = [other for other, _ in counts.most_common() if not is_another(rater.model, other)]
        for name, one in said.items():
            for other, count in one.items():
                if other not in ours:
                    what = f"{count} of its verdicts by {rater.name} came from {other!r}, not from {rater.model!r}"
                    yield Fault(name, what, PIN)
                elif other != ours[0]:
                    what = f"{count} of its verdicts by {rater.name} came from {other!r}, others of the board's"
                    yield Fault(name, f"{what} from {ours[0]!r}, which may be another model", PIN)


def _by_row(plan: Plan, evidence: Evidence) -> Iterator[tuple[str, list[Comparison]]]:
    """The comparisons of each row with the baseline."""
    for a, b in plan.pairs:
        if a == plan.contestants[0]:
            yield b, list(pair(plan.prompts, [(a, b)], plan.samples, evidence.responses))


def _changed_judges(plan: Plan, store: Store) -> Iterator[Fault]:
    for rater in plan.raters:
        found = drift_of(rater, store) if rater.anchors else None
        if found is not None and found.drifted:
            yield Fault("every row", found.sentence.rstrip("."), PIN)


def _other_rubrics(plan: Plan, evidence: Evidence, store: Store) -> Iterator[Fault]:
    """Rows on which annotators were asked under another rubric than the suite's."""
    for name, comparisons in _by_row(plan, evidence):
        for rubric, count in verdicts_under_other_rubrics(plan.suite.rubric, comparisons, store).items():
            what = f"{count} human verdicts were given under another rubric ({rubric})"
            yield Fault(name, what, "serve a queue under the suite's rubric, or make the board with theirs: --rubric")


# ---------------------------------------------------------------- the command


def check_board(plan: Plan, store: Store) -> str:
    """One sentence that says that every row is complete and alike. Raises GateNotMet with all faults where not."""
    sat = Sat(plan, stored_of(plan, store))
    try:
        evidence, outcomes = read_board(sat, store)
    except (UsageError, Incomplete) as error:
        raise GateNotMet(f"--check: {error}; {AGAIN}") from None
    plan = with_references(plan, store)
    faults = list(faults_of(plan, evidence, outcomes, store))
    if faults:
        rows = len({fault.row for fault in faults})
        counted = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
        raise GateNotMet(
            "\n".join([f"--check: {counted} of {rows} of {len(plan.contestants)} rows", *map(str, faults)])
        )
    return (
        f"The leaderboard of {plan.suite.name} by {outcomes.name} is complete and alike: {len(plan.contestants)} rows, "
        f"{len(plan.prompts)} prompts each."
    )
