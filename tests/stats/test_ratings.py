import csv
import gzip
from itertools import permutations
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from sciexam.stats.davidson import fit, sandwich, unbounded_ties
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.ranks import rank_ranges
from sciexam.stats.ratings import POINTS, Ratings, bradley_terry
from sciexam.stats.resampled_ratings import bootstrap_ratings
from sciexam.stats.tournament import fold, intransitivity, reaches

QUICK = 500  # draws, where the rank ranges are not looked at


def simulated(k=4, prompts=60, nu=0.5, sd=0.5, seed=1, spread=1.5):
    """Every pair once on every prompt: a, b, a's score, prompt; contestant 0 is the strongest."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(k, 1)
    moved = np.linspace(spread / 2, -spread / 2, k) + sd * rng.standard_normal((prompts, k))
    half = np.exp((moved[:, first] - moved[:, second]) / 2)
    over, u = 1 / (half + 1 / half + nu), rng.random(half.shape)
    score = np.where(u < half * over, 1.0, np.where(u < (half + nu) * over, 0.5, 0.0)).ravel()
    return np.tile(first, prompts), np.tile(second, prompts), score, np.repeat(np.arange(prompts), len(first))


def strengths(board: Ratings) -> dict:
    return {name: board[name].strength for name in board.rated}


# -- the estimates ----------------------------------------------------------------------------------------------------


def test_the_fit_is_the_maximum_of_davidsons_likelihood():
    a, b, score, prompt = simulated()
    score[::7] = 0.75  # half a win and half a tie

    def minus_log_likelihood(x):
        total = 0.0
        for i, j, s in zip(a, b, score, strict=True):
            p, q, nu = exp(x[i]), exp(x[j]), exp(x[4])
            d = p + q + nu * (p * q) ** 0.5
            tie = 1 - abs(2 * s - 1)
            total += max(0, 2 * s - 1) * log(p / d) + max(0, 1 - 2 * s) * log(q / d)
            total += tie * log(nu * (p * q) ** 0.5 / d)
        return -total

    best = minimize(minus_log_likelihood, np.zeros(5), method="BFGS", options={"gtol": 1e-6}).x
    board = bradley_terry(a, b, score, prompt, draws=QUICK)
    assert [board[i].strength for i in range(4)] == pytest.approx(best[:4] - best[:4].mean(), abs=1e-5)
    assert board.ties.value == pytest.approx(exp(best[4]), rel=1e-5)
    assert board[0].rating.value == pytest.approx(1000 + 400 / log(10) * board[0].strength)


def test_without_ties_it_is_a_logistic_regression_and_the_sandwich_that_of_statsmodels():
    import statsmodels.api as sm

    a, b, score, prompt = simulated(k=5, prompts=1500, nu=0.0)
    design = np.zeros((len(a), 5))
    design[np.arange(len(a)), a], design[np.arange(len(a)), b] = 1, -1
    model = sm.Logit(score, design[:, 1:])
    oracle = model.fit(disp=False, cov_type="cluster", cov_kwds={"groups": prompt})
    board = bradley_terry(a, b, score, prompt, baseline=0, draws=QUICK)
    assert [board[i].strength for i in range(5)] == pytest.approx([0, *oracle.params], abs=1e-9)
    # The jackknife's (I - H_c H^-1)^-1 and statsmodels' C / (C - 1) differ by one part in the number of prompts.
    assert np.sqrt(np.diag(board.covariance))[1:] == pytest.approx(oracle.bse, rel=3e-3)
    assert board.ties == Undefined("no battle is a tie", 1500)
    assert board[0].rating == Estimate(1000, 1000, 1000, 0.95, 1500, "the baseline, by definition")
    limits = 1000 + POINTS * oracle.conf_int()[1]
    assert (board[2].rating.low, board[2].rating.high) == pytest.approx(tuple(limits), abs=0.4)


def test_two_contestants_have_the_closed_form():
    """7 wins, 2 losses, 5 ties: p_a / p_b = 7/2 and nu^2 = 5^2 / (7 * 2) (three outcomes, two parameters)."""
    board = bradley_terry(["a"] * 14, ["b"] * 14, [1] * 7 + [0] * 2 + [0.5] * 5, baseline="b", draws=QUICK)
    assert board["a"].strength == pytest.approx(log(3.5))
    assert board.ties.value == pytest.approx(5 / 14**0.5)
    assert board.win_probability("a", "b").value == pytest.approx(7 / 9)
    half = bradley_terry(["a"] * 14, ["b"] * 14, [1] * 7 + [0] * 2 + [0.5] * 5, ties="half", draws=QUICK)
    assert half.win_probability("a", "b").value == pytest.approx(9.5 / 14)
    assert half.ties.why == "a tie counts as half a win here, and has no parameter"


@pytest.mark.parametrize("k", [100, 300])
def test_a_long_chain_of_uneven_neighbours_is_fitted_to_its_ends(k):
    """Each beats the next 99 times in 100, so that its odds are 99, however far the ends of the chain lie apart."""
    a, b = np.repeat(np.arange(k - 1), 100), np.repeat(np.arange(1, k), 100)
    score, prompt = np.tile([0] + [1] * 99, k - 1), np.tile(np.arange(100), k - 1)
    with np.errstate(all="raise", under="ignore"):
        board = bradley_terry(a, b, score, prompt, draws=2)
    assert -np.diff([board[i].strength for i in range(k)]) == pytest.approx([log(99)] * (k - 1), abs=1e-6)


def test_odds_too_large_for_a_fit_are_a_sentence():
    a, b, score = np.zeros(200_000, dtype=int), np.ones(200_000, dtype=int), np.ones(200_000)
    score[0] = 1 - 2e-9
    board = bradley_terry(a, b, score, ties="half", draws=5)
    why = "one contestant hardly ever scores against another: their odds are too large for a fit"
    assert board[0].rating == Undefined(why, 200_000)
    assert (board.rated, [s.name for s in board.standings]) == ((), [0, 1])
    assert len(bootstrap_ratings(a, b, score, ties="half")[1]) == 0
    score[0] = 1 - 2e-5
    assert bradley_terry(a, b, score, ties="half", draws=5)[0].strength == pytest.approx(log(1e10) / 2)


def test_a_tie_parameter_whose_limit_is_no_number_is_a_sentence():
    a, b, score, prompt = list("abababa"), list("bababab"), [1, 1, 0.5, 1, 1, 0.5, 1], [0, 0, 0, 1, 1, 0, 1]
    assert isinstance(bradley_terry(a, b, score, prompt, draws=QUICK).ties, Estimate)
    sure = bradley_terry(a, b, score, prompt, level=0.9999, draws=QUICK)
    assert sure.ties == Undefined("too few prompts to give Davidson's tie parameter an upper limit", 2)


def test_the_ratings_that_evalica_published_for_real_votes(shared_data: Path):
    """golden_evalica.csv: the test data of evalica (github.com/dustalov/evalica), Bradley-Terry with ties as half.

    published_leaderboard_crowd.csv: the board of LLMFAO (github.com/dustalov/llmfao), iterated to a tolerance of 1e-6.
    """
    a, b, score, pair, _ = crowd(shared_data)
    board = bradley_terry(a, b, score, pair, ties="half", draws=QUICK)
    power = {name: exp(value) for name, value in strengths(board).items()}
    shares = {name: value / sum(power.values()) for name, value in power.items()}
    folder = shared_data / "llmfao"
    golden = {row["item"]: float(row["score"]) for row in table(folder / "golden_evalica.csv", "bradley_terry")}
    assert shares == pytest.approx(golden, abs=1e-12)
    counting = {row["item"]: float(row["score"]) for row in table(folder / "golden_evalica.csv", "counting")}
    tournament = fold(a, b, score, None)
    assert dict(zip(tournament.names, tournament.scored.sum(1), strict=True)) == counting
    published = list(table(folder / "published_leaderboard_crowd.csv"))
    assert len(published) == 59
    assert [s.name for s in board.standings] == [row["model"] for row in published]
    assert [s.rank for s in board.standings] == [int(row["rank"]) for row in published]
    assert [s.battles for s in board.standings] == [int(row["n_comparisons"]) for row in published]
    for row in published:
        assert shares[row["model"]] == pytest.approx(float(row["bt_score"]), abs=3e-6)


def test_real_votes_get_honest_ranges_of_ranks(shared_data: Path):
    a, b, score, pair, prompt = crowd(shared_data)
    board = bradley_terry(a, b, score, pair)
    best = board.standings[0]
    assert (best.name, best.rank, best.rank_low, best.tie_group) == ("GPT 4", 1, 1, 1)
    assert best.rank_high > 10
    assert board.ties.low < 1.48 < board.ties.high
    assert board.intransitivity.certain == ()
    # With the 13 prompts as units there is less to go by.
    assert bradley_terry(a, b, score, prompt)["GPT 4"].rank_high > best.rank_high


def table(path: Path, algorithm: str | None = None):
    with open(path, encoding="utf-8") as file:
        yield from (row for row in csv.DictReader(file) if algorithm in (None, row.get("algorithm")))


def crowd(shared_data: Path):
    with gzip.open(shared_data / "llmfao/crowd.csv.gz", "rt", encoding="utf-8") as file:
        votes = list(csv.DictReader(file))
    score = [{"left": 1, "right": 0, "tie": 0.5}[v["winner"]] for v in votes]
    columns = ([v[key] for v in votes] for key in ("left", "right", "id", "prompt"))
    a, b, pair, prompt = columns
    return a, b, score, pair, prompt


# -- the intervals ----------------------------------------------------------------------------------------------------


def textbook_cr3(tournament, strengths, log_ties):
    """The covariance with an explicit Hessian for each cluster, from derivatives by finite differences."""
    k = len(tournament.names)

    def probabilities(x, i, j):
        p, q, t = exp(x[i]), exp(x[j]), exp(x[k] + (x[i] + x[j]) / 2)
        return np.array([p, q, t]) / (p + q + t)

    def gradient(x, cells):
        g = np.zeros(k + 1)
        for c in cells:
            i, j, n = tournament.first[c], tournament.second[c], tournament.battles[c]
            win, loss, tie = probabilities(x, i, j)
            g[i] += tournament.points[c] - n * (win + tie / 2)
            g[j] += n - tournament.points[c] - n * (loss + tie / 2)
            g[k] += tournament.ties[c] - n * tie
        return g

    x, h = np.append(strengths, log_ties), 1e-5
    by_cluster = [np.flatnonzero(tournament.cluster == c) for c in range(tournament.cluster[-1] + 1)]
    parts = [
        -np.column_stack([(gradient(x + h * e, cells) - gradient(x - h * e, cells)) / (2 * h) for e in np.eye(k + 1)])
        for cells in by_cluster
    ]
    mean = np.zeros((k + 1, k + 1))
    mean[:k, :k] = 1 / k
    bread = np.linalg.inv(sum(parts) + mean)
    moved = [
        np.linalg.solve(np.eye(k + 1) - part @ bread, gradient(x, cells))
        for part, cells in zip(parts, by_cluster, strict=True)
    ]
    n = len(parts)
    return bread @ sum(np.outer(u, u) for u in moved) @ bread * (n - 1) / n


def test_the_covariance_is_the_jackknife_sandwich_of_the_textbook():
    a, b, score, prompt = simulated(k=3, prompts=25)
    keep = (a > 0) | (prompt < 8)  # an unbalanced board: the first contestant met only 8 prompts
    tournament = fold(a[keep], b[keep], score[keep], prompt[keep])
    fitted = fit(tournament.met, tournament.scored.sum(1), tournament.tied.sum() / 2)
    robust = sandwich(tournament, fitted.strengths, fitted.log_ties)
    assert robust.covariance == pytest.approx(
        textbook_cr3(tournament, fitted.strengths, fitted.log_ties), rel=5e-3, abs=1e-6
    )
    assert robust.clusters.tolist() == [8, 25, 25, 25]
    assert robust.effective[0] == pytest.approx(8)


def test_the_covariance_is_near_that_of_leaving_out_each_prompt():
    a, b, score, prompt = simulated(k=3, prompts=40)
    board = bradley_terry(a, b, score, prompt, baseline=2, draws=QUICK)
    without = []
    for p in range(40):
        rest = prompt != p
        left = bradley_terry(a[rest], b[rest], score[rest], prompt[rest], baseline=2, draws=1)
        without.append([left[0].strength, left[1].strength])
    jackknife = 39 * np.cov(np.transpose(without), ddof=0)
    assert board.covariance[:2, :2] == pytest.approx(jackknife, rel=0.1)


def test_the_bootstrap_over_prompts_has_the_same_standard_errors():
    a, b, score, prompt = simulated(k=5, prompts=300, sd=1.0)
    board = bradley_terry(a, b, score, prompt, baseline=4, draws=QUICK)
    names, drawn = bootstrap_ratings(a, b, score, prompt, baseline=4, draws=2000)
    assert names == board.rated
    assert drawn.shape == (2000, 5)
    assert (drawn[:, 4] == 0).all()
    # A standard deviation of 2000 draws has a standard error of 1.6 %.
    assert drawn.std(0)[:4] == pytest.approx(np.sqrt(np.diag(board.covariance))[:4], rel=0.08)
    assert drawn.mean(0) == pytest.approx([board[i].strength for i in range(5)], abs=0.03)


def test_a_resample_is_fitted_like_the_prompts_it_holds():
    a, b, score, prompt = simulated(k=3, prompts=30)
    chosen = np.random.default_rng(5).integers(0, 30, (1, 30))[0]
    _, drawn = bootstrap_ratings(a, b, score, prompt, seed=5, draws=1)
    rows = np.concatenate([np.flatnonzero(prompt == p) for p in chosen])
    board = bradley_terry(a[rows], b[rows], score[rows], draws=1)
    assert drawn[0] == pytest.approx([board[i].strength for i in range(3)], abs=1e-8)


def test_judges_stacked_on_a_prompt_are_one_unit():
    a, b, score, prompt = simulated()
    once = bradley_terry(a, b, score, prompt, draws=QUICK)
    thrice = bradley_terry(np.tile(a, 3), np.tile(b, 3), np.tile(score, 3), np.tile(prompt, 3), draws=QUICK)
    assert thrice.covariance == pytest.approx(once.covariance, rel=1e-6)
    assert thrice[1].rating.n == once[1].rating.n == 60
    rows = bradley_terry(np.tile(a, 3), np.tile(b, 3), np.tile(score, 3), draws=QUICK)
    assert np.trace(rows.covariance) < 0.6 * np.trace(once.covariance)
    assert "over battles" in rows.method
    assert "over prompts" in once.method


def test_a_contestant_met_on_few_prompts_has_few_degrees_of_freedom():
    a, b, score, prompt = simulated(prompts=200)
    keep = (a > 0) | (prompt < 12)
    board = bradley_terry(a[keep], b[keep], score[keep], prompt[keep], baseline=1, draws=QUICK)
    assert board.freedom[0] == pytest.approx(11)
    assert board.freedom[3] > 180
    difference = board.difference(0, 1)
    half = 2.2009851600829 * POINTS * board.covariance[0, 0] ** 0.5  # scipy.stats.t.ppf(.975, 11)
    assert difference.high - difference.value == pytest.approx(half)
    assert (board[0].rating.n, difference.n) == (12, 12)


def test_win_probability_and_difference_are_antisymmetric_and_fit_the_ratings():
    a, b, score, prompt = simulated()
    board = bradley_terry(a, b, score, prompt, draws=QUICK)
    forth, back = board.difference(0, 3), board.difference(3, 0)
    assert forth.value == pytest.approx(board[0].rating.value - board[3].rating.value)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))
    chance = board.win_probability(0, 3)
    assert chance.value == pytest.approx(1 / (1 + 10 ** (-forth.value / 400)))
    assert chance.low == pytest.approx(1 / (1 + 10 ** (-forth.low / 400)))
    assert chance.value + board.win_probability(3, 0).value == pytest.approx(1)


# -- ranks and tie groups ---------------------------------------------------------------------------------------------


def test_clear_differences_leave_one_rank_each_and_equals_share_all():
    clear = rank_ranges(np.array([0.0, 5.0, 10.0]), np.eye(3), np.full(3, 1e6))
    assert (clear.better.tolist(), clear.worse.tolist(), clear.group.tolist()) == ([2, 1, 0], [0, 1, 2], [3, 2, 1])
    equal = rank_ranges(np.array([0.1, 0.0, 0.2]), np.eye(3), np.full(3, 1e6))
    assert (equal.better.tolist(), equal.worse.tolist(), equal.group.tolist()) == ([0] * 3, [0] * 3, [1] * 3)


def test_with_two_contestants_the_test_is_the_t_test():
    for gap, certain in ((1.9 * 2**0.5, False), (2.02 * 2**0.5, True)):
        ranks = rank_ranges(np.array([gap, 0.0]), np.eye(2), np.full(2, 1e9), draws=200_000)
        assert ranks.distinct[0, 1] == certain
        assert ranks.worse.tolist() == [int(certain), 0]
    few = rank_ranges(np.array([2.9, 0.0]), np.eye(2) / 2, np.full(2, 3.0), draws=100_000)
    assert not few.distinct[0, 1]  # t.ppf(.975, 3) is 3.18


def test_the_ranks_of_equals_are_covered_where_ranks_counted_in_draws_are_not():
    """Eight nearly equal values with independent errors: the mean coverage of the true rank, at a level of 95 %."""
    rng, k = np.random.default_rng(3), 8
    truth = np.linspace(0.001, -0.001, k)
    held = counted = 0.0
    for run in range(200):
        values = truth + rng.standard_normal(k)
        ranks = rank_ranges(values, np.eye(k), np.full(k, 1e6), draws=400, seed=run)
        true = np.arange(1, k + 1)
        held += np.mean((ranks.better < true) & (true <= k - ranks.worse)) / 200
        drawn = np.argsort(np.argsort(-(values + rng.standard_normal((400, k))), axis=1), axis=1) + 1
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        counted += np.mean((low <= true) & (true <= high)) / 200
    assert held > 0.97
    assert counted < 0.93


def test_a_tie_group_goes_on_until_somebody_differs_from_its_first():
    ranks = rank_ranges(np.array([0.0, -2.0, -4.0, -5.0, -9.0]), np.eye(5), np.full(5, 1e6))
    # 3.86 standard errors of one value (2.73 of a difference) are needed.
    assert ranks.group.tolist() == [1, 1, 2, 2, 3]
    assert not ranks.distinct[1, 2]
    assert ranks.better.tolist() == [0, 0, 1, 1, 4]


def test_a_strong_contestant_is_certainly_first_on_a_simulated_board():
    a, b, score, prompt = simulated(k=4, prompts=400, spread=4)
    board = bradley_terry(a, b, score, prompt)
    assert [s.name for s in board.standings] == [0, 1, 2, 3]
    assert [(s.rank, s.rank_low, s.rank_high, s.tie_group) for s in board.standings] == [
        (i, i, i, i) for i in (1, 2, 3, 4)
    ]
    assert board.distinct.sum() == 12


# -- symmetries -------------------------------------------------------------------------------------------------------


@st.composite
def boards(draw):
    k = draw(st.integers(2, 5))
    pairs = st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)).filter(lambda p: p[0] != p[1])
    score = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    rows = draw(st.lists(st.tuples(pairs, score, st.integers(0, 9)), min_size=1, max_size=40))
    a, b = np.array([pair for pair, _, _ in rows]).T
    return a, b, np.array([s for _, s, _ in rows]), np.array([c for _, _, c in rows])


def summary(board: Ratings):
    """What must not change, by name; limits rounded, because sums in another order differ in the last bits."""
    return {
        s.name: (
            s.rating.why if isinstance(s.rating, Undefined) else round(s.rating.value, 5),
            None if isinstance(s.rating, Undefined) else round(s.rating.high, 3 - len(str(int(abs(s.rating.high))))),
            s.rank,
            s.rank_low,
            s.rank_high,
            s.tie_group,
            s.battles,
        )
        for s in board.standings
    }


@settings(max_examples=60, deadline=None)
@given(boards(), st.randoms())
def test_sides_rows_and_names_do_not_matter(data, random):
    a, b, score, prompt = data
    board = summary(bradley_terry(a, b, score, prompt, draws=50))
    swapped = bradley_terry(b, a, 1 - score, prompt, draws=50)
    assert summary(swapped) == board
    order = random.sample(range(len(a)), len(a))
    assert summary(bradley_terry(a[order], b[order], score[order], prompt[order], draws=50)) == board
    if 2 * sum(row[4] is not None and row[5] is not None for row in board.values()) <= len(board):
        return  # of two sets as large the first by name is rated
    names = random.sample("vwxyz", 5)
    renamed = bradley_terry([names[i] for i in a], [names[i] for i in b], score, prompt, draws=50)
    rated = {names[i]: row[:2] for i, row in board.items()}
    assert {name: row[:2] for name, row in summary(renamed).items()} == rated


@settings(max_examples=100, deadline=None)
@given(boards())
def test_any_board_has_finite_numbers_possible_ranks_and_no_warning(data):
    with np.errstate(all="raise", under="ignore"):
        board = bradley_terry(*data, draws=20)
    k = len(board.standings)
    assert sorted(s.name for s in board.standings) == sorted(set(data[0]) | set(data[1]))
    for s in board.standings:
        assert 1 <= s.rank_low <= s.rank_high <= k
        assert s.rank is None or s.rank_low <= s.rank <= s.rank_high
        if isinstance(s.rating, Estimate):
            assert np.isfinite([s.rating.value, s.rating.low, s.rating.high]).all()
            assert s.rating.low < s.rating.value < s.rating.high
        else:
            assert s.rating.why


@settings(max_examples=80, deadline=None)
@given(boards())
def test_the_likelihood_has_a_maximum_exactly_where_the_checks_say_so(data):
    tournament = fold(*data)
    if not reaches(tournament.scored).all():
        return
    fitted = fit(tournament.met, tournament.scored.sum(1), tournament.tied.sum() / 2)
    assert bool(fitted.finite) != unbounded_ties(tournament.scored, tournament.tied)
    assert unbounded_ties(tournament.scored, tournament.tied) == feasible(tournament)


def feasible(tournament) -> bool:
    """By linear programming: winners at least 1 above, ties at most 1 apart (and there is a tie)."""
    k, rows = len(tournament.names), []
    wins = tournament.scored - tournament.tied / 2
    for i, j in permutations(range(k), 2):
        row = np.zeros(k)
        row[i], row[j] = 1, -1
        if wins[i, j] > 1e-9:
            rows.append((-row, -1))
        if tournament.tied[i, j] > 1e-9:
            rows.append((row, 1))
    if not tournament.tied.any():
        return False
    left, right = zip(*rows, strict=True)
    return linprog(np.zeros(k), np.array(left), np.array(right), bounds=[(None, None)] * k).success


# -- who has no rating ------------------------------------------------------------------------------------------------


def test_one_that_loses_everything_and_one_that_wins_everything_do_not_harm_the_board():
    a, b, score, prompt = simulated()
    alone = bradley_terry(a, b, score, prompt, baseline=2)
    others = np.repeat([0, 1, 2, 3], 60)
    where = np.tile(np.arange(60), 4)
    both_a = np.concatenate([a, others, others])
    both_b = np.concatenate([b, np.full(240, 8), np.full(240, 9)])
    both = bradley_terry(
        both_a,
        both_b,
        np.concatenate([score, np.ones(240), np.zeros(240)]),
        np.concatenate([prompt, where, where]),
        baseline=2,
    )
    for i in range(4):
        assert both[i].rating == alone[i].rating
        assert both[i].tie_group == alone[i].tie_group
        assert (both[i].rank, both[i].rank_low, both[i].rank_high) == (
            alone[i].rank + 1,
            alone[i].rank_low + 1,
            alone[i].rank_high + 1,
        )
    null, perfect = both.standings[-1], both.standings[0]
    assert (null.name, null.rank, null.rank_low, null.rank_high, null.tie_group) == (8, 6, 6, 6, None)
    assert null.rating == Undefined("lost all its battles (240): its rating has no lower limit", 60)
    assert (perfect.name, perfect.rank, perfect.rank_low, perfect.rank_high) == (9, 1, 1, 1)
    assert perfect.rating == Undefined("won all its battles (240): its rating has no upper limit", 60)
    assert both.difference(0, 8) == null.rating


def test_contestants_that_nothing_links_leave_the_others_as_they_were():
    a, b, score, prompt = simulated()
    alone = bradley_terry(a, b, score, prompt)
    with_island = bradley_terry(
        np.append(a, [7, 8, 7]), np.append(b, [8, 7, 8]), np.append(score, [1, 1, 0.5]), np.append(prompt, [0, 1, 2])
    )
    for i in range(4):
        assert with_island[i].rating == alone[i].rating
        assert with_island[i].rank == alone[i].rank
        assert with_island[i].rank_high == alone[i].rank_high + 2
    island = with_island[7]
    assert island.rating == Undefined("no chain of battles orders it against the rated contestants", 3)
    assert (island.rank, island.rank_low, island.rank_high) == (None, 1, 6)
    assert [s.name for s in with_island.standings][-2:] == [7, 8]
    # The set with the baseline is rated, also when it is the smaller one.
    asked = bradley_terry(
        np.append(a, [7, 8, 7]),
        np.append(b, [8, 7, 8]),
        np.append(score, [1, 1, 0]),
        np.append(prompt, [0, 1, 2]),
        baseline=8,
    )
    assert (asked.rated, asked.anchor) == ((7, 8), 8)


def test_two_above_the_rated_set_share_the_first_ranks():
    a, b, score, prompt = simulated(k=3)
    more_a, more_b, more = [8, 9, 8, 9], [0, 0, 9, 8], [1, 1, 1, 1]
    board = bradley_terry(
        np.append(a, more_a), np.append(b, more_b), np.append(score, more), np.append(prompt, [0, 1, 2, 3])
    )
    assert {s.name for s in board.standings[:2]} == {8, 9}
    # One win against the rated ones, or one loss, says next to nothing.
    assert [(s.rank, s.rank_low, s.rank_high) for s in board.standings[:2]] == [(None, 1, 5)] * 2
    assert board[8].rating.why == (
        "never lost to the rated contestants, directly or through others: its rating has no upper limit"
    )
    assert board[0].rank == 3


def test_a_baseline_that_lost_everything_cannot_be_the_anchor():
    a, b, score, prompt = simulated(k=3)
    board = bradley_terry(np.append(a, 0), np.append(b, 9), np.append(score, 1), np.append(prompt, 0), baseline=9)
    assert board.anchor is None
    assert board.rated == (0, 1, 2)
    assert np.mean([board[i].rating.value for i in range(3)]) == pytest.approx(1000)
    assert board[9].rating.why == "lost all its battles (1): its rating has no lower limit"


def test_a_board_without_a_fit_is_ordered_as_far_as_the_battles_tell():
    board = bradley_terry(["a", "b", "a"], ["b", "c", "c"], [1, 1, 1])
    assert [(s.name, s.rank, s.rank_low, s.rank_high) for s in board.standings] == [
        ("a", 1, 1, 3),
        ("b", 2, 1, 3),
        ("c", 3, 1, 3),
    ]
    why = "all results run one way: nobody scored against who scored against them, directly or through others"
    assert (board["b"].rating.why, board.ties.why, board.method) == (why, why, f"none: {why}")
    assert board["a"].rating.why == "won all its battles (2): its rating has no upper limit"
    two = bradley_terry(["a"], ["b"], [1])
    assert two["b"].rating.why == "lost all its battles (1): its rating has no lower limit"
    assert two.ties.why == "one of the two won every battle, so no rating has a limit"
    assert bootstrap_ratings(["a", "b", "a"], ["b", "c", "c"], [1, 1, 1])[1].shape[0] == 0
    empty = bradley_terry([], [], [])
    assert (empty.standings, empty.rated, empty.clusters) == ((), (), 0)
    assert empty.ties.why == "there are no battles"


def ranges(board: Ratings) -> dict:
    return {s.name: (s.rank, s.rank_low, s.rank_high) for s in board.standings}


@pytest.mark.parametrize(
    ("prompts", "certain"), [(1, False), (2, False), (3, False), (5, False), (10, True), (24, True)]
)
@pytest.mark.parametrize("names", [("x", "y"), ("y", "x")])
@pytest.mark.parametrize("ties", ["davidson", "half"])
def test_of_two_contestants_the_one_that_won_everything_is_certainly_better_only_on_many_prompts(
    prompts, certain, names, ties
):
    """All of 5 have a probability of 1/16 between equals, all of 10 one of 1/512."""
    best, worst = names
    expected = {best: (1, 1, 1), worst: (2, 2, 2)} if certain else {best: (1, 1, 2), worst: (2, 1, 2)}
    board = bradley_terry([best] * prompts, [worst] * prompts, [1] * prompts, ties=ties)
    assert ranges(board) == expected
    assert ranges(bradley_terry([worst] * prompts, [best] * prompts, [0] * prompts, ties=ties)) == expected
    assert [s.name for s in board.standings] == [best, worst]
    # The same prompts judged ten times tell no more.
    again = bradley_terry([best] * 10 * prompts, [worst] * 10 * prompts, [1] * 10 * prompts, [*range(prompts)] * 10)
    assert ranges(again) == expected


def test_two_of_three_equals_are_rarely_ranked_as_if_they_were_not():
    """Every outcome of three battles on each of two prompts: none is certain of any order."""
    a, b, prompt = [0, 0, 1] * 2, [1, 2, 2] * 2, [0] * 3 + [1] * 3
    for outcome in range(64):
        board = bradley_terry(a, b, [outcome >> i & 1 for i in range(6)], prompt, draws=QUICK)
        assert {(s.rank_low, s.rank_high) for s in board.standings} == {(1, 3)}


@pytest.mark.parametrize("names", list(permutations(["p", "q", "r"])))
def test_three_contestants_are_ranked_the_same_whatever_they_are_called(names):
    first, second, third = names
    for prompts, expected in ((3, {first: (1, 1, 3), second: (2, 1, 3), third: (3, 1, 3)}), (40, None)):
        a, b = [first, first, second] * prompts, [second, third, third] * prompts
        board = bradley_terry(a, b, [1] * 3 * prompts, np.repeat(np.arange(prompts), 3))
        assert ranges(board) == (expected or {first: (1, 1, 1), second: (2, 2, 2), third: (3, 3, 3)})


def test_one_that_lost_24_battles_to_the_baseline_alone_is_certainly_below_it_and_below_whom_it_never_met():
    a, b, score, prompt = simulated(k=4, prompts=100)
    board = bradley_terry(
        np.append(a, [2] * 24), np.append(b, [9] * 24), np.append(score, [1] * 24), np.append(prompt, np.arange(24))
    )
    null = board[9]
    assert null.rating.why == "lost all its battles (24): its rating has no lower limit"
    assert (null.rank, null.rank_low, null.rank_high) == (5, 5, 5)
    assert all(board[i].rank_high <= 4 for i in (0, 1, 2))
    few = bradley_terry(
        np.append(a, [2] * 3), np.append(b, [9] * 3), np.append(score, [1] * 3), np.append(prompt, np.arange(3))
    )
    assert (few[9].rank, few[9].rank_high) == (5, 5)
    assert few[9].rank_low < 3


@pytest.mark.parametrize("lost", [3, 40])
def test_one_that_lost_everything_to_the_best_is_never_certainly_above_the_worst(lost):
    a, b, score, prompt = simulated(k=4, prompts=200, spread=6)
    more, where = np.full(lost, 9), np.arange(lost)
    below = bradley_terry(
        np.append(a, more), np.append(b, 0 * more), np.append(score, 0 * more), np.append(prompt, where)
    )
    assert (below[9].rank_high, below[3].rank_low, below[3].rank_high) == (5, 4, 5)
    above = bradley_terry(
        np.append(a, more), np.append(b, 0 * more + 3), np.append(score, 0 * more + 1), np.append(prompt, where)
    )
    assert (above[9].rank_low, above[0].rank_low, above[0].rank_high) == (1, 1, 2)


def test_a_short_link_does_not_drown_in_the_battles_on_either_side_of_it():
    a, b, score, prompt = simulated(k=2, prompts=100, spread=0)
    for won, certain in ((3, False), (24, True)):
        board = bradley_terry(
            np.concatenate([a, a + 2, [2] * won]),
            np.concatenate([b, b + 2, [0] * won]),
            np.concatenate([score, score, np.ones(won)]),
            np.concatenate([prompt, prompt, np.arange(won)]),
        )
        assert board.rated == (0, 1)
        assert board[2].rating.why == (
            "never lost to the rated contestants, directly or through others: its rating has no upper limit"
        )
        assert (board[2].rank_high < 4, board[0].rank_low > 1) == (certain, certain)


def test_contestants_of_an_island_are_ordered_against_each_other_only():
    a, b, score, prompt = simulated(k=4, prompts=400, spread=4)
    alone = ranges(bradley_terry(a, b, score, prompt))
    for wins, first, second in ((3, (None, 1, 6), (None, 1, 6)), (24, (None, 1, 5), (None, 2, 6))):
        found = ranges(
            bradley_terry(
                np.append(a, [7] * wins),
                np.append(b, [8] * wins),
                np.append(score, [1] * wins),
                np.append(prompt, np.arange(wins)),
            )
        )
        assert (found.pop(7), found.pop(8)) == (first, second)
        assert found == {name: (rank, low, high + 2) for name, (rank, low, high) in alone.items()}


def test_ties_alone_rate_nobody():
    board = bradley_terry(["a", "b"], ["b", "a"], [0.5, 0.5])
    assert board["a"].rating.why == "every battle is a tie: nothing tells how strong the contestants are"
    assert (board["a"].rank, board["a"].rank_low, board["a"].rank_high) == (None, 1, 2)
    never_lost = bradley_terry(["a"] * 3, ["b"] * 3, [0.5, 1, 0.5])
    assert never_lost["b"].rating.why == (
        "where contestants tie, at most one of them ever wins: Davidson's tie parameter has no finite estimate"
    )
    assert bradley_terry(["a"] * 3, ["b"] * 3, [0.5, 1, 0.5], ties="half")["a"].strength == pytest.approx(log(2) / 2)


def test_one_prompt_gives_strengths_but_no_interval():
    a, b, score, _ = simulated(prompts=30)
    board = bradley_terry(a, b, score, np.zeros(len(a), dtype=int), draws=QUICK)
    assert board[0].strength == pytest.approx(bradley_terry(a, b, score, draws=QUICK)[0].strength)
    assert board[0].rating == Undefined("all battles of a contestant are of one prompt, and an interval needs two", 1)
    assert (board[0].rank, board[0].rank_low, board[0].rank_high) == (1, 1, 4)


def test_prompts_that_all_say_the_same_have_no_spread():
    a, b, score, prompt = ["x", "x", "x"] * 10, ["y"] * 30, [1, 1, 0] * 10, np.repeat(np.arange(10), 3)
    board = bradley_terry(a, b, score, prompt, baseline="y", draws=QUICK)
    assert board["x"].strength == pytest.approx(log(2))
    why = "leaving out any one prompt changes nothing: no spread to judge by"
    assert board["x"].rating == Undefined(why, 10)
    assert board.distinct.sum() == 0
    # On each prompt x wins one battle against y and loses one, but against z in turn: the results differ, and cancel.
    one, other, cancel = ["x", "x"] * 10, ["y", "y"] * 10, [1, 0] * 10
    third = np.repeat(np.arange(10), 2)
    board = bradley_terry(
        one + ["x", "y"] * 10, other + ["z", "z"] * 10, cancel + [1, 1, 0, 0] * 5, [*third, *third], draws=QUICK
    )
    assert board.difference("x", "y") == Undefined(why, 10)
    assert board.distinct.sum() == 0


# -- circles ----------------------------------------------------------------------------------------------------------


def test_a_circle_that_is_no_chance_is_named():
    a, b = np.repeat(["rock", "paper", "scissors"], 40), np.repeat(["scissors", "rock", "paper"], 40)
    score = np.tile([1] * 8 + [0.5, 0], 12)
    found = bradley_terry(a, b, score, np.tile(np.arange(40), 3), draws=QUICK).intransitivity
    assert (found.triples, found.cyclic) == (1, 1)
    assert found.certain == (("paper", "rock", "scissors"),)
    # The same rates on 5 prompts, each judged 8 times, are no such evidence.
    few = bradley_terry(a, b, score, np.tile(np.repeat(np.arange(4), 10), 3), draws=QUICK).intransitivity
    assert (few.cyclic, few.certain) == (1, ())


def test_chance_makes_circles_but_none_is_certain():
    a, b, score, prompt = simulated(k=12, prompts=30, spread=0)
    tournament = fold(a, b, score, prompt)
    found = intransitivity(tournament, 0.95)
    rates = tournament.scored / np.maximum(tournament.met, 1) - 0.5
    slow = sum(rates[i, j] > 0 and rates[j, m] > 0 and rates[m, i] > 0 for i, j, m in permutations(range(12), 3))
    assert found.triples == 12 * 11 * 10 // 6
    assert found.cyclic == slow // 3 > 10
    assert found.certain == ()


# -- input ------------------------------------------------------------------------------------------------------------


def test_labels_may_be_strings_integers_arrays_and_both():
    a, b, score, prompt = simulated(k=3, prompts=20)
    board = bradley_terry(a, b, score, prompt, draws=QUICK)
    far = bradley_terry(a * 10**9, b * 10**9, score, prompt * 10**9, draws=QUICK)
    assert far[10**9].rating == board[1].rating
    words = np.array(["zero", "one", "two"])
    named = bradley_terry(words[a], words[b], score, prompt.tolist(), draws=QUICK)
    assert named["one"].strength == pytest.approx(board[1].strength, abs=1e-9)
    listed = bradley_terry([*a], [*b], score, prompt, draws=QUICK)  # of numpy's integers
    assert listed.standings == board.standings
    assert {type(s.name) for s in listed.standings} == {int}
    mixed = bradley_terry([1, "1", 1], ["1", 1, "1"], [1, 1, 0.5], draws=QUICK)
    assert {type(s.name) for s in mixed.standings} == {int, str}
    assert {type(s.name) for s in named.standings} == {str}
    assert type(board.standings[0].name) is int


def test_bad_input_is_refused_with_a_sentence():
    a, b, score = ["x", "y"], ["y", "x"], [1, 0]
    with pytest.raises(ValueError, match="a has 2 labels, b has 1, and there are 2 scores"):
        bradley_terry(a, b[:1], score)
    with pytest.raises(ValueError, match=r"scores must lie in \[0, 1\]"):
        bradley_terry(a, b, [1, 2])
    with pytest.raises(ValueError, match="scores must be finite"):
        bradley_terry(a, b, [1, float("nan")])
    with pytest.raises(ValueError, match="row 1: 'x' meets itself"):
        bradley_terry(["x", "x"], b, score)
    with pytest.raises(ValueError, match="2 values but 1 cluster labels"):
        bradley_terry(a, b, score, ["p"])
    with pytest.raises(ValueError, match="a cluster label is missing"):
        bradley_terry(a, b, score, ["p", None])
    with pytest.raises(ValueError, match="baseline 'w' has no battle; contestants: x, y"):
        bradley_terry(a, b, score, baseline="w")
    with pytest.raises(ValueError, match="ties must be 'davidson' or 'half', not 'drop'"):
        bradley_terry(a, b, score, ties="drop")
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        bradley_terry(a, b, score, level=95)
    with pytest.raises(ValueError, match="draws must be at least 1"):
        bradley_terry(a, b, score, draws=0)
    with pytest.raises(ValueError, match="named by strings or integers, not None"):
        bradley_terry([None, "y"], b, score)
    with pytest.raises(ValueError, match="'x' cannot be compared with itself"):
        bradley_terry(a, b, score).difference("x", "x")
    with pytest.raises(KeyError, match="w"):
        bradley_terry(a, b, score).win_probability("x", "w")
