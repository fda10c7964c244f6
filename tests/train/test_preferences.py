"""Preferences: read from files with all their faults, and made of candidates by judges, marks and people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from conftest import write_jsonl, write_suite
from sciexam.battles import present
from sciexam.digests import digest
from sciexam.errors import DocumentError, UsageError
from sciexam.lineage.artifacts import LINEAGE, Lineage, place_of
from sciexam.lineage.sources import Judged
from sciexam.lineage.stages import BestOfN, Reward, Sft
from sciexam.prompts import read_prompts
from sciexam.store import Store
from sciexam.suite import load_suite
from sciexam.train.data.candidates import answers, ended, marks
from sciexam.train.data.opinions import agreement_of_people
from sciexam.train.data.preferences import Preference, candidates_of, judged, preferences_of, read_preferences
from sciexam.train.hearing import hear
from sciexam.train.workshop import Workshop
from sciexam.types import Comparison, Message, Reply, Response, Side
from train_world import LONGER

JUDGES = (
    LONGER
    + """
class Wavering:
    name = "wavering"
    def judge(self, presentations):
        for p in presentations:
            yield p.verdict(self.name, "first" if len(p.first) > len(p.second) else "tie")

class Length:
    name = "length"
    def grade(self, submissions):
        for s in submissions:
            yield s.grade(self.name, failure="unreadable") if "?" in s.text else s.grade(self.name, len(s.text) / 2)
"""
)
TEXTS = ("Aa.", "Bbbb.", "Bbbb.", "Cccccccc.")  # of one prompt: two are the same


@dataclass
class World:
    workshop: Workshop
    prompts: Path
    told: list[str] = field(default_factory=list)

    def how(self, judge: str, **more: Any) -> Judged:
        return Judged(**{"of": "a", "prompts": str(self.prompts), "n": 4, "judge": judge} | more)

    def judged(self, judge: str, **more: Any) -> list[Preference]:
        return judged(self.workshop, self.how(judge, **more))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return made(tmp_path, monkeypatch, {"t0": TEXTS, "t1": [text.lower() for text in TEXTS]})


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, said: Mapping[str, Sequence[str]]) -> World:
    (folder / "liking.py").write_text(JUDGES)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(__import__("sys").modules, "liking", raising=False)
    prompts = write_jsonl(folder / "train.jsonl", [{"id": i, "text": f"Explain {i}"} for i in said])
    lines = [
        {"prompt": i, "sample": n, "text": text, "finish_reason": "length" if text.startswith("C") else "stop"}
        for i, texts in said.items()
        for n, text in enumerate(texts)
    ]
    write_jsonl(folder / "a.jsonl", lines)
    judges = {name.lower(): {"backend": f"liking:{name}"} for name in ("Longer", "Wavering", "Length")}
    suite = load_suite(str(write_suite(folder, 2, {"a": {"responses": "a.jsonl"}}, judges=judges)))
    found = World(Workshop(suite, folder / "results"), prompts)
    found.workshop = Workshop(suite, folder / "results", tell=found.told.append)
    return found


def pairs(found: Sequence[Preference]) -> list[tuple[str, str]]:
    return [(one.chosen, one.rejected) for one in found]


# ---------------------------------------------------------------- files


def test_a_pair_is_read_from_texts_and_from_messages_as_trl_writes_them(tmp_path: Path) -> None:
    user, good, bad = (
        {"role": role, "content": said} for role, said in (("user", "q"), ("assistant", "g"), ("assistant", "b"))
    )
    file = write_jsonl(
        tmp_path / "p.jsonl",
        [
            {"prompt": "q", "chosen": "g", "rejected": "b", "margin": 2},
            {"prompt": [user], "chosen": [good], "rejected": [bad], "score": 1},
            {"chosen": [user, good], "rejected": [user, bad]},
            {"prompt": "q", "chosen": [user, good], "rejected": [user, bad]},
        ],
    )
    found = read_preferences(file)
    assert {(one.messages, one.chosen, one.rejected) for one in found} == {
        ((Message(role="user", content="q"),), "g", "b")
    }
    assert [one.margin for one in found] == [2, None, None, None]


def test_a_ranking_is_every_pair_of_its_answers_in_one_group(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "r.jsonl", [{"prompt": "q", "responses": ["x", "y", "z"], "ranking": [2, 0, 1]}])
    found = read_preferences(file)
    assert pairs(found) == [("z", "x"), ("z", "y"), ("x", "y")]
    assert {one.group for one in found} == {"1:1"}
    (tmp_path / "elsewhere").mkdir()
    assert read_preferences(file.rename(tmp_path / "elsewhere" / "other.jsonl")) == found


def test_every_fault_of_a_file_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    pair = {"prompt": "q", "chosen": "g", "rejected": "b"}
    file = write_jsonl(
        tmp_path / "p.jsonl",
        [
            pair,
            pair | {"margin": -1},
            pair | {"rejected": "g"},
            pair | {"chosen": " "},
            {"prompt": "q", "chosen": "g"},
            {"prompt": "q", "responses": ["x", "y"], "ranking": [1, 2]},
            {"chosen": "g", "rejected": "b"},
            pair | {"prompt": [{"role": "assistant", "content": "q"}]},
            pair | {"chosen": [{"role": "user", "content": "g"}]},
            pair | {"responses": ["x", "y"], "ranking": [1, 0]},
        ],
    )
    with pytest.raises(DocumentError) as refused:
        read_preferences(file)
    either = "a preference has `chosen` and `rejected`, or else `responses` and their `ranking`"
    assert list(refused.value.faults) == [
        f"{file}:2: margin: input should be greater than or equal to 0, not -1",
        f"{file}:3: both answers are the same text",
        f"{file}:4: the answer that is preferred is empty",
        f"{file}:5: {either}",
        f"{file}:6: ranking: names each of the 2 responses once by its place, 0 to 1, best first, not [1, 2]",
        f"{file}:7: prompt: this key is missing",
        f"{file}:8: prompt: the last message must be the user's",
        f"{file}:9: chosen: after the prompt there must be one message, the assistant's",
        f"{file}:10: {either}",
    ]


def test_a_file_without_preferences_is_refused(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "none.jsonl", [])
    with pytest.raises(DocumentError, match="holds no preferences"):
        read_preferences(file)


# ---------------------------------------------------------------- candidates and their marks


def test_candidates_keep_what_was_cut_off_and_count_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = made(tmp_path, monkeypatch, {"t0": TEXTS, "t1": ["Only."], "t2": []})
    found = answers(world.workshop, ["a"], world.prompts, 4, 1.0)
    assert [(one.prompt.id, [answer.text for answer in one.answers]) for one in found] == [
        ("t0", list(TEXTS)),
        ("t1", ["Only."]),
    ]
    assert [ended(answer) for answer in found[0].answers] == [True, True, True, False]
    assert world.told == [
        "5 answers of a to 2 of 3 prompts of train.jsonl; 1 of them were cut off at the limit of tokens; "
        "7 missing (7 skipped: no recorded answer)"
    ]


def test_marks_are_facts_in_the_ledger_and_none_where_a_judge_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = made(tmp_path, monkeypatch, {"t0": ["Aa.", "Why?"], "t1": ["Bbbb."]})
    asked = answers(world.workshop, ["a"], world.prompts, 2, 1.0)
    assert marks(world.workshop, asked, "length") == [[1.5, None], [2.5]]
    assert world.told[-1] == "length: 1 answers have no mark (1 invalid: unreadable)"
    with Store(tmp_path / "results" / "ledger.sqlite") as ledger:
        before = ledger.length()
    assert marks(world.workshop, asked, "length") == [[1.5, None], [2.5]]
    with Store(tmp_path / "results" / "ledger.sqlite") as ledger:
        assert ledger.length() == before


# ---------------------------------------------------------------- judged


def test_a_judge_compares_every_two_answers_of_one_model_in_both_orders(world: World) -> None:
    found = world.judged("longer")
    assert pairs(found)[:3] == [("Bbbb.", "Aa."), ("Cccccccc.", "Aa."), ("Cccccccc.", "Bbbb.")]
    assert [(one.margin, one.group) for one in found] == [(None, "t0")] * 3 + [(None, "t1")] * 3
    assert [one.chosen_ended for one in found] == [True, False, False, True, True, True]
    assert world.told[-1] == "6 pairs of 2 prompts by longer"


def test_orders_that_disagree_are_a_tie_and_without_a_pair_nothing_is_learnt(world: World) -> None:
    with pytest.raises(
        UsageError,
        match=r"train\.jsonl: no pair of answers is left to learn from: .* by wavering; 6 ties left out",
    ):
        world.judged("wavering")


def test_a_judge_that_marks_gives_margins(world: World) -> None:
    found = world.judged("length")
    assert [(one.chosen, one.rejected, one.margin) for one in found][:3] == [
        ("Bbbb.", "Aa.", 1.0),
        ("Cccccccc.", "Aa.", 3.0),
        ("Cccccccc.", "Bbbb.", 2.0),
    ]


@pytest.mark.parametrize(("judge", "margin"), [("length", 3.0), ("longer", None)])
def test_the_best_is_paired_with_the_worst(world: World, judge: str, margin: float | None) -> None:
    found = world.judged(judge, pairs="best_worst")
    assert pairs(found) == [("Cccccccc.", "Aa."), ("cccccccc.", "aa.")]
    assert [one.margin for one in found] == [margin, margin]


def test_answers_that_are_all_the_same_are_no_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = made(tmp_path, monkeypatch, {"t0": ["Same."] * 4})
    with pytest.raises(UsageError, match=r"train\.jsonl: no prompt has two different answers; raise `n` or `temp"):
        world.judged("longer")


def test_an_unknown_judge_is_named_with_the_nearest_known_one(world: World) -> None:
    with pytest.raises(UsageError, match=r"'langer' is not a judge of suite 'exam'; did you mean 'longer'\?"):
        world.judged("langer")


# ---------------------------------------------------------------- people


def say(world: World, rater: str, preferred: Mapping[tuple[str, str], str]) -> None:
    """What an annotator said of two texts: which of them is better, or neither."""
    prompts = {prompt.id: prompt for prompt in read_prompts(world.prompts)}
    with Store(world.workshop.results / "ledger.sqlite") as ledger:
        for (first, second), better in preferred.items():
            prompt = prompts["t0" if first in TEXTS else "t1"]
            both = [Response(text, prompt.id, 0, Reply("", text)) for text in (first, second)]
            shown = present(Comparison(prompt, *both), "ab")
            side: Side = "first" if better == first else "second" if better == second else "tie"
            fact = replace(shown, key=digest([rater, shown.subject]))
            ledger.append([fact.verdict(rater, side, kind="human")])


def test_nobody_is_asked_for_people_who_are_told_what_to_type(world: World) -> None:
    with pytest.raises(UsageError) as refused:
        world.judged("humans")
    first, command = str(refused.value).split("\n")
    assert first == "judge: humans: nobody has compared any of these answers yet; let people do it, and train again:"
    words = command.split()
    assert words[:3] == ["sciexam", "annotate", "serve"]
    assert words[4:8] == ["--prompts", str(world.prompts), "--samples", "4"]
    lines = [json.loads(line) for line in Path(words[3]).read_text().splitlines()]
    assert [(line["prompt"], line["sample"], line["text"]) for line in lines][:2] == [
        ("t0", 0, "Aa."),
        ("t0", 1, "Bbbb."),
    ]


def test_what_people_said_counts_on_average_and_their_agreement_counts_what_they_differed_on(world: World) -> None:
    candidates_of(world.workshop, world.how("humans"))
    say(world, "ann", {("Aa.", "Bbbb."): "Aa.", ("aa.", "bbbb."): "aa.", ("Bbbb.", "Cccccccc."): "Bbbb."})
    say(world, "bob", {("Aa.", "Bbbb."): "Aa.", ("aa.", "bbbb."): "bbbb."})
    assert pairs(world.judged("humans")) == [("Aa.", "Bbbb."), ("Bbbb.", "Cccccccc.")]
    assert world.told[-1] == "2 pairs of 1 prompts by humans; 3 without a usable verdict; 1 ties left out"
    agreed = agreement_of_people(world.workshop, candidates_of(world.workshop, world.how("humans")))
    assert (agreed.value, agreed.n) == (0.5, 2)  # type: ignore[union-attr]


def rounds(world: World, **rm2: Any) -> Workshop:
    """The workshop with a reward model that learns from people, one that learns from it, and one beside them."""
    source = world.how("humans").model_dump(exclude_defaults=True)
    models = {
        "rm": Reward(**{"from": "a", "stage": "reward", "data": source}),
        "rs": BestOfN(**{"from": "a", "stage": "best_of_n", "prompts": str(world.prompts), "reward": "rm"}),
        "rm2": Reward(**{"from": "rs", "stage": "reward", "data": [str(world.prompts), source], **rm2}),
        "beside": Sft(**{"from": "a", "stage": "sft", "data": str(world.prompts)}),
    }
    return replace(world.workshop, suite=world.workshop.suite.with_models(models))


def leave(workshop: Workshop, name: str) -> Workshop:
    """The workshop after `name` was trained: its record lies where its artifact would."""
    digest_now = workshop.suite.lineage_digest(name)
    place = place_of(workshop.results, name, digest_now)
    place.mkdir(parents=True)
    told = Lineage(name, "reward", digest_now, {}, {}, {}, 0, {}, True)
    (place / LINEAGE).write_text(told.to_text())
    return replace(workshop, suite=workshop.suite.with_trained(workshop.results))


def test_what_people_say_is_part_of_what_learns_from_them_and_of_all_that_is_made_from_it(world: World) -> None:
    candidates_of(world.workshop, world.how("humans"))
    workshop = rounds(world)
    with pytest.raises(UsageError, match="nobody has compared any of these answers yet"):
        hear(workshop, "rm")
    say(world, "ann", {("Aa.", "Bbbb."): "Aa."})
    unheard = {name: workshop.suite.lineage_digest(name) for name in workshop.suite.models}
    first = leave(leave(hear(workshop, "rm"), "rm"), "rs")
    assert first.suite.trained == ("rm", "rs")
    assert hear(first, "rm") is first, "they have said nothing else"
    again = workshop.suite.with_trained(workshop.results)
    assert (again.trained, again.heard) == (("rm", "rs"), first.suite.heard), "another command goes by what was heard"

    say(world, "bob", {("Aa.", "Bbbb."): "Aa."})
    assert hear(first, "rm") is first, "he says the same"
    say(world, "cid", {("Bbbb.", "Cccccccc."): "Bbbb."})
    second = hear(first, "rm")
    assert second.suite.trained == ()
    assert second.suite.models["rs"].weights is None
    changed = {
        name for name in unheard if len({unheard[name], *(w.suite.lineage_digest(name) for w in (first, second))}) > 1
    }
    assert changed == {"rm", "rs", "rm2"}
    assert workshop.suite.with_trained(workshop.results).trained == (), "and now every command goes by that"


def test_nothing_is_heard_for_a_model_whose_weights_the_suite_names(world: World) -> None:
    candidates_of(world.workshop, world.how("humans"))
    say(world, "ann", {("Aa.", "Bbbb."): "Aa."})
    given = rounds(world, weights=str(world.prompts.parent))
    assert hear(given, "rm2") is given
    assert hear(given, "beside") is given


def test_the_prompts_of_two_sources_are_two_though_their_ids_are_one(world: World) -> None:
    how = world.how("longer")
    both = preferences_of(world.workshop, (how, how))
    assert len(both) == 2 * len(world.judged("longer"))
    assert {one.group for one in both} == {"1: t0", "1: t1", "2: t0", "2: t1"}


def test_answers_are_marked_where_the_first_one_to_each_prompt_is_missing(world: World) -> None:
    drawn = answers(world.workshop, ["a"], world.prompts, 4, 1.0)
    without = [replace(one, answers=one.answers[1:]) for one in drawn]
    assert marks(world.workshop, without, "length")[0] == marks(world.workshop, drawn, "length")[0][1:]
