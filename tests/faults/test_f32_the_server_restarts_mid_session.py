"""The server of the annotators' pages is stopped or killed in the middle of a session, and started again."""

from __future__ import annotations

import time
from collections import Counter

import httpx2
import pytest

from clicker import Clicker, turn_of
from newcomers import PROMPTS, Open, Person, Serve, go, item_of, judge
from rows import Tally


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_links_position_and_open_pages_are_good_after_a_restart(study: Serve, end: str) -> None:
    served = study("--annotators", "2", "--overlap", "2", prompts=PROMPTS)
    me, other = Person(served, "annotator-1"), Person(served, "annotator-2")
    links, first = dict(served.links), httpx2.get(me.link, follow_redirects=True)
    assert httpx2.post(str(first.url), data={"choice": "left-much", "turn": "0"}).status_code == 303
    page = httpx2.get(me.link, follow_redirects=True)  # what is before the eyes when the server goes
    assert httpx2.post(f"{page.url}/draft", data={"comment": "half a thou", "turn": "0"}).status_code == 204
    assert served.run("annotate", "link", "annotator-2", "--revoke").returncode == 0
    getattr(served, end)()
    with pytest.raises(httpx2.TransportError):
        httpx2.get(me.link)
    served.start()
    assert served.links["annotator-1"] == links["annotator-1"]
    again = httpx2.get(me.link, follow_redirects=True)
    assert (again.url, turn_of(again.text)) == (page.url, "0")
    assert "half a thou" in again.text
    assert f"1 of {PROMPTS}" in again.text
    assert httpx2.post(str(page.url), data={"choice": "right-much", "turn": turn_of(page.text)}).status_code == 303
    assert [choice for _, choice in me.did()] == ["left-much", "right-much"]
    refused = httpx2.get(links["annotator-2"])
    assert refused.status_code == 403, "what was ended stays ended"
    assert "was ended" in refused.text
    assert other.did() == []


def test_ctrl_c_ends_the_page_and_says_how_to_go_on(study: Serve) -> None:
    served = study("--annotators", "1", prompts=3)
    Clicker(served.links["annotator-1"], 1).run()
    assert served.stop() == 0
    assert "stopped; 3 judgements are stored. The same command goes on, with the same links" in served.output


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9_and_links_stay_valid(study: Serve, tally: Tally) -> None:
    served = study("--annotators", "8", "--overlap", "8", prompts=40)
    clickers = [Clicker(served.links[f"annotator-{n}"], n, patience=30) for n in range(1, 9)]
    for clicker in clickers:
        clicker.start()
    links = dict(served.links)
    for _ in range(3):
        time.sleep(0.7)
        served.kill()
        served.start()
    assert served.links == links
    for clicker in clickers:
        clicker.join(100)
    assert [clicker.failure for clicker in clickers] == [""] * 8
    _, done, people = served.kept()
    for number, clicker in enumerate(clickers, 1):
        mine = Counter(
            (one.item, one.choice) for one in done if people[one.annotator].pseudonym == f"annotator-{number}"
        )
        assert mine == Counter(clicker.acknowledged)
        assert len(mine) == 40
    tally(3)


@pytest.mark.slow
def test_a_server_that_ends_or_is_killed_is_waited_for(study: Serve, opened: Open) -> None:
    served = study("--annotators", "1", prompts=PROMPTS)
    me, expected = Person(served, "annotator-1"), []
    page, link = opened(me.link), me.link
    for end in (served.stop, served.kill):
        item = item_of(page)
        end()
        page.keyboard.press("4")
        page.get_by_text("Not saved yet").wait_for()
        assert me.did() == expected
        page.context.set_offline(True)
        served.start()
        go(page, lambda: page.context.set_offline(False))  # sooner than it would try again anyway
        expected.append((item, "right-much"))
        assert me.did() == expected
    assert me.link == link
    elsewhere = opened(me.link)
    assert elsewhere.url == page.url
    assert f"2 of {PROMPTS}" in elsewhere.inner_text("header")
    judge(page, "left-much")
    assert len(me.did()) == 3
