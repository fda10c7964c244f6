"""The sentence above grades, rewards and agreement: who is higher, and whether that is told apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sciexam.report.agreeing.agreement import Agreed
from sciexam.report.agreeing.agreement_text import sentence_of
from sciexam.report.marking.leading import Lead, leading
from sciexam.stats import Estimate, Undefined


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 0.95, 20, "counted")


def lead(b: str, a: str, value: float, p: float | None = 0.001) -> Lead:
    return Lead(a, b, estimate(value, value - 0.1, value + 0.1), p)


def said(means: dict[str, float], *leads: Lead) -> str:
    return leading("gpt", "grade", {name: estimate(v, v - 0.1, v + 0.1) for name, v in means.items()}, leads, 0.95)


def test_of_two_the_higher_one_is_named_whichever_comes_first() -> None:
    difference = "on the same prompts, sft less base is"
    higher = said({"base": 0.5, "sft": 0.8}, lead("sft", "base", 0.3))
    assert higher == f"By gpt the mean grade of sft is higher than that of base: {difference} 0.30 [0.20, 0.40]."
    assert "mean grade of base is higher than that of sft" in said({"base": 0.8, "sft": 0.5}, lead("sft", "base", -0.3))


def test_neither_an_interval_nor_a_p_value_alone_tells_two_apart() -> None:
    for one in (lead("sft", "base", 0.05), lead("sft", "base", 0.3, p=0.06), lead("sft", "base", 0.3, p=None)):
        assert "of sft and base are not told apart" in said({"base": 0.5, "sft": 0.6}, one)


def test_of_many_the_highest_is_named_with_those_it_is_told_apart_from() -> None:
    means = {"base": 0.3, "sft": 0.5, "dpo": 0.6}
    both = said(means, lead("dpo", "base", 0.3), lead("dpo", "sft", 0.2))
    assert both.startswith(
        "By gpt the mean grade of dpo is the highest, 0.60 [0.50, 0.70], and told apart from that of each"
    )
    one = said(means, lead("dpo", "base", 0.3), lead("dpo", "sft", 0.05))
    assert one.endswith("; it is told apart from that of base, and not from that of sft.")
    assert said(means, lead("dpo", "base", 0.05)).endswith("and not told apart from that of any other.")


def test_one_contestant_has_its_mean_and_no_grade_is_said() -> None:
    assert said({"base": 0.3}) == "The mean grade of base by gpt is 0.30 [0.20, 0.40]."
    none = Undefined("nothing came", "counted")
    assert leading("gpt", "reward", {"base": none}, (), 0.95) == "gpt gave no usable reward."
    nobody = leading("gpt", "reward", {"a": estimate(1, 0, 2), "b": none}, [Lead("a", "b", none, None)], 0.95)
    assert nobody == "Whether gpt gives b or a the higher reward cannot be said: nothing came."


def agreed(percent: Any, *raters: str) -> Agreed:
    alpha = estimate(0.4, 0.2, 0.6)
    return Agreed(raters, "annotators", None, 12, percent, alpha, alpha, alpha, alpha, "side")


def test_raters_agree_at_a_rate_or_it_is_said_why_not() -> None:
    found: Any = SimpleNamespace(groups=[agreed(estimate(0.8, 0.7, 0.9), "ann", "bea", "cy")], pairs=[])
    rate = "name the same side, or both a tie, at a rate of 0.80 [0.70, 0.90], on 12 comparisons."
    beyond = "Beyond chance, alpha is 0.40 [0.20, 0.60]."
    assert sentence_of(found) == f"Any two of the 3 raters (annotators) {rate} {beyond}"
    found.groups = [agreed(estimate(0.8, 0.7, 0.9), "ann", "bea")]
    assert sentence_of(found) == f"ann and bea {rate} {beyond}"
    found.groups = [agreed(Undefined("too few", "counted"), "ann", "bea")]
    assert sentence_of(found) == "How far ann and bea agree cannot be said: too few."
    found.groups = []
    assert sentence_of(found).endswith("no comparison was judged by two of them.")
