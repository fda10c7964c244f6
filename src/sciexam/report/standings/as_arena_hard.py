"""Arena-Hard's figures: games against the baseline, of which a verdict by far counts three times.

v0.1 has one baseline for all prompts. v2.0 has one for each category, and a board for each; the prompts of an import
say in their metadata who it is (`baseline`), and by that the rule is chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from sciexam.battles import Slot, cluster
from sciexam.report.evidence import Evidence
from sciexam.report.record import Figure, plain
from sciexam.report.standings.peer_rows import (
    Part,
    PeerRow,
    against_baseline,
    answers_lacking,
    peer_row,
    score_of_b,
    win_rate_of,
)
from sciexam.stats import Undefined, length_controlled
from sciexam.stats.arena_hard import LEVEL, LEVEL_V2, arena_hard_score
from sciexam.stats.arena_hard_style import STYLES, ArenaHardStyle, arena_hard_style_control, style_differences
from sciexam.types import Presentation, Prompt, Verdict

SHOWN = ("score", "low", "high", "style_score", "style_low", "style_high")
HEADLINES = ("style_score", "score")
RULE_V01 = (
    "Arena-Hard v0.1: of both games of a prompt, a verdict >> counts three times and every other one once; score "
    "is the mean for the model, of 100, and low .. high are quantiles .025 and .975 of 100 resamples of these rows."
)
RULE_V2 = (
    "Arena-Hard v2.0: each category by itself, against its own baseline; a prompt of which a game has no verdict is "
    "left out with both games; of the others a verdict >> counts three times and every other one once; score is the "
    "mean for the model, of 100, and low .. high are quantiles .05 and .95 of 100 resamples of these rows. The judge "
    "itself has no row."
)
RULE_STYLE = (
    "style score: the same rows of all models in one logistic regression with differences in tokens, headers, lists "
    "and bold text, at the average difference of the category. sciexam: at equal style: at no difference."
)

Game = tuple[Presentation, Verdict]
Style = Sequence[float]  # tokens, headers, list items, bold passages
Styles = Mapping[Slot, Style]


def own_baseline(prompt: Prompt) -> str | None:
    """Whom the prompt names as the baseline of its category."""
    named = prompt.metadata.get("baseline")
    return named if isinstance(named, str) else None


def category_of(prompt: Prompt) -> str:
    return prompt.category or "no category"


def in_category(evidence: Evidence, category: str, baseline: str) -> Evidence:
    """What was found out about the prompts of one category, of those who met its baseline there."""
    prompts = tuple(prompt for prompt in evidence.prompts if category_of(prompt) == category)
    ids = {prompt.id for prompt in prompts}
    bench = evidence.benches[0]
    pairs = tuple(pair for pair in evidence.pairs if pair[0] == baseline)
    return replace(
        evidence,
        prompts=prompts,
        pairs=pairs,
        responses={slot: one for slot, one in evidence.responses.items() if slot[1] in ids},
        benches=[
            replace(
                bench,
                battles=[one for one in bench.battles if one.prompt in ids and (one.a, one.b) in pairs],
                verdicts=[game for game in bench.verdicts if game[0].prompt.id in ids and _pair_of(game[0]) in pairs],
            )
        ],
    )


def _pair_of(shown: Presentation) -> tuple[str, str]:
    """The pair that was compared, as it is named: two baselines meet as two pairs."""
    pair = shown.first_by, shown.second_by
    return pair if shown.order == "ab" else pair[::-1]


def arena_hard_rows(part: Part, styles: Styles | None) -> Iterator[PeerRow]:
    """`styles`: that of each answer, where style is controlled for. v2.0 has no row of the judge itself."""
    bench = part.evidence.benches[0]
    judge = (bench.name, *bench.raters) if part.category is not None else ()
    games = {name: _games(part, name) for name in against_baseline(part) if name not in judge}
    lacking = {} if styles is None else _without_style(part, games, styles)
    styled = {name: played for name, played in games.items() if name not in lacking}
    controlled = {} if styles is None else _controlled(part, styled, styles)
    at_equal_style = {} if styles is None else _at_equal_style(part, styled, styles)
    for name, played in games.items():
        scores, strong = _scores(played, name), _strong(played)
        level = LEVEL if part.category is None else LEVEL_V2
        found = arena_hard_score(scores, strong, part.evidence.seed, level)
        theirs = {} if isinstance(found, Undefined) else plain(found)
        why = {"score": found.why} if isinstance(found, Undefined) else {}
        match controlled.get(name):
            case ArenaHardStyle(score, low, high):
                theirs |= {"style_score": score, "style_low": low, "style_high": high}
            case Undefined(reason):
                why["style_score"] = reason
        ours = {"win rate": win_rate_of(part, name)}
        if name in lacking:
            why["style_score"] = lacking[name]
        if styles is not None:
            unknown = Undefined(lacking.get(name, "no prompt has a usable verdict"))
            ours["at equal style"] = at_equal_style.get(name, unknown)
        yield peer_row(part, name, (shown.prompt.id for shown, _ in played), theirs, ours, why)


def _games(part: Part, name: str) -> list[Game]:
    """The games of a model that count."""
    both = {part.board.baseline, name}
    played = [(shown, one) for shown, one in part.evidence.benches[0].verdicts if {one.first, one.second} == both]
    if part.category is None:
        return [(shown, one) for shown, one in played if one.status == "ok"]
    by_prompt: dict[tuple[str, str, int, int], list[Game]] = defaultdict(list)
    for shown, one in played:
        by_prompt[one.rater, shown.prompt.id, shown.sample, shown.repeat].append((shown, one))
    whole = [games for games in by_prompt.values() if len(games) == 2 and all(one.status == "ok" for _, one in games)]
    return [game for games in whole for game in games]


def _scores(games: Sequence[Game], name: str) -> list[float]:
    """The model's score in each game."""
    second = [
        {"first": 0.0, "tie": 0.5, "second": 1.0}[one.preferred or "tie"]
        if one.probability_second is None
        else one.probability_second
        for _, one in games
    ]
    return [score if one.second == name else 1 - score for score, (_, one) in zip(second, games, strict=True)]


def _strong(games: Sequence[Game]) -> list[bool]:
    return [one.strength == "strong" for _, one in games]


# ---------------------------------------------------------------- style


def _without_style(part: Part, games: Mapping[str, Sequence[Game]], styles: Styles) -> dict[str, str]:
    """The models that cannot be controlled for style, each with the reason: no file holds some of their answers, or of
    those of the baseline that they met."""
    found = {}
    for name, played in games.items():
        met = {(shown.prompt.id, shown.sample) for shown, _ in played}
        both = name, part.board.baseline
        if lacking := sum(any((one, *slot) not in styles for one in both) for slot in met):
            found[name] = answers_lacking(lacking, len(met))
    return found


def _controlled(
    part: Part, games: Mapping[str, Sequence[Game]], styles: Styles
) -> Mapping[Hashable, ArenaHardStyle | Undefined]:
    """The style-controlled score of each model, of the rows of all."""
    played = [(name, shown) for name, of_model in games.items() for shown, _ in of_model]
    if not played:
        return {}
    return arena_hard_style_control(
        [name for name, _ in played],
        [score for name, of_model in games.items() for score in _scores(of_model, name)],
        [far for of_model in games.values() for far in _strong(of_model)],
        style_differences(
            [styles[name, shown.prompt.id, shown.sample] for name, shown in played],
            [styles[part.board.baseline, shown.prompt.id, shown.sample] for _, shown in played],
        ),
        part.evidence.seed,
    )


def _at_equal_style(part: Part, names: Collection[str], styles: Styles) -> dict[str, Figure]:
    """Our win rate of each model were its answers of the baseline's style, a verdict counted once, by prompt."""
    units = {prompt.id: cluster(prompt) for prompt in part.evidence.prompts}
    battles = [one for one in part.evidence.benches[0].battles if one.b in names and one.score is not None]
    if not battles:
        return {}
    own = [styles[one.b, one.prompt, one.sample] for one in battles]
    other = [styles[one.a, one.prompt, one.sample] for one in battles]
    columns = zip(STYLES[1:], style_differences(own, other).T[1:], strict=True)
    found = length_controlled(
        [score_of_b(one) for one in battles],
        [style[0] for style in own],
        [style[0] for style in other],
        [one.b for one in battles],
        [units[one.prompt] for one in battles],
        features={name: column for name, column in columns if column.std() > 0},
    )
    return {str(name): figure for name, figure in found.win_rates.items()}
