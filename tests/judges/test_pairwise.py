"""An LLM as judge: what it is sent, what becomes of each kind of reply, and when it stops."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from endpoint import Body, Endpoint, prompt_of
from sciexam.errors import UsageError
from sciexam.judges import open_judge, settings_of
from sciexam.judges.pairwise import PairwiseJudge
from sciexam.judges.rendering import SHIPPED, JudgeTemplate
from sciexam.judges.settings import CustomJudge, EndpointJudge, MeasuresJudge, ScriptedJudge
from sciexam.rubric import Example, Rubric
from sciexam.types import Conversation, Judge, Message, Order, Presentation, Prompt, Reply, Verdict

LEVELS = [{"label": "no", "anchor": "x"}, {"label": "yes", "anchor": "y"}]
RUBRIC = Rubric.model_validate(
    {"rubric": "r", "criteria": [{"name": "c", "question": "Is it good?", "levels": LEVELS}]}
)


class Canned:
    """Replies as `say` tells, in the reverse order of asking; notes what it was asked."""

    digest = "canned"

    def __init__(self, say: Callable[[Conversation], Reply | None]):
        self.say = say
        self.asked: list[Conversation] = []
        self.stopped = 0

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        mine = list(conversations)
        self.asked += mine
        yield from filter(None, map(self.say, reversed(mine)))

    def stop(self) -> None:
        self.stopped += 1


def judge(say: Callable[[Conversation], Reply | None], template: str = "reason", rubric: Rubric = RUBRIC) -> Any:
    model = Canned(say)
    return PairwiseJudge("llm", model, JudgeTemplate(template, None, rubric), 64), model


def shown(number: int = 0, order: Order = "ab") -> Presentation:
    return Presentation(
        Prompt(id=f"q{number}", messages=(Message(role="user", content="Why?"),)),
        *(f"first text {number}", f"second text {number}", order),
        subject="subject",
        key=f"key{number}",
        seal=f"{number:012x}" + "f" * 20,
        first_by="base",
        second_by="sft",
    )


def verdict_line(conversation: Conversation, level: str) -> Reply:
    """A reply to `shown(i)`, whose nonce is the first twelve digits of its seal."""
    number = int(conversation.key.removeprefix("key"))
    return Reply(conversation.key, f"I looked.\nVERDICT {number:012x}: {level}", finish_reason="stop")


def test_each_reply_becomes_the_verdict_on_its_own_presentation_whatever_comes_first() -> None:
    levels = ["A>>B", "B>A", "A=B"]
    one, _ = judge(lambda c: verdict_line(c, levels[int(c.key[3:])]))
    found = {v.key: v for v in one.judge([shown(i) for i in range(3)])}
    assert [(found[f"key{i}"].preferred, found[f"key{i}"].strength, found[f"key{i}"].prompt) for i in range(3)] == [
        ("first", "strong", "q0"),
        ("second", "clear", "q1"),
        ("tie", None, "q2"),
    ]
    first = found["key0"]
    assert (first.first, first.second, first.rater, first.kind, first.reason) == (
        *("base", "sft", "llm", "judge", "I looked."),
    )
    assert first.reply is not None
    assert (first.status, first.reply.text[:9]) == ("ok", "I looked.")


@pytest.mark.parametrize("status", ["failed", "invalid", "skipped"])
def test_a_reply_that_is_not_usable_is_never_read_whatever_its_text_and_whether_or_not_it_says_why(status: Any) -> None:
    one, _ = judge(lambda c: replace(verdict_line(c, "A>B"), status=status))
    (found,) = one.judge([shown()])
    assert (found.status, found.failure, found.preferred) == (status, "not usable", None)


def test_the_judge_reads_the_texts_and_never_the_names() -> None:
    one, model = judge(lambda c: verdict_line(c, "A=B"))
    list(one.judge([shown(7)]))
    ((message,),) = [c.messages for c in model.asked]
    assert message.role == "user"
    assert "first text 7" in message.content
    assert message.content.index("first text 7") < message.content.index("second text 7")
    assert "base" not in message.content
    assert "sft" not in message.content
    assert model.asked[0].max_tokens is None, "the model's own limit"


@pytest.mark.parametrize(
    ("reply", "status", "failure"),
    [
        ({"status": "failed", "failure": "timeout"}, "failed", "timeout"),
        ({"status": "invalid", "failure": "refused"}, "invalid", "refused"),
        ({"text": "A is better."}, "invalid", "no verdict line"),
        ({"text": "VERDICT 000000000001: A>B"}, "invalid", "no verdict line"),  # the nonce of another presentation
    ],
)
def test_a_reply_that_is_not_usable_is_a_named_failure_and_no_side(
    reply: dict[str, Any], status: str, failure: str
) -> None:
    one, _ = judge(lambda c: Reply(c.key, **reply))
    (found,) = one.judge([shown()])
    assert (found.status, found.failure, found.preferred, found.strength) == (status, failure, None, None)
    assert found.reply is not None, "it was paid for, and is kept"


def test_only_what_was_cut_off_is_asked_again_and_once() -> None:
    def say(conversation: Conversation) -> Reply:
        whole = verdict_line(conversation, "A>B")
        cut = conversation.key != "key1" and (conversation.max_tokens is None or conversation.key == "key2")
        return Reply(whole.key, whole.text, finish_reason="length" if cut else "stop")

    one, model = judge(say)
    found = [(v.key, v.status, v.failure) for v in one.judge([shown(i) for i in range(3)])]
    assert found == [
        ("key2", "invalid", "truncated"),
        ("key1", "ok", ""),
        ("key0", "invalid", "truncated"),
        ("key0", "ok", ""),
        ("key2", "invalid", "truncated"),
    ]
    assert [(c.key, c.max_tokens) for c in model.asked[3:]] == [("key2", 128), ("key0", 128)]
    first = {c.key: c.messages for c in model.asked[:3]}
    assert all(c.messages == first[c.key] for c in model.asked[3:]), "a retry sends the identical prompt"


def test_presentations_are_taken_as_the_model_has_room_and_verdicts_given_as_they_come() -> None:
    class Streaming(Canned):
        def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
            for conversation in conversations:
                yield verdict_line(conversation, "A>B")

    taken: list[int] = []

    def source() -> Iterator[Presentation]:
        for number in range(3):
            taken.append(number)
            yield shown(number)

    one = PairwiseJudge("llm", Streaming(lambda c: None), JudgeTemplate("reason", None, RUBRIC), 64)
    assert next(iter(one.judge(source()))).key == "key0"
    assert taken == [0]


def test_the_digest_names_model_template_and_rubric_but_not_the_judge() -> None:
    def of(name: str = "llm", model: str = "canned", template: str = "reason", rubric: Rubric = RUBRIC) -> str:
        canned = Canned(lambda c: None)
        canned.digest = model
        return PairwiseJudge(name, canned, JudgeTemplate(template, None, rubric), 64).digest

    assert of(name="another") == of()
    others = [of(model="x"), of(template="mt-bench"), of(rubric=RUBRIC.model_copy(update={"about": "x"}))]
    assert len({of(), *others}) == 4


def test_with_default_settings_the_keys_of_what_is_stored_stay() -> None:
    """The digests of these judges by the first ledgers that were written; another one would be paid for again."""
    for template, known in (
        ("reason", "53d95ea51f90908d21991dcb47fd8e137d75f5d87dfc6090bf63dead3a1777e4"),
        ("verdict-only", "4e725fed32560705ea1e4805f4fa90c0052d693f5237f15d7decaabbd58cc468"),
        ("json", "ed39c9621151b0ce48f4cf34e2a1739d5d776e2fd5e3e6bc3687b14de1ab4479"),
    ):
        spec = {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "api_key_env": None}
        (one,) = open_judge("llm", EndpointJudge.model_validate(spec | {"template": template}), RUBRIC)
        assert isinstance(one, PairwiseJudge)
        assert one.digest == known


# ---------------------------------------------------------------- a verdict on each criterion


TWO = RUBRIC.model_copy(
    update={"criteria": (RUBRIC.criteria[0], RUBRIC.criteria[0].model_copy(update={"name": "use of sources"}))}
)


def criteria_judge(endpoint: Endpoint, **more: Any) -> PairwiseJudge:
    spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None, "criteria": True}
    (one,) = open_judge("llm", EndpointJudge.model_validate(spec | more), TWO)
    assert isinstance(one, PairwiseJudge)
    return one


def filled(body: Body, **levels: str) -> str:
    """What the prompt asks for, its lines filled in by name; the last word of a line says which one it is."""
    lines = re.findall(r"^((?:CRITERION|VERDICT) [0-9a-f]+ ?(.*)): \.\.\.$", prompt_of(body), re.MULTILINE)
    return "I looked.\n" + "\n".join(f"{line}: {levels[(name or 'whole').split()[-1]]}" for line, name in lines)


def test_criteria_are_asked_for_by_name_and_become_part_of_the_verdict() -> None:
    with Endpoint(lambda body: filled(body, c="B>>A", sources="A=B", whole="B>A")) as endpoint:
        (verdict,) = criteria_judge(endpoint).judge([shown(3)])
    assert (verdict.status, verdict.preferred, verdict.strength) == ("ok", "second", "clear")
    assert verdict.criteria == {"c": "second", "use of sources": "tie"}
    assert verdict.reason == "I looked."


def test_a_criterion_without_a_verdict_makes_the_whole_one_invalid() -> None:
    with Endpoint(lambda body: filled(body, c="B>>A", sources="?", whole="B>A")) as endpoint:
        (verdict,) = criteria_judge(endpoint).judge([shown(3)])
    assert (verdict.status, verdict.failure) == (
        *("invalid", "criterion 'use of sources': not one of the five verdicts"),
    )
    assert (verdict.preferred, dict(verdict.criteria)) == (None, {})


def test_the_digest_of_a_judge_by_criteria_is_another_one_for_each_list_of_them() -> None:
    def of(criteria: bool, rubric: Rubric) -> str:
        spec = {"backend": "scripted", "rules": [{"say": "x"}], "criteria": criteria}
        (one,) = open_judge("llm", ScriptedJudge.model_validate(spec), rubric)
        assert isinstance(one, PairwiseJudge)
        return one.digest

    assert len({of(criteria, rubric) for criteria in (True, False) for rubric in (RUBRIC, TWO)}) == 4


def test_probabilities_and_criteria_exclude_each_other() -> None:
    spec = {"backend": "scripted", "rules": [{"say": "x"}], "criteria": True, "probabilities": True}
    with pytest.raises(UsageError, match="`probabilities: true` needs a verdict of one word, not the form 'nonce'"):
        open_judge("llm", ScriptedJudge.model_validate(spec), RUBRIC)


# ---------------------------------------------------------------- what the server receives


@pytest.mark.parametrize("template", SHIPPED)
def test_the_server_receives_examples_turns_and_roles_with_any_shipped_template(template: str) -> None:
    example = Example(question="EXQ", first="EXA", second="EXB", verdict="B>A", reason="EXR")
    turns = (("user", "What floats?"), ("assistant", "Ice does."), ("user", "Why?"))
    messages = tuple(Message(role=role, content=text) for role, text in turns)  # type: ignore[arg-type]
    presented = [
        replace(shown(number), prompt=Prompt(id=f"p{number}", messages=(*messages[:-1], asked)))
        for number, asked in enumerate((messages[-1], Message(role="user", content="How?")))
    ]
    with Endpoint() as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None, "template": template}
        settings = EndpointJudge.model_validate(spec | {"criteria": template == "criteria"})
        rubric = RUBRIC.model_copy(update={"examples": (example,)})
        (one,) = open_judge("llm", settings, rubric)
        list(one.judge(presented))
        first, second = sorted((prompt_of(body) for body in endpoint.received), key=lambda text: "How?" in text)
    assert "\n[user]\nWhat floats?\n\n[assistant]\nIce does.\n\n[user]\nWhy?\nQUESTION " in first
    assert "[user]\nHow?\nQUESTION " in second
    shared = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    assert "Question: EXQ\nAnswer A: EXA\nAnswer B: EXB\n" in shared
    assert "EXR" in shared
    assert rubric.render() in shared


# ---------------------------------------------------------------- being stopped


def test_a_stop_reaches_the_model_and_ends_a_wait_for_the_rate() -> None:
    with Endpoint("judge-first", faults={"429:60": 1.0}) as endpoint:
        spec = EndpointJudge(backend="openai", model="m", base_url=endpoint.url, api_key_env=None)
        (one,) = open_judge("llm", spec, RUBRIC)
        assert isinstance(one, PairwiseJudge)
        found: list[Verdict] = []
        thread = threading.Thread(target=lambda: found.extend(one.judge([shown(i) for i in range(4)])), daemon=True)
        thread.start()
        while not endpoint.requests:
            time.sleep(0.01)
        began = time.monotonic()
        one.stop()
        thread.join(15)
        assert not thread.is_alive()
        assert time.monotonic() - began < 10
        assert [v for v in found if v.status == "ok"] == []


def test_a_judge_whose_model_cannot_be_stopped_is_left_alone() -> None:
    spec = ScriptedJudge.model_validate({"backend": "scripted", "rules": [{"say": "x"}]})
    (one,) = open_judge("llm", spec, RUBRIC)
    assert isinstance(one, PairwiseJudge)
    one.stop()
    assert [v.failure for v in one.judge([shown()])] == ["no verdict line"]


# ---------------------------------------------------------------- opening a judge


def test_a_judge_is_not_opened_with_a_template_that_its_verdict_cannot_be_read_from() -> None:
    spec = {"backend": "scripted", "rules": [{"say": "x"}], "template": "mt-bench", "verdict": "nonce"}
    with pytest.raises(UsageError, match=r"^template mt-bench: must show {{ nonce }} to be read in the form 'nonce'$"):
        open_judge("llm", ScriptedJudge.model_validate(spec), RUBRIC)


@pytest.mark.parametrize(("template", "said", "side"), [("alpacaeval", "M", "second"), ("verdict-only", "B", "second")])
def test_a_letter_is_a_verdict_only_for_the_template_that_asks_for_it(template: str, said: str, side: str) -> None:
    one, model = judge(lambda c: Reply(c.key, said), template)
    assert [v.preferred for v in one.judge([shown()])] == [side]
    model.say = lambda c: Reply(c.key, {"M": "B", "B": "M"}[said])
    (verdict,) = one.judge([shown()])
    assert (verdict.status, verdict.failure) == ("invalid", "not one of the verdict letters")


def test_an_endpoint_judge_has_room_to_reason_unless_the_suite_says_otherwise() -> None:
    def asked(**generation: Any) -> dict[str, Any]:
        with Endpoint("judge-first") as endpoint:
            spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
            given = EndpointJudge.model_validate(spec | ({"generation": generation} if generation else {}))
            (one,) = open_judge("llm", given, RUBRIC)
            list(one.judge([shown()]))
            return endpoint.received[0]

    assert (asked()["max_tokens"], asked()["temperature"]) == (1024, 0.0)
    assert (asked(max_tokens=5)["max_tokens"], asked(max_tokens=5)["temperature"]) == (5, 0.0)


def test_measures_need_a_rubric_that_names_one() -> None:
    with pytest.raises(UsageError, match=r"judge 'm': no criterion of rubric 'r' names a text measure; add `measure:"):
        open_judge("m", MeasuresJudge(backend="measures"), RUBRIC)


def test_a_judge_of_ones_own_is_a_class_by_its_path_called_with_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "class Mine:\n    def __init__(self, name): self.name = name\n    def judge(self, shown): return []\n"
    (tmp_path / "own_judges.py").write_text(source + "class NoJudge: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def opened(path: str) -> list[Judge]:
        return open_judge("mine", CustomJudge(backend=path, settings={"name": "x"}), RUBRIC)

    assert [one.name for one in opened("own_judges:Mine")] == ["x"]
    for path, said in (
        ("own_judges:NoJudge", "is not a class with a method judge()"),
        ("own_judges:Absent", "has no attribute 'Absent'"),
        ("no_such_module:Mine", "No module named 'no_such_module'; is it installed, or its folder in PYTHONPATH?"),
    ):
        with pytest.raises(UsageError) as caught:
            opened(path)
        assert str(caught.value).startswith(f"mine: backend {path!r}")
        assert said in str(caught.value)


def test_a_judge_that_says_nothing_of_orders_and_samples_is_asked_once() -> None:
    assert settings_of(MeasuresJudge(backend="measures")).samples == 1
    spec = ScriptedJudge.model_validate({"backend": "scripted", "rules": [], "samples": 3, "orders": "one"})
    assert (settings_of(spec).samples, settings_of(spec).orders) == (3, "one")
    assert settings_of(None).orders is None
