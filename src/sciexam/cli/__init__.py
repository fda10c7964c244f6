"""The command line: parse, call one public function, print. Every import of weight happens inside a command."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from sciexam.cli.examples import add_examples
from sciexam.cli.grouped import Grouped
from sciexam.errors import SciexamError, redacted

# Where each command, or group of commands, stands: the module of this folder, and its name there.
COMMANDS: dict[str, tuple[str, str]] = {
    "compare": ("compare", "compare"),
    "report": ("report", "report"),
    "plan": ("plan", "plan"),
    "grade": ("grade", "grade"),
    "reward": ("reward", "reward"),
    "answer": ("answer", "answer"),
    "agree": ("agree", "agree"),
    "leaderboard": ("leaderboard", "leaderboard"),
    "validate": ("validate", "validate"),
    "audit": ("audit", "audit"),
    "bench": ("bench", "bench"),
    "import": ("importing", "import_"),
    "export": ("exporting", "export"),
    "serve": ("serve", "serve"),
    "train": ("train", "train"),
    "lineage": ("lineage", "lineage"),
    "check": ("author", "check"),
    "doctor": ("doctor", "doctor"),
    "init": ("author", "init"),
    "schema": ("author", "schema"),
    "annotate": ("annotate", "annotate"),
    "data": ("data", "data"),
    "store": ("store", "store"),
    "rubric": ("author", "rubric"),
}


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """The command line. Of `words` that begin with a command it holds that one alone: the others are not imported."""
    app = typer.Typer(
        name="sciexam",
        cls=Grouped,
        help="Is the new model really better, by how much, according to whom, and can that judge be trusted?",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_root)
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        module, own = COMMANDS[name]
        found = getattr(import_module(f"sciexam.cli.{module}"), own)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    add_examples(app)
    return app


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
        sys.exit(command_line(sys.argv[1:])(standalone_mode=False) or 0)
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
