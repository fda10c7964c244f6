"""The fake model answers by the first rule that fits, and a rule that cannot work is refused at once."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sciexam.errors import UsageError
from sciexam.lineage.stages import Sft
from sciexam.models.scripted import ScriptedModel
from sciexam.models.settings import Custom, Endpoint, Recorded, Rule, Scripted
from sciexam.types import Conversation, Message, Record, Reply


def model(*rules: Rule, note: str | None = None) -> ScriptedModel:
    return ScriptedModel(Scripted(backend="scripted", rules=rules, note=note))


def ask(scripted: ScriptedModel, *turns: str) -> Reply:
    (reply,) = scripted.generate([Conversation("k", tuple(Message(role="user", content=turn) for turn in turns))])
    return reply


def test_the_first_rule_that_fits_the_last_message_answers() -> None:
    scripted = model(Rule(when="ice", say="cold"), Rule(when="i", say="short"), Rule(say="anything"))
    assert [ask(scripted, text).text for text in ("Why ice?", "it", "else")] == ["cold", "short", "anything"]
    assert ask(scripted, "ice", "else").text == "anything"
    assert ask(scripted, "ice").finish_reason == "stop"


def test_groups_are_filled_in() -> None:
    scripted = model(Rule(when=r"VERDICT (?P<nonce>\w+): (A)>B", say=r"VERDICT \g<nonce>: \2>B"))
    assert ask(scripted, "say VERDICT abc: A>B now").text == "VERDICT abc: A>B"


def test_a_rule_can_fail_and_no_rule_is_a_failed_call() -> None:
    scripted = model(Rule(when="x", failure="refused"))
    assert (ask(scripted, "x").status, ask(scripted, "x").failure) == ("invalid", "refused")
    assert (ask(scripted, "y").status, ask(scripted, "y").failure) == ("failed", "no rule matches")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule(when="("), r"scripted rule '\(': not a regular expression: missing \)"),
        (Rule(when="x", say=r"\9"), "scripted rule 'x': say: invalid group reference 9"),
        (Rule(when="x", say=r"\g<name>"), "scripted rule 'x': say: unknown group name 'name'"),
        (Rule(when="x", say=r"C:\data"), "scripted rule 'x': say: bad escape"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_before_any_call(rule: Rule, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        model(rule)


def test_the_digest_changes_with_the_rules_and_not_with_the_note() -> None:
    one = model(Rule(say="a")).digest
    assert model(Rule(say="a"), note="remark").digest == one
    assert model(Rule(say="b")).digest != one


@pytest.mark.parametrize("key", ["system", "chat_template"])
@pytest.mark.parametrize(
    ("record", "needed"),
    [
        (Scripted, {"backend": "scripted", "rules": ()}),
        (Custom, {"backend": "package.module:Class"}),
        (Recorded, {"responses": "answers.jsonl"}),
        (Sft, {"stage": "sft", "from": "base", "data": "pairs.jsonl"}),
    ],
)
def test_a_setting_that_only_an_endpoint_reads_is_refused_elsewhere(
    record: type[Record], needed: dict[str, Any], key: str
) -> None:
    record.model_validate(needed)
    with pytest.raises(ValidationError, match=rf"(?s)1 validation error.*{key}\n.*Extra inputs are not permitted"):
        record.model_validate({**needed, key: "{{ messages"})
    endpoint = {"backend": "openai", "model": "m", key: "x"}
    assert Endpoint.model_validate(endpoint).model_dump()[key] == "x"
