"""Checkpoints of one's own: where they are found, what is wrong with them in a line, and what their key is made of."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch

import checkpoints
from sciexam.errors import UsageError
from sciexam.models import checkpoint_digests, checkpoint_files
from sciexam.models.checkpoint import LocalCheckpoint
from sciexam.models.checkpoint_loading import Loaded
from sciexam.models.huggingface import HuggingFaceModel
from sciexam.models.settings import Weights
from sciexam.suite import load_suite
from sciexam.types import Conversation, Generation, Message

ASKED = Conversation("k", (Message(role="user", content="Why is the sky blue?"),))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama, an adapter on it, and models that are no contestants."""
    folder = tmp_path_factory.mktemp("made")
    base = checkpoints.causal(folder / "llama")
    checkpoints.adapter(base, folder / "adapter")
    checkpoints.reward(folder / "reward")
    checkpoints.reward(folder / "roberta", "roberta")
    checkpoints.causal(folder / "wide", hidden_size=64)
    checkpoints.causal(folder / "gpt2", "gpt2")
    return folder


def opened(weights: Path, **more: Any) -> LocalCheckpoint:
    more = {key: str(value) for key, value in more.items()}
    settings = Weights(weights=str(weights), **more)
    return LocalCheckpoint("sft", settings, "causal", settings.device)


def load(weights: Path, **more: Any) -> Loaded:
    checkpoint = opened(weights, **more)
    checkpoint.check_ready()
    with checkpoint.use() as loaded:
        return loaded


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


# ---------------------------------------------------------------- what is wrong with it


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def lose_a_shard(folder: Path) -> None:
    weights = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors").rename(folder / weights["a"])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))


def pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def lose_the_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def lose_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def lose_the_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def tear_the_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def leave_out_the_head(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def need_own_code(folder: Path) -> None:
    code = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    rewrite(folder / "config.json", lambda config: config.update(model_type="own", auto_map=code))
    (folder / "own.py").write_text("raise SystemExit('this code was run')\n")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (truncate, "model.safetensors: cut off or damaged (has "),
        (lose_a_shard, "lacks model-00002-of-00002.safetensors of 2 weight files; copy or download it again"),
        (pickle, "has its weights as pickle (pytorch_model.bin), which can run code when it is read; have whoever"),
        (lose_the_tokenizer, "weights: no tokenizer in "),
        (lose_the_weights, "weights: no model.safetensors in "),
        (lose_the_config, "this is no checkpoint of transformers"),
        (tear_the_config, "config.json: cannot be read: "),
        (leave_out_the_head, "has no lm_head.weight (a LlamaForCausalLM lacks 1 tensors there)"),
        (need_own_code, "needs code of its own, which sciexam never runs; serve it yourself"),
    ],
)
def test_a_broken_checkpoint_is_refused_in_one_line(
    made: Path, tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    folder = shutil.copytree(made / "llama", tmp_path / "broken")
    harm(folder)
    with pytest.raises(UsageError) as refused:
        load(folder)
    assert said in str(refused.value)
    assert str(refused.value).startswith("sft: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("weights", "more", "said"),
    [
        ("reward", {}, "is a LlamaForSequenceClassification, which scores texts and writes none; as a judge it is "),
        ("roberta", {}, "is a RobertaForSequenceClassification, which scores texts"),
        ("adapter", {}, "is an adapter; write `weights: "),
        ("llama", {"adapter": "reward"}, "this is whole weights: name it in `weights:`"),
        ("wide", {"adapter": "adapter"}, "does not fit on "),
        ("gpt2", {"adapter": "adapter"}, "does not fit on "),
        ("llama", {"device": "cuda"}, "device: cuda: torch sees no cuda here"),
        ("llama", {"device": "gpu"}, "device: 'gpu' is none of torch's; write cpu, cuda or cuda:1"),
        ("none", {}, "weights: no such folder: "),
    ],
)
def test_what_cannot_be_this_contestant_is_refused_with_what_to_write(
    made: Path, weights: str, more: dict[str, str], said: str
) -> None:
    if more.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one here")
    more = {key: str(made / value) if key == "adapter" else value for key, value in more.items()}
    with pytest.raises(UsageError) as refused:
        load(made / weights, **more)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_adapter_of_another_base_is_told_with_the_name_of_its_own(made: Path) -> None:
    with pytest.raises(UsageError, match=f"its base is {made / 'llama'} ") as refused:
        load(made / "wide", adapter=made / "adapter")
    assert "size mismatch for " in str(refused.value), "and not the heading above it"


def test_a_model_that_takes_no_cache_is_refused_and_not_asked_wrongly(made: Path, tmp_path: Path) -> None:
    """RWKV passes over ours in silence, and would see one token at a time."""
    from transformers import AutoModelForCausalLM, RwkvConfig

    tokenizer = checkpoints.tokenizer()
    config = RwkvConfig(vocab_size=len(tokenizer), hidden_size=48, num_hidden_layers=2)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "rwkv")
    tokenizer.save_pretrained(tmp_path / "rwkv")
    with pytest.raises(UsageError, match=r"is a RwkvForCausalLM, which takes no cache of what it has read; serve it"):
        load(tmp_path / "rwkv")


@pytest.mark.parametrize("architecture", ["BertForMaskedLM", "LlamaModel", "T5Model"])
def test_what_writes_no_text_is_told_by_the_class_that_saved_it(made: Path, tmp_path: Path, architecture: str) -> None:
    folder = shutil.copytree(made / "llama", tmp_path / "encoder")
    rewrite(folder / "config.json", lambda config: config.update(architectures=[architecture]))
    with pytest.raises(UsageError, match=f"is a {architecture}, which writes no text; a contestant or LLM judge is"):
        load(folder)


# ---------------------------------------------------------------- packages


def without(modules: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process in which these modules cannot be found."""
    blocked = (
        "import sys\nfrom importlib.machinery import PathFinder\n"
        f"class Blocked(PathFinder):\n    def find_spec(name, *a):\n        return None if name in {modules!r} else "
        "PathFinder.find_spec(name, *a)\n"
        "sys.meta_path = [f for f in sys.meta_path if f is not PathFinder] + [Blocked]\n"
    )
    return subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, check=False)


def test_without_torch_it_opens_under_the_same_key_and_says_what_to_install(made: Path) -> None:
    settings = Weights(weights=str(made / "llama"), adapter=str(made / "adapter"), quantization="nf4")
    model = HuggingFaceModel("sft", settings, Generation())
    code = (
        "from sciexam.models.huggingface import HuggingFaceModel\nfrom sciexam.models.settings import Weights\n"
        "from sciexam.types import Generation\n"
        f"model = HuggingFaceModel('sft', Weights.model_validate({settings.model_dump()!r}), Generation())\n"
        "print(model.digest)\ntry:\n    model.check_ready()\nexcept Exception as error:\n    print(error)\n"
        "print(sorted({'torch', 'transformers'} & sys.modules.keys()))\n"
    )
    bare = without(("torch", "transformers", "accelerate", "peft", "bitsandbytes", "huggingface_hub"), code)
    assert bare.stderr == ""
    assert bare.stdout.splitlines() == [
        model.digest,
        "sft: local weights need torch: pip install 'sciexam[local]'",
        "[]",
    ]
    unquantised = without(("bitsandbytes",), code)
    assert unquantised.stdout.splitlines()[1] == (
        "sft: quantization: nf4 needs bitsandbytes: pip install 'sciexam[quant]', or write `quantization: none`"
    )


# ---------------------------------------------------------------- its key


def key(weights: Path, **more: Any) -> str:
    return HuggingFaceModel("sft", Weights(weights=str(weights), **more), Generation()).digest


def test_a_copy_elsewhere_is_the_same_model_and_every_file_that_counts_makes_another(
    made: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(made / "llama", tmp_path / "elsewhere")
    assert key(copy) == key(made / "llama")
    for litter in ("README.md", "training_args.bin", "optimizer.pt", "trainer_state.json"):
        (copy / litter).write_text("{}")
    assert key(copy) == key(made / "llama"), "what no reply depends on"
    keys = {key(copy), key(copy, adapter=str(made / "adapter")), key(copy, dtype="bf16"), key(copy, system="Be brief.")}
    (copy / "chat_template.jinja").write_text("{{ messages[0].content }}")
    keys.add(key(copy))
    rewrite(copy / "config.json", lambda config: config.update(rms_norm_eps=0.1))
    keys.add(key(copy))
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    keys.add(key(copy))
    assert len(keys) == 7


def test_weights_are_hashed_once_until_they_change(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    hashed: list[str] = []
    real = checkpoint_digests.file_digest

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return real(path)

    monkeypatch.setattr(checkpoint_digests, "file_digest", counted)
    copy = shutil.copytree(made / "llama", tmp_path / "copy")
    weights = copy / "model.safetensors"
    os.utime(weights, (1e9, 1e9))
    first = key(copy)
    assert "model.safetensors" in hashed
    hashed.clear()
    assert key(copy) == first
    assert "model.safetensors" not in hashed
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)  # the same size, and another date
    assert key(copy) != first
    hashed.clear()
    key(copy)
    assert "model.safetensors" in hashed, "what was changed a moment ago may be changed again under the same date"


# ---------------------------------------------------------------- where it is found


def cached(home: Path, made: Path, hub_id: str, commit: str = "c0ffee", ref: str = "main") -> Path:
    """The local cache of the hub, as its client lays it out."""
    folder = home / "cache" / "huggingface" / "hub" / f"models--{hub_id.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / ref).write_text(commit)
    return shutil.copytree(made, folder / "snapshots" / commit)


def test_a_hubs_id_is_found_in_the_local_cache_at_its_revision(made: Path, tmp_path: Path) -> None:
    cached(tmp_path, made / "llama", "someone/llama")
    cached(tmp_path, made / "gpt2", "someone/llama", "badbee", "v2")
    assert key(Path("someone/llama")) == key(made / "llama")
    assert key(Path("someone/llama"), revision="v2") == key(made / "gpt2")
    assert key(Path("someone/llama"), revision="badbee") == key(made / "gpt2"), "by its commit, too"


def test_what_the_cache_lacks_is_told_with_the_command_that_fetches_it(made: Path, tmp_path: Path) -> None:
    code = (
        "from sciexam.models.checkpoint_files import find\nfrom sciexam.models.settings import Weights\n"
        "try:\n    find('sft', Weights(weights='someone/llama', revision='v2'))\n"
        "except Exception as error:\n    print(error)\n"
    )
    import os

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == (
        "sft: weights: someone/llama at revision v2 is not in the local cache, and HF_HUB_OFFLINE is set; unset it, or "
        "fetch it where there is a network: hf download someone/llama --revision v2"
    )
    snapshot = cached(tmp_path, made / "llama", "someone/torn")
    lose_a_shard(snapshot)
    with pytest.raises(UsageError, match=r"sft: weights: someone/torn is not in the local cache; .* hf download"):
        checkpoint_files.find("sft", Weights(weights="someone/torn"), fetch=False)


def test_a_suite_names_folders_beside_its_file_and_hub_ids_as_they_are(made: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "sft").mkdir(parents=True)
    (tmp_path / "prompts.jsonl").write_text('{"id": "q", "text": "Why?"}\n')
    models = {
        "dotted": {"weights": "./new", "adapter": "../lora"},
        "there": {"weights": "out/sft"},
        "home": {"weights": "~/sft"},
        "hub": {"weights": "meta-llama/Llama-2-7b", "adapter": "someone/lora"},
        "alone": {"weights": "gpt2"},
    }
    suite = {"suite": "exam", "prompts": "prompts.jsonl", "models": models, "contestants": list(models)}
    (tmp_path / "exam.yaml").write_text(json.dumps(suite))
    read = load_suite(str(tmp_path / "exam.yaml")).models
    assert (read["dotted"].weights, read["dotted"].adapter) == (f"{tmp_path}/new", f"{tmp_path}/../lora")
    assert read["there"].weights == f"{tmp_path}/out/sft"
    assert read["home"].weights == str(Path.home() / "sft")
    assert (read["hub"].weights, read["hub"].adapter) == ("meta-llama/Llama-2-7b", "someone/lora")
    assert read["alone"].weights == "gpt2"


# ---------------------------------------------------------------- loading


def test_nothing_is_connected_to_while_loading_and_asking(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*address: object) -> None:
        raise AssertionError(f"a connection to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    settings = Weights(weights=str(made / "llama"), adapter=str(made / "adapter"))
    (reply,) = HuggingFaceModel("sft", settings, Generation(max_tokens=4)).generate([ASKED])
    assert reply.output_tokens == 4


def test_a_contestant_and_a_judge_of_the_same_weights_are_loaded_once(made: Path) -> None:
    one, other, quantised = opened(made / "llama"), opened(made / "llama"), opened(made / "llama", dtype="bf16")
    with one.use() as loaded, other.use() as again, quantised.use() as different:
        assert again is loaded
        assert different is not loaded


def test_a_device_of_two_names_has_one_turn(made: Path) -> None:
    assert opened(made / "llama", device="cpu:0").device == opened(made / "llama", device="cpu").device == "cpu"


def test_weights_at_rest_leave_the_device_to_those_that_are_to_be_loaded(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting, wanted = opened(made / "gpt2"), opened(made / "llama")
    with resting.use() as first:
        pass
    read = LocalCheckpoint._read

    def full(self: LocalCheckpoint, device: str) -> Loaded:
        if resting._loaded is not None:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return read(self, device)

    monkeypatch.setattr(LocalCheckpoint, "_read", full)
    with wanted.use() as loaded:
        assert loaded.model.config.model_type == "llama"
    with resting.use() as second:
        assert second is not first, "it was loaded again"


def test_weights_that_fit_nowhere_are_refused_in_one_line(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: LocalCheckpoint, device: str) -> Loaded:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(LocalCheckpoint, "_read", full)
    with pytest.raises(
        UsageError, match="sft: its weights do not fit into the memory of cpu; write `quantization: nf4`"
    ):
        load(made / "llama", dtype="fp32")
