"""A stranger's judge or model: what it is, for the keys of its facts, and whose fault an exception in it is."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType
from typing import Any, TypeVar

from pydantic import BaseModel

from sciexam.digests import digest
from sciexam.errors import SciexamError, UsageError
from sciexam.types import Grader, Judge

T = TypeVar("T")


def digest_of(judge: Judge | Grader) -> str:
    """A judge's own `digest`, or one of its class's source and its attributes, so that an edited judge is another one.

    What the class calls outside of itself is not seen. Raises UsageError where an attribute is not plain data: two
    different clients or arrays could not be told apart, and one's verdicts would be taken for the other's.
    """
    own = getattr(judge, "digest", None)
    if isinstance(own, str):
        return own
    kinds = [kind for kind in type(judge).__mro__ if kind.__module__.partition(".")[0] not in sys.stdlib_module_names]
    slots = {slot for kind in kinds for slot in getattr(kind, "__slots__", ())}
    state = {name: getattr(judge, name) for name in {*slots, *getattr(judge, "__dict__", {})} if hasattr(judge, name)}
    plain = {name: _plain(judge, name, value) for name, value in state.items()}
    return digest({"source": [_source_of(kind) for kind in kinds], "state": plain})


def guarded(name: str, ask: Callable[[], Iterable[T] | None]) -> Iterator[T]:
    """What `ask()` yields; an exception in it is told as the stranger's own, with its last line."""
    try:
        results = ask()
        if results is None:
            raise UsageError(f"{name} returned None; it must yield (or return an iterable)")
        yield from results
    except SciexamError:
        raise
    except Exception as error:  # a stranger's code may raise anything, and none of it is a bug of ours
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{name} raised {type(error).__name__} at {last.filename}:{last.lineno}: {error}"
        raise UsageError(said) from error


def _plain(judge: Judge | Grader, name: str, value: Any) -> Any:
    """`value` as canonical data."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, BaseModel):
        return _plain(judge, name, dict(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(judge, name, getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return sorted([[repr(key), _plain(judge, name, inner)] for key, inner in value.items()], key=lambda one: one[0])
    if isinstance(value, (list, tuple)):
        return [_plain(judge, name, inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(repr(_plain(judge, name, inner)) for inner in value)
    kind = type(value).__name__
    raise UsageError(
        f"judge {judge.name!r} holds a {kind} in {name!r}, which cannot be told from another one; "
        "give the judge a `digest`: a word that changes whenever its verdicts could"
    )


def _source_of(kind: type) -> Any:
    """The text of a class; of one typed into a session, which has no file, the code of its methods."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        methods = {name: value.__code__ for name, value in vars(kind).items() if isinstance(value, FunctionType)}
        return [f"{kind.__module__}.{kind.__qualname__}", {name: _code_of(code) for name, code in methods.items()}]


def _code_of(code: CodeType) -> list[Any]:
    constants = [_code_of(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return [code.co_code.hex(), constants, code.co_names]
