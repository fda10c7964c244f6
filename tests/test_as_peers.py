"""`sciexam leaderboard --as PEER`: a peer's own figures by the peer's own rule.

The published figures are rows of AlpacaEval's leaderboards (tatsu-lab/alpaca_eval at cd543a1).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sciexam as sx
from conftest import Cli, answers, write_jsonl, write_suite
from published.alpacaeval import board as published_board
from sciexam.errors import DocumentError, UsageError
from sciexam.exam.board.as_peers import as_peer
from sciexam.exam.board.calibration_file import read_calibration
from sciexam.stats import Undefined
from sciexam.stats.alpacaeval import AlpacaEvalRow, alpacaeval_row
from sciexam.stats.arena_hard import ArenaHardScore, arena_hard_score
from sciexam.stats.arena_hard_style import ArenaHardStyle, arena_hard_style_control, style_differences
from sciexam.stats.mt_bench import MTBenchPairs, mt_bench_pairs, mt_bench_score
from test_alpacaeval import REFERENCE, objects, rows, suite_file, verdict_lines

OF_THE_BOARD = ("win_rate", "standard_error", "discrete_win_rate")
COUNTS = ("n_wins", "n_wins_base", "n_draws", "n_total")
INCOMPLETE = ("phi-2", "alpaca-7b_concise", "alpaca-7b_verbose")  # the official code joins their difficulties wrongly


# ---------------------------------------------------------------- the rules


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_alpacaevals_rule_gives_its_published_rows_to_six_decimals(version: str, shared_data: Path) -> None:
    folder = shared_data / "alpacaeval"
    published = json.loads((folder / "published.json").read_text())[version]
    for model, found in published_board(folder, version).items():
        row = alpacaeval_row(found.scores[~np.isnan(found.scores)])
        assert isinstance(row, AlpacaEvalRow)
        for name in OF_THE_BOARD:
            assert getattr(row, name) == pytest.approx(published[model][name], abs=5e-7), (model, name)
        assert [getattr(row, name) for name in COUNTS] == [published[model][name] for name in COUNTS]
    assert len(published) == {"v1": 8, "v2": 11}[version]


def test_arena_hard_counts_a_verdict_by_far_three_times() -> None:
    # One win by far, a win, a tie, a loss: (3 + 1 + .5 + 0) / (3 + 1 + 1 + 1)
    found = arena_hard_score([1, 1, 0.5, 0], [True, False, False, False])
    assert isinstance(found, ArenaHardScore)
    assert found.score == pytest.approx(100 * 4.5 / 6)
    assert (found.games, found.rows) == (4, 6)
    assert 0 <= found.low <= found.score <= found.high <= 100


def test_arena_hards_fit_of_all_models_is_the_weighted_mean_of_each() -> None:
    """The origin's Bradley-Terry fit: a logistic regression over the rows of all models against one baseline."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    scores, strong = rng.choice([0.0, 0.5, 1.0], (3, 80)), rng.random((3, 80)) < 0.3
    x, y, weights = [], [], []
    for model in range(3):
        for score, far in zip(scores[model], strong[model], strict=True):
            row = np.eye(3)[model]
            weight = 3 if far else 1
            x += [row, row]
            y += [1, 0]
            weights += [weight * score, weight * (1 - score)]
    fit = LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-10).fit(x, y, sample_weight=weights)
    for model in range(3):
        ours = arena_hard_score(scores[model], strong[model])
        assert isinstance(ours, ArenaHardScore)
        assert ours.score == pytest.approx(100 / (1 + np.exp(-fit.coef_[0][model])), abs=1e-3)


def test_mt_bench_counts_a_win_in_both_games_and_half_of_the_ties() -> None:
    assert mt_bench_pairs([1, 1, 0.5, 0, 0.5]) == MTBenchPairs(2, 1, 2, 0.4, 0.2, 0.6)
    assert mt_bench_score([9, 10, 2]) == 7.0


def test_without_anything_to_count_a_rule_says_so() -> None:
    for found in (alpacaeval_row([]), arena_hard_score([], []), mt_bench_pairs([]), mt_bench_score([])):
        assert isinstance(found, Undefined)
    one = alpacaeval_row([1.0])
    assert isinstance(one, AlpacaEvalRow)
    assert one.standard_error is None
    with pytest.raises(ValueError, match="2 scores but 1 values in strong"):
        arena_hard_score([1, 0], [True])


# ---------------------------------------------------------------- of a suite


def alpaca(data: Path, folder: Path, version: str) -> Path:
    """All 805 prompts; answers that are not at hand are stand-ins of the right length."""
    prompts = [{"id": p["index"], "text": p["instruction"]} for p in objects(data, "prompts.jsonl.gz")]
    lengths: dict[str, dict[str, int]] = {}
    for row in rows(data, version):
        lengths.setdefault(row["model"], {})[row["index"]] = int(row["len_model"])
        lengths.setdefault(REFERENCE[version], {})[row["index"]] = int(row["len_reference"])
    for name, found in lengths.items():
        write_jsonl(folder / f"{name}.jsonl", [{"prompt": i, "text": "x" * n} for i, n in found.items()])
    names = [REFERENCE[version], *(name for name in lengths if name != REFERENCE[version])]
    return suite_file(folder, prompts, list(verdict_lines(data, version, {str(p["id"]) for p in prompts})), names)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_suite_of_alpacaevals_verdicts_gives_the_published_board(
    version: str, tmp_path: Path, shared_data: Path
) -> None:
    folder = shared_data / "alpacaeval"
    published = json.loads((folder / "published.json").read_text())[version]
    calibration = folder / "lc_calibration_reconstructed.csv.gz" if version == "v2" else None
    suite = sx.load_suite(str(alpaca(shared_data, tmp_path, version)))
    found = as_peer(suite, peer="alpacaeval", calibration=calibration, results=tmp_path / "r")
    assert {row.contestant for row in found.rows} == set(published)
    for row in found.rows:
        expected = published[row.contestant]
        for name in (*OF_THE_BOARD, *COUNTS):
            assert row.theirs[name] == pytest.approx(expected[name], abs=5e-7), (row.contestant, name)
        if row.contestant not in INCOMPLETE:
            assert row.theirs["avg_length"] == expected["avg_length"]
        win_rate = row.ours["win rate"]
        assert win_rate.low <= expected["win_rate"] / 100 <= win_rate.high
        if calibration is not None and row.contestant not in INCOMPLETE:
            # The calibration is a reconstruction: it gives the published figure to 0.21 of 100.
            assert row.theirs["length_controlled_winrate"] == pytest.approx(
                expected["length_controlled_winrate"], abs=0.21
            )
            controlled = row.ours["length controlled"]
            assert controlled.low < controlled.value < controlled.high


def games(prompt: int, model: str, first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """Both games of a prompt: the baseline is shown first in the first one."""
    lines = [{"first": "base", "second": model, **first}, {"first": model, "second": "base", **second}]
    return [{"prompt": f"q{prompt}", "rater": "gpt", **line} for line in lines]


def exam(folder: Path, verdicts: list[dict[str, Any]], names: tuple[str, ...], prompts: int, **more: Any) -> Path:
    models = {n: {"responses": answers(folder, n, [f"{n} {i}" * (i + 1) for i in range(prompts)])} for n in names}
    write_jsonl(folder / "v.jsonl", verdicts)
    judges = {"gpt": {"backend": "recorded", "verdicts": "v.jsonl"}, **more.pop("judges", {})}
    return write_suite(folder, prompts, models, judges=judges, **{"baseline": "base", **more})


def test_as_arena_hard_both_games_count_and_a_game_without_a_verdict_leaves_the_other(
    tmp_path: Path, sciexam: Cli
) -> None:
    far, near = {"preferred": "second", "strength": "strong"}, {"preferred": "first", "strength": "clear"}
    verdicts = [*games(0, "x", far, near), *games(1, "x", {"failure": "null"}, {"preferred": "tie"})]
    verdicts += games(
        2, "x", {"preferred": "first", "strength": "strong"}, {"preferred": "second", "strength": "slight"}
    )
    exam(tmp_path, verdicts, ("base", "x"), 3)
    done = sciexam("leaderboard", "--suite", "exam.yaml", "--as", "arena-hard", "--json")
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout)["rows"]
    # x: >> 3 of 3, > 1 of 1, = .5 of 1, << 0 of 3, < 0 of 1
    assert row["theirs"]["score"] == pytest.approx(100 * 4.5 / 9)
    assert (row["theirs"]["games"], row["theirs"]["rows"]) == (5, 9)
    assert row["ours"]["win rate"]["n"] == 2, "a prompt whose battle is void has no score"
    assert not list(tmp_path.glob("results/**/leaderboard"))
    table = sciexam("leaderboard", "--suite", "exam.yaml", "--as", "arena-hard").stdout
    assert "As arena-hard counts exam, by gpt against base" in table
    assert "a verdict >> counts three times" in " ".join(table.split())


@pytest.mark.slow
def test_verdicts_against_another_baseline_are_told_and_every_table_says_how_many_prompts_count(
    tmp_path: Path, sciexam: Cli
) -> None:
    win = {"preferred": "second"}
    other = [line | {"prompt": "q2"} for line in games(2, "x", win, win)]
    other = [{k: "gemini" if v == "base" else v for k, v in line.items()} for line in other]
    exam(
        tmp_path,
        [*games(0, "x", win, win), *games(1, "x", win, {"failure": "null"}), *other],
        ("base", "x", "gemini"),
        3,
    )
    told = "2 verdicts on 1 prompt against others than base, the baseline of this board, are left out."
    for peer, n in (("arena-hard", 2), ("alpacaeval", 1), ("mt-bench", 1)):
        arguments = ("leaderboard", "--suite", "exam.yaml", "--as", peer, "--pairs", "baseline")
        found = json.loads(sciexam(*arguments, "--json").stdout)
        assert (next(row["n"] for row in found["rows"] if row["contestant"] == "x"), found["prompts"]) == (n, 3), peer
        assert sum(told in caveat for caveat in found["caveats"]) == 1
        assert any("no figures of v2.0" in caveat for caveat in found["caveats"]) == (peer == "arena-hard")
        assert f"| {n}/3 |" in sciexam(*arguments, "--markdown").stdout
    named = sciexam("leaderboard", "x", "--suite", "exam.yaml", "--as", "arena-hard", "--json")
    assert any(told in caveat for caveat in json.loads(named.stdout)["caveats"]), "also where gemini is not named"
    every = sciexam("leaderboard", "--suite", "exam.yaml", "--as", "mt-bench", "--json")
    assert not any("left out" in caveat for caveat in json.loads(every.stdout)["caveats"]), "all pairs count"


ARENA = {"hard_prompt": "o3", "creative_writing": "gemini"}
LABELS = {"A>>B": ("first", "strong"), "A>B": ("first", "clear"), "A=B": ("tie", None)}
LABELS |= {"B>A": ("second", "clear"), "B>>A": ("second", "strong")}
POINTS = {"A>>B": [1, 1, 1], "A>B": [1], "A=B": [0.5], "B>A": [0], "B>>A": [0, 0, 0]}


def arena(folder: Path, seed: int = 0) -> tuple[sx.Suite, dict[tuple[str, str], list[list[Any]]]]:
    """A suite as an import of v2.0 leaves it, and the labels of both games by category and model; None for no label."""
    rng = np.random.default_rng(seed)
    category = ["hard_prompt"] * 14 + ["creative_writing"] * 9
    verdicts: list[dict[str, Any]] = []
    labels: dict[tuple[str, str], list[list[Any]]] = {}
    for i, name in enumerate(category):
        for model in (one for one in ("o3", "gemini", "x", "gpt") if one != ARENA[name]):
            both = [None if rng.random() < 0.15 else str(rng.choice(list(LABELS))) for _ in range(2)]
            labels.setdefault((name, model), []).append(both)
            shown = (ARENA[name], model), (model, ARENA[name])
            for label, (first, second) in zip(both, shown, strict=True):
                side, strength = LABELS[label] if label else (None, None)
                said = {"preferred": side, "strength": strength} if label else {"failure": "no verdict"}
                line = {"prompt": f"q{i}", "first": first, "second": second, "rater": "gpt"}
                verdicts.append(line | {k: v for k, v in said.items() if v})
    exam(folder, verdicts, ("o3", "gemini", "x", "gpt"), len(category), baseline="o3")
    write_jsonl(
        folder / "prompts.jsonl",
        [
            {"id": f"q{i}", "text": f"Why {i}?", "category": name, "baseline": ARENA[name]}
            for i, name in enumerate(category)
        ],
    )
    return sx.load_suite(str(folder / "exam.yaml")), labels


def test_as_arena_hard_version_2_counts_each_category_against_its_own_baseline(tmp_path: Path) -> None:
    suite, labels = arena(tmp_path)
    found = as_peer(suite, peer="arena-hard", results=tmp_path / "r")
    assert found.rule.startswith("Arena-Hard v2.0: each category by itself")
    assert {(row.category, row.contestant) for row in found.rows} == {key for key in labels if key[1] != "gpt"}, (
        "the judge itself has no row"
    )
    for row in found.rows:
        whole = [both for both in labels[str(row.category), row.contestant] if None not in both]
        # The origin's rows: in the first game the baseline is A, in the second the model.
        points = [p for one, two in whole for p in (*POINTS[two], *(1 - p for p in POINTS[one]))]
        assert row.theirs["score"] == pytest.approx(100 * np.mean(points))
        assert (row.theirs["games"], row.theirs["rows"], row.n) == (2 * len(whole), len(points), len(whole))
        of_games = [score for one, two in whole for score in (1 - _of_model(one), _of_model(two))]
        again = arena_hard_score(of_games, [">>" in one for both in whole for one in both], suite.seed, level=0.9)
        assert isinstance(again, ArenaHardScore)
        assert (row.theirs["low"], row.theirs["high"]) == (again.low, again.high), "quantiles .05 and .95"
        assert row.baseline == ARENA[str(row.category)]
        rate = row.ours["win rate"]
        by_prompt = [(_of_model(two) + 1 - _of_model(one)) / 2 for one, two in whole]
        assert rate.value == pytest.approx(np.mean(by_prompt)), "ours counts a verdict once"
    assert any(0 < row.n < row.prompts for row in found.rows), "a prompt without a label loses both games"
    scores = [row.theirs["score"] for row in found.rows if row.category == "hard_prompt"]
    assert scores == sorted(scores, reverse=True)
    named = as_peer(suite, "x", peer="arena-hard", results=tmp_path / "r")
    assert {row.contestant for row in named.rows} == {"x", "o3", "gemini"}, "baselines join who is named"
    assert not any("left out" in caveat for caveat in found.caveats)


def _of_model(label: str) -> float:
    return float(POINTS[label][0])


def test_an_interval_is_of_a_hundred_resamples_at_its_level() -> None:
    rng = np.random.default_rng(1)
    scores, strong = rng.choice([0.0, 0.5, 1.0], 300), rng.random(300) < 0.3
    rows = np.repeat(scores, np.where(strong, 3, 1))
    drawn = np.random.default_rng(3).choice(rows, size=(100, len(rows))).mean(1)
    for level, tails in ((0.9, (5, 95)), (0.95, (2.5, 97.5))):
        found = arena_hard_score(scores, strong, 3, level)
        assert isinstance(found, ArenaHardScore)
        assert [found.low, found.high] == pytest.approx(list(100 * np.percentile(drawn, tails)))
    with pytest.raises(ValueError, match="level must lie between 0 and 1, not 95"):
        arena_hard_score(scores, strong, level=95)


def styled(folder: Path, rng: np.random.Generator) -> dict[str, list[dict[str, Any]]]:
    """Give each recorded answer the counts that Arena-Hard writes."""
    written: dict[str, list[dict[str, Any]]] = {}
    for name in ("o3", "gemini", "x", "gpt"):
        lines = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        for line in lines:
            tokens, *marks = (int(n) for n in rng.integers(1, (600, 9, 9, 9)))
            line["metadata"] = {
                "token_len": tokens,
                "header_count": {"h1": marks[0], "h2": 1},
                "list_count": {"ordered": marks[1], "unordered": 0},
                "bold_count": marks[2],
            }
        written[name] = lines
        write_jsonl(folder / f"{name}.jsonl", lines)
    return written


def test_style_control_is_that_of_the_counts_beside_the_answers(tmp_path: Path) -> None:
    _, labels = arena(tmp_path)
    lines = styled(tmp_path, np.random.default_rng(2))
    found = as_peer(
        sx.load_suite(str(tmp_path / "exam.yaml")), peer="arena-hard", style_control=True, results=tmp_path / "r"
    )
    counts = {
        name: [
            [m["token_len"], m["header_count"]["h1"] + 1, m["list_count"]["ordered"], m["bold_count"]]
            for m in (line["metadata"] for line in listed)
        ]
        for name, listed in lines.items()
    }
    for category, start in (("hard_prompt", 0), ("creative_writing", 14)):
        who, scores, strong, own, other = [], [], [], [], []
        for (of, model), games in labels.items():
            for i, both in enumerate(games):
                if of == category and model != "gpt" and None not in both:
                    who += [model, model]
                    scores += [1 - _of_model(both[0]), _of_model(both[1])]
                    strong += [">>" in label for label in both]
                    own += [counts[model][start + i]] * 2
                    other += [counts[ARENA[category]][start + i]] * 2
        expected = arena_hard_style_control(who, scores, strong, style_differences(own, other), 7)
        for row in found.rows:
            if row.category == category:
                one = expected[row.contestant]
                assert isinstance(one, ArenaHardStyle)
                assert row.theirs["style_score"] == pytest.approx(one.score, abs=1e-6)
                equal = row.ours["at equal style"]
                assert equal.low < equal.value < equal.high
    assert "sciexam: at equal style" in found.tables()[0].head


def test_a_model_whose_answers_no_file_holds_has_a_score_and_no_style(tmp_path: Path) -> None:
    arena(tmp_path)
    for name, listed in styled(tmp_path, np.random.default_rng(2)).items():
        if name == "x":
            write_jsonl(tmp_path / "x.jsonl", [{**line, "absent": True} for line in listed])
    suite = sx.load_suite(str(tmp_path / "exam.yaml"))
    found = as_peer(suite, peer="arena-hard", style_control=True, results=tmp_path / "r")
    for row in found.rows:
        assert ("style_score" in row.theirs) == (row.contestant != "x")
        if row.contestant == "x":
            assert row.theirs["score"] > 0
            why = f"in {row.n} of {row.n} comparisons no imported file holds one of the answers"
            assert row.why["style_score"] == row.ours["at equal style"].why == why


def test_the_length_of_a_sentence_in_the_place_of_an_answer_is_no_length(tmp_path: Path) -> None:
    win, loss = {"preferred": "second"}, {"preferred": "first"}
    verdicts = [line for i in range(4) for line in games(i, "x", *([win, loss] if i else [win, win]))]
    exam(tmp_path, verdicts, ("base", "x"), 4)
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    write_jsonl(tmp_path / "x.jsonl", [lines[0] | {"absent": True}, *lines[1:]])
    head = "index,preference,std_delta_len,instruction_difficulty\n"
    rows = "".join(f"q{i},0.{i},{i - 1}.5,0.{9 - i}\n" for i in range(4))
    (tmp_path / "calibration.csv").write_text(head + rows)
    suite = sx.load_suite(str(tmp_path / "exam.yaml"))
    [row] = as_peer(suite, peer="alpacaeval", calibration=tmp_path / "calibration.csv", results=tmp_path / "r").rows
    assert row.theirs["avg_length"] == int(np.mean([len(line["text"]) for line in lines[1:]]))
    assert row.theirs["length_controlled_winrate"] is None
    assert row.ours["length controlled"].why == "in 1 of 4 comparisons no imported file holds one of the answers"


def test_style_control_without_its_counts_says_which_answers_lack_them(tmp_path: Path) -> None:
    suite, _ = arena(tmp_path)
    with pytest.raises(DocumentError) as caught:
        as_peer(suite, peer="arena-hard", style_control=True, results=tmp_path / "r")
    assert caught.value.faults[0] == (
        f"{tmp_path}/o3.jsonl:1: metadata: --style-control needs the counts token_len, header_count, list_count, "
        "bold_count"
    )
    exam(tmp_path, games(0, "x", {"preferred": "first"}, {"preferred": "tie"}), ("base", "x"), 1)
    with pytest.raises(UsageError, match=r"--style-control is that of Arena-Hard v2\.0, whose prompts name"):
        as_peer(sx.load_suite(str(tmp_path / "exam.yaml")), peer="arena-hard", style_control=True)


def test_prompts_of_one_category_with_two_baselines_are_refused(tmp_path: Path) -> None:
    arena(tmp_path)
    prompts = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    prompts[3]["baseline"] = "x"
    write_jsonl(tmp_path / "prompts.jsonl", prompts)
    with pytest.raises(UsageError, match="prompt 'q3': baseline: 'x', where others of 'hard_prompt' name 'o3'"):
        as_peer(sx.load_suite(str(tmp_path / "exam.yaml")), peer="arena-hard", results=tmp_path / "r")


def test_as_mt_bench_ratings_are_averaged_by_turn_and_both_games_make_a_win(tmp_path: Path) -> None:
    win, lose = {"preferred": "second"}, {"preferred": "first"}
    verdicts = [*games(0, "x", win, lose), *games(1, "x", win, win), *games(2, "x", lose, win)]
    verdicts += [*games(3, "x", win, {"failure": "error"}), *games(0, "y", win, {"preferred": "tie"})]
    rewards = [
        {"prompt": f"q{i}", "model": name, "reward": value, "rater": "gpt-4"}
        for name, values in (("base", (9, 10, 9, 10)), ("x", (9, None, 8, 6)))
        for i, value in enumerate(values)
    ]
    write_jsonl(tmp_path / "r.jsonl", rewards)
    path = exam(tmp_path, verdicts, ("base", "x", "y"), 4, judges={"rm": {"backend": "rewards", "rewards": "r.jsonl"}})
    prompts = [{"id": f"q{i}", "text": f"Why {i}?", "turn": 1 + i % 2, "group": f"g{i // 2}"} for i in range(4)]
    write_jsonl(tmp_path / "prompts.jsonl", prompts)
    found = as_peer(sx.load_suite(str(path)), peer="mt-bench", results=tmp_path / "out")
    of = {row.contestant: row for row in found.rows}
    assert [row.contestant for row in found.rows] == ["base", "x", "y"], "by the average, and not by wins"
    assert {k: of["x"].theirs[k] for k in ("turn_1", "turn_2", "average")} == {
        "turn_1": 8.5,
        "turn_2": 6.0,
        "average": pytest.approx(23 / 3),
    }
    assert {k: of["x"].theirs[k] for k in ("win", "loss", "tie")} == {"win": 1, "loss": 1, "tie": 1}
    assert of["y"].theirs["win_rate_adjusted"] == 0.5, "a win and a tie is a tie"
    assert (of["base"].theirs["win"], of["base"].theirs["loss"], of["base"].theirs["tie"]) == (1, 1, 2)
    assert of["x"].ours["average"].n == 2, "the turns of a question are one group"
    assert "average" in of["y"].why
    against = as_peer(sx.load_suite(str(path)), peer="mt-bench", pairs="baseline", results=tmp_path / "out")
    base = next(row for row in against.rows if row.contestant == "base")
    assert "win" not in base.theirs, "MT-Bench lists no pairs of its baseline"


def test_as_mt_bench_ratings_alone_are_no_pairwise_verdicts(tmp_path: Path) -> None:
    rewards = [
        {"prompt": f"q{i}", "model": name, "reward": value + i, "rater": "gpt-4"}
        for name, value in (("base", 2), ("x", 5))
        for i in range(3)
    ]
    write_jsonl(tmp_path / "r.jsonl", rewards)
    path = exam(tmp_path, [], ("base", "x"), 3, judges={"rm": {"backend": "rewards", "rewards": "r.jsonl"}}, judge="rm")
    found = as_peer(sx.load_suite(str(path)), peer="mt-bench", results=tmp_path / "out")
    assert {row.contestant: row.theirs for row in found.rows} == {
        "x": {"turn_1": 6.0, "average": 6.0},
        "base": {"turn_1": 3.0, "average": 3.0},
    }
    with pytest.raises(UsageError, match="gpt-4 marks answers one by one; name a judge that compared them"):
        as_peer(sx.load_suite(str(path)), peer="arena-hard", results=tmp_path / "out")


# ---------------------------------------------------------------- the calibration, and what is refused


def test_a_calibration_names_what_is_wrong_with_it_by_line(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("index,preference,std_delta_len,instruction_difficulty\nq0,1.5,0,x\nq1,0.5,nan,1\n")
    with pytest.raises(DocumentError) as caught:
        read_calibration(path, {"q0", "q1"})
    assert caught.value.faults == (
        f"{path}:2: instruction_difficulty: 'x' is no number",
        f"{path}:2: preference: a share in [0, 1] (AlpacaEval's less 1), not 1.5",
        f"{path}:3: std_delta_len: 'nan' is no number",
    )
    path.write_text("index,preference,std_delta_len,instruction_difficulty\nq0,0.5,0,1\n")
    with pytest.raises(DocumentError, match="index: no row for prompt 'q1' and 0 more of the suite"):
        read_calibration(path, {"q0", "q1"})
    assert read_calibration(path, {"q0"}).prompts == ["q0"]
    path.write_text("index,preference\nq0,1\n")
    with pytest.raises(UsageError, match=r"--calibration .*nowhere.csv: no such file"):
        read_calibration(tmp_path / "nowhere.csv", {"q0"})
    with pytest.raises(DocumentError, match=r"c.csv:1: std_delta_len: this column is missing"):
        read_calibration(path, {"q0"})


def test_alpacaevals_length_control_takes_its_calibration_from_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    verdicts = [
        {"prompt": f"q{i}", "first": "base", "second": "x", "rater": "gpt", "probability_second": round(float(p), 3)}
        for i, p in enumerate(rng.random(40))
    ]
    suite = sx.load_suite(str(exam(tmp_path, verdicts, ("base", "x"), 40)))
    plain = as_peer(suite, peer="alpacaeval", results=tmp_path / "r").rows[0]
    assert plain.theirs["length_controlled_winrate"] is None
    assert plain.why == {
        "length_controlled_winrate": "it needs AlpacaEval's calibration; name the file with --calibration"
    }
    lines = [f"q{i},{rng.random():.3f},{rng.normal():.3f},{i % 7 - 3}" for i in range(40) for _ in range(2)]
    path = tmp_path / "c.csv"
    path.write_text("\n".join(["index,preference,std_delta_len,instruction_difficulty", *lines]) + "\n")
    # The answers of base and x grow alike: they are told apart by length once x's are as long as its name.
    write_jsonl(tmp_path / "x.jsonl", [{"prompt": f"q{i}", "text": "w" * int(rng.integers(1, 90))} for i in range(40)])
    found = as_peer(
        sx.load_suite(str(tmp_path / "exam.yaml")), peer="alpacaeval", calibration=path, results=tmp_path / "r"
    )
    row = found.rows[0]
    assert row.theirs["length_controlled_winrate"] == pytest.approx(100 * row.ours["length controlled"].value)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--calibration", "c.csv"), "--calibration goes with --as alpacaeval"),
        (("--as", "mt-bench", "--calibration", "c.csv"), "--calibration is AlpacaEval's; mt-bench needs none"),
        (("--as", "alpacaeval", "--check"), "--as prints one table, and writes nothing"),
        (("--as", "mt-bench", "--style-control"), "--style-control goes with --as arena-hard"),
    ],
)
def test_what_a_peer_cannot_count_is_refused(
    arguments: tuple[str, ...], what: str, tmp_path: Path, sciexam: Cli
) -> None:
    exam(tmp_path, games(0, "x", {"preferred": "first"}, {"preferred": "tie"}), ("base", "x"), 1)
    done = sciexam("leaderboard", "--suite", "exam.yaml", *arguments)
    assert done.returncode == 2, done.stdout
    assert what in done.stderr


def test_as_alpacaeval_every_sample_and_every_rater_counts(tmp_path: Path) -> None:
    for name in ("base", "x"):
        said = [
            {"prompt": f"q{i}", "sample": s, "text": f"{name} {i}" + "!" * 10 * s} for i in range(4) for s in (0, 1)
        ]
        write_jsonl(tmp_path / f"{name}.jsonl", said)
    verdicts = [
        {"prompt": f"q{i}", "sample": s, "first": "base", "second": "x", "rater": rater}
        | {"preferred": "second" if s == 0 else "first", "kind": "human"}
        for i in range(4)
        for s in (0, 1)
        for rater in ("r1", "r2")
    ]
    write_jsonl(tmp_path / "v.jsonl", verdicts)
    models = {name: {"responses": f"{name}.jsonl"} for name in ("base", "x")}
    judges = {"gpt": {"backend": "recorded", "verdicts": "v.jsonl"}}
    path = write_suite(tmp_path, 4, models, judges=judges, baseline="base", generation={"samples": 2})
    [row] = as_peer(sx.load_suite(str(path)), peer="alpacaeval", results=tmp_path / "out").rows
    assert (row.theirs["win_rate"], row.theirs["n_wins"], row.theirs["n_total"]) == (50.0, 8, 16)
    assert row.theirs["avg_length"] == 8


def test_a_turn_that_is_no_number_is_the_first(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "r.jsonl", [{"prompt": "q0", "model": "x", "reward": 7.0, "rater": "gpt-4"}])
    judges = {"rm": {"backend": "rewards", "rewards": "r.jsonl"}}
    path = exam(tmp_path, games(0, "x", {"preferred": "first"}, {"preferred": "tie"}), ("base", "x"), 1, judges=judges)
    write_jsonl(tmp_path / "prompts.jsonl", [{"id": "q0", "text": "Why?", "turn": "one of two"}])
    rows = as_peer(sx.load_suite(str(path)), peer="mt-bench", results=tmp_path / "out").rows
    assert next(row for row in rows if row.contestant == "x").theirs["turn_1"] == 7.0
