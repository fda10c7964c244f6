"""Statistics that stand alone: arrays in, frozen results out; numpy and scipy only, and krippendorff for alpha."""

# Imported at once, not on first use: the function `win_rate` has the name of its module, and importing the module later
# would put it in the function's place. These files need numpy alone; they import scipy when they are called.
from sciexam.stats.agreement import cohen_kappa, fleiss_kappa, gwet_ac1, gwet_ac2, percent_agreement
from sciexam.stats.alpacaeval import Calibration, alpacaeval_length_controlled
from sciexam.stats.alpha import krippendorff_alpha
from sciexam.stats.alt_test import AltTest, alt_test
from sciexam.stats.annotators import DawidSkene, MajorityVote, alpha_if_removed, dawid_skene, majority_vote
from sciexam.stats.best_of_n import BestOfN, best_of_n
from sciexam.stats.bias import longer_wins, order_consistency, position_bias, position_bias_between, self_preference
from sciexam.stats.calibration import (
    ReliabilityBin,
    brier_score,
    error_if_calibrated,
    expected_calibration_error,
    reliability_table,
)
from sciexam.stats.conclusion import Conclusion, conclude
from sciexam.stats.correlation import kendall_tau_b, pearson, spearman
from sciexam.stats.ecdf import Ecdf, ecdf
from sciexam.stats.effect_size import cliffs_delta, cohens_d, sd_ratio
from sciexam.stats.elo import elo
from sciexam.stats.equivalence import equivalent
from sciexam.stats.estimate import Estimate, Undefined
from sciexam.stats.length_control import LengthControl, length_controlled
from sciexam.stats.mean import mean
from sciexam.stats.paired import McNemar, benjamini_hochberg, benjamini_yekutieli, holm, mcnemar, sign_flip
from sciexam.stats.power import detectable_win_rate, power_at, power_curve, prompts_needed
from sciexam.stats.prediction_powered import PredictionPowered, prediction_powered_mean
from sciexam.stats.ranking_accuracy import exact_match, five_best, mean_kendall, mean_spearman, pairwise_accuracy
from sciexam.stats.ratings import Ratings, Standing, bradley_terry
from sciexam.stats.resampled_ratings import bootstrap_ratings
from sciexam.stats.rewards import Distribution, RewardComparison, compare_rewards, distribution
from sciexam.stats.rogan_gladen import RoganGladen, rogan_gladen
from sciexam.stats.sequential import BettingSequence, ConfidenceSequence, Decision, confidence_sequence, decide
from sciexam.stats.skewed_mean import skewed_mean
from sciexam.stats.variance import VarianceComponents, variance_components
from sciexam.stats.win_rate import bounds, win_rate

__all__ = [
    "AltTest",
    "BestOfN",
    "BettingSequence",
    "Calibration",
    "Conclusion",
    "ConfidenceSequence",
    "DawidSkene",
    "Decision",
    "Distribution",
    "Ecdf",
    "Estimate",
    "LengthControl",
    "MajorityVote",
    "McNemar",
    "PredictionPowered",
    "Ratings",
    "ReliabilityBin",
    "RewardComparison",
    "RoganGladen",
    "Standing",
    "Undefined",
    "VarianceComponents",
    "alpacaeval_length_controlled",
    "alpha_if_removed",
    "alt_test",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "best_of_n",
    "bootstrap_ratings",
    "bounds",
    "bradley_terry",
    "brier_score",
    "cliffs_delta",
    "cohen_kappa",
    "cohens_d",
    "compare_rewards",
    "conclude",
    "confidence_sequence",
    "dawid_skene",
    "decide",
    "detectable_win_rate",
    "distribution",
    "ecdf",
    "elo",
    "equivalent",
    "error_if_calibrated",
    "exact_match",
    "expected_calibration_error",
    "five_best",
    "fleiss_kappa",
    "gwet_ac1",
    "gwet_ac2",
    "holm",
    "kendall_tau_b",
    "krippendorff_alpha",
    "length_controlled",
    "longer_wins",
    "majority_vote",
    "mcnemar",
    "mean",
    "mean_kendall",
    "mean_spearman",
    "order_consistency",
    "pairwise_accuracy",
    "pearson",
    "percent_agreement",
    "position_bias",
    "position_bias_between",
    "power_at",
    "power_curve",
    "prediction_powered_mean",
    "prompts_needed",
    "reliability_table",
    "rogan_gladen",
    "sd_ratio",
    "self_preference",
    "sign_flip",
    "skewed_mean",
    "spearman",
    "variance_components",
    "win_rate",
]
