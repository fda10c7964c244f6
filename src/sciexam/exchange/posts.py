"""A question or an answer as somebody posted it, with all that its licence asks to be named with it."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

# "Content contributed before 2011-04-08 (UTC) is distributed under CC BY-SA 2.5, from then up to but not including
# 2018-05-02 under 3.0, and since then under 4.0"; an edit publishes the post anew, under the licence of its day
# (stackoverflow.com/help/licensing, meta.stackexchange.com/q/347758).
_LICENCES = (("2018-05-02", "CC BY-SA 4.0"), ("2011-04-08", "CC BY-SA 3.0"), ("", "CC BY-SA 2.5"))
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_NETWORK = re.compile(
    r"([a-z0-9-]+\.)*(stackexchange|stackoverflow|superuser|serverfault|askubuntu|stackapps)\.com"
    r"|(meta\.)?mathoverflow\.net"
)


class UnreadableError(Exception):
    """Why a row is no post: the column, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Post:
    """A question, or an answer to `question`. Keys are unique among all that is read together."""

    key: str
    place: str  # where it was read: file:line
    site: str
    question: str | None  # the key of the question that is answered; None for a question
    body: str
    html: bool  # whether the body is HTML; else it is Markdown or plain text
    licence: str
    title: str = ""
    votes: int | None = None  # up less down; None where nobody votes
    accepted: bool = False  # an answer that says so itself
    accepted_answer: str | None = None  # the key of the answer that whoever asked accepted
    posted: str = ""  # UTC in ISO 8601, to the second; "" where it is not known
    tags: tuple[str, ...] = ()
    author: str | None = None  # as the row names them
    user: str | None = None  # the number of the author's account
    link: str | None = None


def licence_of(published: str) -> str:
    """The licence of a StackExchange post that was written, or last edited, at an ISO date."""
    return next(licence for since, licence in _LICENCES if published >= since)


def utc(text: str) -> str:
    """An ISO 8601 date, to the second in UTC; one without a zone is in UTC. Raises ValueError."""
    found = datetime.datetime.fromisoformat(text)
    if found.tzinfo is not None:
        found = found.astimezone(datetime.UTC)
    return found.strftime("%Y-%m-%dT%H:%M:%S")


def is_host(site: str) -> bool:
    """Whether a site is named as browsers name it: cooking.stackexchange.com."""
    return len(site) <= 253 and _HOST.fullmatch(site) is not None


def known_site(name: str) -> str | None:
    """The site that a file or a folder of StackExchange's dump is named after, or None."""
    site = re.sub(r"-Posts$", "", name)
    return site if _NETWORK.fullmatch(site) else None
