"""A base model from nothing, small enough for a laptop: a tokenizer made of its own documents, and a Llama on them.

    sciexam train base       # models: {base: {stage: pretrain, data: documents.jsonl, architecture: {hidden: 96}}}

It exists so that a whole lineage can be made on the spot, with no weights of anybody's. A document is learnt whole.
Stands on tokenizers and on TRL's SFTTrainer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sciexam.lineage.stages import Pretrain
from sciexam.train import sft
from sciexam.train.data.demonstrations import Demonstration, read_demonstrations
from sciexam.train.fitting import Fitted, quietly
from sciexam.train.job import Job
from sciexam.train.workshop import Workshop

DEFAULTS = {"epochs": 1.0, "learning_rate": 3e-3}
PAD, END, USER, ANSWER = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"
TEMPLATE = (
    "{% for m in messages %}{{ {'system': '', 'user': '<|user|>', 'assistant': '<|assistant|>'}[m.role] }}"
    "{{ m.content }}{{ '<|end|>' if m.role == 'assistant' else '' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_base(spec: Pretrain, folder: Path, seed: int) -> str:
    """Put an untrained model and its tokenizer into `folder`: the same ones from the same documents and seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape, documents = spec.architecture, read_demonstrations([Path(spec.data)])
    tokenizer = make_tokenizer(documents, shape.vocabulary, shape.context)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.intermediate or 4 * shape.hidden,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    with quietly():
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


def make_tokenizer(documents: Sequence[Demonstration], vocabulary: int, context: int) -> Any:
    """A byte-level BPE of the documents' own words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, USER, ANSWER],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(documents), trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ANSWER],
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = TEMPLATE
    return made


def _texts(documents: Sequence[Demonstration]) -> Iterator[str]:
    for one in documents:
        yield from (message.content for message in one.messages)
        yield one.answer


def rows(spec: Pretrain, job: Job, workshop: Workshop) -> Iterator[Mapping[str, Any]]:
    """The documents, of which every token is learnt."""
    for row in sft.rows_of_demonstrations(job, read_demonstrations([Path(spec.data)])):
        yield {"input_ids": row["input_ids"], "labels": row["input_ids"]}


def train(job: Job, until: int | None = None) -> Fitted:
    """Train the job, whose parent is what `make_base` has made."""
    return sft.train(job, until)
