"""Judge prompts are template files; a question, an answer or a rubric is only ever a variable in them."""

from __future__ import annotations

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.judges.parsing import LETTERS, LEVELS, SIDES
from sciexam.judges.settings import Pairwise, VerdictForm
from sciexam.judges.template_file import compile_template, raised_by, read_template
from sciexam.rubric import Rubric
from sciexam.sandbox import render
from sciexam.types import Message, Presentation, Prompt

# The shipped templates, and the form of verdict that each asks for.
SHIPPED: dict[str, VerdictForm] = {
    "reason": "nonce",
    "criteria": "nonce",
    "verdict-only": "letter",
    "json": "json",
    "mt-bench": "brackets",
    "alpacaeval": "letter",
    "arena-hard": "brackets",
    "prometheus": "brackets",
}
_BLANK = Prompt(id="blank", messages=(Message(role="user", content="?"),))
VARIABLES = (
    *("question", "answer_a", "answer_b", "reference", "rubric", "criteria", "ties", "examples", "boundary", "nonce"),
)
NEEDED = ("question", "answer_a", "answer_b", "boundary")  # without `boundary` an answer could pose as instructions


def template_of(spec: Pairwise, rubric: Rubric) -> JudgeTemplate:
    """The template that a judge's settings mean. Raises UsageError where it cannot be used."""
    name = "criteria" if spec.criteria and spec.template == "reason" else spec.template
    return JudgeTemplate(name, spec.verdict, rubric, spec.criteria)


class JudgeTemplate:
    """A template and the form of the verdict that it asks for. Raises UsageError where it cannot be used.

    With `criteria` it asks for a verdict on each criterion of the rubric, too.
    """

    def __init__(self, name: str, form: VerdictForm | None, rubric: Rubric, criteria: bool = False):
        self.name = name
        source = read_template(name, SHIPPED, "template ")
        self.form: VerdictForm = form or SHIPPED.get(name, "nonce")
        self.words = ("m", "M") if name == "alpacaeval" else LETTERS  # of the letter form: what the template asks for
        self.rubric = rubric
        self.criteria = tuple(criterion.name for criterion in rubric.criteria) if criteria else ()
        self._about = {
            "rubric": rubric.render(),
            "criteria": [criterion.name for criterion in rubric.criteria],
            "ties": rubric.ties,
        }
        self._examples = _examples(rubric, self.words if self.form == "letter" else ())
        # Of the rubric only what a prompt can show: an edit that changes no prompt leaves every verdict as it is.
        self.digest = digest(
            {
                "template": source,
                "read as": (self.form, self.words),
                "rubric": self._about["rubric"],
                "ties": rubric.ties,
                "examples": self._examples,
            }
            | ({"criteria": self.criteria} if criteria else {})  # only then: the keys of what is stored stay
        )
        self._template, self._used = compile_template(name, source, VARIABLES, "judge template")
        self.render(Presentation(prompt=_BLANK, first="", second="", order="ab", seal="0" * 32))

    def check_complete(self) -> None:
        """Raises UsageError for a template that leaves out what a verdict needs: its calls would be paid in vain."""
        if self.criteria and self.form != "nonce":
            raise UsageError(
                f"template {self.name}: `criteria: true` is read in the form 'nonce' alone, not {self.form!r}; write "
                "`template: criteria`, or a template of yours that asks for CRITERION lines"
            )
        if "criteria" in self._used and not self.criteria:
            raise UsageError(f"template {self.name}: asks for a verdict on each criterion; write `criteria: true`, too")
        needed = (*NEEDED, "nonce") if self.form == "nonce" else NEEDED
        needed = (*needed, "criteria") if self.criteria else needed
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
                **self._about,
                examples=self._examples,
                boundary=presentation.seal[12:],
                nonce=nonce(presentation),
            )
        except Exception as error:  # a user's template is a program: any expression in it may raise anything
            raise raised_by(self.name, error) from None


def _examples(rubric: Rubric, words: tuple[str, ...]) -> list[dict[str, str]]:
    """The examples that can be said at all; in the letter form their verdict is one of its `words`."""
    shown = [example.model_dump() for example in rubric.examples if rubric.ties or example.verdict != "A=B"]
    if words:
        said = {SIDES[word][0]: word for word in words}
        sides = [LEVELS[example["verdict"]][0] for example in shown]
        shown = [e | {"verdict": said[side]} for e, side in zip(shown, sides, strict=True) if side in said]
    return shown


def nonce(presentation: Presentation) -> str:
    """The word that the verdict line must repeat: no answer can know it."""
    return presentation.seal[:12]
