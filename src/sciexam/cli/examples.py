"""The examples that each command's `--help` ends with."""

from __future__ import annotations

import typer

EXAMPLES: dict[str, tuple[str, ...]] = {
    "compare": (
        "sciexam compare base sft",
        "sciexam compare old.jsonl new.jsonl --judge openai:gpt-4.1-mini-2025-04-14",
    ),
    "report": ("sciexam report --open",),
    "plan": ("sciexam plan base sft --effect 0.55",),
    "grade": ("sciexam grade base sft --judge measures",),
    "reward": ("sciexam reward base sft --model rm.jsonl",),
    "answer": ("sciexam answer sft --prompts many.jsonl --out sft.jsonl",),
    "agree": ("sciexam agree base sft",),
    "leaderboard": ("sciexam leaderboard --open", "sciexam leaderboard --markdown"),
    "validate": ("sciexam validate tiny base sft",),
    "audit": ("sciexam audit measures",),
    "bench": ("sciexam bench base sft --tasks truthfulqa_mc2 --margin 0.03",),
    "import": ("sciexam import alpacaeval results/my-model --out imported",),
    "export": ("sciexam export preferences base sft --out pairs.jsonl",),
    "serve": ("sciexam serve sft",),
    "train": ("sciexam train rlhf --suite my-suite",),
    "lineage": ("sciexam lineage",),
    "check": ("sciexam check my-exam",),
    "doctor": ("sciexam doctor",),
    "init": ("sciexam init my-exam", "sciexam init my-exam old.jsonl new.jsonl"),
    "schema": ("sciexam schema suite > suite.schema.json",),
    "annotate serve": ("sciexam annotate serve base sft --annotators 4",),
    "annotate link": ("sciexam annotate link Ada",),
    "annotate status": ("sciexam annotate status",),
    "annotate export": ("sciexam annotate export preferences --out pairs.jsonl",),
    "annotate import": ("sciexam annotate import verdicts.jsonl base sft",),
    "annotate forget": ("sciexam annotate forget Ada --keep-judgements",),
    "data answers": ("sciexam data answers --teacher gpt --prompts train.jsonl --out demonstrations",),
    "data prompts": ("sciexam data prompts --from train.jsonl --model gpt --n 500 --out prompts",),
    "data stackexchange": ("sciexam data stackexchange dumps/cooking.7z --out cooking",),
    "store forget": ("sciexam store forget Ada",),
    "store check": ("sciexam store check",),
    "store repair": ("sciexam store repair",),
    "store backup": ("sciexam store backup ledger-copy.sqlite",),
    "rubric new": ("sciexam rubric new honesty",),
    "rubric check": ("sciexam rubric check honesty",),
    "rubric show": ("sciexam rubric show helpfulness",),
}


def add_examples(app: typer.Typer, group: str = "") -> None:
    """End the help of every command of `app`, and of its groups, with its examples."""
    for command in app.registered_commands:
        lines = EXAMPLES.get(f"{group}{command.name}", ())
        # After \b lines are not filled.
        command.epilog = "\n".join(
            ("\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {one}" for one in lines))
        )
    for inner in app.registered_groups:
        if inner.typer_instance is not None:
            add_examples(inner.typer_instance, f"{group}{inner.name} ")
