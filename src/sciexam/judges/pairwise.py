"""An LLM compares two answers: render the template, call the model, parse the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sciexam.documents import digest
from sciexam.errors import EndpointRefused
from sciexam.judges.parsing import Parsed, parse_verdict, probability_second
from sciexam.judges.rendering import JudgeTemplate, nonce
from sciexam.models import check_ready
from sciexam.types import TRUNCATED, Conversation, Kind, Message, Model, Presentation, Reply, Verdict

TOP = 5  # likeliest tokens whose probabilities are asked for, as AlpacaEval does


class PairwiseJudge:
    """A judge by prompt. A reply that was cut off is asked for once more with twice the tokens, and never parsed.

    With `probabilities` a verdict is what the model's tokens say together, and not only the one that was taken; a model
    that does not tell them raises EndpointRefused.
    """

    kind: Kind = "judge"
    sees_order = True

    def __init__(self, name: str, model: Model, template: JudgeTemplate, max_tokens: int, probabilities: bool = False):
        self.name = name
        weighed = {"probabilities": TOP} if probabilities else {}  # only then: the keys of what is stored stay
        self.digest = digest({"judge": "pairwise", "model": model.digest, "template": template.digest} | weighed)
        self._model, self._template, self._max_tokens = model, template, max_tokens
        self._probabilities = probabilities

    def judge(self, presentations: Iterable[Presentation]) -> Iterator[Verdict]:
        cut: list[Presentation] = []
        for presentation, reply in self._ask(presentations, None):
            if reply.finish_reason == "length" or reply.failure == TRUNCATED:
                cut.append(replace(presentation, attempt=presentation.attempt + 1))
            yield self._verdict(presentation, reply)
        for presentation, reply in self._ask(cut, 2 * self._max_tokens):
            yield self._verdict(presentation, reply)

    @property
    def notes(self) -> Sequence[str]:
        """What the model was asked without, because its endpoint does not take it."""
        return getattr(self._model, "notes", ())

    def check_ready(self) -> None:
        """Raise UsageError where the model cannot be asked here and now."""
        check_ready(self._model)

    def stop(self) -> None:
        """Ask nothing more, where the model can be told so; replies on their way are still yielded."""
        if callable(stop := getattr(self._model, "stop", None)):
            stop()

    def _ask(
        self, presentations: Iterable[Presentation], max_tokens: int | None
    ) -> Iterator[tuple[Presentation, Reply]]:
        asked: dict[str, Presentation] = {}

        def conversations() -> Iterator[Conversation]:
            for presentation in presentations:
                asked[presentation.key] = presentation
                message = Message(role="user", content=self._template.render(presentation))
                yield Conversation(
                    presentation.key,
                    (message,),
                    max_tokens=max_tokens,
                    attempt=presentation.attempt,
                    prompt=presentation.prompt.id,
                    top_logprobs=TOP if self._probabilities else 0,
                )

        for reply in self._model.generate(conversations()):
            yield asked.pop(reply.key), reply

    def _verdict(self, presentation: Presentation, reply: Reply) -> Verdict:
        failure, status = reply.failure, reply.status
        if reply.finish_reason == "length":
            failure, status = TRUNCATED, "invalid"
        if failure:
            return presentation.verdict(self.name, status=status, failure=failure, reply=reply)
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
            raise EndpointRefused(
                f"judge {self.name!r}: its model gives no token probabilities; write `probabilities: false`, or ask a "
                "model behind an endpoint that gives them"
            )
        if parsed.failure:
            return presentation.verdict(self.name, failure=parsed.failure, reply=reply)
        ties, words = self._template.rubric.ties, self._template.words
        second = probability_second(reply.logprobs, reply.text.strip(), words, ties)
        failure = "no probability of its word" if second is None else ""
        return presentation.verdict(self.name, probability_second=second, failure=failure, reply=reply)
