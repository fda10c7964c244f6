"""Who is served, and who beside it: by the lineage, by what is asked for, or nobody, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import Cli, write_suite
from sciexam.errors import UsageError
from sciexam.serve.contestant import Pair, pair_of
from sciexam.suite import load_suite

MODELS: dict[str, Any] = {
    "base": {"weights": "owner/base"},
    "lora": {"weights": "owner/base", "adapter": "owner/lora"},
    "sft": {"from": "base", "stage": "sft", "data": "d.jsonl", "weights": "owner/base", "adapter": "owner/sft"},
    "rlhf": {"from": "sft", "stage": "dpo", "data": "d.jsonl", "weights": "owner/rlhf"},
    "bare": {"from": "base", "stage": "sft", "data": "d.jsonl"},
    "gpt": {"backend": "openai", "model": "gpt"},
    "of-gpt": {"from": "gpt", "stage": "sft", "data": "d.jsonl", "weights": "owner/of-gpt"},
}


@pytest.mark.parametrize(
    ("name", "beside", "expected"),
    [
        ("base", None, Pair("base", None, "The suite names no parent of base")),
        ("lora", None, Pair("lora", "base", "lora is an adapter on the weights of base")),
        ("sft", None, Pair("sft", "base", "sft was made from base (stage: sft)")),
        ("rlhf", None, Pair("rlhf", "sft", "rlhf was made from sft (stage: dpo)")),
        ("rlhf", "base", Pair("rlhf", "base", "base is shown beside it, as --beside says")),
        ("rlhf", "none", Pair("rlhf", None, "")),
        ("of-gpt", None, Pair("of-gpt", None, "Its parent gpt is not here: it is an endpoint")),
    ],
)
def test_the_parent_is_shown_beside_a_contestant(tmp_path: Path, name: str, beside: str, expected: Pair) -> None:
    suite = load_suite(str(write_suite(tmp_path, 1, MODELS)))
    assert pair_of(suite, name, beside) == expected


def test_what_has_no_weights_is_not_served(tmp_path: Path) -> None:
    suite = load_suite(str(write_suite(tmp_path, 1, MODELS)))
    with pytest.raises(
        UsageError, match=r"bare: it has no weights here; `sciexam train bare.*` trains it, or name them in the suite"
    ):
        pair_of(suite, "bare", None)
    with pytest.raises(UsageError, match="gpt: it is an endpoint; `sciexam serve` loads weights"):
        pair_of(suite, "sft", "gpt")
    with pytest.raises(UsageError, match="--beside sft: this is the contestant itself"):
        pair_of(suite, "sft", "sft")
    with pytest.raises(UsageError, match="did you mean 'base'"):
        pair_of(suite, "basee", None)


@pytest.mark.slow
def test_other_machines_are_served_under_an_address_and_with_a_token_that_cannot_be_guessed(
    tmp_path: Path, sciexam: Cli
) -> None:
    write_suite(tmp_path, 1, MODELS)
    args = ("serve", "base", "--suite", "exam.yaml", "--port", "0")
    done = sciexam(*args, "--host", "0.0.0.0")
    assert "--public-url https://models.example.org" in done.stderr
    done = sciexam(*args, env={"SCIEXAM_SERVE_TOKEN": "short"})
    assert done.stderr.startswith("sciexam: SCIEXAM_SERVE_TOKEN: a token has 16 or more characters")
    done = sciexam(*args, "--votes", "votes")
    assert "no ledger there" in done.stderr
    assert not (tmp_path / "results").exists()
