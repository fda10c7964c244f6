"""Local weights asked by actors on the nodes of a Ray cluster, of which one is lost half-way."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from sciexam.errors import Incomplete, UsageError
from sciexam.types import Conversation, Message, Record, Reply

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'sciexam[ray]'")

from sciexam.models import over_ray  # noqa: E402
from sciexam.models.over_ray import Needs, RayModel, needs_of  # noqa: E402
from sciexam.models.settings import Vllm, Weights  # noqa: E402

pytestmark = pytest.mark.slow

ECHO = '''
import os, time
from sciexam.errors import UsageError
from sciexam.types import Reply

class Echo:
    """Says what it is told, slowly, and by whom; falls over at a word."""
    digest = "echo"
    notes = ("it echoes",)
    def __init__(self, seconds=0.02):
        self.seconds = seconds
    def generate(self, conversations):
        for one in conversations:
            said = one.messages[-1].content
            time.sleep(self.seconds)
            if said == "die":
                os._exit(9)
            if said == "refuse":
                raise UsageError("no such weights; name others")
            yield Reply(one.key, said, model=str(os.getpid()))
'''


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes with one CPU each beside a head without any, and a module that all of them can import."""
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("echo")
    (folder / "echoing.py").write_text(ECHO)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setattr(sys, "path", [str(folder), *sys.path])
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        started.nodes = [started.add_node(num_cpus=1), started.add_node(num_cpus=1)]
        patch.setenv("RAY_ADDRESS", started.address)
        yield started
        ray.shutdown()
        started.shutdown()


def echo(seconds: float = 0.02) -> RayModel:
    from echoing import Echo  # type: ignore[import-not-found]

    return RayModel(partial(Echo, seconds), Record())


def conversations(words: list[str]) -> list[Conversation]:
    return [Conversation(f"{i:064x}", (Message(role="user", content=word),)) for i, word in enumerate(words)]


def test_replies_come_from_several_nodes_each_once(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_ray, "BATCH", 16)
    asked = conversations([f"word {i}" for i in range(120)])
    model = echo()
    model.check_ready()
    replies = list(model.generate(iter(asked)))
    assert sorted(r.key for r in replies) == [one.key for one in asked]
    assert {r.key: r.text for r in replies} == {one.key: one.messages[0].content for one in asked}
    assert len({r.model for r in replies}) == 2
    assert (model.digest, model.notes) == ("echo", ("it echoes",))


def test_models_that_are_asked_at_once_on_few_processors_do_not_wait_for_each_other_for_ever(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each gets one of the two, and wants both: what it is owed must not lie with an actor that has no place."""
    monkeypatch.setattr(over_ray, "BATCH", 16)
    asked = conversations([f"word {i}" for i in range(100)])
    came: list[list[Reply]] = [[], []]
    models = [echo(), echo()]
    for model in models:
        model.check_ready()
    threads = [
        threading.Thread(target=lambda one=one, to=to: to.extend(one.generate(iter(asked))), daemon=True)
        for one, to in zip(models, came, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    for model in models:
        model.stop()
    assert [len({reply.key for reply in replies}) for replies in came] == [100, 100]


def test_what_an_actor_refuses_is_raised_here_as_it_was_said(cluster: Any) -> None:
    with pytest.raises(UsageError, match=r"^no such weights; name others$"):
        list(echo().generate(conversations(["refuse"])))


def test_a_batch_that_kills_every_actor_ends_the_run_and_keeps_what_came(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_ray, "BATCH", 4)
    came: list[Reply] = []
    words = ["a", "b", "c", "d", "e", "die", "f", "g"]
    with pytest.raises(Incomplete, match="3 Ray actors were lost over the same batch"):
        came.extend(echo(0.6).generate(conversations(words)))
    assert {"a", "b", "c", "d", "e"} >= {reply.text for reply in came} >= {"a", "b"}


def test_to_stop_gives_up_within_a_second(cluster: Any) -> None:
    model, came = echo(0.2), []
    for reply in model.generate(iter(conversations([str(i) for i in range(500)]))):
        if not came:  # actors take their time to begin
            threading.Timer(1, model.stop).start()
        came.append(reply)
    assert 0 < len(came) < 100


def test_a_lost_node_costs_only_what_it_had_not_given_back(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_ray, "BATCH", 20)
    asked = conversations([f"word {i}" for i in range(160)])
    came: list[Reply] = []
    for reply in echo(0.03).generate(iter(asked)):
        came.append(reply)
        if len(came) == 60:
            cluster.remove_node(cluster.nodes.pop(), allow_graceful=False)
    assert sorted(r.key for r in came) == [one.key for one in asked]
    cluster.nodes.append(cluster.add_node(num_cpus=1))


def test_a_model_takes_the_gpus_that_it_computes_on_and_one_processor_where_there_are_none() -> None:
    with_gpus, without = [{"CPU": 16.0, "GPU": 8.0}, {"CPU": 4.0}], [{"CPU": 2.0}, {"CPU": 1.0}]
    large = Vllm(backend="vllm", weights="w", tensor_parallel=4)
    assert needs_of(large, with_gpus) == Needs(gpus=4)
    assert needs_of(large, with_gpus).places(with_gpus) == 2
    assert needs_of(Weights(weights="w"), with_gpus).places(with_gpus) == 8
    assert needs_of(Weights(weights="w", device="cpu"), with_gpus).places(with_gpus) == 20
    assert needs_of(Weights(weights="w"), without).places(without) == 3


def test_no_room_on_any_node_is_said(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_ray, "needs_of", lambda *_: Needs(gpus=9))
    with pytest.raises(UsageError, match="no node of the Ray cluster has the 9 GPUs that one model takes; see"):
        echo().check_ready()
