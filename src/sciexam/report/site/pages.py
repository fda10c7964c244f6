"""The pages of a leaderboard's site, and the files beside them, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciexam.report.audit import DECIDED, SAID, Takes, tally, tolerated
from sciexam.report.judge_files import digests_of, newest_audit, newest_validation, plan_in
from sciexam.report.next_steps import AUDITED, first_of, with_most
from sciexam.report.pages import drawn, page_environment
from sciexam.report.site import bars, names, sentences, shown
from sciexam.report.site.lineage_tree import descent_of, lineage_tree
from sciexam.report.site.provenance import Provenance, agree_command, compare_command, judge_command, provenance_of
from sciexam.report.site.tables import BoardTable, board_table, rounded
from sciexam.report.standings.leaderboard import Leaderboard, Meeting, Row
from sciexam.report.standings.leaderboard_text import at_equal_length, which
from sciexam.report.wording import by_note, calls, percent
from sciexam.stats import Estimate

if TYPE_CHECKING:
    from jinja2 import Environment

PACKAGE = "sciexam.report.site"


def site_files(
    board: Leaderboard,
    downloads: Mapping[str, str],
    manifest: Mapping[str, Any],
    runs: Path,
    takes: Takes | None = None,
) -> Iterator[tuple[str, str]]:
    """Every file of the site as (path inside it, text). `runs` holds the runs of the board's suite; `takes`: what an
    audit of its judge takes, where it calls a model."""
    yield from downloads.items()
    yield from _Site(board, manifest, runs, takes).files()


@dataclass(frozen=True)
class _Site:
    board: Leaderboard
    manifest: Mapping[str, Any]
    runs: Path
    takes: Takes | None

    def files(self) -> Iterator[tuple[str, str]]:
        board = self.board
        yield ".nojekyll", ""  # GitHub's pages would otherwise be read as templates
        yield "site.css", _environment().get_template("site.css.j2").render()
        yield "site.js", _script()
        yield "methods.html", self._render("methods.html.j2", "", methods=sentences.methods_used(board))
        yield names.judge_page(board.judge), self._judge()
        for row in board.rows:
            yield names.contestant_page(row.contestant), self._contestant(row)
        for meeting in board.meetings:
            yield names.pair_page(meeting.a, meeting.b), self._pair(meeting)
        yield "index.html", self._index()

    @cached_property
    def _made(self) -> Provenance:
        return provenance_of(self.board, self.manifest)

    def _render(self, template: str, root: str, **values: Any) -> str:
        page = _environment().get_template(template)
        judge = names.judge_page(self.board.judge)
        return page.render(board=self.board, made=self._made, root=root, judge_page=judge, **values)

    def _index(self) -> str:
        board = self.board
        scored = max((row.prompts for row in board.rows), default=0)
        return self._render(
            "index.html.j2",
            "",
            prompts=scored if self._made.prompts is None else self._made.prompts,
            scored=scored,
            tables=self._tables(),
            notes=list(by_note(board.notes).items()),
            figures=drawn(board, scored),
            tree=lineage_tree(board.lineage),
        )

    def _tables(self) -> list[BoardTable]:
        standings = self.board.standings
        ids = (names.category_id(one.category) if one.category is not None else "overall" for one in standings)
        return [board_table(self.board, one, id) for one, id in zip(standings, ids, strict=True)]

    def _judge(self) -> str:
        board, command, prompts = self.board, self._made.command, self._made.prompts or 0
        some = first_of(prompts, limited="--limit" in command)
        asked = board.judge, board.rubric, digests_of(plan_in(self.manifest), board.judge)
        return self._render(
            "judge.html.j2",
            "../",
            validated=newest_validation(self.runs, *asked),
            audited=newest_audit(self.runs, *asked),
            validate=judge_command("validate", board, command),
            audit=judge_command("audit", board, command, *some),
            to_audit=with_most("To make one", self.takes, min(AUDITED, prompts)),
            agree=agree_command(board, command),
            said=SAID,
            tally=tally,
            tolerated=tolerated,
            decided=DECIDED,
        )

    def _contestant(self, row: Row) -> str:
        board = self.board
        meetings = [shown.met(one, row.contestant) for one in self._by_contestant.get(row.contestant, ())]
        categories = self._categories(row.contestant)
        within = bars.axis_of([one.rating for _, one in categories], 1000.0)
        return self._render(
            "contestant.html.j2",
            "../",
            row=row,
            note=board.notes.get(row.contestant),
            tiles=shown.tiles(board, row, bars.axis_of([one.rating for one in board.rows], 1000.0)),
            counted=shown.counts(row),
            meetings=meetings,
            reasons=[why for one in meetings for why in one.reasons],
            categories=[(name, one, within) for name, one in categories],
            descent=descent_of(row.contestant, board.lineage),
            children=[gain for gain in board.lineage if gain.parent == row.contestant],
        )

    @cached_property
    def _by_contestant(self) -> Mapping[str, Sequence[Meeting]]:
        """Whom each contestant met, the best first."""
        places = {row.contestant: place for place, row in enumerate(self.board.rows)}
        found: dict[str, list[Meeting]] = {}
        for one in self.board.meetings:
            found.setdefault(one.a, []).append(one)
            found.setdefault(one.b, []).append(one)
        for name, met in found.items():
            met.sort(key=lambda one: places.get(one.a if one.b == name else one.b, len(places)))
        return found

    def _categories(self, contestant: str) -> list[tuple[str, Row]]:
        """The row of a contestant in every category."""
        return [
            (one.category, row)
            for one in self.board.standings
            if one.category is not None
            for row in one.rows
            if row.contestant == contestant
        ]

    def _pair(self, it: Meeting) -> str:
        return self._render(
            "pair.html.j2",
            "../",
            it=it,
            page_a=names.contestant_page(it.a),
            page_b=names.contestant_page(it.b),
            sentence=sentences.meeting(self.board, it),
            rate_bar=bars.interval(it.win_rate),
            tally=bars.tally(it.losses, it.ties, it.wins),
            lines=shown.lines(it),
            pairs=len(self.board.meetings),
            command=compare_command(self.board, self._made.command, it.a, it.b),
        )


@cache
def _environment() -> Environment:
    environment = page_environment(PACKAGE)
    environment.globals |= {
        "rounded": rounded,
        "known": lambda figure: isinstance(figure, Estimate),
        "interval": bars.interval,
        "rates": bars.RATES,
        "contestant_page": names.contestant_page,
        "category_id": names.category_id,
        "words": sentences,
        "which": which,
        "at_equal_length": at_equal_length,
        "percent": percent,
        "calls": calls,
    }
    return environment


@cache
def _script() -> str:
    return (Path(__file__).parent / "templates" / "site.js").read_text(encoding="utf-8")
