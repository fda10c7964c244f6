"""A tiny encoder that a reward model can begin with: a RoBERTa with drawn weights, and a tokenizer of the documents.

Its tokenizer has a sign between two texts, so that a reward model reads the prompt and the answer as such a pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sciexam.models.checkpoint_loading import quietly
from sciexam.toy.data import FULL, Line, Size, files

SIGNS = BEGIN, PAD, END, UNKNOWN, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"  # RoBERTa's own, by their ids
VOCABULARY, CONTEXT = 2000, 512
SHAPE = {"hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 192}


def write_encoder(folder: Path, size: Size = FULL, seed: int = 1) -> Path:
    """Put the encoder into `folder`, and say where: the same size and seed give the same files."""
    import torch
    from transformers import RobertaConfig, RobertaForMaskedLM

    tokenizer = _tokenizer(files(size, seed)["documents.jsonl"])
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=CONTEXT + tokenizer.pad_token_id + 1,  # RoBERTa counts from behind the padding
        type_vocab_size=1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **SHAPE,
    )
    torch.manual_seed(seed)
    with quietly():
        RobertaForMaskedLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(documents: Iterable[Line]) -> Any:
    """A byte-level BPE of the documents' own words, with RoBERTa's signs."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[*SIGNS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(documents), trainer)
    end, begin = ((sign, SIGNS.index(sign)) for sign in (END, BEGIN))
    bpe.post_processor = processors.RobertaProcessing(end, begin, add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        cls_token=BEGIN,
        eos_token=END,
        sep_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        mask_token=MASK,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def _texts(documents: Iterable[Line]) -> Iterator[str]:
    for one in documents:
        yield from (one["prompt"], one["completion"])
