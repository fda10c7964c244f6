"""What `training.py` trains: models made on the spot, a text of drawn words for them, and a suite with every stage.

The weights are drawn and never learn anything worth knowing; what a step costs does not depend on that. An answer has
between half and all of the tokens that there is room for, so that batches have padding as real ones do.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEED = 0
ASKED = 24  # tokens of a question, about
ROOM = 8  # tokens that the template of a conversation may take
N = 4  # answers to a prompt
FEW = 4  # steps of one epoch over the best of n: they are drawn before, and learnt from several times
BYTES = 300  # the first tokens of a vocabulary are bytes and signs, the others parts of words
HELD_OUT = 2  # pairs that a reward model keeps for its exam, at least


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama, how much of it is trained at once, and for how many steps."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    length: int  # tokens of a row at most
    batch: int  # rows or pairs of a step, and half of the answers that are drawn in one
    steps: int
    new: int  # tokens of an answer that is drawn, at most

    @property
    def weights(self) -> int:
        """Weights that are multiplied with what every token becomes; a table of tokens is only looked up."""
        return self.layers * (4 * self.hidden**2 + 3 * self.hidden * self.intermediate)

    @property
    def head(self) -> int:
        return self.hidden * self.vocabulary


SHAPES = {
    "tiny": Shape(64, 1, 2, 128, 400, 96, 4, 2, 8),
    "small": Shape(256, 4, 4, 1024, 2000, 256, 4, 8, 32),
    "7b": Shape(4096, 32, 32, 11008, 32000, 1024, 8, 20, 256),
}


def make_world(folder: Path, shape: Shape, adapter: bool) -> dict[str, Any]:
    """Put models, data and suites into `folder`; what is to be said of the machine.

    `adapter`: a LoRA on weights in bf16, and in nf4, instead of all weights in fp32.
    """
    import torch

    from sciexam.models.checkpoint_files import silence
    from sciexam.train.fitting import quietly

    silence()
    words, draw = Words(shape), random.Random(SEED)
    with quietly():
        _make_models(folder, shape, words, adapter)
    rows = shape.batch * shape.steps
    shown = ({"prompt": one, "completion": words.answer(draw)} for one in words.asked(rows, draw))
    _write(folder / "demonstrations.jsonl", shown)
    for name, number in (("pairs", rows), ("more_pairs", rows + HELD_OUT)):
        asked = words.asked(number, draw)
        _write(folder / f"{name}.jsonl", ({"prompt": one} | words.two_answers(draw) for one in asked))
    _write(folder / "prompts.jsonl", _named(words.asked(2 * rows, draw)))
    _write(folder / "a_quarter.jsonl", _named(words.asked(2 * rows // N, draw)))
    _write(folder / "few.jsonl", _named(words.asked(FEW * shape.batch, draw)))
    _write(folder / "exam.jsonl", _named(words.asked(2, draw)))
    for precision in ("bf16", "nf4") if adapter else ("fp32",):
        (folder / f"{precision}.yaml").write_text(json.dumps(_suite(shape, precision), indent=1))
        _make_rows(folder, precision, adapter)
    there = torch.accelerator.current_accelerator(check_available=True)
    device = torch.cuda.get_device_name() if there is not None and there.type == "cuda" else "cpu"
    return {"device": device, "threads": torch.get_num_threads()}


def _suite(shape: Shape, precision: str) -> dict[str, Any]:
    how: dict[str, Any] = {"batch_size": shape.batch, "steps": shape.steps, "save_steps": max(1, shape.steps // 2)}
    how |= {"max_length": shape.length, "learning_rate": 1e-5, "dtype": "fp32" if precision == "fp32" else "bf16"}
    bits = {"quantization": "nf4"} if precision == "nf4" else {}
    how |= bits | ({} if precision == "fp32" else {"lora": {"r": 16}})
    architecture = {"hidden": shape.hidden, "layers": shape.layers, "heads": shape.heads}
    architecture |= {"intermediate": shape.intermediate, "vocabulary": shape.vocabulary, "context": 2 * shape.length}
    own = {"from": "policy"} | how
    drawn = {"reward": "scorer", "n": N}
    rollouts = {"batch_size": 2 * shape.batch, "max_new_tokens": shape.new, "reward": "scorer"}
    return {
        "suite": "training",
        "seed": SEED,
        "prompts": "exam.jsonl",
        "generation": {"max_tokens": shape.new},
        "models": {
            "policy": {"weights": "policy"} | bits,
            "speaker": {"weights": "speaker"} | bits,
            "scorer": {"from": "policy", "stage": "reward", "data": "more_pairs.jsonl", "weights": "scorer"},
            # Its tokenizer is made of its own documents, which may have more tokens by it.
            "pretrain": how
            | {"stage": "pretrain", "data": "demonstrations.jsonl", "max_length": 2 * shape.length}
            | {"architecture": architecture},
            "sft": own | {"stage": "sft", "data": "demonstrations.jsonl"},
            "reward": own | {"stage": "reward", "data": "more_pairs.jsonl", "held_out": 1e-6},
            "dpo": own | {"stage": "dpo", "data": "pairs.jsonl"},
            "best_of_n": own | drawn | {"from": "speaker", "stage": "best_of_n", "prompts": "few.jsonl"},
            "rloo": own | rollouts | {"stage": "rloo", "prompts": "a_quarter.jsonl", "n": N},
            "ppo": own | rollouts | {"stage": "ppo", "prompts": "prompts.jsonl"},
        },
        "contestants": ["policy", "speaker"],
    }


def _make_rows(folder: Path, precision: str, adapter: bool) -> None:
    """What TRL alone is given and does not make: the base of `pretrain`, and the pairs that `reward` learns from."""
    from sciexam.suite import load_suite
    from sciexam.train.pretrain import make_base
    from sciexam.train.stages import prepare
    from sciexam.train.workshop import Workshop

    workshop = Workshop(load_suite(str(folder / f"{precision}.yaml"), folder), folder)
    if not adapter:
        make_base(workshop.suite.models["pretrain"], folder / "base", SEED)  # type: ignore[arg-type]
    job, rows = prepare(workshop, "reward", folder / "rows")
    job.write(rows)
    job.rows.rename(folder / "reward.rows.jsonl")


# ---------------------------------------------------------------- words


class Words:
    """A tokenizer, and texts of drawn words of which the number of tokens is known."""

    def __init__(self, shape: Shape):
        from sciexam.train.data.demonstrations import Demonstration
        from sciexam.train.pretrain import make_tokenizer
        from sciexam.types import Message

        draw = random.Random(SEED)
        lexicon = sorted({_word(draw) for _ in range(2 * shape.vocabulary)})
        document = Demonstration((Message(role="user", content=" ".join(lexicon)),), " ".join(lexicon))
        self.tokenizer = make_tokenizer([document], shape.vocabulary, shape.length)
        self._sizes = {word: len(self.tokenizer.tokenize(f" {word}")) for word in lexicon}
        self._lexicon, self._room = lexicon, shape.length - ASKED - ROOM

    def asked(self, number: int, draw: random.Random) -> Iterator[str]:
        """Questions, no two of them alike."""
        for place in range(number):
            yield f"{self._text(ASKED - ROOM, draw)} {place}?"

    def answer(self, draw: random.Random) -> str:
        return self._text(draw.randint(self._room // 2, self._room), draw)

    def two_answers(self, draw: random.Random) -> dict[str, str]:
        return {"chosen": self.answer(draw), "rejected": self.answer(draw)}

    def _text(self, tokens: int, draw: random.Random) -> str:
        said: list[str] = []
        while (word := draw.choice(self._lexicon)) and self._sizes[word] <= tokens:
            said.append(word)
            tokens -= self._sizes[word]
        return " ".join(said)


def _word(draw: random.Random) -> str:
    return "".join(draw.choice("bdfgklmnprst") + draw.choice("aeiou") for _ in range(draw.randint(1, 4)))


def _named(asked: Iterator[str]) -> Iterator[dict[str, str]]:
    return ({"id": f"p{place}", "text": text} for place, text in enumerate(asked))


def _write(path: Path, lines: Iterator[Any] | Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


# ---------------------------------------------------------------- models


def _make_models(folder: Path, shape: Shape, words: Words, adapter: bool) -> None:
    """`policy`, the reward model `scorer`, and `speaker`: the policy again, whose answers end by themselves."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

    tokenizer = words.tokenizer
    config = LlamaConfig(
        vocab_size=max(shape.vocabulary, len(tokenizer)) if adapter else len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.length,
        tie_word_embeddings=not adapter,  # as the stage pretrain makes them
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        num_labels=1,
    )
    there = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    torch.set_default_dtype(torch.bfloat16 if adapter else torch.float32)
    for name, kind in (("policy", LlamaForCausalLM), ("scorer", LlamaForSequenceClassification)):
        torch.manual_seed(SEED)
        with there:
            model = kind(config)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        del model
    _make_speaker(folder, len(tokenizer), shape.new)


def _make_speaker(folder: Path, tokens: int, new: int) -> None:
    """Drawn weights hardly ever say the one token that ends an answer: here every so-many-th one of all does."""
    speaker = folder / "speaker"
    speaker.mkdir()
    for path in (folder / "policy").iterdir():
        (speaker / path.name).symlink_to(path.resolve())
    said = json.loads((folder / "policy" / "generation_config.json").read_bytes())
    (speaker / "generation_config.json").unlink()
    ends = [said["eos_token_id"], *range(tokens - 1, BYTES, -max(2, new // 2))]
    (speaker / "generation_config.json").write_text(json.dumps(said | {"eos_token_id": ends}))
