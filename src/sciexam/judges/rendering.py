"""Judge prompts are template files; a question, an answer or a rubric is only ever a variable in them."""

from __future__ import annotations

from pathlib import Path

from sciexam.documents import digest
from sciexam.errors import UsageError, did_you_mean
from sciexam.judges.parsing import LETTERS
from sciexam.judges.settings import VerdictForm
from sciexam.rubric import Rubric
from sciexam.sandbox import render, sandbox
from sciexam.types import Message, Presentation, Prompt

FOLDER = Path(__file__).parent / "templates"

# The shipped templates, and the form of verdict that each asks for.
SHIPPED: dict[str, VerdictForm] = {
    "reason": "nonce",
    "verdict-only": "letter",
    "json": "json",
    "mt-bench": "brackets",
    "alpacaeval": "letter",
    "arena-hard": "brackets",
    "prometheus": "brackets",
}
_BLANK = Prompt(id="blank", messages=(Message(role="user", content="?"),))
VARIABLES = ("question", "answer_a", "answer_b", "reference", "rubric", "ties", "examples", "boundary", "nonce")
NEEDED = ("question", "answer_a", "answer_b", "boundary")  # without `boundary` an answer could pose as instructions


class JudgeTemplate:
    """A template and the form of the verdict that it asks for. Raises UsageError where it cannot be used."""

    def __init__(self, name: str, form: VerdictForm | None, rubric: Rubric):
        from jinja2 import TemplateSyntaxError, meta

        self.name = name
        source = _source(name)
        self.form: VerdictForm = form or SHIPPED.get(name, "nonce")
        self.words = ("m", "M") if name == "alpacaeval" else LETTERS  # of the letter form: what the template asks for
        self.rubric = rubric
        # Of the rubric only what a prompt can show: an edit that changes no prompt leaves every verdict as it is.
        self.digest = digest(
            {
                "template": source,
                "read as": (self.form, self.words),
                "rubric": rubric.render(),
                "ties": rubric.ties,
                "examples": rubric.examples,
            }
        )
        environment = sandbox()
        try:
            self._used = meta.find_undeclared_variables(environment.parse(source))
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise UsageError(f"{name}:{error.lineno}: {error.message}") from None
        except (RecursionError, SyntaxError, MemoryError):  # of Python's own compiler, too
            raise UsageError(f"{name}: an expression is nested too deep") from None
        if unknown := self._used - set(VARIABLES):
            word = min(unknown)
            raise UsageError(
                f"{name}: {{{{ {word} }}}} is not a variable of a judge template{did_you_mean(word, VARIABLES)}"
            )
        self.render(Presentation(prompt=_BLANK, first="", second="", order="ab", seal="0" * 32))

    def check_complete(self) -> None:
        """Raises UsageError for a template that leaves out what a verdict needs: its calls would be paid in vain."""
        needed = (*NEEDED, "nonce") if self.form == "nonce" else NEEDED
        if missing := [f"{{{{ {word} }}}}" for word in needed if word not in self._used]:
            raise UsageError(
                f"template {self.name}: must show {', '.join(missing)} to be read in the form {self.form!r}"
            )

    def render(self, presentation: Presentation) -> str:
        """What the judge reads. The presentation's names never enter: only its texts and its seal do."""
        try:
            return render(
                self._template,
                question=presentation.prompt.text,
                answer_a=presentation.first,
                answer_b=presentation.second,
                reference=presentation.prompt.reference,
                rubric=self.rubric.render(),
                ties=self.rubric.ties,
                examples=[example.model_dump() for example in self.rubric.examples],
                boundary=presentation.seal[12:],
                nonce=nonce(presentation),
            )
        except Exception as error:  # a user's template is a program: any expression in it may raise anything
            raise UsageError(f"judge template: {type(error).__name__}: {error}") from None


def nonce(presentation: Presentation) -> str:
    """The word that the verdict line must repeat: no answer can know it."""
    return presentation.seal[:12]


def _source(name: str) -> str:
    path = FOLDER / f"{name}.j2" if name in SHIPPED else Path(name)
    if name not in SHIPPED and "." not in name:
        raise UsageError(f"template {name!r}: no such template{did_you_mean(name, SHIPPED)} (a file needs its ending)")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"template {name}: {error}") from None
