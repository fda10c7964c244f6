"""A world small enough to be known: phenomena, documents about them, and raters of which one knows the truth.

With it a whole lineage is made on the spot, from nothing to a leaderboard, and what training does can be seen. The
knowledge is `suites/science/phenomena.jsonl`; `python -m sciexam.toy FOLDER` makes the data that the default suite's
models are trained on.
"""
