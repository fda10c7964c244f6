"""What `sciexam --help` lists: the commands in groups, those of the first hour first, each in half a line."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

GROUPS: dict[str, dict[str, str]] = {
    "Commands": {
        "compare": "Which of two or more is better, by each judge, with intervals.",
        "report": "Print an earlier comparison anew, without asking anybody.",
        "plan": "How many prompts it takes, and what they cost.",
        "init": "Make a folder with a suite to start from.",
        "check": "Look a suite over before anything is asked or paid.",
    },
    "Of the same answers": {
        "leaderboard": "Rate many contestants by one judge, with rank ranges.",
        "grade": "Points on each criterion of the rubric, answer by answer.",
        "reward": "How a reward model's rewards are distributed.",
        "agree": "How far annotators and judges agree.",
    },
    "Whether a judge can be trusted": {
        "annotate": "People compare answers, blind, on a page.",
        "validate": "Hold a judge against people.",
        "audit": "What moves a judge: order, length, flattery, injections.",
        "rubric": "Write, check and show rubrics.",
    },
    "Models": {
        "answer": "Write what a model answers to many prompts.",
        "bench": "Have models do tasks that others have standardised.",
        "serve": "Serve a contestant as an endpoint, with a page to try it.",
        "train": "Train a model and what it is made from, stage by stage.",
        "lineage": "Draw what is made from what.",
    },
    "Files, and this machine": {
        "import": "Read other tools' files into a suite.",
        "export": "Write verdicts, answers, battles or preference pairs.",
        "data": "Make data to train with and to test with.",
        "schema": "Print the JSON Schema of a YAML file, for editors.",
        "store": "Check the ledger, repair it, copy it, and forget people.",
        "doctor": "What is installed, what is safe, and what is in the way.",
    },
}


class Grouped(TyperGroup):
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), said) for name, said in commands.items()])
