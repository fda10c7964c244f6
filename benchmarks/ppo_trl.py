"""The PPO trainer of trl 1.12.0, from its unpacked wheel, on the weights, rewards and prompts that ours is given.

    PYTHONPATH=UNPACKED python benchmarks/ppo_trl.py '{"policy": ..., "reward": ..., "prompts": ..., "out": ..., ...}'

Prints a line of JSON: the KL of the last steps, and the seconds that training took.
"""

from __future__ import annotations

import json
import sys
import time
from statistics import fmean


def main() -> None:
    said = json.loads(sys.argv[1])
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(said["policy"], padding_side="left")

    def tokens(text: str) -> list[int]:
        turn = [{"role": "user", "content": text}]
        return list(tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False))

    with open(said["prompts"], encoding="utf-8") as lines:
        data = Dataset.from_list([{"input_ids": tokens(json.loads(line)["text"])} for line in lines])
    policy, reference = (AutoModelForCausalLM.from_pretrained(said["policy"]) for _ in range(2))
    reward, value = (AutoModelForSequenceClassification.from_pretrained(said["reward"]) for _ in range(2))
    config = PPOConfig(
        output_dir=said["out"],
        per_device_train_batch_size=said["batch"],
        gradient_accumulation_steps=1,
        total_episodes=said["batch"] * said["steps"],
        learning_rate=said["rate"],
        lr_scheduler_type="constant",
        response_length=said["new"],
        temperature=1.0,
        kl_coef=said["beta"],
        missing_eos_penalty=1.0,
        stop_token="eos",
        num_sample_generations=0,
        local_rollout_forward_batch_size=said["batch"],
        logging_steps=1,
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        disable_tqdm=True,
        seed=said["seed"],
    )
    trainer = PPOTrainer(
        args=config,
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward,
        value_model=value,
        train_dataset=data,
    )
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    policy.save_pretrained(said["out"])
    tokenizer.save_pretrained(said["out"])
    logged = [line["objective/kl"] for line in trainer.state.log_history if "objective/kl" in line]
    print(json.dumps({"kl": fmean(logged[-10:]), "seconds": seconds}))


if __name__ == "__main__":
    main()
