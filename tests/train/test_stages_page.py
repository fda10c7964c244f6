"""docs/stages.md has every key of every stage, with its default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from sciexam.lineage import stages
from sciexam.lineage.sources import Judged
from sciexam.lineage.specs import STAGES
from sciexam.lineage.stages import Architecture, Gate, Lora, Stage, Trained
from sciexam.train.stages import module_of
from sciexam.types import Record

PAGE = Path(__file__).parents[2] / "docs" / "stages.md"
CLASSES = {
    "pretrain": stages.Pretrain,
    "external": stages.External,
    "sft": stages.Sft,
    "reward": stages.Reward,
    "best_of_n": stages.BestOfN,
    "dpo": stages.Dpo,
    "rloo": stages.Rloo,
    "ppo": stages.Ppo,
    "self_rewarding": stages.SelfRewarding,
}


def tables(heading: str) -> list[dict[str, str]]:
    """The tables of a section whose first column is `key`: each by key, its default."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.split(r"^\| key \| default \| is \|$", section, flags=re.M)[1:]
    return [dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", block.partition("\n\n")[0], re.M)) for block in blocks]


def keys_of(record: type[Record], *without: type[Record]) -> dict[str, str]:
    """The keys of a record that the records `without` have not, with their defaults as the page writes them."""
    known = {name for one in without for name in one.model_fields} | {"stage"}
    return {
        field.alias or name: _written(field)
        for name, field in record.model_fields.items()
        if name not in known and (field.alias != "from" or record is Stage)
    }


def _written(field: Any) -> str:
    value = field.default_factory() if field.default_factory else field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, Record):
        return "see below"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


def test_a_stage_has_a_section() -> None:
    assert set(CLASSES) == set(STAGES)
    assert set(re.findall(r"^## `(\w+)`$", PAGE.read_text(encoding="utf-8"), re.M)) == set(STAGES)


def test_what_all_stages_have_stands_there_with_its_default() -> None:
    assert tables("What all stages have") == [keys_of(Stage), keys_of(Gate)]
    training, lora = tables("How weights are trained")
    by_stage = dict.fromkeys(("epochs", "learning_rate"), "by stage")
    assert training == keys_of(Trained, Stage) | by_stage
    assert lora == keys_of(Lora)
    assert tables("Preferences that are made on the way") == [keys_of(Judged)]


@pytest.mark.parametrize("stage", STAGES)
def test_every_key_of_a_stage_stands_there_with_its_default(stage: str) -> None:
    own, *inner = tables(f"`{stage}`")
    expected = {"weights": "required"} if stage == "external" else keys_of(CLASSES[stage], Trained)
    assert own == expected
    assert inner == ([keys_of(Architecture)] if stage == "pretrain" else [])


def test_the_defaults_of_each_stage_are_those_that_it_is_trained_with() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.e-]+) \| ([\d.e-]+) \| ([\d.e-]*) ?\|$", PAGE.read_text("utf-8"), re.M)
    trained = [stage for stage in STAGES if stage != "external"]
    assert [row[0] for row in rows] == trained
    for stage, epochs, rate, adapted in rows:
        module = module_of(stage)
        assert (float(epochs), float(rate)) == (module.DEFAULTS["epochs"], module.DEFAULTS["learning_rate"])
        assert adapted == str(getattr(module, "WITH_LORA", {}).get("learning_rate", ""))
