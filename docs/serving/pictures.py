"""The picture in docs/serving.md: `python docs/serving/pictures.py FOLDER`, beside a checkout with its tests.

Two small models learn the shipped answers to four questions of the science suite by heart, and are served as they are.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from checkpoints import causal, tokenizer  # noqa: E402

QUESTIONS = 4


def rows(name: str) -> list[dict[str, str]]:
    lines = (ROOT / "suites" / "science" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def learnt(folder: Path, name: str, seed: int) -> None:
    """A model of 2 million parameters that says the answers of `name`."""
    import torch
    from transformers import AutoModelForCausalLM

    wide = {"hidden_size": 160, "intermediate_size": 400, "num_hidden_layers": 3, "max_position_embeddings": 1024}
    model = AutoModelForCausalLM.from_pretrained(causal(folder, seed=seed, **wide))
    own = tokenizer()
    texts = {row["prompt"]: row["text"] for row in rows(name)}
    data = []
    for row in rows("prompts")[:QUESTIONS]:
        asked = own.apply_chat_template(
            [{"role": "user", "content": row["text"]}], add_generation_prompt=True, tokenize=False
        )
        read = own(asked)["input_ids"]
        said = own(texts[row["id"]] + "<|im_end|>")["input_ids"]
        data.append((torch.tensor([read + said]), torch.tensor([[-100] * len(read) + said])))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(400):
        loss = sum(model(input_ids=ids, labels=labels).loss for ids, labels in data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.02:
            break
    model.save_pretrained(folder)


def suite(folder: Path) -> None:
    """A suite of both, in which sft was made from base."""
    for seed, name in enumerate(("base", "sft")):
        if not (folder / name / "model.safetensors").is_file():
            learnt(folder / name, name, seed)
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows("prompts")), "utf-8")
    (folder / "data.jsonl").write_text("{}\n", "utf-8")
    models = {
        "base": {"weights": "./base"},
        "sft": {"from": "base", "stage": "sft", "data": "data.jsonl", "weights": "./sft"},
    }
    exam = {"suite": "science", "prompts": "prompts.jsonl", "models": models, "contestants": list(models)}
    (folder / "exam.yaml").write_text(json.dumps(exam), "utf-8")


def main(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    from study import chromium

    folder.mkdir(parents=True, exist_ok=True)
    suite(folder)
    command = [str(Path(sys.executable).parent / "sciexam"), "serve", "sft", "--suite", "exam.yaml", "--port", "0"]
    with (folder / "out.txt").open("w") as out:
        server = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        while not (found := re.search(r"port (\d+)\. Ctrl-C", (folder / "out.txt").read_text())):
            time.sleep(0.2)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
            view = {"width": 1280, "height": 720}
            page = browser.new_context(viewport=view).new_page()
            page.goto(f"http://127.0.0.1:{found[1]}/")
            page.wait_for_selector("#welcome:not([hidden])")
            page.fill("#question", rows("prompts")[0]["text"])
            page.keyboard.press("Enter")
            page.wait_for_selector("#votes:not([hidden])", timeout=120_000)
            page.keyboard.press("Escape")
            page.screenshot(path=HERE / "page.png")
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
