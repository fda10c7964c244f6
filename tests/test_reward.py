"""`sciexam reward`: distributions of rewards, how they differ, what they choose, and whether people agree."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from endpoint import Body, Endpoint
from sciexam.errors import UsageError
from sciexam.report.marking.rewards import Rewards, Row
from sciexam.stats import Distribution, Estimate, Undefined


def suite(folder: Path, names: tuple[str, ...] = ("base", "sft"), prompts: int = 4, **more: Any) -> str:
    models = {n: {"responses": answers(folder, n, [f"{n} says {i}" for i in range(prompts)])} for n in names}
    return str(write_suite(folder, prompts, models, **more))


def rewards(folder: Path, given: dict[str, list[Any]], name: str = "rm.jsonl", **more: Any) -> str:
    """Rewards of contestants for q0, q1 ...; what is "" is left out."""
    rows = [
        {"prompt": f"q{i}", "model": model, "reward": reward, "rater": "rm"} | more
        for model, listed in given.items()
        for i, reward in enumerate(listed)
        if reward != ""
    ]
    return str(write_jsonl(folder / name, rows))


def value(figure: Estimate | Undefined | float) -> float:
    assert isinstance(figure, Estimate)
    return figure.value


def row_of(found: Rewards, contestant: str, judge: str) -> Row:
    (row,) = [row for row in found.rows if (row.contestant, row.judge) == (contestant, judge)]
    return row


def described(one: Distribution | Undefined) -> dict[str, float]:
    assert isinstance(one, Distribution)
    assert isinstance(one.sd, float)
    quantiles = {"q05": one.q05, "q25": one.q25, "q75": one.q75, "q95": one.q95}
    found = {"n": one.n, "mean": value(one.mean), "std_ddof1": one.sd, "median": value(one.median)}
    return found | {"min": one.min, "max": one.max} | quantiles


# ---------------------------------------------------------------- golden numbers


def exam_of(folder: Path, prompts: list[str], contestants: list[str], rows: list[dict[str, Any]]) -> str:
    """A suite of `contestants` with distinct answers to `prompts`, and its rewards as rewards.jsonl."""
    folder.mkdir(exist_ok=True)
    write_jsonl(folder / "prompts.jsonl", [{"id": prompt, "text": f"Question {prompt}?"} for prompt in prompts])
    for name in contestants:
        write_jsonl(folder / f"{name}.jsonl", [{"prompt": p, "text": f"{name} on {p}"} for p in prompts])
    write_jsonl(folder / "rewards.jsonl", rows)
    spec = {
        "suite": "golden",
        "prompts": "prompts.jsonl",
        "models": {name: {"responses": f"{name}.jsonl"} for name in contestants},
        "contestants": contestants,
    }
    (folder / "exam.yaml").write_text(json.dumps(spec))
    return str(folder / "exam.yaml")


@pytest.fixture
def judgebench(shared_data: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Two reward models' scores of 350 pairs, and statistics of them made with pandas."""
    with (shared_data / "judgebench" / "reward_scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads((shared_data / "judgebench" / "derived_reward_stats.json").read_text())["stats"]


def test_judgebench_rewards_of_right_and_wrong_answers_their_margins_and_the_accuracy_are_reproduced(
    tmp_path: Path, judgebench: tuple[list[dict[str, str]], dict[str, Any]]
) -> None:
    scores, derived = judgebench
    pairs = list(dict.fromkeys(row["pair_id"] for row in scores))
    right = {"A>B": ("score_A", "score_B"), "B>A": ("score_B", "score_A")}
    given = [
        {"prompt": row["pair_id"], "model": name, "reward": float(row[column]), "rater": row["reward_model"]}
        for row in scores
        for name, column in zip(("correct", "wrong"), right[row["label"]], strict=True)
    ]
    exam = exam_of(tmp_path, pairs, ["wrong", "correct"], given)
    labels = [
        {"prompt": pair, "first": "correct", "second": "wrong", "preferred": "first", "rater": "label", "kind": "human"}
        for pair in pairs
    ]
    write_jsonl(tmp_path / "labels.jsonl", labels)
    sx.agree(exam, judges=[str(tmp_path / "labels.jsonl")], results=tmp_path / "r")
    found = sx.reward(exam, model=str(tmp_path / "rewards.jsonl"), results=tmp_path / "r")
    assert {pair.judge for pair in found.pairs} == set(derived)
    for pair in found.pairs:
        expected = derived[pair.judge]
        assert (pair.a, pair.b) == ("wrong", "correct")
        for name in ("correct", "wrong"):
            ours = described(row_of(found, name, pair.judge).distribution)
            assert ours == pytest.approx(expected[name], abs=1e-12)
        assert described(pair.differences) == pytest.approx(expected["margin"], abs=1e-12)
        assert value(pair.compared.difference) == pytest.approx(expected["margin"]["mean"], abs=1e-12)
        # The strict rule counts equal scores as wrong; here they are half.
        accuracy = expected["pairwise_accuracy"] + expected["ties"] / 2 / 350
        assert value(pair.people.accuracy) == pytest.approx(accuracy, abs=1e-12)
        assert value(pair.win_rate) == pytest.approx(accuracy, abs=1e-12), "people always prefer the right answer"
        assert (pair.people.comparisons, pair.people.equal) == (350, expected["ties"])


def test_judgebench_rewards_of_all_answers_are_reproduced(
    tmp_path: Path, judgebench: tuple[list[dict[str, str]], dict[str, Any]]
) -> None:
    scores, derived = judgebench
    given = [
        {"prompt": f"{row['pair_id']}-{side}", "model": "all", "reward": float(row[f"score_{side}"])}
        | {"rater": row["reward_model"]}
        for row in scores
        for side in "AB"
    ]
    prompts = list(dict.fromkeys(str(row["prompt"]) for row in given))
    found = sx.reward(
        exam_of(tmp_path, prompts, ["all"], given), model=str(tmp_path / "rewards.jsonl"), results=tmp_path / "r"
    )
    for judge, expected in derived.items():
        assert described(row_of(found, "all", judge).distribution) == pytest.approx(expected["all"], abs=1e-12)


@pytest.mark.slow
def test_instructgpt_scores_of_twelve_models_are_reproduced(tmp_path: Path, shared_data: Path) -> None:
    """derived.json was made from truthfulqa_scores.csv.gz with pandas: 12 models under one prompt, two scorers."""
    folder = shared_data / "instructgpt"
    text = gzip.decompress((folder / "truthfulqa_scores.csv.gz").read_bytes()).decode()
    scores = [row for row in csv.DictReader(io.StringIO(text)) if row["prompt_type"] == "QA prompt"]
    derived = json.loads((folder / "derived.json").read_text())["stats"]["QA prompt"]
    given = [
        {"prompt": row["question_id"], "model": row["model"], "reward": float(row[quality]), "rater": quality}
        for row in scores
        for quality in ("truthful", "informative")
    ]
    questions = list(dict.fromkeys(row["question_id"] for row in scores))
    exam = exam_of(tmp_path, questions, sorted(derived), given)
    # Each contestant alone: twelve make 66 pairs, of which nothing is known to compare with.
    for name, expected in derived.items():
        found = sx.reward(exam, name, model=str(tmp_path / "rewards.jsonl"), results=tmp_path / "r")
        for quality in ("truthful", "informative"):
            ours = described(row_of(found, name, quality).distribution)
            kept = {key: ours[key] for key in expected[quality] if key != "share_above_half"}
            wanted = {key: expected[quality][key] for key in kept}
            assert kept == pytest.approx(wanted, abs=1e-12)
        assert found.pairs == ()


# ---------------------------------------------------------------- figures by hand


def test_differences_are_of_the_second_against_the_first_and_holm_goes_over_all_pairs(tmp_path: Path) -> None:
    names = ("base", "sft", "rlhf")
    given: dict[str, list[Any]] = {
        "base": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        "sft": [1.0, 2.0, 3.0, 4.0, 5.0, -1.0],
        "rlhf": [2.0, 3.0, 4.0, 6.0, 7.0, 1.0],
    }
    found = sx.reward(suite(tmp_path, names, 6), model=rewards(tmp_path, given), results=tmp_path / "r")
    by_name = {(pair.a, pair.b): pair for pair in found.pairs}
    first = by_name["base", "sft"]
    assert value(first.compared.difference) == pytest.approx(14 / 6)
    # Signed ranks 1.5 (tied: 1 and -1), 3, 4, 5, 6 against -1.5: of 64 sign patterns 6 are as far from 0.
    assert first.compared.wilcoxon_p == pytest.approx(6 / 64)
    # Sums of 1..5 and 1: |14| or more for 16 - 2k with k at most 1: k = 0, 1 (either of two ones), both signs.
    assert first.compared.permutation_p == pytest.approx(6 / 64)
    assert value(first.win_rate) == pytest.approx(5 / 6)
    assert value(first.compared.cliffs_delta) == pytest.approx((5 - 1) / 6)
    raw = sorted((pair.compared.permutation_p, pair.permutation_holm) for pair in found.pairs)
    assert raw == [(pytest.approx(2 / 64), pytest.approx(6 / 64))] * 2 + [(pytest.approx(6 / 64),) * 2]


def test_the_best_of_the_contestants_shares_a_prompt_between_equals(tmp_path: Path) -> None:
    given: dict[str, list[Any]] = {"base": [5.0, 1.0, 2.0, 0.0], "sft": [1.0, 4.0, 2.0, ""]}
    found = sx.reward(suite(tmp_path), model=rewards(tmp_path, given), results=tmp_path / "r")
    (one,) = found.selections
    assert (one.prompts, one.best) == (3, "base")
    assert one.shares == pytest.approx({"base": 0.5, "sft": 0.5})
    assert value(one.mean) == pytest.approx(11 / 3)
    assert value(one.gain) == pytest.approx(11 / 3 - 8 / 3)


def test_people_count_at_their_mean_on_each_pair_of_answers(tmp_path: Path) -> None:
    """q0: two of three for sft; q1: split; q2: for base; q3: for sft, where base has no reward."""
    exam = suite(tmp_path)
    sides = {"q0": ["second", "second", "first"], "q1": ["first", "second", "tie"], "q2": ["first"], "q3": ["second"]}
    votes = [
        {"prompt": q, "first": "base", "second": "sft", "preferred": side, "rater": f"ann{n}", "kind": "human"}
        for q, listed in sides.items()
        for n, side in enumerate(listed)
    ]
    sx.agree(exam, judges=[str(write_jsonl(tmp_path / "votes.jsonl", votes))], results=tmp_path / "r")
    given: dict[str, list[Any]] = {"base": [0.0, 0.0, 1.0, ""], "sft": [1.0, 1.0, 1.0, 1.0]}
    found = sx.reward(exam, model=rewards(tmp_path, given), results=tmp_path / "r")
    people = found.pairs[0].people
    assert (people.comparisons, people.equal, people.undecided, people.unrewarded) == (2, 1, 1, 1)
    assert value(people.accuracy) == 0.75, "right on q0, equal on q2"
    assert found.people["rm"] == people


def test_rewards_within_the_margin_are_a_tie(tmp_path: Path) -> None:
    given: dict[str, list[Any]] = {"base": [0.0, 0.0, 0.0, 0.0], "sft": [0.4, 0.5, 0.6, -2.0]}
    judge = {"backend": "rewards", "rewards": rewards(tmp_path, given), "tie_within": 0.5}
    found = sx.reward(suite(tmp_path, judges={"rm": judge}), model="rm", results=tmp_path / "r")
    assert value(found.pairs[0].win_rate) == (0.5 + 0.5 + 1 + 0) / 4


def test_samples_of_one_prompt_are_averaged_into_one_unit(tmp_path: Path) -> None:
    for name in ("base", "sft"):
        rows = [{"prompt": f"q{i}", "sample": s, "text": f"{name} {i} {s}"} for i in range(3) for s in range(2)]
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    models = {name: {"responses": f"{name}.jsonl"} for name in ("base", "sft")}
    exam = str(write_suite(tmp_path, 3, models, generation={"samples": 2}))
    given = [
        {"prompt": f"q{i}", "model": name, "sample": s, "reward": 10 * i + s + (4 if name == "sft" else 0)}
        for name in models
        for i in range(3)
        for s in range(2)
    ]
    found = sx.reward(exam, model=str(write_jsonl(tmp_path / "rm.jsonl", given)), results=tmp_path / "r")
    base = found.rows[0].distribution
    assert isinstance(base, Distribution)
    assert (base.n, value(base.mean), base.min, base.max) == (3, 10.5, 0.5, 20.5)
    assert found.pairs[0].compared.pairs == 3


# ---------------------------------------------------------------- the command line


def test_the_tables_say_what_they_hold_and_what_a_maximum_is_worth(sciexam: Cli, tmp_path: Path) -> None:
    given: dict[str, list[Any]] = {"base": [0.1 * i for i in range(8)], "sft": [0.3 * i + 1 for i in range(8)]}
    rewards(tmp_path, given)
    done = sciexam("reward", "-s", suite(tmp_path, prompts=8), "-m", "rm.jsonl", cwd=tmp_path, env={"COLUMNS": "140"})
    assert done.returncode == 0, done.stderr
    for words in (
        "By rm the mean reward of sft is higher than that of base: on the same prompts, sft less base is",
        "Rewards by rm (recorded rewards, not validated)",
        "both Holm-corrected over 1 comparison.",
        "n/a for accuracy: the ledger holds no human verdict on these pairs of answers.",
        "The maximum of noisy scores flatters itself",
        "base 0%, sft 100%",
        "Caveats",
        "8 prompts are few; the intervals are wide.",
    ):
        assert words in done.stdout
    (folder,) = (tmp_path / "results" / "exam").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "run.json",
        "rewards.html",
        "rewards.json",
        "rewards.md",
        "rewards.csv",
    }
    with (folder / "rewards.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["reward_model"], row["contestant"], row["n"]) for row in rows] == [
        ("rm", "base", "8"),
        ("rm", "sft", "8"),
    ]
    assert float(rows[1]["mean"]) == pytest.approx(0.3 * 3.5 + 1)
    assert float(rows[1]["q25"]) == pytest.approx(0.3 * 1.75 + 1)
    again = sciexam("reward", "-s", str(tmp_path / "exam.yaml"), "-m", "rm.jsonl", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["schema"] == "sciexam/rewards/1"


def test_one_contestant_has_a_distribution_and_no_pairs(sciexam: Cli, tmp_path: Path) -> None:
    rewards(tmp_path, {"base": [1.0, 2.0, 4.0, 8.0]})
    done = sciexam("reward", "base", "-s", suite(tmp_path), "-m", "rm.jsonl", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["pairs"], found["rows"][0]["distribution"]["max"]) == ([], 8.0)
    assert found["selections"][0]["gain"]["why"] == "it takes two contestants to choose from"
    assert found["rows"][0]["distribution"]["median"]["why"] == "4 prompts are too few for an interval of the median"


def test_rewards_of_strangers_are_told_and_a_file_of_none_but_strangers_is_refused(
    sciexam: Cli, tmp_path: Path
) -> None:
    exam = suite(tmp_path)
    rewards(tmp_path, {"base": [1.0, 2.0, 3.0, 4.0, 5.0], "gpt": [1.0]})
    done = sciexam("reward", "base", "-s", exam, "-m", "rm.jsonl", "--json", cwd=tmp_path)
    caveats = json.loads(done.stdout)["caveats"]
    assert (
        "There are rewards for 'q4', 'gpt': no prompt and no model here has that name, so they do not count." in caveats
    )
    rewards(tmp_path, {"gpt": [1.0]}, "other.jsonl")
    done = sciexam("reward", "base", "-s", exam, "-m", "other.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert "sciexam: 'other' has no mark of base for these prompts" in done.stderr


def test_what_is_no_reward_model_is_refused(sciexam: Cli, tmp_path: Path) -> None:
    exam = suite(tmp_path)
    done = sciexam("reward", "-s", exam, "-m", "absent.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "sciexam: absent.jsonl: no such file of rewards\n")
    done = sciexam("reward", "-s", exam, "-m", "absent", cwd=tmp_path)
    assert done.returncode == 2
    assert "'absent' is not a judge of suite 'exam'" in done.stderr
    (tmp_path / "rm.jsonl").write_text('{"prompt": "q0", "model": "base", "reward": "high"}\n')
    done = sciexam("reward", "-s", exam, "-m", "rm.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert "rm.jsonl:1: reward: input should be a valid number, not 'high'" in done.stderr
    with pytest.raises(UsageError, match="'measures' is a judge of the suite and the name of a file; rename the file"):
        sx.reward(exam, model=rewards(tmp_path, {"base": [1.0]}, "measures.jsonl"), results=tmp_path / "r")


def by_length(body: Body) -> Body:
    said = len(body["messages"][-1]["content"])
    return {"model": body["model"], "data": [{"data": [said / 10]}], "usage": {"prompt_tokens": 3}}


def test_a_reward_endpoint_is_asked_once_for_each_text_and_never_again(sciexam: Cli, tmp_path: Path) -> None:
    texts = {"base": ["same", "a", "bb", "ccc"], "sft": ["same", "dddd", "ee", "f"]}
    models = {name: {"responses": answers(tmp_path, name, said)} for name, said in texts.items()}
    with Endpoint(by_length, faults=["500"]) as endpoint:
        judges = {"rm": {"backend": "reward", "model": "m", "base_url": endpoint.url}}
        exam = str(write_suite(tmp_path, 4, models, judges=judges))
        done = sciexam("reward", "-s", exam, "-m", "rm", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "sciexam: at most 7 calls: 0 for answers, 7 for marks, besides retries" in done.stderr
        assert endpoint.requests == 8, "seven texts, and one that was asked for again after a 500"
        again = sciexam("reward", "-s", exam, "-m", "rm", cwd=tmp_path)
        assert endpoint.requests == 8
    assert "nothing was left to do" in again.stderr
    assert "Rewards by rm (the reward model m, not validated)" in again.stdout
    found = json.loads(done.stdout)
    assert [row["distribution"]["mean"]["value"] for row in found["rows"]] == pytest.approx([0.25, 0.275])
    assert (found["calls"]["made"], found["calls"]["input_tokens"]) == (7, 21)


def test_a_reward_that_failed_is_exit_3_and_owed_by_the_next_run(sciexam: Cli, tmp_path: Path) -> None:
    with Endpoint(by_length, faults=["too_long"]) as endpoint:
        judges = {"rm": {"backend": "reward", "model": "m", "base_url": endpoint.url, "concurrency": 1}}
        exam = suite(tmp_path, judges=judges)
        done = sciexam("reward", "-s", exam, "-m", "rm", cwd=tmp_path)
        assert done.returncode == 3
        assert "the same command asks again for it" in done.stderr
        assert sciexam("reward", "-s", exam, "-m", "rm", cwd=tmp_path).returncode == 0
        assert endpoint.requests == 9


def test_rewards_that_all_lie_between_0_and_1_may_have_gone_through_a_sigmoid(tmp_path: Path) -> None:
    squashed: dict[str, list[Any]] = {"base": [i / 40 for i in range(30)], "sft": [1 - i / 40 for i in range(30)]}
    found = sx.reward(suite(tmp_path, prompts=30), model=rewards(tmp_path, squashed), results=tmp_path / "r")
    assert any("they may be probabilities after a sigmoid" in caveat for caveat in found.caveats)
    squashed["base"][0] = -0.01
    found = sx.reward(suite(tmp_path, prompts=30), model=rewards(tmp_path, squashed), results=tmp_path / "r")
    assert not any("sigmoid" in caveat for caveat in found.caveats)


def test_recorded_rewards_judge_a_comparison_by_the_higher_reward(sciexam: Cli, tmp_path: Path) -> None:
    given: dict[str, list[Any]] = {"base": [1.0, 2.0, 3.0, 4.0], "sft": [2.0, 2.0, 4.0, None]}
    judges = {"rm": {"backend": "rewards", "rewards": rewards(tmp_path, given)}}
    done = sciexam("compare", "-s", suite(tmp_path, judges=judges), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads(done.stdout)["pairs"]
    assert (pair["wins"], pair["ties"], pair["losses"], pair["invalid"]) == (2, 1, 0, 1)
    assert pair["win_rate"]["value"] == pytest.approx(2.5 / 3)
    checked = sciexam("check", str(tmp_path / "exam.yaml"), cwd=tmp_path)
    assert "judge rm: ready" in checked.stdout


def test_the_unit_of_every_interval_is_the_group_of_prompts(tmp_path: Path) -> None:
    exam = suite(tmp_path, prompts=12)
    rows = [{"id": f"q{i}", "text": f"Why {i}?", "group": f"g{i // 2}"} for i in range(12)]
    write_jsonl(tmp_path / "prompts.jsonl", rows)
    given: dict[str, list[Any]] = defaultdict(list)
    for i in range(12):
        given["base"].append(float(i % 5))
        given["sft"].append(float((3 * i) % 7))
    found = sx.reward(exam, model=rewards(tmp_path, given), results=tmp_path / "r")
    base = found.rows[0].distribution
    assert isinstance(base, Distribution)
    for figure in (base.mean, found.pairs[0].compared.difference, found.pairs[0].win_rate, found.selections[0].gain):
        assert isinstance(figure, Estimate)
        assert (figure.n, "groups" in figure.method) == (6, True)
