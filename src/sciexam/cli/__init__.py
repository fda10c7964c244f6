"""The command line: parse, call one public function, print. Every import of weight happens inside a command."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from sciexam.cli import (
    agree,
    annotate,
    answer,
    audit,
    author,
    bench,
    compare,
    data,
    doctor,
    examples,
    exporting,
    grade,
    grouped,
    importing,
    leaderboard,
    lineage,
    plan,
    report,
    reward,
    serve,
    store,
    train,
    validate,
)
from sciexam.errors import SciexamError, redacted

app = typer.Typer(
    name="sciexam",
    cls=grouped.Grouped,
    help="Is the new model really better, by how much, according to whom, and can that judge be trusted?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("plan")(plan.plan)
app.command("grade")(grade.grade)
app.command("reward")(reward.reward)
app.command("answer")(answer.answer)
app.command("agree")(agree.agree)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("validate")(validate.validate)
app.command("audit")(audit.audit)
app.command("bench")(bench.bench)
app.command("import")(importing.import_)
app.command("export")(exporting.export)
app.command("serve")(serve.serve)
app.command("train")(train.train)
app.command("lineage")(lineage.lineage)
app.command("check")(author.check)
app.command("doctor")(doctor.doctor)
app.command("init")(author.init)
app.command("schema")(author.schema)
app.add_typer(annotate.annotate, name="annotate")
app.add_typer(data.data, name="data")
app.add_typer(store.store, name="store")
app.add_typer(author.rubric, name="rubric")
examples.add_examples(app)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"sciexam {installed('sciexam')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from sciexam.cli.here import next_here

        for line in next_here():
            typer.echo(line)


def main() -> NoReturn:
    """Run a command. Whatever goes wrong ends here as one message on stderr and an exit code (see errors.py)."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for the small matrices here, threads wait more than they work
    gc.set_threshold(100_000, 20, 20)  # records refer to each other in no circles, and the usual search takes its time
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except SciexamError as error:
        _fail(str(error), error.exit_code)
    except TyperException as error:
        if (message := error.format_message()).startswith("Usage: "):  # a group of commands without any of them
            print(message, file=sys.stderr)
            sys.exit(2)
        context = getattr(error, "ctx", None)
        hint = f" (see `{context.command_path} --help`)" if context else ""
        _fail(message.replace("Value error, ", "") + hint, 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped at once; what was reported as stored is safe. Run the same command to go on", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains once more at exit
        sys.exit(0)
    except Exception:  # the boundary: anything that reaches it is a bug of ours, and its trace must not show a key
        import traceback

        _fail(f"{traceback.format_exc()}this is a bug in sciexam; please report it", 1)


def _fail(message: str, code: int) -> NoReturn:
    for line in _printable(redacted(message)).splitlines():
        print(f"sciexam: {line}", file=sys.stderr)
    sys.exit(code)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
