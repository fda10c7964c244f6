"""What annotators do at the desk of a queue, and what of it stands in the ledger."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from annotate_queue import judging_by, queue_of
from conftest import answers, write_jsonl, write_suite
from postgres import SLOWLY, place
from sciexam.annotate.announcement import announcement, elsewhere, on_other_scales
from sciexam.annotate.desk import Desk, NotYours, keep_queue, kept_queue
from sciexam.annotate.export import exported
from sciexam.annotate.importing import Imported, import_verdicts
from sciexam.annotate.links import Links, until
from sciexam.annotate.overview import Overview
from sciexam.annotate.overview_text import rates_of, tables_of
from sciexam.annotate.owner import OwnerPages
from sciexam.annotate.queue import Item, Queue, make_queue
from sciexam.annotate.serving import Invitation, invited
from sciexam.errors import StoreError, UsageError
from sciexam.exam.answering import answers_of
from sciexam.exam.runs import terms_of
from sciexam.report.caveats import caveats_of
from sciexam.store import Store
from sciexam.store.annotations import Slots, standing
from sciexam.store.annotators import Annotator
from sciexam.suite import load_suite
from sciexam.typed import Command
from sciexam.types import Comparison

TYPED = Command(("base", "sft"), {})

PROMPTS = 12


@pytest.fixture(params=SLOWLY)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store(place(request, tmp_path)) as made:
        yield made


def person(store: Store, name: str = "Ann") -> Annotator:
    return store.annotators.add(name, until(1))


def judge_all(desk: Desk, who: Annotator, choice: str = "left-much", at_most: int = 1000) -> list[str]:
    """Judge whatever comes, always alike; the ids in turn."""
    return judging_by(desk, who, lambda item, shown: choice, at_most)


# ---------------------------------------------------------------- verdicts


def test_a_judgement_is_a_human_verdict_on_what_was_shown(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store)
    desk, ann = Desk(store, queue), person(store)
    id = desk.next(ann)
    assert id is not None
    showing = desk.show(ann, id)
    form = {
        "choice": "right-slightly",
        "comment": "clearer\r\nand shorter",
        "criterion-0": "left",
        "criterion-1": "tie",
    }
    assert desk.judge(ann, id, 0, form)
    [verdict] = store.human_verdicts(subjects_of(queue))
    item = queue.by_id[id]
    left, right = showing.place.shown
    assert (verdict.first, verdict.second) == (item.by[left], item.by[right])
    assert (verdict.preferred, verdict.strength) == ("second", "slight")
    assert verdict.rater == "annotator-1"
    assert verdict.reason == "clearer\nand shorter"
    names = [criterion.name for criterion in queue.rubric.criteria]
    assert verdict.criteria == {names[0]: "first", names[1]: "tie"}


def subjects_of(queue: Queue) -> list[str]:
    from sciexam.battles import present

    return [present(one, order).subject for one in queue.comparisons() for order in ("ab", "ba")]


@pytest.mark.parametrize(
    ("scale", "meant"),
    [
        ("four-point", {"left-much": ("first", "strong"), "right-slightly": ("second", "slight")}),
        ("five-point", {"tie": ("tie", None), "left-slightly": ("first", "slight")}),
        ("choice", {"left": ("first", None), "right": ("second", None)}),
        ("choice-or-tie", {"tie": ("tie", None)}),
    ],
)
def test_each_scale_says_what_its_buttons_mean(
    tmp_path: Path, store: Store, scale: str, meant: dict[str, tuple[str, str | None]]
) -> None:
    queue = queue_of(tmp_path, store, scale=scale)
    desk, ann = Desk(store, queue), person(store)
    for choice, expected in meant.items():
        id = desk.next(ann)
        assert id is not None
        desk.judge(ann, id, 0, {"choice": choice})
        verdict = store.human_verdicts(subjects_of(queue))[-1]
        assert (verdict.preferred, verdict.strength) == expected


def test_a_scale_without_a_tie_takes_none(tmp_path: Path, store: Store) -> None:
    desk, ann = Desk(store, queue_of(tmp_path, store)), person(store)
    id = desk.next(ann)
    assert id is not None
    with pytest.raises(UsageError, match="No answer was chosen"):
        desk.judge(ann, id, 0, {"choice": "tie"})


def test_cannot_judge_is_no_tie_but_an_unusable_verdict(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, scale="five-point")
    desk, ann = Desk(store, queue), person(store)
    judge_all(desk, ann, "cannot", 1)
    [verdict] = store.human_verdicts(subjects_of(queue))
    assert (verdict.status, verdict.failure, verdict.preferred) == ("invalid", "cannot judge", None)


def test_what_is_taken_back_counts_nowhere_and_its_item_comes_next(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store)
    desk, ann = Desk(store, queue), person(store)
    first, second = judge_all(desk, ann, "left-much", 2)
    third = desk.next(ann)
    assert desk.undo(ann, desk.last(ann)) == second
    assert desk.next(ann) == second
    assert desk.progress(ann).done == 1
    verdicts = {v.key: v for v in store.human_verdicts(subjects_of(queue))}
    assert Counter(v.status for v in verdicts.values()) == {"ok": 1, "skipped": 1}
    assert desk.judge(ann, second, 2, {"choice": "right-much"})
    assert desk.next(ann) == third
    assert first != third
    assert [one.choice for one in desk.history(ann)] == ["left-much", "left-much", "withdrawn", "right-much"]


def test_the_same_taking_back_twice_takes_one_judgement_back(tmp_path: Path, store: Store) -> None:
    desk, ann = Desk(store, queue_of(tmp_path, store)), person(store)
    judge_all(desk, ann, "left-much", 3)
    last = desk.last(ann)
    assert desk.undo(ann, last) is not None
    assert desk.undo(ann, last) is None
    assert desk.progress(ann).done == 2


def test_a_changed_judgement_is_a_second_attempt_and_the_last_one_counts(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store)
    desk, ann = Desk(store, queue), person(store)
    [id] = judge_all(desk, ann, "left-much", 1)
    assert desk.judge(ann, id, 1, {"choice": "right-much"})
    [verdict] = store.human_verdicts(subjects_of(queue))
    assert (verdict.preferred, verdict.attempt) == ("second", 1)


def test_a_stale_form_changes_nothing_unless_it_says_the_same(tmp_path: Path, store: Store) -> None:
    desk, ann = Desk(store, queue_of(tmp_path, store)), person(store)
    [id] = judge_all(desk, ann, "left-much", 1)
    assert desk.judge(ann, id, 0, {"choice": "left-much"})
    assert not desk.judge(ann, id, 0, {"choice": "right-much"})
    assert not desk.judge(ann, id, 7, {"choice": "left-much"})
    assert [one.choice for one in desk.history(ann)] == ["left-much"]


def test_sixteen_posts_at_once_are_one_judgement(tmp_path: Path, store: Store) -> None:
    desk, ann = Desk(store, queue_of(tmp_path, store)), person(store)
    id = desk.next(ann)
    assert id is not None
    start, kept = threading.Barrier(16), []

    def post(choice: str) -> None:
        start.wait()
        kept.append(desk.judge(ann, id, 0, {"choice": choice}))

    threads = [threading.Thread(target=post, args=(("left-much", "right-much")[i % 2],)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [done] = desk.history(ann)
    assert kept.count(True) == 8, "those who said what stands were kept, the others were told"
    assert done.choice in ("left-much", "right-much")


# ---------------------------------------------------------------- what is shown


def test_an_item_that_was_not_given_is_not_shown(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store)
    desk, ann, bob = Desk(store, queue), person(store), person(store, "Bob")
    id = desk.next(ann)
    assert id is not None
    for item in (id, queue.items[-1].id, "../../etc/passwd", "\x00"):
        with pytest.raises(NotYours):
            desk.show(bob, item)
        with pytest.raises(NotYours):
            desk.judge(bob, item, 0, {"choice": "left-much"})


def test_each_item_gets_its_overlap_and_both_layouts_equally_often(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, overlap=4, annotators=8, prompts=24)
    desk = Desk(store, queue)
    people = [person(store, f"P{i}") for i in range(8)]
    while True:  # everyone one item, in turn
        came = [judge_all(desk, who, "left-much", 1) for who in people]
        if not any(came):
            break
    done = list(standing(store.annotations.judgements(queue.id)))
    assert Counter(one.item for one in done) == {item.id: 4 for item in queue.items}
    for item in queue.items:
        assert Counter(one.shown for one in done if one.item == item.id) == {(0, 1): 2, (1, 0): 2}


def test_one_annotator_alone_sees_each_contestant_on_the_left_half_the_time(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, overlap=1, annotators=1, prompts=40)
    desk, ann = Desk(store, queue), person(store)
    judge_all(desk, ann)
    shown = [one.shown for one in desk.history(ann)]
    assert Counter(shown) == {(0, 1): 20, (1, 0): 20}
    runs = sum(a != b for a, b in pairwise(shown))
    assert 8 <= runs <= 32, "a drawn order neither alternates nor stays"


def test_drafts_come_back_and_end_with_the_judgement(tmp_path: Path, store: Store) -> None:
    desk, ann = Desk(store, queue_of(tmp_path, store)), person(store)
    id = desk.next(ann)
    assert id is not None
    desk.draft(ann, id, {"comment": "half a thou", "criterion-1": "right"})
    said = desk.show(ann, id).said
    assert (said.comment, dict(said.criteria), said.choice) == ("half a thou", {"correctness": "right"}, "")
    desk.judge(ann, id, 0, {"choice": "left-much", "comment": "a whole one"})
    assert desk.show(ann, id).said.comment == "a whole one"
    desk.draft(ann, id, {"comment": "another, not yet sent"})
    assert (desk.show(ann, id).said.comment, desk.show(ann, id).said.choice) == ("another, not yet sent", "left-much")


# ---------------------------------------------------------------- checks


def test_gold_and_second_showings_come_in_between_and_make_no_verdict(tmp_path: Path, store: Store) -> None:
    gold = write_jsonl(
        tmp_path / "gold.jsonl",
        [{"question": f"What is {i} + {i}?", "better": f"{2 * i}", "worse": "a fish"} for i in range(3)],
    )
    queue = queue_of(tmp_path, store, overlap=1, annotators=1, prompts=30, gold=gold, repeats=4)
    desk, ann = Desk(store, queue), person(store)
    assert desk.progress(ann).total == 30 + 3 + 4
    seen = judge_all(desk, ann)
    kinds = ["again" if id in queue.repeated else queue.by_id[id].kind for id in seen]
    assert Counter(kinds) == {"pair": 30, "gold": 3, "again": 4}
    assert kinds[-10:].count("pair") < 10 or kinds[:20].count("pair") < 20, "they are spread"
    assert len(store.human_verdicts(subjects_of(queue))) == 30
    shown = {one.item: one.shown for one in desk.history(ann)}
    places = {id: place for place, id in enumerate(seen)}
    for id in queue.repeated & set(seen):
        first = queue.by_id[id].id
        assert shown[id] == shown[first][::-1], "the other way round"
        assert places[id] - places[first] > 3


def test_a_bad_line_of_gold_is_told_with_its_line(tmp_path: Path, store: Store) -> None:
    gold = write_jsonl(tmp_path / "gold.jsonl", [{"question": "q", "better": "a", "wrose": "b"}])
    with pytest.raises(UsageError, match=r"gold.jsonl:1: wrose: unknown key; did you mean 'worse'\?"):
        queue_of(tmp_path, store, gold=gold)


# ---------------------------------------------------------------- other tasks and draws


def test_a_ranking_is_kept_as_all_the_pairs_that_it_implies(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, names=("a", "b", "c", "d"), task="ranking", prompts=2)
    desk, ann = Desk(store, queue), person(store)
    id = desk.next(ann)
    assert id is not None
    item, shown = queue.by_id[id], desk.show(ann, id).place.shown
    # Best first: d, b, a, c, as the form says it: the rank of each place of the layout.
    best_first = [item.by.index(name) for name in "dbac"]
    form = {f"rank-{place}": str(best_first.index(slot) + 1) for place, slot in enumerate(shown)}
    assert desk.judge(ann, id, 0, {"choice": "ranking", **form})
    verdicts = store.human_verdicts(subjects_of(queue))
    won = {(v.first, v.second) if v.preferred == "first" else (v.second, v.first) for v in verdicts}
    assert won == {("d", "b"), ("d", "a"), ("d", "c"), ("b", "a"), ("b", "c"), ("a", "c")}


@pytest.mark.parametrize("ranks", [["1", "1", "2"], ["1", "2", ""], ["0", "1", "2x"], []])
def test_a_ranking_needs_a_rank_for_each(tmp_path: Path, store: Store, ranks: list[str]) -> None:
    desk = Desk(store, queue_of(tmp_path, store, names=("a", "b", "c"), task="ranking", prompts=1))
    ann = person(store)
    id = desk.next(ann)
    assert id is not None
    form = {f"rank-{place}": rank for place, rank in enumerate(ranks)}
    with pytest.raises(UsageError, match="a rank of its own"):
        desk.judge(ann, id, 0, {"choice": "ranking", **form})


def test_ten_answers_are_too_many_to_rank(tmp_path: Path, store: Store) -> None:
    with pytest.raises(UsageError, match=r"3 to 9 answers to a prompt, not 10 \(2 contestants x 5 samples\)"):
        queue_of(tmp_path, store, samples=5, task="ranking")


def test_two_samples_of_one_contestant_are_a_pair(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, names=("sft",), samples=2)
    assert {item.by for item in queue.items} == {("sft", "sft #2")}
    assert len(queue.items) == PROMPTS


def test_a_draw_is_a_sample_that_a_larger_one_goes_on_with(tmp_path: Path, store: Store) -> None:
    small, large = queue_of(tmp_path, store, draw=5), queue_of(tmp_path, store, draw=9)
    assert small.id == large.id
    assert [item.id for item in large.items][:5] == [item.id for item in small.items]
    assert [item.prompt.id for item in large.items] != [f"q{i}" for i in range(9)]
    assert (large.draw.taken, large.draw.drawn_from, large.draw.seed) == (9, PROMPTS, 7)
    assert kept_queue(store, store.annotations.queues()[large.id]) == large


def test_the_same_text_twice_is_not_shown(tmp_path: Path, store: Store) -> None:
    texts = ["same", "same \n"] + ["other"] * 2
    models = {
        "a": {"responses": answers(tmp_path, "a", ["same"] * 4)},
        "b": {"responses": answers(tmp_path, "b", texts)},
    }
    suite = load_suite(str(write_suite(tmp_path, 4, models)))
    found = answers_of(suite, ("a", "b"), store, terms_of(suite, 1))
    queue = make_queue(suite, found, "pairs", "choice", seal=store.seal, overlap=1, annotators=1)
    assert (len(queue.items), queue.identical) == (2, 2)


@pytest.mark.parametrize(
    ("choice", "text", "kept"),
    [("accept", "", ""), ("edit", "better now", "better now"), ("reject", "x", ""), ("cannot", "", "")],
)
def test_a_demonstration_is_accepted_edited_or_rejected(
    tmp_path: Path, store: Store, choice: str, text: str, kept: str
) -> None:
    queue = queue_of(tmp_path, store, names=("sft",), task="demonstrations", overlap=1)
    desk, ann = Desk(store, queue), person(store)
    id = desk.next(ann)
    assert id is not None
    assert desk.judge(ann, id, 0, {"choice": choice, "text": text})
    assert desk.show(ann, id).said.text == kept
    assert store.human_verdicts(subjects_of(queue)) == []


def test_what_was_changed_is_not_accepted_as_it_was(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, names=("sft",), task="demonstrations", overlap=1)
    desk, ann = Desk(store, queue), person(store)
    id = str(desk.next(ann))
    with pytest.raises(UsageError, match="You changed the answer: save your version"):
        desk.judge(ann, id, 0, {"choice": "accept", "text": "something else"})
    as_a_browser_sends_it = queue.by_id[id].texts[0].replace("\n", "\r\n")
    assert desk.judge(ann, id, 0, {"choice": "accept", "text": as_a_browser_sends_it})


# ---------------------------------------------------------------- several queues, equal texts, second thoughts


def human_score(store: Store, queue: Queue) -> dict[str, float]:
    """b's score in each prompt by everyone, as a comparison reads it."""
    from sciexam.exam.benches import human_bench

    bench = human_bench(store, list(queue.comparisons()), "mean")
    scores: dict[str, list[float]] = {}
    for battle in bench.settled:
        if battle.score is not None:
            scores.setdefault(battle.prompt, []).append(1 - battle.score)
    return {prompt: sum(given) / len(given) for prompt, given in scores.items()}


def for_b(item: Item, shown: Slots) -> str:
    return "left-much" if shown[0] == 1 else "right-much"


def for_a(item: Item, shown: Slots) -> str:
    return "left-much" if shown[0] == 0 else "right-much"


def test_a_second_opinion_in_another_queue_is_the_one_that_counts(tmp_path: Path, store: Store) -> None:
    first, second = queue_of(tmp_path, store), queue_of(tmp_path, store, scale="five-point")
    ann = person(store)
    judging_by(Desk(store, first), ann, for_b)
    assert set(human_score(store, first).values()) == {1.0}
    judging_by(Desk(store, second), ann, for_a)
    assert set(human_score(store, first).values()) == {0.0}
    assert Overview(store, first).majorities[0].win_rate.value == 1.0, "a queue's page is of that queue"


def test_what_is_taken_back_in_one_queue_stands_in_another(tmp_path: Path, store: Store) -> None:
    first, second = (queue_of(tmp_path, store, prompts=1, scale=scale) for scale in ("four-point", "five-point"))
    ann = person(store)
    for queue in (first, second):
        judging_by(Desk(store, queue), ann, for_b)
    desk = Desk(store, second)
    desk.undo(ann, desk.last(ann))
    assert human_score(store, first) == {"q0": 1.0}


def test_a_changed_mind_counts_after_what_was_imported_meanwhile(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, prompts=1)
    desk, ann = Desk(store, queue), person(store)
    [id] = judging_by(desk, ann, for_b)
    (tmp_path / "v.jsonl").write_text(exported(store, queue, "verdicts", "jsonl"))
    assert read_back(tmp_path, store, "v.jsonl").new == 0, "one's own export adds nothing"
    assert desk.judge(ann, id, 1, {"choice": for_a(queue.by_id[id], desk.show(ann, id).place.shown)})
    assert human_score(store, queue) == {"q0": 0.0}


def read_back(folder: Path, store: Store, file: str) -> Imported:
    suite = load_suite(str(folder / "exam.yaml"))
    found = answers_of(suite, (), store, terms_of(suite, 1))
    return import_verdicts(store, found, folder / file, suite.rubric.digest)


def test_a_pseudonym_of_another_ledger_is_somebody_else(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, prompts=2)
    judging_by(Desk(store, queue), person(store), for_b)
    with Store(tmp_path / "other.sqlite") as other:
        theirs = queue_of(tmp_path, other, prompts=2)
        for name in ("Zoe", "Yan"):
            judging_by(Desk(other, theirs), person(other, name), for_a)
        text = exported(other, theirs, "verdicts", "jsonl")
    (tmp_path / "v.jsonl").write_text(text)
    assert [read_back(tmp_path, store, "v.jsonl").new for _ in range(3)] == [4, 0, 0]
    assert human_score(store, queue) == {"q0": pytest.approx(1 / 3), "q1": pytest.approx(1 / 3)}
    people = store.annotators.all()
    assert [one.pseudonym for one in people] == ["annotator-1", "annotator-2", "annotator-3"]
    assert invited(store, [], None, 1) == people[:1], "who was imported is not invited"


def test_what_people_said_elsewhere_is_told_before_it_is_asked_again(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, prompts=3)
    judging_by(Desk(store, queue), person(store), for_b)
    assert not list(elsewhere(store, Overview(store, queue))), "what was judged in this queue"
    line = {"first": "base", "second": "sft", "preferred": "first"}
    said = [line | {"prompt": prompt, "rater": name} for prompt in ("q0", "q1") for name in ("Zoe", "Yan")]
    write_jsonl(tmp_path / "v.jsonl", said)
    assert read_back(tmp_path, store, "v.jsonl").new == 4
    assert list(elsewhere(store, Overview(store, queue))) == [
        "2 of these 3 pairs have verdicts of 2 annotators from elsewhere (`annotate import`, or another queue). They "
        "count, but not in this queue, which asks for these pairs again."
    ]


def test_a_queue_of_the_same_on_another_scale_is_named_with_the_option_that_goes_on_with_it(
    tmp_path: Path, store: Store
) -> None:
    first = queue_of(tmp_path, store, prompts=3, scale="five-point")
    desk = Desk(store, first)
    other = queue_of(tmp_path, store, prompts=3)
    Desk(store, other)
    assert not list(on_other_scales(store, other)), "nobody has judged there"
    judging_by(desk, person(store), for_b)
    (said,) = on_other_scales(store, other)
    assert said == (
        f"Queue {first.id} of the same contestants has 3 judgements, on another scale; to go on with it, Ctrl-C, and "
        "the same command with --scale five-point."
    )
    assert not list(on_other_scales(store, first))


def test_the_same_two_texts_are_shown_once_and_count_for_both(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, names=("base", "sft"), prompts=3)
    write_jsonl(tmp_path / "rlhf.jsonl", [{"prompt": f"q{i}", "text": f"sft, once more 0, on {i} "} for i in range(3)])
    models = {name: {"responses": f"{name}.jsonl"} for name in ("base", "sft", "rlhf")}
    suite = load_suite(str(write_suite(tmp_path, 3, models)))
    found = answers_of(suite, (), store, terms_of(suite, 1))
    queue = make_queue(suite, found, "pairs", "choice", seal=store.seal, overlap=1, annotators=1)
    keep_queue(store, queue)
    assert len(queue.items) == 3
    judge_all(Desk(store, queue), person(store), "left")
    by_three = [
        Comparison(prompt, *(found.responses[name, prompt.id, 0] for name in pair))
        for prompt in found.prompts
        for pair in (("base", "sft"), ("base", "rlhf"))
    ]
    from sciexam.exam.benches import human_bench

    assert len(human_bench(store, by_three, "mean").battles) == 6


def test_three_contestants_lie_on_the_left_alike_and_pairs_come_in_no_order(tmp_path: Path, store: Store) -> None:
    names = ("base", "sft", "rlhf", "dpo", "gpt")
    lefts: Counter[str] = Counter()
    firsts: Counter[tuple[str, ...]] = Counter()
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        queue = queue_of(folder, store, names=names, prompts=5, seed=seed, overlap=1, annotators=1)
        lefts.update(item.by[queue.layouts[item.id][0]] for item in queue.items)
        firsts.update(next(item.by for item in queue.items if item.prompt.id == f"q{i}") for i in range(5))
    assert sum(lefts.values()) == 12 * 50
    assert all(abs(lefts[name] - 120) <= 30 for name in names), lefts
    assert len(firsts) >= 8, "which pair comes first differs from prompt to prompt"


def test_progress_reaches_its_goal_whoever_is_faster(tmp_path: Path, store: Store) -> None:
    gold = write_jsonl(
        tmp_path / "gold.jsonl", [{"question": "?", "better": f"{i}", "worse": "fish"} for i in range(3)]
    )
    queue = queue_of(tmp_path, store, prompts=12, overlap=1, annotators=3, gold=gold)
    desk, people = Desk(store, queue), [person(store, name) for name in ("Ann", "Bob", "Cid")]
    judge_all(desk, people[2], at_most=1)
    for who in people[:2]:
        judge_all(desk, who)
    judge_all(desk, people[2])
    for who in people:
        progress = desk.progress(who)
        assert progress.done == progress.total


def test_an_item_that_left_the_queue_is_not_taken_back(tmp_path: Path, store: Store) -> None:
    large = queue_of(tmp_path, store, draw=6)
    ann = person(store)
    judge_all(Desk(store, large), ann)
    desk = Desk(store, queue_of(tmp_path, store, draw=3))
    assert desk.progress(ann).done == 3
    assert desk.undo(ann, desk.last(ann)) in [item.id for item in large.items[:3]]


def test_an_adjudicated_pair_stays_as_it_was_shown(tmp_path: Path, store: Store) -> None:
    small = queue_of(tmp_path, store, draw=3)
    owner, pages = store.annotators.owner(until(1)), OwnerPages(store, small, Links(store), TYPED)
    for who, rule in (("Ann", for_b), ("Bob", for_a)):
        judging_by(Desk(store, small), person(store, who), rule)
    before = {}
    for one in Overview(store, small).disputed:
        pages._adjudicate(request_of(one.item.id), "", owner, {"choice": "left-much", "turn": "0"})
        before[one.item.id] = pages._view(one, owner)["answers"]
    assert len(before) == 3
    for draw in range(4, 9):
        pages = OwnerPages(store, queue_of(tmp_path, store, draw=draw), Links(store), TYPED)
        for one in pages.overview().disputed:
            assert pages._view(one, owner)["answers"] == before[one.item.id]


def test_pairs_without_a_majority_come_first_and_the_owner_may_leave_a_tie(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, prompts=4, overlap=4, annotators=4)
    even = {"q1", "q3"}
    for who in ("Ann", "Bob", "Cid", "Dan"):
        alone = for_a if who == "Ann" else for_b
        torn = for_a if who in ("Ann", "Bob") else for_b
        judging_by(
            Desk(store, queue),
            person(store, who),
            lambda item, shown, alone=alone, torn=torn: (torn if item.prompt.id in even else alone)(item, shown),
        )
    overview = Overview(store, queue)
    assert [(one.item.prompt.id in even, one.counts) for one in overview.disputed] == [
        (True, [2, 2]),
        (True, [2, 2]),
        (False, [3, 1]),
        (False, [3, 1]),
    ]
    owner, pages = store.annotators.owner(until(1)), OwnerPages(store, queue, Links(store), TYPED)
    with pytest.raises(UsageError, match="No answer was chosen"):
        Desk(store, queue).judge(store.annotators.all()[0], overview.disputed[0].item.id, 1, {"choice": "tie"})
    pages._adjudicate(request_of(overview.disputed[0].item.id), "", owner, {"choice": "tie", "turn": "0"})
    now = Overview(store, queue)
    assert (now.adjudicated, now.disputed[-1].adjudicated.winner) == (1, "")
    assert [battle.score for battle in now.bench.adjudicated] == [0.5]
    shown = pages._view(now.disputed[-1], owner)
    assert (shown["said_label"], shown["counts"], shown["is_split"]) == ("Equally good", "2 : 2", True)
    for page in (pages._overview, pages._disputed):
        html = page(request_of(""), "", owner, {}).body.decode()
        assert "Pairs without a majority come first, then those they are furthest apart on." in html
    assert "nor who said what unless you open it." in html
    assert "What the annotators said" in html


def test_every_list_of_questions_shows_them_as_they_were_written(tmp_path: Path, store: Store) -> None:
    texts = {name: [f"{name} {i}" for i in range(4)] for name in ("base", "sft")}
    models = {name: {"responses": answers(tmp_path, name, texts[name])} for name in texts}
    exam = write_suite(tmp_path, 4, models)
    write_jsonl(tmp_path / "prompts.jsonl", [{"id": f"q{i}", "text": f"What is $E=mc^2$ {i}?"} for i in range(4)])
    suite = load_suite(str(exam))
    found = answers_of(suite, ("base", "sft"), store, terms_of(suite, 1))
    queue = make_queue(suite, found, "pairs", "four-point", seal=store.seal, overlap=2, annotators=2)
    keep_queue(store, queue)
    for who, rule in (("Ann", for_a), ("Bob", for_b)):
        judging_by(Desk(store, queue), person(store, who), rule)
    owner, pages = store.annotators.owner(until(1)), OwnerPages(store, queue, Links(store), TYPED)
    for page in (pages._overview, pages._disputed):
        html = page(request_of(""), "", owner, {}).body.decode()
        assert html.count("<bdi>What is $E=mc^2$ ") == 4
    assert html.count(">Next</a>") == 3
    assert ">Skip</a>" not in html


def test_one_of_a_kind_is_no_plural(tmp_path: Path, store: Store) -> None:
    write_jsonl(tmp_path / "gold.jsonl", [{"question": "What is 2 + 2?", "better": "4", "worse": "5"}])
    queue = queue_of(tmp_path, store, overlap=1, annotators=1, gold=tmp_path / "gold.jsonl", repeats=1)
    said = next(announcement(Overview(store, queue), [], tmp_path / "links.csv", ("127.0.0.1", 8400)))
    assert said.endswith("; 1 annotator for each, so about 12 an annotator; 1 gold item; 1 pair shown twice to each.")
    assert next(tables_of(Overview(store, queue))).notes[0].endswith("; 1 annotator for each.")
    more = queue.model_copy(update={"overlap": 2})
    judged = [Invitation(person(store), "http://127.0.0.1/a/x")]
    told = list(announcement(Overview(store, more), judged, tmp_path / "links.csv", ("127.0.0.1", 8400)))
    assert "1 annotator cannot complete an item that asks for 2: add some, or --overlap." in told


def test_the_win_rate_of_compare_is_told_where_it_is_not_that_of_the_majority(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, prompts=2, overlap=3, annotators=3)
    for who, rule in (("Ann", for_a), ("Bob", for_b), ("Cid", for_b)):
        judging_by(Desk(store, queue), person(store, who), rule)
    owner, pages = store.annotators.owner(until(1)), OwnerPages(store, queue, Links(store), TYPED)

    def told() -> str:
        html = pages._overview(request_of(""), "", owner, {}).body.decode()
        return html.partition("instead of taking the majority: ")[2].partition("</p>")[0]

    alone = rates_of(pages.overview().compared["base", "sft"])
    assert (pages.overview().majorities[0].win_rate.value, alone[:4]) == (1.0, "0.67")
    assert told().endswith(f"{alone}.")
    item = pages.overview().disputed[0].item
    pages._adjudicate(request_of(item.id), "", owner, {"choice": "tie", "turn": "0"})
    settled = rates_of(pages.overview().compared["base", "sft"])
    assert settled.startswith(f"{alone} by the annotators alone, 0.58 [")
    assert told().endswith(f"{settled}.")
    agreeing = queue_of(tmp_path, store, prompts=2, seed=5)
    assert not Overview(store, agreeing).compared


def test_of_those_who_cannot_judge_the_verdicts_of_annotators_are_counted_alone(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, prompts=2)
    judging_by(Desk(store, queue), person(store, "Ann"), lambda item, shown: "cannot")
    judging_by(Desk(store, queue), person(store, "Bob"), for_b)
    owner, pages = store.annotators.owner(until(1)), OwnerPages(store, queue, Links(store), TYPED)
    pages._adjudicate(request_of(queue.items[0].id), "", owner, {"choice": "tie", "turn": "0"})
    overview = Overview(store, queue)
    assert overview.adjudicated == 1
    of = "5 verdicts (4 by annotators, 1 adjudication)"
    said = f'2 "cannot judge" by 1 annotator, of {of}: they count for neither contestant.'
    assert said in list(caveats_of(overview._evidence, ()))


def request_of(item: str) -> Any:
    from starlette.requests import Request

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    return Request({**scope, "path_params": {"item": item}})


def test_who_adjudicates_and_cannot_judge_settles_nothing(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, prompts=1)
    for who, rule in (("Ann", for_b), ("Bob", for_a)):
        judging_by(Desk(store, queue), person(store, who), rule)
    owner, item = store.annotators.owner(until(1)), queue.items[0]
    store.annotations.assign(queue.id, owner.id, 1, lambda mine, loads: (item.id, (0, 1)))
    Desk(store, queue).judge(owner, item.id, 0, {"choice": "cannot"})
    overview = Overview(store, queue)
    assert (overview.adjudicated, overview.disputed[0].adjudicated) == (0, None)


def test_a_margin_never_points_against_what_was_chosen(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store, prompts=1, overlap=3)
    for who, rule in (("Ann", "slightly"), ("Bob", "slightly"), ("Cid", "much")):
        hand = for_b if rule == "slightly" else for_a
        judging_by(
            Desk(store, queue), person(store, who), lambda i, s, h=hand, r=rule: f"{h(i, s).partition('-')[0]}-{r}"
        )
    [line] = [json.loads(line) for line in exported(store, queue, "preferences", "jsonl").splitlines()]
    assert line["chosen"].startswith("sft")
    assert line["margin"] == 0.0


def test_what_people_say_of_a_criterion_is_in_the_bench(tmp_path: Path, store: Store) -> None:
    from sciexam.exam.benches import human_bench

    queue = queue_of(tmp_path, store, prompts=1)
    desk, ann = Desk(store, queue), person(store)
    id = str(desk.next(ann))
    desk.judge(ann, id, 0, {"choice": "left-much", "criterion-1": "right"})
    left = desk.show(ann, id).place.shown[0]
    bench = human_bench(store, list(queue.comparisons()), "mean", ["request", "correctness"])
    assert set(bench.by_criterion) == {"correctness"}
    [battle] = bench.by_criterion["correctness"]
    assert battle.score == (0.0 if left == 0 else 1.0), "the right one was better on it"


# ---------------------------------------------------------------- forgetting, and what fails


def test_the_forgotten_leave_a_pseudonym_and_a_number(tmp_path: Path, store: Store) -> None:
    queue = queue_of(tmp_path, store)
    desk, ann, bob = Desk(store, queue), person(store), person(store, "Bob")
    id = desk.next(ann)
    desk.judge(ann, str(id), 0, {"choice": "left-much", "comment": "only Ann would say so"})
    judge_all(desk, ann, "left-much", 2)
    judge_all(desk, bob, "left-much", 2)
    assert store.annotators.forget(ann.id) == 3
    tombstone = store.annotators.get(ann.id)
    assert tombstone is not None
    assert (tombstone.name, tombstone.pseudonym, tombstone.state, tombstone.forgotten) == (
        None, "annotator-1", "forgotten", 3,
    )  # fmt: skip
    assert {v.rater for v in store.human_verdicts(subjects_of(queue))} == {"annotator-2"}
    assert store.annotators.forget(ann.id) == 3, "once more changes nothing"
    assert store.annotators.renew(ann.id, until(1)).state == store.annotators.revoke(ann.id).state == "forgotten"
    with pytest.raises(StoreError, match="append-only"), store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM verdicts")


def test_a_judgement_whose_verdict_cannot_be_kept_is_not_kept_either(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(tmp_path, store)
    desk, ann = Desk(store, queue), person(store)
    id = desk.next(ann)

    def full(*_: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(desk._kept, "_append", full)
    with pytest.raises(StoreError):
        desk.judge(ann, str(id), 0, {"choice": "left-much"})
    monkeypatch.undo()
    assert desk.history(ann) == []
    assert desk.judge(ann, str(id), 0, {"choice": "left-much"})
