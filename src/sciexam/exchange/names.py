"""What a suite calls the models and judges of other tools' files."""

from __future__ import annotations

import re

from sciexam.digests import digest

PEOPLE = "annotators"  # the judge whose raters are the people of all files
LONGEST_NAME = 100


def named(names: dict[str, str], name: str) -> str:
    """The name that the suite has for `name`; two names of the files never get the same."""
    if name not in names:
        plain = plain_name(name)
        if plain in (*names.values(), PEOPLE):
            plain = f"{plain[: LONGEST_NAME - 9]}-{digest(name)[:8]}"
        names[name] = plain
    return names[name]


def plain_name(name: str) -> str:
    """`name` as a suite may call a model or a judge: letters, digits, `_.:+@/()-` and blanks, at most 100.

    `_` stands for anything else.
    """
    plain = re.sub(r"[^\w .:+@/()-]+", "_", name).strip("_ ")
    if not re.match(r"\w", plain):
        plain = f"x{plain}"
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 9]}-{digest(name)[:8]}"
