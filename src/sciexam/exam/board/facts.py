"""What a leaderboard is counted from: arrays where one judge compares, else records."""

from __future__ import annotations

from collections.abc import Iterator

from sciexam.exam.drawn_again import drawn_again_by
from sciexam.exam.echoes import echoes
from sciexam.exam.facts import check_compared, check_judged, evidence_of, read_facts
from sciexam.exam.raters import trust_of
from sciexam.exam.sat import Sat
from sciexam.report.evidence import Bench, Evidence
from sciexam.report.standings.outcomes import OK, Outcomes, outcomes_of, outcomes_of_judge
from sciexam.store import Store


def read_board(sat: Sat, store: Store) -> tuple[Evidence, Outcomes]:
    """What was planned and found out, and what the one bench said of every pair. Raises as `read_facts` does."""
    plan, stored, calls, skipped, notes = sat.plan, sat.stored, sat.calls, sat.skipped, sat.notes
    heard = stored.alone if stored else None
    if stored is None or heard is None:
        evidence = read_facts(plan, store, calls, skipped, notes, stored)
        (bench,) = evidence.benches
        return evidence, outcomes_of(evidence, bench)
    plan, rater = stored.plan, heard.rater
    check_compared(plan, stored.responses, len(heard.looks.pair) > 0, calls)
    description, trust = plan.benches[rater.bench], trust_of([rater])
    bench = Bench(rater.bench, description, (rater.name,), rater.sees_order, (), (), trust=trust, spoke=heard.spoke)
    if len(heard.looks.pair):
        check_judged(plan, store, [bench], calls)
    caveats = (*notes, *dict.fromkeys(echoes(plan, store, (), stored.heard)), *drawn_again_by(heard, store))
    evidence = evidence_of(plan, store, stored.responses, [bench], calls, caveats)
    return evidence, outcomes_of_judge(evidence, bench.name, bench.description, bench.sees_order, heard.said)


def keys_of_said(sat: Sat, bench: Bench) -> Iterator[str]:
    """The keys of the usable verdicts of a board's judge."""
    heard = sat.stored.alone if sat.stored else None
    if heard is None:
        return (shown.key for shown, verdict in bench.verdicts if verdict.status == "ok")
    return (key.tobytes().hex() for key in heard.looks.keys[heard.verdicts.status == OK])
