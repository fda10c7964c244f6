"""An LLM compares two answers: render the template, call the model, parse the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from sciexam.digests import digest
from sciexam.errors import EndpointRefused
from sciexam.judges.by_model import ByModel
from sciexam.judges.parsing import SIDES, Parsed, parse_verdict, probability_second
from sciexam.judges.rendering import JudgeTemplate, nonce
from sciexam.types import Kind, Message, Model, Presentation, Reply, Verdict

TOP = 5  # likeliest tokens whose probabilities are asked for, as AlpacaEval does


class PairwiseJudge(ByModel):
    """A judge by prompt. A reply that was cut off is asked for once more with twice the tokens, and never parsed.

    With `probabilities` a verdict is what the model's tokens say together, and not only the one that was taken. A model
    that does not tell them is asked nothing more: what it said by then is invalid, and EndpointRefused is raised. The
    first call is made by itself, so that this costs one reply; a batch is handed over whole.
    """

    kind: Kind = "judge"
    sees_order = True

    def __init__(self, name: str, model: Model, template: JudgeTemplate, max_tokens: int, probabilities: bool = False):
        super().__init__(model)
        self.name = name
        weighed = {"probabilities": TOP} if probabilities else {}  # only then: the keys of what is stored stay
        self.digest = digest({"judge": "pairwise", "model": model.digest, "template": template.digest} | weighed)
        self._template, self._max_tokens = template, max_tokens
        self._probabilities = probabilities

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        top = TOP if self._probabilities else 0
        blind = False
        for some in self._parts(iter(presentations)):
            if blind:
                break
            for presentation, reply in self.replies(some, self._messages, self._max_tokens, top, self._choices):
                if self._probabilities and reply.status == "ok" and not reply.logprobs:
                    blind = True
                    self.stop()  # what is on its way is paid for, and is kept
                yield self._verdict(presentation, reply)
        if blind:
            raise EndpointRefused(
                f"judges.{self.name}.probabilities: a reply came without token probabilities, and no more was asked; "
                "write `probabilities: false` there in the suite, or name an endpoint that gives them; --retry-invalid "
                "asks again for the replies that came without"
            )

    def _parts(self, presentations: Iterator[Presentation]) -> Iterator[Iterator[Presentation]]:
        """What is asked together: the first by itself, where it is to show that there are probabilities."""
        if self._probabilities and not getattr(self._model, "whole", False):
            yield islice(presentations, 1)
        yield presentations

    @property
    def _choices(self) -> tuple[str, ...]:
        """The words of which a reply in the letter form is one; none in another form, whose reply is a text."""
        template = self._template
        if template.form != "letter":
            return ()
        return tuple(word for word in template.words if template.rubric.ties or SIDES[word][0] != "tie")

    def _messages(self, presentation: Presentation) -> tuple[Message, ...]:
        return (Message(role="user", content=self._template.render(presentation)),)

    def _verdict(self, presentation: Presentation, reply: Reply) -> Verdict:
        if reply.status != "ok":
            why = reply.failure or "not usable"
            return presentation.verdict(self.name, status=reply.status, failure=why, reply=reply)
        template = self._template
        ties, words = template.rubric.ties, template.words
        parsed = parse_verdict(reply.text, template.form, nonce(presentation), ties, words, template.criteria)
        if self._probabilities:
            return self._weighed(presentation, reply, parsed)
        return presentation.verdict(
            self.name,
            parsed.preferred,
            strength=parsed.strength,
            criteria=parsed.criteria,
            reason=parsed.reason,
            failure=parsed.failure,
            reply=reply,
        )

    def _weighed(self, presentation: Presentation, reply: Reply, parsed: Parsed) -> Verdict:
        """The verdict by the probabilities of the words; a reply that is none of them stays invalid."""
        if not reply.logprobs:
            return presentation.verdict(self.name, failure="no token probabilities", reply=reply)
        if parsed.failure:
            return presentation.verdict(self.name, failure=parsed.failure, reply=reply)
        ties, words = self._template.rubric.ties, self._template.words
        second = probability_second(reply.logprobs, reply.text.strip(), words, ties)
        failure = "no probability of its word" if second is None else ""
        return presentation.verdict(self.name, probability_second=second, failure=failure, reply=reply)
