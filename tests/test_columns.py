"""What is read as arrays is what is read as records: keys, facts, battles and scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sciexam as sx
from conftest import write_jsonl, write_suite
from sciexam.battles import name_of, pair
from sciexam.exam.asking import owes
from sciexam.exam.benches import judged_by
from sciexam.exam.facts import evidence_of
from sciexam.exam.looks import looks_of
from sciexam.exam.plan import Plan, make_plan, presentations_of
from sciexam.exam.stored import Heard
from sciexam.models.terms import USUAL
from sciexam.report.calls import Calls
from sciexam.report.evidence import Bench
from sciexam.report.scores import scores_of
from sciexam.report.standings.outcomes import Outcomes, outcomes_of, outcomes_of_judge
from sciexam.store import Store, columns
from sciexam.store.columns import Wanted
from sciexam.store.tables import STATUSES
from sciexam.types import TRUNCATED, Reply, Response, Verdict

NAMES = ("base", "sft", "rlhf")
WORDS = st.text(max_size=12) | st.sampled_from(["", "Why?", 'a "quote" and \\', "é ü 漢 😀", "\ud800", "\x00\x1f"])


class Judge:
    """A judge that is never asked."""

    name = "judge"

    def __init__(self, digest: str, repeats: int, sees_order: bool, by_name: bool):
        self.digest, self.repeats, self.sees_order, self.by_name = digest, repeats, sees_order, by_name

    def judge(self, presentations: Any) -> Iterator[Any]:
        raise AssertionError("nobody asks it")


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> sx.Suite:
    folder = tmp_path_factory.mktemp("columns")
    models = {name: {"responses": f"{name}.jsonl"} for name in NAMES}
    for name in NAMES:
        write_jsonl(folder / f"{name}.jsonl", [{"prompt": "q0", "text": "-"}])
    return sx.load_suite(str(write_suite(folder, 3, models, generation={"samples": 2})))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One ledger for all examples, on each of the two databases."""
    if request.param == "sqlite":
        location = str(tmp_path_factory.mktemp("ledger") / "ledger.sqlite")
    else:
        cluster = request.getfixturevalue("cluster")
        location = cluster.url(cluster.create())
    with Store(location) as made:
        yield made


@st.composite
def plans(draw: st.DrawFn, exam: sx.Suite) -> tuple[Plan, dict[Any, Response]]:
    """A plan of any judge, and answers of which some are missing, and some are the same."""
    digest = draw(st.uuids()).hex
    judge = Judge(digest, draw(st.integers(1, 3)), draw(st.booleans()), draw(st.booleans()))
    orders = draw(st.sampled_from(["both", "one"]))
    policy = draw(st.sampled_from(["mean", "conservative"]))
    plan, _ = make_plan(exam, NAMES, [judge], orders, policy, None, "category", None, USUAL)
    asked = [p.model_copy(update={"reference": draw(st.none() | WORDS)}) for p in plan.prompts]
    text = st.sampled_from(draw(st.lists(WORDS, min_size=1, max_size=6)))
    status = st.sampled_from(["ok", "ok", "ok", "failed", "invalid", "skipped"])
    slots = [(name, p.id, sample) for name in NAMES for p in asked for sample in range(plan.samples)]
    replies = {slot: Reply("00" * 32, draw(text), draw(status)) for slot in slots}
    return replace(plan, prompts=tuple(asked)), {slot: Response(*slot, reply) for slot, reply in replies.items()}


def verdicts_for(draw: Any, plan: Plan, responses: Any, store: Store) -> Iterator[Verdict]:
    """Attempts under some of the keys, in any order."""
    for comparison in pair(plan.prompts, plan.pairs, plan.samples, responses):
        for shown in presentations_of(plan, plan.raters[0], comparison, store):
            for _ in range(draw(st.integers(0, 2))):
                failure = draw(st.sampled_from(["", "", "", "no verdict", TRUNCATED, "refused"]))
                if failure:
                    status = "failed" if failure == "refused" else "invalid"
                    yield shown.verdict("judge", failure=failure, status=status)  # type: ignore[arg-type]
                elif draw(st.booleans()):
                    yield shown.verdict("judge", draw(st.sampled_from(["first", "second", "tie"])))
                else:
                    yield shown.verdict("judge", probability_second=draw(st.sampled_from([0.0, 0.3, 0.5, 0.9])))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_looks_are_the_presentations_with_the_same_keys(data: st.DataObject, exam: sx.Suite, store: Store) -> None:
    plan, responses = data.draw(plans(exam))
    (rater,) = plan.raters
    expected = [
        (plan.pairs.index((c.a.contestant, c.b.contestant)), c.prompt.id, c.a.sample, p.order, p.key)
        for c in pair(plan.prompts, plan.pairs, plan.samples, responses)
        for p in presentations_of(plan, rater, c, store)
    ]
    looks = looks_of(plan, rater, responses)
    found = [
        (looks.pair[c], plan.prompts[looks.prompt[c]].id, looks.sample[c], ("ab", "ba")[o], bytes(key).hex())
        for c, o, key in zip(looks.comparison, looks.order, looks.keys, strict=True)
    ]
    # Both are in the order of repeats within a comparison, in which a mean is taken.
    assert sorted(found, key=lambda one: one[:3]) == sorted(expected, key=lambda one: one[:3])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_a_judge_was_shown_is_its_presentations(data: st.DataObject, exam: sx.Suite, store: Store) -> None:
    plan, responses = data.draw(plans(exam))
    (rater,) = plan.raters
    looks = looks_of(plan, rater, responses)
    keys = Wanted(looks.keys)
    shown = Heard(rater, looks, keys, store.columns.verdicts(keys)).shown(plan)
    for c in pair(plan.prompts, plan.pairs, plan.samples, responses):
        known = [(p.order, p.repeat, p.key) for p in presentations_of(plan, rater, c, store)]
        assert list(shown.get(name_of(c), ())) == known


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_columns_hold_the_facts_battles_and_scores_of_the_records(
    data: st.DataObject, exam: sx.Suite, store: Store
) -> None:
    plan, responses = data.draw(plans(exam))
    (rater,) = plan.raters
    store.append(data.draw(st.permutations(list(verdicts_for(data.draw, plan, responses, store)))))
    looks = looks_of(plan, rater, responses)
    keys = Wanted(looks.keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "BATCH", data.draw(st.integers(1, 50)))  # attempts of one key come in several batches
        heard = Heard(rater, looks, keys, store.columns.verdicts(keys))
    hexed = [bytes(key).hex() for key in looks.keys]
    facts = store.verdicts(hexed)
    for retry in (False, True):
        assert heard.owed(retry).tolist() == [owes(facts.get(key), retry) for key in hexed]
    for place, key in enumerate(hexed):
        status = heard.verdicts.status[place]
        assert (facts[key].status if key in facts else None) == (STATUSES[status] if status >= 0 else None)
        assert heard.verdicts.attempt[place] == (facts[key].attempt if key in facts else 0)

    comparisons = list(pair(plan.prompts, plan.pairs, plan.samples, responses))
    judged = judged_by(plan, rater, store, comparisons, {})
    shown = [one for each in judged for one in each.shown]
    bench = Bench("judge", "a judge", ("judge",), rater.sees_order, [one.battle for one in judged], shown)
    evidence = evidence_of(plan, store, responses, [bench], Calls(), ())
    by_records = outcomes_of(evidence, bench)
    by_columns = outcomes_of_judge(evidence, bench.name, bench.description, bench.sees_order, heard.said)
    same(by_columns, by_records)
    for i, contest in enumerate(plan.pairs):
        for q, score in enumerate(scores_of(evidence, bench)[contest]):
            assert by_columns.scores[i, q] == pytest.approx(np.nan if score.score is None else score.score, nan_ok=True)
            assert STATUSES[by_columns.status[i, q]] == score.status


def same(one: Outcomes, other: Outcomes) -> None:
    np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=1e-15)
    assert (one.status == other.status).all()
    assert {s: n for s, n in one.verdicts.items() if n} == {s: n for s, n in other.verdicts.items() if n}
    assert one.silent == other.silent
    both = [
        sorted((*at, *scores) for at, scores in zip(x.swapped_at.tolist(), x.swapped.tolist(), strict=True))
        for x in (one, other)
    ]
    np.testing.assert_allclose(both[0], both[1], rtol=0, atol=1e-15)


@pytest.mark.parametrize("others", [0, 60], ids=["in one pass", "looked up"])
def test_keys_that_begin_alike_or_end_in_zeros_are_told_apart(ledger: str, others: int) -> None:
    ends = [b"\x00" * 24, b"\x01" + b"\x00" * 23, b"\x00" * 23 + b"\x01", b"\xff" * 24]
    known = [b"\x80" * 8 + end for end in ends] + [b"\x80" * 7 + b"\x81" + ends[0]]
    with Store(ledger) as store:
        for place, key in enumerate([*known, *(bytes([7, i]) * 16 for i in range(others))]):
            store.append(
                [Verdict(key.hex(), "q", "a", "b", "judge", subject="00" * 32, probability_second=place / 100)]
            )
        for absent in range(len(known)):
            asked = [key for place, key in enumerate(known) if place != absent] * 2
            keys = Wanted(np.frombuffer(b"".join(asked), dtype=np.uint8).reshape(-1, 32))
            assert store.columns.verdicts(keys).second.tolist() == [known.index(key) / 100 for key in asked]


def test_a_few_keys_are_looked_up_and_many_are_read_in_one_pass(ledger: str) -> None:
    keys = [f"{i:064x}" for i in range(40)]
    with Store(ledger) as store:
        store.append([Reply(key, "A", model="m-1" if int(key, 16) % 4 else "m-2") for key in keys])
        for some in (keys[:2], keys, keys[5:30]):
            wanted = Wanted(np.frombuffer(bytes.fromhex("".join(some)), dtype=np.uint8).reshape(-1, 32))
            assert store.columns.models(wanted) == store.echoed(some)
            by_key = store.columns.models_by_key(wanted)
            for place, key in enumerate(wanted):
                own = {name: int(counts[place]) for name, counts in by_key.items() if counts[place]}
                assert own == store.echoed([key.hex()])
            rest = {name: count for name, count in store.echoed(some).items() if name != "m-1"}
            assert store.columns.models(wanted, but=["m-1"]) == rest
        assert sorted(store.columns.model_names()) == ["m-1", "m-2"]
        none = Wanted(np.empty((0, 32), dtype=np.uint8))
        assert store.columns.models(none) == {}
        assert store.columns.verdicts(none).status.tolist() == []
