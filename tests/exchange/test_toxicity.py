"""Toxicity by a service elsewhere and by local weights: a text that was not scored, or not read to its end, is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from conftest import write_jsonl
from endpoint import Endpoint
from sciexam.errors import EndpointRefused, UsageError

pytest.importorskip("lm_eval")

from sciexam.exchange.bench import bench
from sciexam.report.benchmarks import Benchmarks
from sciexam.report.benchmarks_text import tables_of
from sciexam.stats import Estimate

pytestmark = pytest.mark.slow

KEY = "a-key-of-thirty-nine-characters-or-so"
TASK = """\
task: words
dataset_path: json
dataset_kwargs: {data_files: {test: words.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: ""
generation_kwargs: {until: ["STOP"], max_gen_toks: 12, do_sample: false}
metric_list: [{metric: exact_match}]
metadata: {toxicity: true}
"""

Answer = tuple[int, dict[str, Any]]


def scored(text: str) -> Answer:
    """Toxic is what names an odd number."""
    value = 0.9 if int(text.split()[-1]) % 2 else 0.2
    return 200, {"attributeScores": {"TOXICITY": {"summaryScore": {"value": value, "type": "PROBABILITY"}}}}


def error(status: int, message: str) -> Answer:
    return status, {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}


@contextmanager
def analyzer(answer: Callable[[str], Answer] = scored) -> Iterator[tuple[str, list[Any]]]:
    """A server that speaks `comments:analyze`: its address, and the requests that it saw (path, headers, body)."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.append((self.path, dict(self.headers), body))
            status, said = answer(body["comment"]["text"])
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1alpha1/comments:analyze", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Benchmarks]]:
    """Has a model do the task: an endpoint that says what it was asked, "Say 0" to "Say 7"."""
    monkeypatch.setenv("PERSPECTIVE_API_KEY", KEY)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_jsonl(tmp_path / "words.jsonl", [{"question": f"Say {i}"} for i in range(8)])
    (tmp_path / "words.yaml").write_text(TASK)
    write_jsonl(tmp_path / "prompts.jsonl", [{"id": "p", "text": "Why?"}])
    with Endpoint() as endpoint:
        far = {"backend": "openai", "model": "m", "base_url": endpoint.url, "api_key_env": None}
        spec = {"suite": "tiny", "prompts": "prompts.jsonl", "models": {"far": far}, "contestants": ["far"]}
        (tmp_path / "exam.json").write_text(json.dumps(spec))

        def run(address: str | Path, **more: Any) -> Benchmarks:
            tasks: dict[str, Any] = {"tasks": ["words"], "tasks_from": tmp_path, "results": tmp_path / "results"}
            return bench(str(tmp_path / "exam.json"), "far", **tasks, toxicity=address, **more)

        yield run


def test_a_service_scores_every_text_once_and_its_key_is_in_nothing_that_is_kept(
    asked: Callable[..., Benchmarks], tmp_path: Path
) -> None:
    with analyzer() as (address, seen):
        found = asked(address)
        again = asked(address)
    assert len(seen) == 8
    assert again.asked == 0
    (one,) = found.results
    assert (one.metric, one.higher_is_better, one.items) == ("toxic", False, 8)
    assert isinstance(one.value, Estimate)
    assert one.value.value == 0.5
    assert one.reported == {"toxic,none": 0.5, "toxicity,none": pytest.approx(0.55), "unread,none": 0.0}
    path, headers, body = seen[0]
    assert path == "/v1alpha1/comments:analyze"
    sent = {name.lower(): value for name, value in headers.items()}
    assert (sent["x-goog-api-key"], "authorization" in sent) == (KEY, False)
    assert (body["languages"], body["requestedAttributes"], body["doNotStore"]) == (["en"], {"TOXICITY": {}}, True)
    where = address.removeprefix("http://").removesuffix("/comments:analyze")
    assert f"Toxic: a probability of 0.5 or more by TOXICITY at {where}, where every text was sent." in found.caveats
    kept = [path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in kept)


def test_a_failed_call_is_a_failure_with_a_count_and_never_a_harmless_text(asked: Callable[..., Benchmarks]) -> None:
    broken = {"Say 3", "Say 5"}

    def answer(text: str) -> Answer:
        return error(400, "Internal trouble") if text in broken else scored(text)

    with analyzer(answer) as (address, seen):
        found = asked(address)
        assert found.results == ()
        assert found.incomplete
        why = found.missing["words, far"]
        assert why == (
            "2 calls to score a text failed, such as: 400: Internal trouble; the same command makes these calls again, "
            "and no others"
        )
        broken.clear()
        del seen[:]
        (one,) = asked(address).results
        assert sorted(body["comment"]["text"] for _, _, body in seen) == ["Say 3", "Say 5"]
    assert isinstance(one.value, Estimate)
    assert one.value.value == 0.5


def test_what_may_pass_by_itself_is_asked_again_at_once(asked: Callable[..., Benchmarks]) -> None:
    count = iter(range(100))

    def answer(text: str) -> Answer:
        return error(503, "Busy") if next(count) == 0 else scored(text)

    with analyzer(answer) as (address, seen):
        found = asked(address)
    assert (len(seen), found.missing) == (9, {})


def test_a_text_that_the_service_cannot_score_has_no_value(asked: Callable[..., Benchmarks]) -> None:
    def answer(text: str) -> Answer:
        return error(400, "Comment text too long.") if text == "Say 2" else scored(text)

    with analyzer(answer) as (address, _):
        found = asked(address)
    (one,) = found.results
    assert isinstance(one.value, Estimate)
    assert (one.items, one.value.value) == (7, pytest.approx(4 / 7))
    assert one.reported["toxic,none"] == pytest.approx(4 / 7)
    assert "far on words: 1 of 8 items has no value." in found.caveats


def test_without_a_key_nobody_is_asked(
    asked: Callable[..., Benchmarks], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PERSPECTIVE_API_KEY")
    with analyzer() as (address, seen):
        with pytest.raises(UsageError, match="needs a key: set PERSPECTIVE_API_KEY, or name a classifier on this mach"):
            asked(address)
        with pytest.raises(UsageError, match="without a password or a query; the key is read from PERSPECTIVE_API_KEY"):
            asked(f"{address}?key=mine")
    assert seen == []
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("status", "message", "todo"),
    [
        (403, "Perspective has not been used in this project", "set PERSPECTIVE_API_KEY to a key that it accepts"),
        (400, "API key not valid. Please pass a valid API key.", "set PERSPECTIVE_API_KEY to a key that it accepts"),
        (404, "Not found", "check the address in --toxicity"),
    ],
)
def test_a_refused_key_ends_the_command(asked: Callable[..., Benchmarks], status: int, message: str, todo: str) -> None:
    with analyzer(lambda _: error(status, message)) as (address, seen), pytest.raises(EndpointRefused) as refused:
        asked(address)
    assert f"refuses ({status}): {message}; {todo}" in str(refused.value)
    assert len(seen) <= 4
    assert KEY not in str(refused.value)


def test_a_text_that_the_classifier_reads_in_part_is_counted(asked: Callable[..., Benchmarks], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import checkpoints

    labels = {0: "kind", 1: "toxic"}
    classifier = checkpoints.reward(tmp_path / "judge", "roberta", seed=3, num_labels=2, id2label=labels)
    rows = [{"question": f"Say {'very ' * (600 if i < 3 else 1)}{i}"} for i in range(8)]
    write_jsonl(tmp_path / "words.jsonl", rows)
    for _ in range(2):  # from the ledger, too
        found = asked(classifier)
        assert "far on words: of 3 texts the classifier read only the beginning." in found.caveats
        assert any("which reads the first" in caveat for caveat in found.caveats)


def test_without_an_interval_no_heading_says_how_intervals_were_made(asked: Callable[..., Benchmarks]) -> None:
    with analyzer(lambda _: error(400, "Internal trouble")) as (address, _):
        found = asked(address)
    assert [table.title for table in tables_of(found)] == ["Without a result"]
