"""The endpoint refuses the key or does not know the model, and repeats the key while it does."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from conftest import Cli
from endpoint import Endpoint
from judged import CONCURRENCY, exam
from rows import Tally

KEY = "sk-sentinel-0123456789abcdef"
PROMPTS = 500


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("401", "set MY_KEY to a key that this endpoint accepts"),
        pytest.param("403", "check that the key in MY_KEY may use the model 'judge-1'", marks=pytest.mark.slow),
        pytest.param("404", "check model: 'judge-1' and base_url:", marks=pytest.mark.slow),
    ],
)
def test_a_refusal_is_said_once_after_few_calls_and_the_key_is_nowhere_to_be_seen(
    tmp_path: Path, sciexam: Cli, tally: Tally, fault: str, said: str
) -> None:
    with Endpoint("judge-longer", faults={fault: 1.0}) as endpoint:
        suite = exam(tmp_path, endpoint.url, PROMPTS, api_key_env="MY_KEY")
        done = sciexam("compare", "--suite", str(suite), env={"MY_KEY": KEY})
        assert done.returncode == 2
        assert done.stderr.count(said) == 1
        assert endpoint.requests <= CONCURRENCY
        assert set(endpoint.authorizations) == {f"Bearer {KEY}"}
    seen = (done.stdout + done.stderr).encode()
    seen += b"".join(path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file())
    for form in (KEY.encode(), KEY[:8].encode(), base64.b64encode(KEY.encode())[:20]):
        assert form not in seen
    tally(endpoint.requests)


def test_a_key_that_is_not_set_is_asked_for_before_any_call(tmp_path: Path, sciexam: Cli) -> None:
    suite = exam(tmp_path, "https://endpoint.invalid/v1", api_key_env="NO_SUCH_KEY")
    done = sciexam("compare", "--suite", str(suite))
    assert done.returncode == 2
    assert "NO_SUCH_KEY" in done.stderr
