"""The tables of the ledger and the coding of its rows: words as numbers, texts as compressed blobs."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from sciexam.errors import StoreError
from sciexam.types import Grade, Kind, Reply, Side, Status, Strength, Verdict

STATUSES: tuple[Status, ...] = ("ok", "invalid", "failed", "skipped")
SIDES: tuple[Side, ...] = ("first", "second", "tie")
STRENGTHS: tuple[Strength, ...] = ("slight", "clear", "strong")
KINDS: tuple[Kind, ...] = ("judge", "human")
CHUNK = 500

tables = sa.MetaData()
_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _facts(name: str, *columns: sa.Column[Any]) -> sa.Table:
    """A table of attempts: (key, attempt) is unique, `seq` is the order of arrival, `at` is UTC in milliseconds."""
    return sa.Table(
        name,
        tables,
        sa.Column("seq", _id, primary_key=True, autoincrement=True),
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sa.Column("attempt", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("failure", _id),
        *columns,
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("key", "attempt"),
    )


meta = sa.Table(
    "meta",
    tables,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
names = sa.Table(
    "names",
    tables,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("name", sa.LargeBinary, nullable=False, unique=True),
)
texts = sa.Table(
    "texts",
    tables,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
replies = _facts(
    "replies",
    sa.Column("text", _id, nullable=False),
    sa.Column("raw", _id),
    sa.Column("finish_reason", _id),
    sa.Column("model", _id),
    sa.Column("input_tokens", sa.Integer),
    sa.Column("output_tokens", sa.Integer),
    sa.Column("reasoning_tokens", sa.Integer),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
)
verdicts = _facts(
    "verdicts",
    sa.Column("subject", sa.LargeBinary(32), nullable=False, index=True),
    sa.Column("rater", _id, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("prompt", _id, nullable=False),
    sa.Column("first", _id, nullable=False),
    sa.Column("second", _id, nullable=False),
    sa.Column("repeat", sa.Integer, nullable=False),
    sa.Column("preferred", sa.SmallInteger),
    sa.Column("strength", sa.SmallInteger),
    sa.Column("probability_second", sa.Float),
    sa.Column("reason", _id),
    sa.Column("criteria", _id),
)
grades = _facts(
    "grades",
    sa.Column("subject", sa.LargeBinary(32), nullable=False),
    sa.Column("rater", _id, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("prompt", _id, nullable=False),
    sa.Column("contestant", _id, nullable=False),
    sa.Column("repeat", sa.Integer, nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("criteria", _id),
    sa.Column("reason", _id),
)
runs = sa.Table(
    "runs",
    tables,
    sa.Column("seq", _id, primary_key=True, autoincrement=True),
    sa.Column("run", sa.String(64), nullable=False, index=True),
    sa.Column("manifest", _id, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)
# Not facts: who is working on what right now, so that two processes never pay for one key.
claims = sa.Table(
    "claims",
    tables,
    sa.Column("key", sa.LargeBinary(32), primary_key=True),
    sa.Column("owner", sa.String(40), nullable=False, index=True),
)
# Not facts: what was handed to a provider's batch API, so that it is collected after a kill, and not paid for twice.
batches = sa.Table(
    "batches",
    tables,
    sa.Column("seq", _id, primary_key=True, autoincrement=True),
    sa.Column("token", sa.String(40), nullable=False, unique=True),
    sa.Column("model", sa.String(64), nullable=False, index=True),
    sa.Column("batch", sa.String(200)),
    sa.Column("requests", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)
# What a judge is shown once more on later days, as it was first shown.
anchors = sa.Table(
    "anchors",
    tables,
    sa.Column("seq", _id, primary_key=True, autoincrement=True),
    sa.Column("judge", sa.LargeBinary(32), nullable=False),
    sa.Column("key", sa.LargeBinary(32), nullable=False),
    sa.Column("body", _id, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("judge", "key"),
)

# Not facts: who may annotate, and under which link. `name` is the only place where a person is named; a forgotten one
# has none. `nonce` is part of the link: another one makes the old link worthless.
annotators = sa.Table(
    "annotators",
    tables,
    sa.Column("id", _id, primary_key=True, autoincrement=True),
    sa.Column("pseudonym", sa.String(40), nullable=False, unique=True),
    sa.Column("name", sa.LargeBinary, unique=True),
    sa.Column("nonce", sa.String(32), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("forgotten", sa.Integer),
    sa.Column("at", sa.BigInteger, nullable=False),
)
# What annotators are shown, as it was shown; and what a queue holds: the last row of a queue counts.
items = sa.Table(
    "items",
    tables,
    sa.Column("item", sa.String(24), primary_key=True),
    sa.Column("body", _id, nullable=False),
)
queues = sa.Table(
    "queues",
    tables,
    sa.Column("seq", _id, primary_key=True, autoincrement=True),
    sa.Column("queue", sa.String(16), nullable=False, index=True),
    sa.Column("body", _id, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)
# Everything that annotators did, in order: `turn` counts their judgements of one item, the withdrawn ones too.
judgements = sa.Table(
    "judgements",
    tables,
    sa.Column("seq", _id, primary_key=True, autoincrement=True),
    sa.Column("queue", sa.String(16), nullable=False),
    sa.Column("item", sa.String(24), nullable=False),
    sa.Column("annotator", _id, nullable=False),
    sa.Column("turn", sa.Integer, nullable=False),
    sa.Column("choice", sa.String(20), nullable=False),
    sa.Column("body", _id),
    sa.Column("shown", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("queue", "item", "annotator", "turn"),
)
# Not facts: who has which item before them, how it was laid out, and where that stands. `choice` is that of the last
# judgement, nothing where it was withdrawn; `turns` counts the judgements; the lease ends at `until`.
assignments = sa.Table(
    "assignments",
    tables,
    sa.Column("queue", sa.String(16), primary_key=True),
    sa.Column("item", sa.String(24), primary_key=True),
    sa.Column("annotator", _id, primary_key=True),
    sa.Column("shown", sa.Text, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("turns", sa.Integer, nullable=False),
    sa.Column("choice", sa.String(20)),
    sa.Column("draft", sa.LargeBinary),
    sa.Column("at", sa.BigInteger, nullable=False),
)
# What a visitor of `sciexam serve` agreed to have kept with a vote: both conversations, by the key of the verdict.
votes = sa.Table(
    "votes",
    tables,
    sa.Column("seq", _id, primary_key=True, autoincrement=True),
    sa.Column("key", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("body", _id, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

Fact = Reply | Verdict | Grade


def reply_row(reply: Reply, name_ids: dict[str, int], text_ids: dict[bytes, int], now: int) -> dict[str, Any]:
    return {
        "key": bytes.fromhex(reply.key),
        "status": STATUSES.index(reply.status),
        "failure": text_ids.get(encode(reply.failure)) if reply.failure else None,
        "text": text_ids[encode(reply.text)],
        "raw": text_ids[reply.raw] if reply.raw else None,
        "finish_reason": name_ids.get(reply.finish_reason),
        "model": name_ids.get(reply.model),
        "input_tokens": reply.input_tokens,
        "output_tokens": reply.output_tokens,
        "reasoning_tokens": reply.reasoning_tokens,
        "seconds": reply.seconds,
        "tries": reply.tries,
        "at": now,
    }


def verdict_row(verdict: Verdict, name_ids: dict[str, int], text_ids: dict[bytes, int], now: int) -> dict[str, Any]:
    return {
        "key": bytes.fromhex(verdict.key),
        "subject": bytes.fromhex(verdict.subject),
        "status": STATUSES.index(verdict.status),
        "failure": text_ids[encode(verdict.failure)] if verdict.failure else None,
        "rater": name_ids[verdict.rater],
        "kind": KINDS.index(verdict.kind),
        "prompt": name_ids[verdict.prompt],
        "first": name_ids[verdict.first],
        "second": name_ids[verdict.second],
        "repeat": verdict.repeat,
        "preferred": None if verdict.preferred is None else SIDES.index(verdict.preferred),
        "strength": None if verdict.strength is None else STRENGTHS.index(verdict.strength),
        "probability_second": verdict.probability_second,
        "reason": text_ids[encode(verdict.reason)] if verdict.reason else None,
        "criteria": text_ids.get(encode_criteria(verdict.criteria)) if verdict.criteria else None,
        "at": now,
    }


def grade_row(grade: Grade, name_ids: dict[str, int], text_ids: dict[bytes, int], now: int) -> dict[str, Any]:
    return {
        "key": bytes.fromhex(grade.key),
        "subject": bytes.fromhex(grade.subject),
        "status": STATUSES.index(grade.status),
        "failure": text_ids[encode(grade.failure)] if grade.failure else None,
        "rater": name_ids[grade.rater],
        "kind": KINDS.index(grade.kind),
        "prompt": name_ids[grade.prompt],
        "contestant": name_ids[grade.contestant],
        "repeat": grade.repeat,
        "score": grade.score,
        "criteria": text_ids.get(encode_criteria(grade.criteria)) if grade.criteria else None,
        "reason": text_ids[encode(grade.reason)] if grade.reason else None,
        "at": now,
    }


def read_reply(row: sa.Row[Any], words: Mapping[int, str]) -> Reply:
    return Reply(
        key=row.key.hex(),
        text=decode(row.body),
        status=STATUSES[row.status],
        failure=decode(row.why) if row.failure is not None else "",
        finish_reason=words.get(row.finish_reason, ""),
        model=words.get(row.model, ""),
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        reasoning_tokens=row.reasoning_tokens,
        seconds=row.seconds,
        attempt=row.attempt,
        tries=row.tries,
    )


def read_verdict(row: sa.Row[Any], words: Mapping[int, str]) -> Verdict:
    return Verdict(
        key=row.key.hex(),
        prompt=words[row.prompt],
        first=words[row.first],
        second=words[row.second],
        rater=words[row.rater],
        kind=KINDS[row.kind],
        subject=row.subject.hex(),
        repeat=row.repeat,
        attempt=row.attempt,
        status=STATUSES[row.status],
        failure=decode(row.why) if row.failure is not None else "",
        preferred=None if row.preferred is None else SIDES[row.preferred],
        strength=None if row.strength is None else STRENGTHS[row.strength],
        probability_second=row.probability_second,
        criteria=json.loads(decode(row.parts)) if row.criteria is not None else {},
        reason=decode(row.body) if row.reason is not None else "",
    )


def read_grade(row: sa.Row[Any], words: Mapping[int, str]) -> Grade:
    return Grade(
        key=row.key.hex(),
        prompt=words[row.prompt],
        contestant=words[row.contestant],
        rater=words[row.rater],
        kind=KINDS[row.kind],
        subject=row.subject.hex(),
        repeat=row.repeat,
        attempt=row.attempt,
        status=STATUSES[row.status],
        failure=decode(row.why) if row.failure is not None else "",
        score=row.score,
        criteria=json.loads(decode(row.parts)) if row.criteria is not None else {},
        reason=decode(row.body) if row.reason is not None else "",
    )


def now() -> int:
    """UTC in milliseconds, as rows have it."""
    return time.time_ns() // 1_000_000


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """`items` in parts that a statement can name one by one: SQLite takes 999 of them or more."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def encode_criteria(criteria: Mapping[str, str] | Mapping[str, float]) -> bytes:
    """What was said of each criterion, as canonical JSON; nothing for none."""
    return json.dumps(criteria, sort_keys=True, allow_nan=False).encode() if criteria else b""


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def decode(body: bytes | None) -> str:
    """A text as it was stored; None where a row refers to one that is not there. Raises StoreError for what is none."""
    try:
        return zlib.decompress(body or b"").decode("utf-8", "surrogatepass")
    except (zlib.error, TypeError, UnicodeDecodeError) as error:
        raise StoreError(damaged(f"a text of it cannot be read ({error})")) from error


def damaged(what: str) -> str:
    """What is said of a ledger that does not hold what was put into it."""
    return (
        f"damaged, or not a ledger: {what}. Nothing was changed; `sciexam store repair` salvages what can be read; or "
        "restore a backup, or use --store"
    )
