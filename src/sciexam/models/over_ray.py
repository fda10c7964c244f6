"""A model of local weights asked by many processes at once: one Ray actor for each accelerator of a cluster.

Ray gets only what is owed, in batches, and gives every reply back as it is finished; what is a fact already is never
sent. A lost node costs what its actors had not yet given back, which others are asked for.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sciexam.errors import Incomplete, SciexamError, UsageError
from sciexam.models.settings import Checkpoint
from sciexam.types import Conversation, Model, Record, Reply

BATCH = 128  # conversations that one actor is handed at once
AHEAD = 2  # batches that an actor has: one at work, one waiting, so that it is never idle
TOGETHER = 16  # replies that may travel together
KNOCK_SECONDS = 5.0
LOSSES = 3  # actors that may be lost over one batch
SECONDS = 0.5  # that a reply waits for others to travel with, and between two looks at whether it is time to stop

_log = logging.getLogger(__name__)
_starting = threading.Lock()


@dataclass(frozen=True, slots=True)
class Needs:
    """What one actor takes of a node."""

    gpus: int = 0
    cpus: int = 1

    def __str__(self) -> str:
        return f"{self.gpus} GPUs" if self.gpus else f"{self.cpus} CPUs"

    def places(self, nodes: Sequence[Mapping[str, float]]) -> int:
        """How many actors fit on these nodes, whoever else is there."""
        name, each = ("GPU", self.gpus) if self.gpus else ("CPU", self.cpus)
        return sum(int(node.get(name, 0)) // each for node in nodes)


@dataclass(slots=True, eq=False)
class _Task:
    """A batch: what of it is not there yet, and where its replies come from once an actor was handed it."""

    waiting: dict[str, Conversation]
    replies: Any = None
    losses: int = 0


@dataclass(slots=True, eq=False)
class _Actor:
    """`opening`: what is there when it has its place and its model; None: it has. Until then it is handed nothing: its
    place may be another model's for as long as that one is at work."""

    handle: Any
    opening: Any
    tasks: list[_Task] = field(default_factory=list)


class RayModel:
    """The model that `opener` opens, asked by actors on the nodes of a Ray cluster.

    It is opened here, too, for its digest and its notes, and not asked. The cluster is the one that
    the environment variable RAY_ADDRESS names, or one that runs on this machine, or else one that is started here for
    as long as this process lives. Every node must have the same sciexam and see the same weights. Raises UsageError in
    `check_ready` where Ray is not installed or the cluster cannot be reached.
    """

    def __init__(self, opener: Callable[[], Model], settings: Record):
        model = opener()
        self.digest = model.digest
        self.notes: tuple[str, ...] = tuple(getattr(model, "notes", ()))
        self._opener, self._settings = opener, settings
        self._stopped = threading.Event()

    def check_ready(self) -> None:
        """Raise UsageError where there is no cluster to ask, or no node that has room."""
        needs = needs_of(self._settings, nodes := _nodes(_connected()))
        if not needs.places(nodes):
            raise UsageError(f"no node of the Ray cluster has the {needs} that one model takes; see `ray status`")

    def stop(self, grace: float = 0.0) -> None:
        """Ask nothing more. What is under way is given up within a second; it was not stored and is owed still."""
        self._stopped.set()

    def generate(self, conversations: Iterable[Conversation]) -> Iterator[Reply]:
        """Ask everything in `conversations`, yield the replies as they finish.

        Raises Incomplete where actors are lost again and again, and what an actor raises.
        """
        ray, source = _connected(), iter(conversations)
        pool: list[_Actor] = []
        owed: deque[_Task] = deque()  # what nobody is handed yet, that of lost actors among it
        try:
            while not self._stopped.is_set():
                self._hand_out(ray, source, pool, owed)
                if not owed and not any(actor.tasks for actor in pool):
                    return
                under_way: dict[Any, tuple[_Actor, _Task | None]]
                under_way = {actor.opening: (actor, None) for actor in pool if actor.opening is not None}
                under_way |= {task.replies: (actor, task) for actor in pool for task in actor.tasks}
                ready, _ = ray.wait(list(under_way), num_returns=1, timeout=SECONDS)
                for one in ready:
                    yield from self._take(ray, *under_way[one], pool, owed)
        finally:
            for actor in pool:
                ray.kill(actor.handle)

    def _hand_out(self, ray: Any, source: Iterator[Conversation], pool: list[_Actor], owed: deque[_Task]) -> None:
        """Give every actor that is there its batches, and start further ones as long as there is room and work.

        One more batch is held than actors are on their way; of those that are there each has one before any has two.
        """
        places = self._places(ray)
        while True:
            coming = sum(actor.opening is not None for actor in pool)
            if len(owed) <= coming and (batch := {one.key: one for one in islice(source, BATCH)}):
                owed.append(_Task(batch))
            there = [actor for actor in pool if actor.opening is None and len(actor.tasks) < AHEAD]
            free = min(there, key=lambda actor: len(actor.tasks), default=None)
            is_wanted = len(owed) > coming  # and not left to one that is on its way
            if free is not None and owed and (not free.tasks or (is_wanted and len(pool) >= places)):
                task = owed.popleft()
                task.replies = free.handle.ask.options(num_returns="streaming").remote(list(task.waiting.values()))
                free.tasks.append(task)
            elif is_wanted and len(pool) < places:
                handle = self._actor(ray)
                pool.append(_Actor(handle, handle.open.remote()))
            else:
                return

    def _take(
        self, ray: Any, actor: _Actor, task: _Task | None, pool: list[_Actor], owed: deque[_Task]
    ) -> Iterator[Reply]:
        """What one batch has ready, or that an actor is. A lost one is replaced, and others get what it owed."""
        if actor not in pool:
            return
        try:
            if task is None:
                ray.get(actor.opening)
                actor.opening = None
                return
            replies = ray.get(next(task.replies))
        except StopIteration:
            assert task is not None
            actor.tasks.remove(task)
            return
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, SciexamError) else error from None
        except ray.exceptions.RayError as error:
            pool.remove(actor)
            ray.kill(actor.handle)
            self._pass_on(actor, owed, error)
            return
        assert task is not None
        for reply in replies:
            task.waiting.pop(reply.key, None)
            yield reply

    def _pass_on(self, actor: _Actor, owed: deque[_Task], error: Exception) -> None:
        lost = [task for task in actor.tasks if task.waiting]
        if actor.opening is not None and owed:
            lost.append(owed.popleft())  # what it was started for
        why = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        _log.warning("a Ray actor was lost, and others are asked for what it owed: %s", why)
        for number, task in enumerate(lost):
            task.losses += number == 0  # the batch that was at work; the ones behind it are not to blame
            if task.losses >= LOSSES:
                raise Incomplete(f"{LOSSES} Ray actors were lost over the same batch, the last one with: {why}")
            owed.append(task)

    def _places(self, ray: Any) -> int:
        """How many actors fit on the nodes that are alive, whoever else is there."""
        nodes = _nodes(ray)
        return needs_of(self._settings, nodes).places(nodes)

    def _actor(self, ray: Any) -> Any:
        needs = needs_of(self._settings, _nodes(ray))
        return ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus)(_Asker).remote(self._opener)


class _Asker:
    """What an actor does: open the model once, ask it for each batch, give replies back a few at a time."""

    def __init__(self, opener: Callable[[], Model]):
        self._opener = opener

    def open(self) -> None:
        """Raises what the model raises where it cannot be opened on this node."""
        self._model = self._opener()

    def ask(self, conversations: list[Conversation]) -> Iterator[list[Reply]]:
        some: list[Reply] = []
        begun = time.monotonic()
        for reply in self._model.generate(conversations):
            some.append(reply)
            if len(some) >= TOGETHER or time.monotonic() > begun + SECONDS:
                yield some
                some, begun = [], time.monotonic()
        if some:
            yield some


def _connected() -> Any:
    """Ray, connected to its cluster; started once for all models of the process."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray needs Ray: pip install 'sciexam[ray]'") from None
    with _starting:
        if not ray.is_initialized():
            quiet = {"log_to_driver": False, "logging_level": "error", "configure_logging": False}
            address = os.environ.get("RAY_ADDRESS") or _running()
            try:
                _knock(address)
                ray.init(address=address, **quiet)
            except (OSError, ValueError, RuntimeError) as error:
                why = str(error).strip().splitlines()[0]
                raise UsageError(
                    f"the Ray cluster at {address} cannot be reached: {why}; is RAY_ADDRESS right?"
                ) from None
    return ray


def _running() -> str | None:
    """`auto` where a cluster runs on this machine; None: one is to be started."""
    from ray._private.services import find_gcs_addresses

    return "auto" if find_gcs_addresses() else None


def _knock(address: str | None) -> None:
    """Raise OSError where nobody listens: Ray itself would try for a minute and more."""
    if found := re.fullmatch(r"(?:ray://)?\[?([^/\]]+)\]?:(\d+)", address or ""):
        with socket.create_connection((found[1], int(found[2])), KNOCK_SECONDS):
            pass


def _nodes(ray: Any) -> list[dict[str, float]]:
    """What each node that is alive has: GPUs, CPUs."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def needs_of(settings: Record, nodes: Sequence[Mapping[str, float]]) -> Needs:
    """What one actor with this model takes of a node: GPUs where the cluster has any, and the model computes."""
    on_cpu = str(getattr(settings, "device", None) or "").startswith("cpu")
    if on_cpu or not isinstance(settings, Checkpoint) or not any(node.get("GPU") for node in nodes):
        return Needs()
    return Needs(gpus=getattr(settings, "tensor_parallel", 1))
