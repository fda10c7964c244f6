"""Weights dealt out among devices, and trackers: what cannot be done here is said before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sciexam.errors import UsageError
from sciexam.lineage.stages import Sft
from sciexam.train.tracking import check_tracker
from sciexam.train.trainer_settings import check_trainer_settings
from sciexam.train.walk import train

torch = pytest.importorskip("torch")
for package in ("transformers", "trl"):
    pytest.importorskip(package)


def stage(trainer: dict[str, Any]) -> Sft:
    return Sft(**{"from": "base", "stage": "sft", "data": "x", "trainer": trainer})


def refused(trainer: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as refusal:
        check_trainer_settings("sft", stage(trainer))
    return str(refusal.value)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
@pytest.mark.parametrize("value", [True, "full_shard"])
def test_sharded_weights_are_refused_without_an_accelerator(value: Any) -> None:
    assert refused({"fsdp": value, "fsdp_config": {"reshard_after_forward": True}}) == (
        "sft: trainer.fsdp: there is no accelerator here, without which each process would hold all weights; leave it "
        "out, or train on a machine that has some"
    )


def test_settings_of_sharding_alone_would_have_no_effect() -> None:
    assert refused({"fsdp_config": {"reshard_after_forward": True}}) == (
        "sft: trainer.fsdp_config: it is read together with fsdp, which is not set"
    )
    check_trainer_settings("sft", stage({"fsdp": False}))


def test_deepspeed_is_given_by_what_it_holds_and_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciexam.train.trainer_settings.find_spec", lambda name: None)
    assert refused({"deepspeed": "zero2.json"}).startswith("sft: trainer.deepspeed: write what zero2.json holds here")
    assert refused({"deepspeed": {"zero_optimization": {"stage": 2}}}) == (
        "sft: trainer.deepspeed: it is not installed here: pip install deepspeed"
    )


def test_looking_at_the_settings_leaves_them_as_they_are() -> None:
    spec = stage({"accelerator_config": {"split_batches": True}})
    check_trainer_settings("sft", spec)
    assert spec.trainer == {"accelerator_config": {"split_batches": True}}


def test_a_tracker_that_is_not_there_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_tracker(None)
    (tmp_path / "wandb").mkdir()  # where it kept its runs, and no package
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(UsageError, match=r"^--track wandb: it is not installed here: pip install wandb$"):
        train("no suite is read before", "sft", track="wandb")
