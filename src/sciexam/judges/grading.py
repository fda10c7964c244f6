"""An LLM marks answers one by one: render the template, call the model, read the points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sciexam.digests import digest
from sciexam.errors import UsageError
from sciexam.judges.by_model import ByModel
from sciexam.judges.points import SCORE, Points, parse_grades, parse_score, total
from sciexam.judges.settings import MarkForm
from sciexam.judges.template_file import compile_template, raised_by, read_template
from sciexam.rubric import Rubric
from sciexam.sandbox import render
from sciexam.types import Grade, Kind, Message, Model, Prompt, Reply, Submission

ADDING = "self-rewarding"  # the shipped template that adds up the statements of an additive criterion
SHIPPED = ("grade", ADDING)
VARIABLES = ("question", "answer", "reference", "rubric", "criteria", "boundary", "nonce")
# Without `boundary` an answer could pose as instructions, and without `nonce` as a grade.
NEEDED = {"question", "answer", "boundary", "nonce"}
_BLANK = Submission(Prompt(id="blank", messages=(Message(role="user", content="?"),)), "", seal="0" * 32)


class LLMGrader(ByModel):
    """A grader by prompt. Its score is the weighted mean of the criteria, each as a share of its points: in [0, 1].

    A reply that was cut off is asked for once more with twice the tokens, and never read.
    """

    kind: Kind = "judge"
    bounds = (0.0, 1.0)  # of its scores

    def __init__(self, name: str, model: Model, template: GradingTemplate, max_tokens: int):
        super().__init__(model)
        self.name = name
        self.digest = digest({"judge": "grading", "model": model.digest, "template": template.digest})
        self._template, self._max_tokens = template, max_tokens

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        for submission, reply in self.replies(submissions, self._messages, self._max_tokens):
            yield self._grade(submission, reply)

    def _messages(self, submission: Submission) -> tuple[Message, ...]:
        return (Message(role="user", content=self._template.render(submission)),)

    def _grade(self, submission: Submission, reply: Reply) -> Grade:
        if reply.status != "ok":
            why = reply.failure or "not usable"
            return submission.grade(self.name, status=reply.status, failure=why, reply=reply)
        read = self._template.read(reply.text, submission)
        if read.failure:
            return submission.grade(self.name, failure=read.failure, reply=reply)
        score = total(read.criteria, self._template.rubric)
        return submission.grade(self.name, score, criteria=read.criteria, reason=read.reason, reply=reply)


class GradingTemplate:
    """A template that asks for marks on each criterion of a rubric. Raises UsageError where it cannot be used.

    `name` is a shipped one or a file; None: the one that fits the rubric. `form` is that of the reply's marks.
    """

    def __init__(self, name: str | None, rubric: Rubric, form: MarkForm = "nonce"):
        self.name = name or (ADDING if rubric.additive else "grade")
        self.rubric, self.form = rubric, form
        source = read_template(self.name, SHIPPED, "grading: ")
        _check_rubric(self.name, rubric, form)
        # Of the rubric only what a prompt can show, and what makes a score of the points.
        marks = [[c.name, list(c.words), c.weight] for c in rubric.criteria]
        read_as = {} if form == "nonce" else {"form": form, "answers": "without a score"}
        self.digest = digest({"template": source, "rubric": rubric.render(), "marks": marks, **read_as})
        self._template, used = compile_template(self.name, source, VARIABLES, "grading template")
        needed = NEEDED if form == "nonce" else NEEDED - {"nonce"}
        if missing := [f"{{{{ {word} }}}}" for word in VARIABLES if word in needed and word not in used]:
            raise UsageError(f"template {self.name}: must show {', '.join(missing)} for a grade to be read from it")
        self.render(_BLANK)

    def render(self, submission: Submission) -> str:
        """What the grader reads. The name of who answered never enters: only the text and the seal do."""
        try:
            return render(
                self._template,
                question=submission.prompt.text,
                answer=submission.text,
                reference=submission.prompt.reference,
                rubric=self.rubric.render(),
                criteria=[
                    {
                        "name": criterion.name,
                        "labels": [level.label for level in criterion.levels],
                        "low": criterion.points[0],
                        "high": criterion.points[1],
                    }
                    for criterion in self.rubric.criteria
                ],
                boundary=submission.seal[12:],
                nonce=_nonce(submission),
            )
        except Exception as error:  # a user's template is a program: any expression in it may raise anything
            raise raised_by(self.name, error) from None

    def read(self, text: str, submission: Submission) -> Points:
        """The points that a reply on `submission` gives."""
        if self.form == "score":
            return parse_score(text, self.rubric.criteria, submission.text)
        return parse_grades(text, _nonce(submission), self.rubric.criteria)

    def lines(self, words: Mapping[str, str], submission: Submission) -> list[str]:
        """The last lines of a reply on `submission` that gives these grades by the names of the criteria."""
        if self.form == "score":
            return [f"{SCORE}{word}" for word in words.values()]
        return [f"GRADE {_nonce(submission)} {name}: {word}" for name, word in words.items()]


def _nonce(submission: Submission) -> str:
    """The word that the grade lines must repeat: no answer can know it."""
    return submission.seal[:12]


def _check_rubric(name: str, rubric: Rubric, form: MarkForm) -> None:
    """Raises UsageError for a rubric whose grades the template could not ask for, or no line could carry."""
    if name == ADDING and not rubric.additive:
        raise UsageError(
            f"template {name}: adds up the statements of an additive criterion, and rubric {rubric.rubric!r} has none; "
            "write `grading: grade`, or `additive:` in the rubric"
        )
    if form == "score" and len(rubric.criteria) > 1:
        raise UsageError(
            f"mark: score: is one mark, and rubric {rubric.rubric!r} has {len(rubric.criteria)} criteria; write "
            "`mark: nonce`, or name a rubric with one"
        )
    for criterion in rubric.criteria:
        for word in criterion.words:
            if word.splitlines() != [word] or word.strip() != word:
                raise UsageError(
                    f"rubric {rubric.rubric!r}: criterion {criterion.name!r}: the label {word!r} cannot be a grade: "
                    "it is empty, or has a line break or blanks around it"
                )
