"""Training is how a contestant comes to exist, and the exam decides whether it does.

`walk` goes through a lineage; `stages` prepares one stage as a `job`; `fitting` runs its trainer, from weights
(`weights`), on tokens (`tokens`); `gate` lets it sit the exam. One readable file a stage: pretrain, sft, reward,
best_of_n, dpo, rloo, ppo, self_rewarding.
"""
