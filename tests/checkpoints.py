"""Real checkpoints, made on the spot: a tokenizer trained on our own text, and small models with drawn weights.

A model is made from its configuration and a seed, so that the same call gives the same weights everywhere. Import this
only where torch is installed (`pytest.importorskip("torch")` first).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<mask>"]
VOCABULARY = 768
ROOT = Path(__file__).parents[1]


@cache
def _trained() -> str:
    """A byte-level BPE of our prompts and specimen answers, as tokenizers' JSON: fixed, whatever is edited."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    shipped, specimens = ROOT / "suites" / "science", ROOT / "tests" / "specimens"
    files = (specimens / "base.jsonl", shipped / "phenomena.jsonl", shipped / "prompts.jsonl", specimens / "sft.jsonl")
    tokenizer.train_from_iterator((path.read_text(encoding="utf-8") for path in files), trainer)
    return tokenizer.to_str()


def tokenizer(chat_template: str | None = CHATML) -> Any:
    """The tokenizer of all checkpoints here; `<|im_end|>` ends a turn. None: one without a chat template (a base)."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained()),
        eos_token="<|im_end|>" if chat_template else "<|endoftext|>",
        pad_token="<|endoftext|>",
        mask_token="<mask>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = chat_template
    return made


def config(family: str, **changed: Any) -> Any:
    """The configuration of a tiny model."""
    from transformers import (
        FalconH1Config,
        GPT2Config,
        LlamaConfig,
        MambaConfig,
        MistralConfig,
        ModernBertConfig,
        Qwen3Config,
        Qwen3NextConfig,
        RobertaConfig,
    )

    own = tokenizer()
    ids = {"pad_token_id": own.pad_token_id, "eos_token_id": own.eos_token_id, "bos_token_id": None}
    wide = {"vocab_size": len(own), "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    rotary = wide | ids | {"intermediate_size": 96, "max_position_embeddings": 512}
    match family:
        case "llama":
            return LlamaConfig(**rotary | {"num_key_value_heads": 2} | changed)
        case "qwen3":
            return Qwen3Config(**rotary | {"num_key_value_heads": 2, "head_dim": 12} | changed)
        case "gpt2":
            small = {"vocab_size": len(own), "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 512}
            return GPT2Config(**small | ids | changed)
        case "qwen3_next":  # attention and recurrent states in turn, and experts
            states = {f"linear_{part}_head_dim": 8 for part in ("key", "value")}
            states |= {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "num_hidden_layers": 4}
            experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
            own_head = {"num_key_value_heads": 2, "head_dim": 12, "shared_expert_intermediate_size": 32}
            return Qwen3NextConfig(**rotary | own_head | states | experts | changed)
        case "falcon_h1":  # attention and recurrent states in one layer
            states = {"mamba_d_ssm": 48, "mamba_n_heads": 4, "mamba_d_head": 12, "mamba_d_state": 8}
            return FalconH1Config(**rotary | {"num_key_value_heads": 2, "head_dim": 12} | states | changed)
        case "mamba":  # recurrent states alone
            return MambaConfig(**wide | ids | {"state_size": 8} | changed)
        case "mistral":  # a window of attention
            return MistralConfig(**rotary | {"num_key_value_heads": 2, "sliding_window": 8} | changed)
        case "roberta":
            longer = {"max_position_embeddings": 514 + own.pad_token_id}
            return RobertaConfig(**rotary | longer | {"num_labels": 1} | changed)
        case "modernbert":
            special = {"cls_token_id": own.eos_token_id, "sep_token_id": own.eos_token_id}
            return ModernBertConfig(**rotary | special | {"num_labels": 1} | changed)
    raise ValueError(family)


def causal(
    folder: Path, family: str = "llama", seed: int = 0, chat_template: str | None = CHATML, **changed: Any
) -> Path:
    """A causal model with drawn weights, saved in `folder` with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config(family, **changed))
    return _saved(model, folder, chat_template)


def taught(folder: Path, said: dict[str, str], **changed: Any) -> Path:
    """A Llama that was trained until it says by heart what `said` has for each question, and nothing else."""
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    own, model = tokenizer(), AutoModelForCausalLM.from_config(config("llama", **changed))
    rows, labels = [], []
    for question, answer in said.items():
        turn = [{"role": "user", "content": question}]
        asked = own.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        prompt, reply = (own(text, add_special_tokens=False)["input_ids"] for text in (asked, f"{answer}<|im_end|>"))
        rows.append(torch.tensor(prompt + reply))
        labels.append(torch.tensor([-100] * len(prompt) + reply))
    batch = {"input_ids": pad_sequence(rows, True), "labels": pad_sequence(labels, True, -100)}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(200):
        loss = model(**batch).loss
        if loss < 0.02:
            return _saved(model, folder, CHATML)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    raise AssertionError(f"it did not learn its lines: loss {loss:.3f}")


def reward(folder: Path, family: str = "llama", seed: int = 0, **changed: Any) -> Path:
    """A reward model with drawn weights: one number for a sequence."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config(family, **{"num_labels": 1} | changed))
    return _saved(model, folder, CHATML)


def adapter(base: Path, folder: Path, seed: int = 1, task: str = "CAUSAL_LM") -> Path:
    """A LoRA adapter with drawn weights on the checkpoint in `base`; it moves the logits visibly."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    kind = AutoModelForCausalLM if task == "CAUSAL_LM" else AutoModelForSequenceClassification
    labels = {} if task == "CAUSAL_LM" else {"num_labels": 1}
    torch.manual_seed(seed)
    lora = LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", task_type=task)
    wrapped = get_peft_model(kind.from_pretrained(base, **labels), lora)
    for name, values in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(values, std=0.1)
    wrapped.save_pretrained(folder)
    return folder


def _saved(model: Any, folder: Path, chat_template: str | None) -> Path:
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer(chat_template).save_pretrained(folder)
    return folder
