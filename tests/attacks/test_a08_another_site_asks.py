"""Another site's page posts, frames a page, or comes under another host's name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from asked import (
    Open,
    Serve,
    ask,
    connected,
    folder_of,
    next_item,
    received,
    said,
    stored,
    submit,
)
from rows import Tally
from sciexam.web import guard
from sciexam.web.serving import origin_of
from study import Study

FOREIGN = (
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": ""}, 403),
    ({"Origin": "http://127.0.0.1"}, 403),
    ({"Origin": "http://127.0.0.1:{wrong}"}, 403),
    ({"Origin": "https://127.0.0.1:{port}"}, 403),
    ({"Origin": "http://127.0.0.1:{port}.evil.example"}, 403),
    ({"Origin": "http://127.0.0.1:{port}@evil.example"}, 403),
    ({"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "cross-site"}, 403),
    ({"Sec_Fetch_Site": "cross-site"}, 403),
    ({"Sec_Fetch_Site": "same-site"}, 403),
    ({"Host": "evil.example"}, 400),
    ({"Host": "evil.example:{port}"}, 400),
    ({"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"}, 400),
    ({"Host": "127.0.0.1"}, 400),
    ({"Host": "127.0.0.1:{wrong}"}, 400),
    ({"Host": "127.0.0.1:{port}.evil.example"}, 400),
    ({"Host": "evil.example", "X_Forwarded_Host": "127.0.0.1:{port}"}, 400),
    ({"Host": ""}, 400),
)


def test_a_post_of_another_sites_page_changes_nothing(site: Study, links: dict[str, str], tally: Tally) -> None:
    item = next_item(site, links["Ada"])
    form = {"turn": "0", "choice": "left-much", "comment": "not Ada"}
    before = stored(site)
    for headers, status in FOREIGN:
        given = {name: text.format(port=site.port, wrong=site.port + 1) for name, text in headers.items()}
        for target in (item, f"{item}/draft", f"{links['Ada']}/undo", f"{links['Ada']}/pause", links["owner"]):
            answer = submit(site, target, form, **given)
            assert answer.status == status, (given, said(answer))
            assert answer.text == (
                "This address is not served here. Open the link exactly as you were given it."
                if status == 400
                else "This came from another site's page, so nothing was changed."
            )
        if status == 400:  # no page is read under another name either: that is what DNS rebinding is for
            assert ask(site, item, **given).status == 400
            assert ask(site, item, "HEAD", **given).status == 400
    assert stored(site) == before
    own = {"Origin": site.origin, "Sec_Fetch_Site": "same-origin"}
    assert submit(site, item, form, **own).status == 303
    assert stored(site)[0] == before[0] + 1
    tally(5 * len(FOREIGN))


def test_a_request_for_two_hosts_or_for_none_is_refused(site: Study, links: dict[str, str]) -> None:
    own = f"Host: 127.0.0.1:{site.port}\r\n"
    for hosts in ("", f"{own}Host: evil.example\r\n", f"Host: evil.example\r\n{own}"):
        with connected(site) as line:
            line.sendall(f"GET {urlsplit(links['Ada']).path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            assert received(line).status == 400
    with connected(site) as line:
        line.sendall(f"GET {urlsplit(links['Ada']).path} HTTP/1.0\r\n\r\n".encode())
        assert received(line).status == 400


def test_what_is_no_form_of_ours_is_not_kept(site: Study, links: dict[str, str]) -> None:
    item = next_item(site, links["Ada"])
    before = stored(site)
    boundary = b'--x\r\nContent-Disposition: form-data; name="choice"\r\n\r\nleft-much\r\n--x--\r\n'
    for body, kind in (
        (b'{"turn": "0", "choice": "left-much"}', "application/json"),
        (boundary, "multipart/form-data; boundary=x"),
        (b"turn=0\nchoice=left-much", "text/plain"),
        (b"\x00\xff\xfe" * 1000, "application/octet-stream"),
        (b"", "application/x-www-form-urlencoded"),
        (b"turn=0&choice=", "application/x-www-form-urlencoded"),
        (b"turn=0&choice=withdrawn", "application/x-www-form-urlencoded"),
        (b"turn=0&choice=left-much%00", "application/x-www-form-urlencoded"),
        (b"turn=0&choice=%ed%a0%80", "application/x-www-form-urlencoded"),
    ):
        answer = ask(site, item, "POST", body, Content_Type=kind)
        assert answer.status == 422, kind
        assert "No answer was chosen. Press one of the buttons." in said(answer)
    assert stored(site) == before


def test_a_turn_that_nobody_was_shown_is_not_kept(site: Study, links: dict[str, str]) -> None:
    item = next_item(site, links["Ada"])
    before = stored(site)
    for turn in ("", "-1", "1", "7", "9" * 30, "9" * 5000, "0x0", "٣", "1e3", "\0"):
        answer = submit(site, item, {"turn": turn, "choice": "left-much"})
        assert answer.status in (409, 422), turn[:20]
    assert stored(site) == before


def test_every_answer_tells_the_browser_to_be_careful(site: Study, links: dict[str, str]) -> None:
    item = next_item(site, links["Ada"])
    owner = links["owner"]
    for status, answer in (
        (200, ask(site, item)),
        (200, ask(site, f"{links['Ada']}/history")),
        (200, ask(site, owner)),
        (200, ask(site, f"{owner}/disputed")),
        (200, ask(site, f"{owner}/export/verdicts.csv")),
        (303, ask(site, links["Ada"])),
        (403, ask(site, "/a/x")),
        (404, ask(site, "/x")),
        (405, ask(site, item, "PUT")),
        (422, submit(site, item, {})),
        (403, submit(site, item, {}, Origin="null")),
        (400, ask(site, item, Host="evil.example")),
    ):
        assert answer.status == status
        for name, value in guard.HEADERS.items():
            assert answer.headers[name] == value, (status, name)
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert not {"set-cookie", "server", "x-powered-by", "access-control-allow-origin"} & answer.headers.keys()
        if "html" in answer.headers.get("content-type", ""):
            policy = {
                rule.split()[0]: rule.split()[1:] for rule in answer.headers["content-security-policy"].split(";")
            }
            for rule in ("default-src", "frame-ancestors", "base-uri"):
                assert policy[rule] == ["'none'"]
            assert policy["form-action"] == ["'self'"]
            assert not [one for rule in policy.values() for one in rule if "unsafe" in one or "*" in one or "//" in one]


ATTACK = """<!doctype html><title>evil</title>
<form id="f" method="post" action="{item}" enctype="{kind}" {target}>
<input name="turn" value="0"><input name="choice" value="left-much"><input name="comment" value="pwned"></form>
<iframe name="hidden"></iframe>
<script>
const body = new URLSearchParams({{turn: "0", choice: "left-much", comment: "pwned"}});
addEventListener("load", async () => {{
  navigator.sendBeacon("{item}/draft", body);
  await fetch("{item}", {{method: "POST", mode: "no-cors", body}}).catch(() => 0);
  await fetch("{item}", {{method: "POST", headers: {{"X-Sciexam": "1"}}, body}}).catch(() => 0);
  document.getElementById("f").submit();
}});
</script>"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder that another server shows, and its port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    folder = tmp_path / "elsewhere"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_of_another_site_cannot_judge_in_somebodys_browser(
    site: Study, links: dict[str, str], elsewhere: tuple[Path, int], opened: Open
) -> None:
    """The other page stands under another name (cross-site), and at another port of this one (same-site)."""
    folder, port = elsewhere
    item = next_item(site, links["Ada"])
    before = stored(site)
    for number, host in enumerate(("localhost", "127.0.0.1")):
        kind = ("application/x-www-form-urlencoded", "text/plain")[number]
        (folder / f"{number}.html").write_text(ATTACK.format(item=item, kind=kind, target=""), encoding="utf-8")
        page = opened(f"http://{host}:{port}/{number}.html")
        page.wait_for_url(item)
        assert page.inner_text("body") == "This came from another site's page, so nothing was changed."
    assert stored(site) == before


def test_no_page_can_be_put_into_another_sites_frame(
    site: Study, links: dict[str, str], elsewhere: tuple[Path, int], opened: Open
) -> None:
    folder, port = elsewhere
    item = next_item(site, links["Ada"])
    shown = [item, f"{links['Ada']}/history", links["owner"], f"{site.origin}/a/x"]
    frames = "".join(f'<iframe src="{url}"></iframe>' for url in shown)
    (folder / "frames.html").write_text(f"<!doctype html>{frames}<iframe src='own.html'></iframe>", encoding="utf-8")
    (folder / "own.html").write_text("the other site's own", encoding="utf-8")
    for host in ("localhost", "127.0.0.1"):
        page = opened(f"http://{host}:{port}/frames.html")
        *ours, own = page.frames[1:]
        assert own.inner_text("body") == "the other site's own"  # frames can be shown at all
        assert [frame.evaluate("document.querySelectorAll('main, form, h1.unseen').length") for frame in ours] == [
            0
        ] * 4
        assert not [frame.url for frame in ours if frame.url.startswith(site.origin)]


def test_a_public_address_is_the_only_other_one(study: Serve) -> None:
    site = study("--annotators", "1", "--public-url", "https://annotate.example.org", prompts=2)
    path = urlsplit(site.links["annotator-1"]).path
    assert site.links["annotator-1"] == f"https://annotate.example.org{path}"
    outside = {"Host": "annotate.example.org"}
    location = ask(site, path, **outside).headers["location"]
    form = {"turn": "0", "choice": "left-much"}
    for origin in ("http://annotate.example.org", "https://annotate.example.org:444", "https://example.org", "null"):
        assert submit(site, location, form, **outside, Origin=origin).status == 403
    for host in (
        "example.org",
        "evil.annotate.example.org",
        "annotate.example.org.evil.example",
        "annotate.example.or",
    ):
        assert ask(site, path, Host=host).status == 400
    assert stored(site)[0] == 0
    assert submit(site, location, form, **outside, Origin="https://annotate.example.org").status == 303
    assert quote(location) == location


def test_other_machines_are_let_in_by_name_only(study: Serve, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 2)
    refused = Study(folder, []).run("annotate", "serve", "--suite", "exam.yaml", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "--host 0.0.0.0 serves other machines; say under which address they reach it" in refused.stderr


@pytest.mark.parametrize("typed", ["https://Annotate.Example.ORG", "https://annotate.example.org:443"])
def test_a_public_address_is_known_as_browsers_write_it(typed: str) -> None:
    assert origin_of("127.0.0.1", 8400, typed) == "https://annotate.example.org"
    assert (
        origin_of("127.0.0.1", 8400, typed.replace("https", "http").replace("443", "80"))
        == "http://annotate.example.org"
    )
