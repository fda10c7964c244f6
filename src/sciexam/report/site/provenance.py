"""Of which run a site is: what its footer says, from the run's manifest, and nothing that is nobody's business."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sciexam.digests import digest
from sciexam.models.public_name import public_name
from sciexam.report.judge_files import moment
from sciexam.report.standings.leaderboard import Leaderboard
from sciexam.typed import command_of as as_typed

VERSIONS = ("sciexam", "python", "numpy", "scipy")  # that stand in the footer
KEPT = ("--suite", "-s", "--prompts", "--rubric", "--store", "--results")  # options that say of what a board is
FILES = (".jsonl", ".json")  # how a file of answers or verdicts ends
SHOWING = ("--json", "--markdown", "--open")  # options that change nothing but what is printed
# What a judge's settings may show to everybody. An address can hold a password or the name of a machine, and so can a
# system prompt, a path or the settings of a stranger's class: none of them stands here.
SETTINGS = (
    *(
        "backend",
        "model",
        "revision",
        "task",
        "template",
        "verdict",
        "samples",
        "criteria",
        "probabilities",
        "reference",
    ),
    *("anchors", "grading", "compare_by", "tie_within", "judges", "weights", "agreement", "error", "calibration"),
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """`build` tells two sites apart; `command` makes the board again; `prompts` is None where no manifest says it."""

    build: str
    started: str
    command: str
    suite_version: str
    rubric_digest: str
    commit: str
    versions: tuple[str, ...]
    prompts: int | None
    settings: tuple[tuple[str, str], ...]  # of the judge
    by: Literal["people", "recorded", "asked"]  # whether the judge is somebody, a file, or can be shown something


def provenance_of(board: Leaderboard, manifest: Mapping[str, Any]) -> Provenance:
    plan = manifest.get("plan", {})
    packages = {"python": manifest.get("python"), **manifest.get("packages", {})}
    return Provenance(
        build=digest([board.to_json(), manifest.get("started"), manifest.get("packages")])[:16],
        started=moment(manifest.get("started")),
        command=command_of(board, manifest),
        suite_version=str(plan.get("suite", {}).get("version", "")),
        rubric_digest=str(plan.get("digests", {}).get("rubric", ""))[:12],
        commit=str(manifest.get("commit") or "")[:12],
        versions=tuple(f"{name} {packages[name]}" for name in VERSIONS if packages.get(name)),
        prompts=len(plan["prompts"]) if "prompts" in plan else None,
        settings=tuple(_settings(plan, board.judge)),
        by=_by(plan, board.judge),
    )


def command_of(board: Leaderboard, manifest: Mapping[str, Any]) -> str:
    """The command line of the run; where it was made in Python, one that asks for the same board."""
    argv = [str(word) for word in manifest.get("argv", ())]
    if argv and Path(argv[0]).stem == "sciexam":
        return _line(["sciexam", *(part for word in argv[1:] if word not in SHOWING for part in _at_home(word))])
    named = [name for name in board.contestants if name != "null"]
    return _line(["sciexam", "leaderboard", *named, "--suite", board.suite, "--judge", board.judge])


def compare_command(board: Leaderboard, command: str, a: str, b: str) -> str:
    """The command that shows the answers of two contestants side by side, from the same ledger."""
    named = _files(board, command)
    both = named.get(a, a), named.get(b, b)
    return _line(["sciexam", "compare", *both, *_where(board, command), "--judge", _judge(board, command)])


def judge_command(name: str, board: Leaderboard, command: str, *more: str) -> str:
    """`sciexam validate` or `audit` of the judge with `more` words, on the same suite and ledger."""
    files = _files(board, command).values()
    return _line(["sciexam", name, _judge(board, command), *files, *more, *_where(board, command)])


def agree_command(board: Leaderboard, command: str) -> str:
    """The command that says how far people agree, on the same suite and ledger."""
    files = _files(board, command).values()
    return _line(["sciexam", "agree", *files, *_where(board, command), "--judge", _judge(board, command)])


def _at_home(word: str) -> list[str]:
    """A word of a command line with `~` for the home folder, where a path in it begins with that.

    A shell expands `~` where a word begins, so an option that holds its path becomes two words.
    """
    home = str(Path.home())
    if home == "/":
        return [word]
    said = re.sub(rf"(^|[=:,]){re.escape(home)}(?=/|$)", r"\1~", word)
    option, _, value = said.partition("=")
    return [option, value] if option.startswith("--") and value.startswith("~") else [said]


def _line(words: Iterable[str]) -> str:
    """A command line to paste; `~/` stands outside of the quotes, where a shell expands it."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    home, slash, rest = word.partition("/")
    return f"~{slash}{shlex.quote(rest) if rest else ''}" if home == "~" else shlex.quote(word)


def _where(board: Leaderboard, command: str) -> list[str]:
    """The suite and the ledger of the board's own command line; of files of answers alone there is no suite."""
    words = shlex.split(command)
    kept = [part for name in KEPT for part in _option(words, name)]
    named = {"--suite", "-s", "--prompts"} & set(kept) or _files(board, command)
    return kept if named else ["--suite", board.suite, *kept]


def _files(board: Leaderboard, command: str) -> dict[str, str]:
    """The contestants as their files were named, where the command line has files alone."""
    typed = as_typed(shlex.split(command))
    if typed is None or not all(one.endswith(FILES) for one in typed.contestants):
        return {}
    return dict(zip(board.contestants, typed.contestants, strict=False))


def _judge(board: Leaderboard, command: str) -> str:
    """The judge as it was named: a file of verdicts by its path."""
    typed = as_typed(shlex.split(command))
    said = typed.judges if typed is not None else ()
    return next((one for one in said if one.endswith(FILES) and Path(one).stem == board.judge), board.judge)


def _option(words: Sequence[str], name: str) -> Iterator[str]:
    """An option of a command line with its value, as it stands there."""
    for at, word in enumerate(words):
        if word == name and at + 1 < len(words):
            yield from (name, words[at + 1])
        elif word.startswith(f"{name}="):
            yield from (name, word.removeprefix(f"{name}="))


def _settings(plan: Mapping[str, Any], judge: str) -> Iterator[tuple[str, str]]:
    """The settings of the judge in its suite, and how those behind its name were asked."""
    spec = plan.get("suite", {}).get("judges", {}).get(judge, {})
    raters = [rater for rater in plan.get("raters", ()) if rater.get("bench") == judge]
    for key in SETTINGS:
        if (value := spec.get(key)) not in (None, False, 0, 0.0, ""):
            shown = _file_name(value) if key == "template" else public_name(str(value))
            yield key.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else shown
    for rater in raters:
        if rater.get("kind") == "human":  # a person, by name
            continue
        orders = "both orders" if rater.get("orders") == "both" else "one order"
        seen = orders if rater.get("sees_order", True) else "each answer by itself"
        model = rater.get("model") if "model" not in spec else None
        model = f"model {public_name(str(model))}, " if model else ""
        yield str(rater.get("name")), f"{model}{seen}, digest {str(rater.get('digest'))[:12]}"


def _by(plan: Mapping[str, Any], judge: str) -> Literal["people", "recorded", "asked"]:
    raters = [rater for rater in plan.get("raters", ()) if rater.get("bench") == judge]
    if any(rater.get("kind") == "human" for rater in raters):
        return "people"
    return "recorded" if any(rater.get("by_name") for rater in raters) else "asked"


def _file_name(value: object) -> str:
    """A template can be a file of one's own: its name says enough, and its folder is nobody's business."""
    return str(value).replace("\\", "/").rpartition("/")[2]
