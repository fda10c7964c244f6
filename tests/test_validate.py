"""`sciexam validate`: a judge held against human verdicts; who is asked, and what the figures are."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sklearn.metrics import accuracy_score, brier_score_loss
from sklearn.metrics import cohen_kappa_score as sklearn_kappa

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Endpoint, answers_of, nonce_of, prompt_of
from published.pandalm import GPT35, SIDES
from published.rows import document, table
from sciexam.battles import present
from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.models.recorded import read_responses
from sciexam.report.exhibits import exhibits_of
from sciexam.stats import Estimate
from sciexam.store import Store
from sciexam.types import ADJUDICATION, Comparison, Reply, Response

Said = Mapping[int, str]  # prompt number -> first (base), second (sft) or tie
WORDS = {"first": -1, "tie": 0, "second": 1}


def suite(folder: Path, prompts: int, **more: Any) -> str:
    """Base and sft answer every prompt; sft's answer is the longer one where the prompt's number is even."""
    base = [f"It does {i}, and so on." for i in range(prompts)]
    sft = [f"Because of {i}, that is why it does." if i % 2 == 0 else f"Why not {i}." for i in range(prompts)]
    models = {
        "base": {"responses": answers(folder, "base", base)},
        "sft": {"responses": answers(folder, "sft", sft)},
    }
    return str(write_suite(folder, prompts, models, **more))


def lines(rater: str, said: Said, kind: str = "human", pair: tuple[str, str] = ("base", "sft")) -> list[dict[str, Any]]:
    named = {"first": pair[0], "second": pair[1], "rater": rater, "kind": kind}
    return [{"prompt": f"q{i}", "preferred": side, **named} for i, side in said.items()]


def votes(folder: Path, said: Mapping[str, Said], kind: str = "human", name: str = "votes.jsonl") -> Path:
    return write_jsonl(folder / name, [line for rater, mine in said.items() for line in lines(rater, mine, kind)])


def drawn(seed: int, prompts: Sequence[int], sft: float = 0.6, tie: float = 0.1) -> dict[int, str]:
    rng = random.Random(seed)
    return {i: "tie" if rng.random() < tie else "second" if rng.random() < sft else "first" for i in prompts}


def noisy(truth: Said, accuracy: float, seed: int) -> dict[int, str]:
    """A rater who names the true side with this probability, else the other one."""
    rng = random.Random(seed)
    other = {"first": "second", "second": "first", "tie": "second"}
    return {i: side if rng.random() < accuracy else other[side] for i, side in truth.items()}


def row(found: Mapping[str, Any], who: str) -> dict[str, Any]:
    return next(one for one in found["against"] if one["who"] == who)


def validated(sciexam: Cli, folder: Path, judge: str, exam: str, *more: str) -> dict[str, Any]:
    done = sciexam("validate", judge, "-s", exam, "--humans", "votes.jsonl", "--json", *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# ---------------------------------------------------------------- published figures, end to end


def published(folder: Path, labels: Mapping[str, Said], judge: Said, invalid: Sequence[int] = ()) -> str:
    votes(folder, labels)
    failed = [
        line | {"preferred": None, "failure": "garbage"} for line in lines("judge", dict.fromkeys(invalid, "tie"))
    ]
    write_jsonl(
        folder / "judge.jsonl", [*lines("judge", judge, "judge"), *({**one, "kind": "judge"} for one in failed)]
    )
    return suite(folder, 1 + max(i for said in labels.values() for i in said))


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["gpt-3.5-turbo", "PandaLM-7B"])
def test_pandalms_published_accuracy_follows_from_its_labels(
    sciexam: Cli, tmp_path: Path, shared_data: Path, judge: str
) -> None:
    """71.07 % and 66.77 % against the majority of three (PandaLM's README at 77cec46)."""
    rows = table(shared_data / "pandalm" / "labels.csv")
    people = {
        name: {i: SIDES[int(r[name])] for i, r in enumerate(rows)}
        for name in ("annotator1", "annotator2", "annotator3")
    }
    codes = [GPT35[r["gpt35_raw"]] if judge == "gpt-3.5-turbo" else int(r["pandalm7b_raw"]) for r in rows]
    exam = published(tmp_path, people, {i: SIDES[code] for i, code in enumerate(codes)})
    found = validated(sciexam, tmp_path, "judge.jsonl", exam)
    percent = document(shared_data / "pandalm" / "published.json")["judge_vs_majority_percent"][judge]["accuracy"]
    mine = row(found, "judge")
    assert (mine["items"], found["split"]) == (999, 0), "every pair has a majority"
    assert round(100 * mine["accuracy"]["value"], 2) == percent
    assert mine["accuracy"]["low"] < percent / 100 < mine["accuracy"]["high"]
    assert sum(sum(line.values()) for line in found["confusion"].values()) == 999
    assert found["confusion"]["a"]["a"] + found["confusion"]["tie"]["tie"] + found["confusion"]["b"]["b"] == round(
        999 * mine["accuracy"]["value"]
    )
    majority = [SIDES[max(range(3), key=[int(r[n]) for n in people].count)] for r in rows]
    kappa = sklearn_kappa([SIDES[code] for code in codes], majority)
    assert mine["kappa"]["value"] == pytest.approx(kappa, abs=1e-12)
    names = list(people)
    others = {name: [people[other] for other in names if other != name] for name in names}
    with_them = [
        people[name][i] == (one[i] if one[i] == two[i] else "tie") for name, (one, two) in others.items() for i in one
    ]
    assert row(found, "each annotator in turn")["accuracy"]["value"] == pytest.approx(sum(with_them) / len(with_them))
    assert row(found, "the longer answer")["items"] == 999


def test_a_reply_that_is_no_verdict_is_no_tie_here(sciexam: Cli, tmp_path: Path, shared_data: Path) -> None:
    """PandaLM counts gpt-3.5's 25 unusable replies as ties; here they are missing, and said to be."""
    rows = table(shared_data / "pandalm" / "labels.csv")
    people = {name: {i: SIDES[int(r[name])] for i, r in enumerate(rows)} for name in ("annotator1", "annotator2")}
    bad = [i for i, r in enumerate(rows) if r["gpt35_raw"] == "garbage"]
    judge = {i: SIDES[GPT35[r["gpt35_raw"]]] for i, r in enumerate(rows) if i not in bad}
    found = validated(sciexam, tmp_path, "judge.jsonl", published(tmp_path, people, judge, bad))
    assert (row(found, "judge")["items"], found["missing"]) == (974, {"invalid": 25})
    assert any("judge has no usable verdict on 25 of the 999 comparisons" in caveat for caveat in found["caveats"])


@pytest.mark.parametrize("judge", ["gpt-4o", "mistral-v03"])
def test_the_alt_tests_published_figures_follow_from_its_labels(
    sciexam: Cli, tmp_path: Path, shared_data: Path, judge: str
) -> None:
    """MT-bench in nitaytech/AltTest: winning rate 0 and advantage probabilities .77 and .68."""
    rows = table(shared_data / "alttest" / "mtbench.csv.gz")
    sides = {"model_a": "first", "model_b": "second", "tie": "tie"}
    people = {
        name.removeprefix("human:"): {i: sides[r[name]] for i, r in enumerate(rows) if r[name]}
        for name in rows[0]
        if name.startswith("human:")
    }
    exam = published(tmp_path, people, {i: sides[r[f"llm:{judge}"]] for i, r in enumerate(rows)})
    tested = validated(sciexam, tmp_path, "judge.jsonl", exam)["replacing"]
    printed = document(shared_data / "alttest" / "published.json")["datasets"]["mtbench"]["llms"][judge]
    assert (tested["passed"], tested["omega"]) == (printed["passed"], printed["winning_rate"])
    assert round(tested["rho"]["value"], 2) == printed["advantage_probability"]
    assert tested["rho_split"]["value"] < tested["rho"]["value"]
    assert [one["annotator"] for one in tested["annotators"]] == list(people)
    assert all(one["p_corrected"] >= one["p"] for one in tested["annotators"] if one["p"] is not None)


# ---------------------------------------------------------------- figures by hand


def test_every_figure_of_the_first_table_is_that_of_scikit_learn(sciexam: Cli, tmp_path: Path) -> None:
    truth = drawn(1, range(60), tie=0.0)
    people = {name: noisy(truth, 0.8, seed) for seed, name in enumerate(("ann", "bob", "cai"))}
    judge = noisy(truth, 0.75, 9)
    votes(tmp_path, people)
    votes(tmp_path, {"judge": judge}, "judge", "judge.jsonl")
    found = validated(sciexam, tmp_path, "judge.jsonl", suite(tmp_path, 60))
    majority = [sorted(people[name][i] for name in people)[1] for i in range(60)]  # of three forced choices
    mine, said = row(found, "judge"), [judge[i] for i in range(60)]
    assert mine["accuracy"]["value"] == mine["accuracy_decided"]["value"] == accuracy_score(majority, said)
    assert mine["kappa"]["value"] == pytest.approx(sklearn_kappa(said, majority), abs=1e-12)
    ann = row(found, "ann")
    pairs = [(people["ann"][i], {people["bob"][i], people["cai"][i]}, judge[i]) for i in range(60)]
    unanimous = [(own, others.pop() if len(others) == 1 else "tie", theirs) for own, others, theirs in pairs]
    assert ann["accuracy"]["value"] == pytest.approx(sum(own == other for own, other, _ in unanimous) / 60)
    assert ann["judge"]["value"] == pytest.approx(sum(theirs == other for _, other, theirs in unanimous) / 60)
    assert ann["decided"] == sum(other != "tie" for _, other, _ in unanimous)
    decided = [(own == other, theirs == other) for own, other, theirs in unanimous if other != "tie"]
    assert ann["judge_decided"]["value"] == pytest.approx(sum(theirs for _, theirs in decided) / len(decided))
    assert ann["lead"]["value"] == pytest.approx(sum(theirs - own for own, theirs in decided) / len(decided))
    coin = row(found, "a coin")
    assert [coin[name]["value"] for name in ("accuracy", "accuracy_decided", "kappa")] == pytest.approx([0.5, 0.5, 0])
    assert coin["accuracy"]["low"] == coin["accuracy"]["high"] == 0.5, "computed, not drawn"
    longer = [("second" if i % 2 == 0 else "first") for i in range(60)]
    by_length = row(found, "the longer answer")
    assert by_length["accuracy"]["value"] == accuracy_score(majority, longer)
    ahead = mine["accuracy"]["value"] - by_length["accuracy"]["value"]
    assert by_length["lead"]["value"] == pytest.approx(ahead)
    assert coin["lead"]["value"] == pytest.approx(mine["accuracy"]["value"] - 0.5)
    assert coin["lead"]["low"] > 0
    assert mine["lead"] is None, "it is not held against itself"
    assert row(found, "measures")["items"] == 60, "the text measures are a baseline"


def test_a_judge_that_is_the_majority_is_right_and_not_certain(sciexam: Cli, tmp_path: Path) -> None:
    truth = drawn(2, range(40), tie=0.0)
    votes(tmp_path, dict.fromkeys(("ann", "bob", "cai"), truth))
    votes(tmp_path, {"judge": truth}, "judge", "judge.jsonl")
    found = validated(sciexam, tmp_path, "judge.jsonl", suite(tmp_path, 40))
    for figure in (
        row(found, "judge")["accuracy"],
        row(found, "judge")["accuracy_decided"],
        row(found, "judge")["kappa"],
    ):
        assert (figure["value"], figure["high"]) == (1.0, 1.0)
        assert 0.5 < figure["low"] < 1.0
    assert found["sentence"].startswith("judge agrees with the human majority on 1.00 [0.9")
    assert "of 40 decided comparisons; one annotator with the others: 1.00 [" in found["sentence"]
    assert "valid" not in found["sentence"]


def test_two_against_two_is_a_tie_and_counted(sciexam: Cli, tmp_path: Path) -> None:
    sides = {"ann": "first", "bob": "first", "cai": "second", "dov": "second"}
    votes(tmp_path, {name: {0: side, 1: "first", 2: "second", 3: "tie"} for name, side in sides.items()})
    votes(tmp_path, {"judge": {0: "tie", 1: "second", 2: "tie", 3: "first"}}, "judge", "judge.jsonl")
    found = validated(sciexam, tmp_path, "judge.jsonl", suite(tmp_path, 4))
    assert (found["split"], found["labelled"]) == (1, 4)
    assert found["confusion"] == {
        "a": {"a": 0, "tie": 1, "b": 0},
        "tie": {"a": 0, "tie": 1, "b": 1},
        "b": {"a": 1, "tie": 0, "b": 0},
    }
    mine = row(found, "judge")
    assert (mine["accuracy"]["value"], mine["decided"]) == (0.25, 2)
    assert mine["accuracy_decided"]["value"] == 0.25, "one wrong, and a tie that is half right"
    assert row(found, "a coin")["accuracy"]["value"] == 0.25, "a coin never says tie"
    assert "1 of 4 comparisons have no majority among the annotators; they count as ties." in found["caveats"]


def test_the_judge_leads_only_on_what_both_have_judged(sciexam: Cli, tmp_path: Path) -> None:
    """ann and bob agree on 12 of 20, and on two of the last ten; these the judge has judged, as bob did."""
    ann = dict.fromkeys(range(20), "first")
    bob = {i: "first" if i < 10 or i > 17 else "second" for i in range(20)}
    votes(tmp_path, {"ann": ann, "bob": bob})
    votes(tmp_path, {"judge": {i: bob[i] for i in range(10, 20)}}, "judge", "judge.jsonl")
    found = validated(sciexam, tmp_path, "judge.jsonl", suite(tmp_path, 20))
    mine = row(found, "ann")
    assert (mine["items"], mine["accuracy_decided"]["value"]) == (20, 0.6)
    assert (mine["judge_decided"]["n"], mine["judge_decided"]["value"]) == (10, 1.0)
    assert mine["lead"]["value"] == pytest.approx(0.8), "1 against the .2 that ann has on these ten, not against .6"
    turn = row(found, "each annotator in turn")
    assert f"the judge in that place: {turn['judge_decided']['value']:.2f} [" in found["sentence"]
    assert turn["lead"]["n"] == 10, "the unit is the prompt, though both annotators are held against it"


def test_stated_probabilities_are_held_against_the_majority(sciexam: Cli, tmp_path: Path) -> None:
    truth = drawn(3, range(80), tie=0.0)
    votes(tmp_path, {"ann": truth, "bob": truth, "cai": truth})
    rng = random.Random(4)
    said = {i: round(rng.uniform(0.05, 0.95), 2) for i in range(80)}
    rows = [
        {"prompt": f"q{i}", "first": "base", "second": "sft", "probability_second": p, "rater": "judge"}
        for i, p in said.items()
    ]
    write_jsonl(tmp_path / "judge.jsonl", rows)
    made = validated(sciexam, tmp_path, "judge.jsonl", suite(tmp_path, 80))["calibration"]
    outcomes = [float(truth[i] == "second") for i in range(80)]
    brier = brier_score_loss(outcomes, [said[i] for i in range(80)])
    assert made["brier"]["value"] == pytest.approx(brier, abs=1e-12)
    assert (made["items"], len(made["bins"]), sum(one["items"] for one in made["bins"])) == (80, 8, 80)
    assert 0 < made["if_calibrated"] < made["error"]["value"], "these probabilities are noise"
    shares = [one["items"] / 80 * abs(one["predicted"] - one["observed"]["value"]) for one in made["bins"]]
    assert made["error"]["value"] == pytest.approx(sum(shares))


def test_length_counts_on_the_same_comparisons_for_judge_and_humans(sciexam: Cli, tmp_path: Path) -> None:
    """The longer answer is sft's at even numbers. The judge takes it always, the humans on 12 of 20."""
    human = {i: ("second" if i % 2 == 0 else "first") for i in range(12)}
    human |= {i: ("first" if i % 2 == 0 else "second") for i in range(12, 20)} | {20: "tie"}
    judge = {i: ("second" if i % 2 == 0 else "first") for i in range(21)}
    votes(tmp_path, {"ann": human, "bob": human})
    votes(tmp_path, {"judge": judge}, "judge", "judge.jsonl")
    biases = validated(sciexam, tmp_path, "judge.jsonl", suite(tmp_path, 24))["biases"]
    assert (biases["judge_longer"]["value"], biases["judge_longer"]["n"]) == (1.0, 20)
    assert biases["humans_longer"]["value"] == pytest.approx(0.6)
    assert biases["longer_difference"]["value"] == pytest.approx(0.4)
    assert biases["longer_difference"]["low"] > 0
    assert biases["order_consistency"]["why"] == "no prompt was judged in both orders"
    assert "was shown in the same order" in biases["position_bias"]["why"]


# ---------------------------------------------------------------- judges that are asked


class Accurate:
    """Names the truth of a prompt with a probability, in both orders alike; ties are answered as ties."""

    def __init__(self, truth: Said, accuracy: float):
        self._truth, self._accuracy = truth, accuracy

    def __call__(self, body: dict[str, Any]) -> str:
        text = prompt_of(body)
        number = int(text.split("Why does thing ")[1].split(" ")[0])
        draw = int.from_bytes(hashlib.sha256(f"right {number}".encode()).digest()[:8]) / 2**64
        sft_wins = (self._truth[number] == "second") == (draw < self._accuracy)
        sft_is_first = not answers_of(text)[0].strip().startswith("It does")
        return f"VERDICT {nonce_of(text)}: {'A>B' if sft_wins == sft_is_first else 'B>A'}"


def judged_by(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    spec = {"backend": "openai", "model": "judge-1", "base_url": endpoint.url, "api_key_env": None, "orders": "both"}
    return {"judges": {"llm": spec | more, "measures": {"backend": "measures"}}}


def test_only_labelled_comparisons_are_asked_for_and_none_twice(sciexam: Cli, tmp_path: Path) -> None:
    truth = drawn(5, range(50), tie=0.0)
    labelled = range(10, 30)
    votes(tmp_path, {"ann": {i: truth[i] for i in labelled}, "bob": {i: truth[i] for i in range(20, 30)}})
    with Endpoint(reply=Accurate(truth, 1.0)) as endpoint:
        exam = suite(tmp_path, 50, **judged_by(endpoint))
        first = sciexam("validate", "llm", "-s", exam, "--humans", "votes.jsonl", "--json", cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        assert endpoint.requests == 40, "20 comparisons in both orders"
        assert "sciexam: at most 40 calls: 0 for answers, 40 for verdicts, besides retries" in first.stderr
        asked = {int(prompt_of(body).split("Why does thing ")[1].split(" ")[0]) for body in endpoint.received}
        assert asked == set(labelled)
        again = sciexam("validate", "llm", "-s", exam, "--json", cwd=tmp_path)  # the humans are in the ledger now
        assert again.returncode == 0, again.stderr
        assert endpoint.requests == 40
        assert "calls" not in again.stderr
    found, second = json.loads(first.stdout), json.loads(again.stdout)
    assert found["calls"]["made"] == 40
    assert (second["calls"]["made"], second["calls"]["reused"] >= 40) == (0, True)
    assert row(found, "llm")["accuracy_decided"]["value"] == 1.0
    assert found["against"] == second["against"], "the same humans, from the ledger"
    assert found["biases"]["order_consistency"]["value"] == 1.0
    assert found["biases"]["position_bias"]["value"] == 0.0
    assert (found["rates"][0]["judged"], found["rates"][0]["labelled"]) == (20, 20)


def test_of_several_pairs_only_the_labelled_ones_are_asked_for_and_no_contestant(sciexam: Cli, tmp_path: Path) -> None:
    truth = dict.fromkeys(range(6), "second")
    with Endpoint(reply=Accurate(truth, 1.0)) as endpoint:
        exam = Path(suite(tmp_path, 6, **judged_by(endpoint)))
        written = json.loads(exam.read_text())
        third = answers(tmp_path, "rlhf", [f"Rather {i} is the cause." for i in range(6)])
        asked = {"backend": "openai", "model": "judge-1", "base_url": endpoint.url, "api_key_env": None}
        written["models"] |= {"rlhf": {"responses": third}, "never": asked}
        written["contestants"] = ["base", "sft", "rlhf", "never"]
        exam.write_text(json.dumps(written))
        write_jsonl(
            tmp_path / "votes.jsonl",
            lines("ann", dict.fromkeys(range(3), "second")) + lines("ann", {4: "second"}, pair=("base", "rlhf")),
        )
        found = validated(sciexam, tmp_path, "llm", str(exam))
        assert endpoint.requests == 8, "three comparisons of base and sft and one of base and rlhf, in both orders"
    assert found["labelled"] == 4
    assert [(one["a"], one["b"], one["labelled"]) for one in found["rates"]] == [
        ("base", "sft", 3),
        ("base", "rlhf", 1),
    ]
    assert found["biases"]["own"] == ["never"]
    assert found["biases"]["self_preference"]["why"] == (
        "no comparison of never with another contestant was judged by both"
    )


def test_a_simulated_judges_accuracy_and_the_humans_win_rate_are_recovered(sciexam: Cli, tmp_path: Path) -> None:
    """A judge that is right on .8 of the prompts, 80 of 240 of which a human judged: .65 of them go to sft."""
    count = 240
    truth = {i: "second" if i in set(random.Random(6).sample(range(count), 156)) else "first" for i in range(count)}
    sample = random.Random(7).sample(range(count), 80)
    votes(tmp_path, {name: {i: truth[i] for i in sample} for name in ("ann", "bob", "cai")})
    with Endpoint(reply=Accurate(truth, 0.8)) as endpoint:
        exam = suite(tmp_path, count, **judged_by(endpoint, orders="one"))
        done = sciexam("compare", "base", "sft", "-s", exam, "-j", "llm", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert endpoint.requests == count
        found = validated(sciexam, tmp_path, "llm", exam)
        assert endpoint.requests == count, "compare has asked for everything"
    (rate,) = found["rates"]
    accuracy = row(found, "llm")["accuracy_decided"]
    assert accuracy["low"] < 0.8 < accuracy["high"]
    assert (rate["judged"], rate["labelled"], rate["both"], rate["unlabelled"]) == (240, 80, 80, 160)
    assert rate["powered"]["low"] < 0.65 < rate["powered"]["high"]
    unlabelled = sum(truth[i] == "second" for i in range(count) if i not in set(sample)) / 160
    assert rate["corrected"]["low"] < unlabelled < rate["corrected"]["high"]
    assert rate["judge"]["value"] == pytest.approx(0.65 * 0.8 + 0.35 * 0.2, abs=0.06), "raw, it shrinks to one half"
    width = {name: rate[name]["high"] - rate[name]["low"] for name in ("powered", "humans")}
    assert width["powered"] < width["humans"]
    assert rate["bought"].startswith("the judge was worth ")
    assert 0 < rate["weight"] < 1
    assert rate["sensitivity"]["low"] < 0.8 < rate["sensitivity"]["high"]


def test_a_judge_that_prefers_its_own_model_is_found_out(tmp_path: Path) -> None:
    class Own:
        name = "sft"
        digest = "prefers sft"

        def judge(self, presentations: Any) -> Iterator[Any]:
            for p in presentations:
                yield p.verdict(self.name, "first" if not p.first.startswith("It does") else "second")

    human = {i: "second" if i < 20 else "first" for i in range(40)}
    votes(tmp_path, {"ann": human, "bob": human})
    exam = sx.load_suite(suite(tmp_path, 40))
    found = sx.validate(exam, Own(), humans=[str(tmp_path / "votes.jsonl")], results=tmp_path / "r")
    assert found.biases.own == ("sft",)
    assert isinstance(found.biases.self_preference, sx.Estimate)
    assert found.biases.self_preference.value == pytest.approx(0.5)
    assert found.biases.self_preference.low > 0.3


def test_a_judge_that_marks_answers_one_by_one_is_shown_the_labelled_answers_alone(tmp_path: Path) -> None:
    class Marks:
        name = "marks"
        digest = "longer is better"
        shown: ClassVar[list[tuple[str, str]]] = []

        def grade(self, submissions: Any) -> Iterator[Any]:
            for one in submissions:
                self.shown.append((one.by, one.prompt.id))
                yield one.grade(self.name, float(len(one.text)))

    votes(tmp_path, {"ann": {2: "second", 3: "first"}})
    exam = sx.load_suite(suite(tmp_path, 6))
    found = sx.validate(exam, Marks(), humans=[str(tmp_path / "votes.jsonl")], results=tmp_path / "r")
    assert sorted(Marks.shown) == [("base", "q2"), ("base", "q3"), ("sft", "q2"), ("sft", "q3")]
    assert isinstance(found.against[0].accuracy, sx.Estimate)
    assert (found.against[0].items, found.against[0].accuracy.value) == (2, 1.0)


def test_unusable_replies_are_missing_and_may_be_asked_for_again_and_the_same_command_asks_again(
    sciexam: Cli, tmp_path: Path
) -> None:
    truth = dict.fromkeys(range(4), "second")
    votes(tmp_path, {"ann": truth, "bob": truth})
    with Endpoint(reply="judge-garbage") as endpoint:
        exam = suite(tmp_path, 4, **judged_by(endpoint))
        done = sciexam("validate", "llm", "-s", exam, "--humans", "votes.jsonl", cwd=tmp_path)
        assert done.returncode == 3
        assert "sciexam: not everything has a result; --retry-invalid asks again for it" in done.stderr
        why = "the judge has no usable verdict on a comparison that a human judged"
        said = " ".join(done.stdout.split())
        assert f"Nothing can be said of llm against humans: {why}." in said
        short = sciexam("validate", "llm", "-s", exam, "--humans", "votes.jsonl", "--quiet", cwd=tmp_path)
        assert (short.returncode, short.stdout) == (3, f"Nothing can be said of llm against humans: {why}.\n")
        assert "no usable verdict on 4 of the 4 comparisons that humans judged (4 invalid)" in said
        missing = "8 verdicts are missing, as replies could not be used"
        assert missing in said
        compared = sciexam("compare", "-s", exam, "--judge", "llm", "--json", cwd=tmp_path).stdout
        assert missing in json.loads(compared)["next_steps"][0]["why"], "the same verdicts, in the same unit"
        endpoint.reply = Accurate(truth, 1.0)
        again = sciexam("validate", "llm", "-s", exam, "--retry-invalid", "--json", cwd=tmp_path)
        assert again.returncode == 0, again.stderr
    assert row(json.loads(again.stdout), "llm")["accuracy"]["value"] == 1.0


# ---------------------------------------------------------------- what cannot be said


def test_every_figure_has_its_number_and_each_method_the_rows_that_it_is_of(sciexam: Cli, tmp_path: Path) -> None:
    truth = drawn(8, range(20), tie=0.0)
    votes(tmp_path, {"ann": truth, "bob": truth})
    votes(tmp_path, {"judge": noisy({k: truth[k] for k in range(15)}, 0.8, 2)}, "judge", "judge.jsonl")
    found = validated(sciexam, tmp_path, "judge.jsonl", suite(tmp_path, 20))
    assert {one["who"]: (one["decided"], one["both"]) for one in found["against"]} == {
        "judge": (15, None),
        **dict.fromkeys(("ann", "bob", "a coin", "the longer answer", "measures"), (20, 15)),
        "each annotator in turn": (40, 30),
    }
    (page,) = (tmp_path / "results" / "exam").glob("*/validation.md")
    told = page.read_text()
    coin = (
        "The shares in the row 'a coin', kappa, alpha and AC1 in the row 'a coin': what a fair coin is expected to give"
    )
    assert coin in told
    assert "Kappa, alpha and AC1 in the row 'each annotator in turn': approximate" in told


def test_with_one_annotator_there_is_no_ceiling_and_that_is_said(sciexam: Cli, tmp_path: Path) -> None:
    truth = drawn(8, range(40), tie=0.0)
    votes(tmp_path, {"ann": truth})
    votes(tmp_path, {"judge": noisy(truth, 0.8, 2)}, "judge", "judge.jsonl")
    found = validated(sciexam, tmp_path, "judge.jsonl", suite(tmp_path, 40))
    assert row(found, "judge")["accuracy_decided"]["value"] > 0.6
    assert row(found, "ann")["accuracy"]["why"] == "there is one annotator, and nobody to hold this one against"
    assert not any(one["kind"] == "annotators" for one in found["against"])
    (folder,) = (tmp_path / "results" / "exam").iterdir()
    page = (folder / "validation.md").read_text()
    assert "| ann |" not in page, "a row in which nothing is known"
    assert "No row for ann: there is one annotator, and nobody to hold this one against." in page
    assert found["replacing"]["omega"] is None
    assert found["replacing"]["why_not"] == "the alt-test leaves each annotator out in turn, and there is one"
    assert found["sentence"].startswith("judge agrees with the one annotator, ann, on 0.")
    assert "one annotator with the others" not in found["sentence"]
    assert "ann is the only annotator: how far humans agree among themselves is not known." in found["caveats"]
    assert found["calibration"]["brier"]["why"] == "the judge gives no probabilities, and was asked once in each order"
    rate = found["rates"][0]
    assert rate["humans"]["value"] is not None
    assert rate["bought"] == "the judge bought nothing: there are no items without a label"
    assert rate["corrected"]["why"] == "there is no unlabelled item"


def test_without_a_human_verdict_the_error_says_how_to_give_some(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path, 4)
    done = sciexam("validate", "measures", "-s", exam, cwd=tmp_path)
    assert done.returncode == 2
    assert "no human has judged base, sft on these prompts" in done.stderr
    assert f"Let people judge them: sciexam annotate serve base sft --suite {exam}\n" in done.stderr
    assert "Or give a file with --humans FILE.jsonl; a line of it: {" in done.stderr
    assert max(map(len, done.stderr.splitlines())) < 200, "a line for each thing to do"
    sciexam("compare", "base.jsonl", "sft.jsonl", cwd=tmp_path)
    bare = sciexam("validate", "measures", "base.jsonl", "sft.jsonl", cwd=tmp_path)
    assert "Let people judge them: sciexam annotate serve base.jsonl sft.jsonl\n" in bare.stderr
    write_jsonl(tmp_path / "votes.jsonl", lines("ann", {7: "second"}))
    other = sciexam("validate", "measures", "-s", exam, "--humans", "votes.jsonl", cwd=tmp_path)
    assert other.returncode == 2
    assert "votes has verdicts on 'q7': no prompt and no model here has that name" in other.stderr


@pytest.mark.parametrize(
    ("judge", "humans", "said"),
    [
        ("humans", (), "'humans' is who a judge is held against; name a judge of the suite (measures)"),
        ("votes.jsonl", (), "'votes.jsonl' is who a judge is held against"),
        ("two.jsonl", (), "'two.jsonl' stands for 2 judges: one, two; name one of them, or keep the verdicts"),
        ("measures", ("two.jsonl",), 'two.jsonl holds no human verdict; a line of one has "kind": "human"'),
        ("gpt-9", (), "'gpt-9' is not a judge of suite 'exam'"),
    ],
)
def test_who_cannot_be_held_against_whom(
    sciexam: Cli, tmp_path: Path, judge: str, humans: tuple[str, ...], said: str
) -> None:
    votes(tmp_path, {"ann": {0: "first"}})
    votes(tmp_path, {"one": {0: "first"}, "two": {0: "first"}}, "judge", "two.jsonl")
    named = [word for name in humans for word in ("--humans", name)]
    done = sciexam("validate", judge, "-s", suite(tmp_path, 4), *named, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_epsilon_must_be_a_share(tmp_path: Path) -> None:
    exam = sx.load_suite(suite(tmp_path, 4))
    with pytest.raises(
        UsageError, match="--epsilon: how much worse than a human a judge may be, between 0 and 1, not 2"
    ):
        sx.validate(exam, "measures", epsilon=2)


def test_humans_that_the_suite_names_need_no_option(sciexam: Cli, tmp_path: Path) -> None:
    votes(tmp_path, {"ann": drawn(1, range(8)), "bob": drawn(2, range(8))})
    crowd = {"backend": "recorded", "verdicts": "votes.jsonl"}
    exam = suite(tmp_path, 8, judges={"measures": {"backend": "measures"}, "crowd": crowd})
    done = sciexam("validate", "measures", "-s", exam, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["annotators"] == ["ann", "bob"]


def test_tables_and_files_say_the_same_and_text_is_never_markup(sciexam: Cli, tmp_path: Path) -> None:
    truth = drawn(1, range(40))
    votes(tmp_path, {"[red]ann|": truth, "bob": noisy(truth, 0.8, 3), "cai": noisy(truth, 0.8, 4)})
    exam = suite(tmp_path, 40)
    done = sciexam("validate", "measures", "-s", exam, "--humans", "votes.jsonl", cwd=tmp_path, env={"COLUMNS": "120"})
    assert done.returncode == 0, done.stderr
    for heading in (
        "Against the human majority",
        "In the place of an annotator (alt-test)",
        "Judge and human majority",
        "Win rates",
        "What its verdicts owe to order, length and author",
        "Calibration",
    ):
        assert heading in done.stdout
    assert "[red]ann|" in done.stdout
    assert "valid only if the labelled prompts are a random sample" in " ".join(done.stdout.split())
    (folder,) = (tmp_path / "results" / "exam").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "run.json",
        "validation.html",
        "validation.json",
        "validation.md",
    }
    written = json.loads((folder / "validation.json").read_text())
    assert written["schema"] == "sciexam/validation/1"
    assert written["sentence"] in " ".join(done.stdout.split())
    page = (folder / "validation.md").read_text()
    assert "| [red]ann|" not in page, "a cell of the name would end there"
    assert page.index("measures agrees with the human majority") < page.index("## Against the human majority")
    report = sciexam("report", folder.name, cwd=tmp_path)
    assert report.returncode == 2
    assert "the `sciexam validate` that made it counts it anew" in report.stderr


def test_the_judge_of_a_validation_is_told_by_its_reply_alone() -> None:
    """The simulated judge answers both orders alike, so that what is measured is its accuracy."""
    told: Callable[[dict[str, Any]], str] = Accurate({3: "second"}, 1.0)
    fenced = "<<<ANSWER A x\n{}\nANSWER A x>>>\n<<<ANSWER B x\n{}\nANSWER B x>>>\nVERDICT 0123456789abcdef: "
    for texts, verdict in ((("It does.", "Because."), "B>A"), (("Because.", "It does."), "A>B")):
        body = {"messages": [{"content": "Why does thing 3 happen?\n" + fenced.format(*texts)}]}
        assert told(body).endswith(verdict)


@pytest.mark.parametrize("people", [("ann",), ("ann", "bob", "cleo")])
def test_of_several_annotators_the_judges_errors_are_by_the_mean_vote_and_that_is_said(
    sciexam: Cli, tmp_path: Path, people: tuple[str, ...]
) -> None:
    votes(tmp_path, {who: drawn(seed, range(12), tie=0.5) for seed, who in enumerate(people)})
    done = sciexam("validate", "measures", "-s", suite(tmp_path, 12), "--humans", "votes.jsonl", cwd=tmp_path)
    said = "with two choices, by the humans' mean vote and not by the majority above."
    assert (said in " ".join(done.stdout.split())) == (len(people) > 1)


def test_what_the_judge_bought_is_told_once_for_all_pairs_of_which_it_is_so(sciexam: Cli, tmp_path: Path) -> None:
    names = ("base", "sft", "dpo")
    models = {n: {"responses": answers(tmp_path, n, [f"{n} {i} because of it" for i in range(20)])} for n in names}
    exam = str(write_suite(tmp_path, 20, models))
    pairs = (("base", "sft"), ("base", "dpo"), ("sft", "dpo"))
    truth = drawn(1, range(20))
    rows = [line for pair in pairs for who in ("ann", "bob") for line in lines(who, truth, pair=pair)]
    write_jsonl(tmp_path / "votes.jsonl", rows)
    done = sciexam("validate", "measures", "-s", exam, "--humans", "votes.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert said.count("the judge bought nothing") == 1
    assert "All 3 pairs: the judge bought nothing: there are no items without a label." in said


def test_people_who_agree_as_by_chance_are_no_measure_of_a_judge(tmp_path: Path) -> None:
    dice = {"ann": drawn(1, range(40)), "bob": drawn(2, range(40)), "cai": drawn(3, range(40))}
    votes(tmp_path, dice)
    recorded = {"votes": {"backend": "recorded", "verdicts": "votes.jsonl"}}
    exam = suite(tmp_path, 40, judges=recorded)
    said = "The annotators are not shown to agree better than by chance: Krippendorff's alpha is "
    found = sx.validate(exam, "measures", humans=["votes"], results=tmp_path / "results")
    assert any(one.startswith(said) for one in found.caveats)
    votes(tmp_path, {"ann": dice["ann"], "bob": noisy(dice["ann"], 0.9, 1)})
    found = sx.validate(exam, "measures", humans=["votes"], results=tmp_path / "other")
    assert not any(one.startswith(said) for one in found.caveats)


# ---------------------------------------------------------------- what comes next


def test_what_comes_next_are_commands_on_the_same_exam_wherever_it_is_read(sciexam: Cli, tmp_path: Path) -> None:
    def even(body: dict[str, Any]) -> str:
        return f"VERDICT {nonce_of(prompt_of(body))}: A>B"

    votes(tmp_path, {"ann": drawn(1, range(8)), "bob": drawn(2, range(8))})
    with Endpoint(reply=even) as endpoint:
        llm = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        suite(tmp_path, 12, judges={"llm": llm})
        arguments = ["validate", "llm", "base", "sft", "--suite", "exam.yaml", "--humans", "votes.jsonl"]
        done = sciexam(*arguments, cwd=tmp_path)
    told = [line.strip() for line in done.stdout.partition("What to do next")[2].splitlines()]
    wanted = [  # more labels do not mend a judge that goes by the place of an answer
        "sciexam validate openai:gpt-4.1-mini-2025-04-14 base sft --suite exam.yaml",
        "sciexam compare base sft --judge humans --suite exam.yaml",
        "sciexam annotate serve base sft --suite exam.yaml",
        "sciexam audit llm base sft --suite exam.yaml",
        "sciexam compare base sft --judge llm --suite exam.yaml",
    ]
    assert [line for line in told if line.startswith("sciexam ")] == wanted
    assert "or always taking the longer answer and favours the answer shown first (position bias " in " ".join(told)
    assert "- To ask llm for the 4 prompts that it has not judged; then validate again:" in told
    (folder,) = (tmp_path / "results" / "exam").iterdir()
    record = json.loads((folder / "validation.json").read_text())
    assert [step["command"] for step in record["next_steps"]] == wanted
    assert "decided comparisons, which is not told from a coin; " in record["sentence"]
    assert "llm was not shown to be better than a coin or always taking the longer answer." in record["caveats"]
    assert any(one.startswith("llm favours the answer shown first (position bias ") for one in record["caveats"])
    for page in ("validation.md", "validation.html"):
        assert all(command in (folder / page).read_text() for command in wanted), page


def test_where_people_have_judged_every_prompt_no_queue_is_proposed(tmp_path: Path) -> None:
    recorded = {"votes": {"backend": "recorded", "verdicts": "votes.jsonl"}}
    exam, proposed = suite(tmp_path, 12, judges=recorded), []
    for judged in (8, 12):
        votes(tmp_path, {"ann": drawn(1, range(judged))})
        found = sx.validate(exam, "measures", humans=["votes"], results=tmp_path / "results")
        proposed.append(any("annotate serve" in step.command for step in found.next_steps))
    assert proposed == [True, False]


def test_another_judge_comes_before_more_labels_wherever_the_sentence_says_that_this_one_is_not_told_from_a_coin(
    tmp_path: Path,
) -> None:
    own = {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key_env": None}
    judges = {"jury": {"backend": "recorded", "verdicts": "jury.jsonl"}, "other": own, "own": own}
    judges["votes"] = {"backend": "recorded", "verdicts": "votes.jsonl"}
    exam = suite(tmp_path, 40, judges=judges, judge="own")
    people = dict.fromkeys(range(30), "second")
    votes(tmp_path, {"ann": people})
    votes(tmp_path, {"j": people | dict.fromkeys(range(13), "first")}, kind="judge", name="jury.jsonl")
    found = sx.validate(exam, "jury", humans=["votes"], results=tmp_path / "results")
    assert "which is not told from a coin" in found.sentence
    agreed = found.against[0].accuracy_decided
    assert isinstance(agreed, Estimate)
    assert agreed.value > 0.5
    commands = [step.command.partition(" base")[0] for step in found.next_steps]
    assert commands[:3] == ["sciexam validate own", "sciexam compare", "sciexam annotate serve"]


# ---------------------------------------------------------------- adjudication


def adjudicate(folder: Path, exam: str, prompts: Sequence[int]) -> None:
    """Whoever read the annotators' verdicts on these comparisons names sft."""
    by_id = {prompt.id: prompt for prompt in sx.load_suite(exam).prompts}
    texts = {name: read_responses(folder / f"{name}.jsonl") for name in ("base", "sft")}

    def subject(id: str) -> str:
        one, other = (Response(name, id, 0, Reply("k", text=said[id, 0].text)) for name, said in texts.items())
        return present(Comparison(by_id[id], one, other), "ab").subject

    with Store(folder / "results" / "ledger.sqlite") as store:
        mine = store.human_verdicts({subject(f"q{i}") for i in prompts})
        one_each = {verdict.prompt: verdict for verdict in mine}
        store.append(
            [
                replace(one, key=digest(["settled", id]), rater=ADJUDICATION, preferred="second")
                for id, one in one_each.items()
            ]
        )


def test_the_human_majority_is_that_of_annotators_and_what_was_adjudicated_stands_beside(tmp_path: Path) -> None:
    """Four of ten have no majority, and are adjudicated for sft, as the judge says of all."""
    ann, bob = dict.fromkeys(range(10), "second"), {i: "first" if i < 4 else "second" for i in range(10)}
    votes(tmp_path, {"ann": ann, "bob": bob})
    votes(tmp_path, {"judge": dict.fromkeys(range(10), "second")}, "judge", "judge.jsonl")
    recorded = {name: {"backend": "recorded", "verdicts": f"{name}.jsonl"} for name in ("judge", "votes")}
    exam, results = suite(tmp_path, 10, judges=recorded), tmp_path / "results"
    before = sx.validate(exam, "judge", humans=["votes"], results=results)
    assert (before.adjudicated, before.split) == (0, 4)
    assert "adjudicated" not in before.sentence
    adjudicate(tmp_path, exam, range(4))
    found = sx.validate(exam, "judge", humans=["humans"], results=results)
    assert (found.adjudicated, found.split) == (4, 4)
    assert found.against[0].decided == 6, "by the annotators alone"
    assert (found.against[1].who, found.against[1].decided) == ("judge, as adjudicated", 10)
    assert found.against[2:6] == before.against[1:5]
    assert "of 6 decided comparisons (with 4 of 10 adjudicated: 1.00 [" in found.sentence
    assert found.rates[0].humans.value == 1.0
    page = (results / "exam" / found.run / "validation.md").read_text()
    assert "4 of 10 comparisons were adjudicated, by somebody who could read what the annotators said." in page
    assert "the annotators' majority, without what was adjudicated." in page, "of the matrix"
    assert "prompts with two choices, by the humans' choice with what was adjudicated." in page, "of its errors"
    told = sx.compare(exam, judges=["judge"], results=results)
    assert told.pairs[0].judge_is == "recorded verdicts, held against 2 annotators: 1.00 of 6"
    by_people = sx.compare(exam, judges=["humans"], results=results)
    first, *_, last = exhibits_of(by_people)
    assert first.tally == ("sft (adjudicated; annotators sft\u00a01, base\u00a01)",)
    assert last.winner == "sft"


# ---------------------------------------------------------------- two equal texts


def test_people_say_the_same_of_equal_texts_by_whatever_way_they_are_heard(sciexam: Cli, tmp_path: Path) -> None:
    """From a file, or from the ledger: such a comparison is a tie, and no evidence of agreement or of an order."""
    own = [f"Because of {i}." for i in range(12)]
    models = {
        "base": {"responses": answers(tmp_path, "base", own)},
        "sft": {"responses": answers(tmp_path, "sft", [*own[:5], *(f"Not {i}, as I said." for i in range(5, 12))])},
    }
    votes(tmp_path, {"ann": drawn(1, range(12)), "bob": drawn(2, range(12))})
    exam = str(write_suite(tmp_path, 12, models, judges={"votes": {"backend": "recorded", "verdicts": "votes.jsonl"}}))
    by_file = validated(sciexam, tmp_path, "measures", exam)
    done = sciexam("validate", "measures", "-s", exam, "--humans", "humans", "--json", cwd=tmp_path)
    by_ledger = json.loads(done.stdout)
    for part in ("against", "replacing", "rates", "confusion", "labelled", "biases"):
        assert by_ledger[part] == by_file[part], part
    assert [one for one in by_ledger["caveats"] if not one.startswith("Counted: ")] == by_file["caveats"]
    assert by_file["labelled"] == 7
    assert not [one for one in by_file["caveats"] if "more than one thing" in one]
    last = (
        "5 of 12 comparisons are of two equal texts: people are not shown them, "
        "and agreement, order consistency and position bias leave them out."
    )
    assert by_file["caveats"][-1] == last
    agreed = [
        json.loads(sciexam("agree", "-s", exam, "--judge", who, "--json", cwd=tmp_path).stdout)
        for who in ("votes", "humans")
    ]
    assert agreed[0]["groups"] == agreed[1]["groups"]
    assert agreed[0]["groups"][0]["items"] == 7
    assert agreed[0]["caveats"][-1] == last
    for who in ("votes", "humans"):
        done = sciexam("compare", "base", "sft", "-s", exam, "--judge", who, "--json", cwd=tmp_path)
        found = json.loads(done.stdout)
        assert found["caveats"][-1] == last
        (pair,) = found["pairs"]
        assert "why" in pair["order_consistency"], "each saw one order"
        assert pair["win_rate"]["value"] == pytest.approx(by_file["rates"][0]["humans"]["value"])
        assert pair["ties"] >= 5


def test_a_prompt_with_two_equal_texts_is_none_that_people_could_label(tmp_path: Path) -> None:
    own = [f"Because of {i}." for i in range(12)]
    models = {
        "base": {"responses": answers(tmp_path, "base", own)},
        "sft": {"responses": answers(tmp_path, "sft", [*own[:5], *(f"Not {i}, as I said." for i in range(5, 12))])},
    }
    votes(tmp_path, {"ann": drawn(1, range(5, 12)), "bob": drawn(2, range(5, 12))})
    recorded = {"votes": {"backend": "recorded", "verdicts": "votes.jsonl"}}
    exam = str(write_suite(tmp_path, 12, models, judges=recorded))
    (rate,) = sx.validate(exam, "measures", humans=["votes"], results=tmp_path / "results").rates
    assert (rate.judged, rate.labelled, rate.unlabelled, rate.unasked) == (12, 7, 0, 0)


def test_where_all_texts_are_equal_nothing_can_be_said(sciexam: Cli, tmp_path: Path) -> None:
    own = [f"Because of {i}." for i in range(3)]
    models = {name: {"responses": answers(tmp_path, name, own)} for name in ("base", "sft")}
    votes(tmp_path, {"ann": drawn(1, range(3)), "bob": drawn(2, range(3))})
    exam = str(write_suite(tmp_path, 3, models))
    found = validated(sciexam, tmp_path, "measures", exam)
    assert found["labelled"] == 0
    assert found["sentence"].startswith("Nothing can be said of measures against humans")


def test_a_judge_that_was_asked_for_the_labelled_alone_is_to_be_asked_for_the_rest(tmp_path: Path) -> None:
    def even(body: dict[str, Any]) -> str:
        return f"VERDICT {nonce_of(prompt_of(body))}: A>B"

    humans = [str(votes(tmp_path, {"ann": drawn(1, range(8))}))]
    of_file = str(votes(tmp_path, {"old": drawn(2, range(8))}, "judge", "old.jsonl"))
    with Endpoint(reply=even) as endpoint:
        llm = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        exam = sx.load_suite(suite(tmp_path, 12, judges={"llm": llm}))
        said = "has no usable verdict on the 4 other prompts, so that it buys nothing yet"
        rest = {
            "llm": "",
            of_file: "; its file holds none",
        }
        for judge, then in rest.items():
            (rate,) = sx.validate(exam, judge, humans=humans, results=tmp_path / "r").rates
            assert rate.bought == f"{Path(judge).stem} {said}{then}"
            assert rate.unasked == 4
