"""A link is changed, made up, taken from another ledger, or used after it has expired or was revoked."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

from itsdangerous import URLSafeSerializer

from asked import (
    NAMES,
    ask,
    next_item,
    read_claims,
    said,
    stored,
    submit,
    token_of,
)
from rows import Tally
from sciexam.annotate.links import Links
from sciexam.store import Store
from study import Study


def test_a_link_that_was_changed_anywhere_opens_nothing(site: Study, links: dict[str, str], tally: Tally) -> None:
    token = token_of(links["Ada"])
    payload, _, signature = token.partition(".")
    other, _, others = token_of(links["Bert"]).partition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = [token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(len(token))]
    changed += [token[:-1] + one for one in alphabet if one != token[-1]]  # some are the same signature in base64
    changed += [token[:i] for i in range(0, len(token), 7)] + [token + one for one in ("=", "A", ".", "%C3%A9", "%0A")]
    changed += [f"{payload}.{others}", f"{other}.{signature}", payload, f"{payload}.", f".{signature}", f".{token}"]
    before = stored(site)
    for one in filter(None, changed):
        for page in ("a", "owner"):
            answer = ask(site, f"/{page}/{one}")
            assert answer.status == 403, one
            assert "This link is not valid. It may have been copied incompletely" in said(answer)
    assert stored(site) == before
    tally(2 * len(changed))


def test_a_link_that_somebody_made_up_opens_nothing(site: Study, links: dict[str, str], tally: Tally) -> None:
    claims = read_claims(token_of(links["owner"]))
    keys = ("", "secret", "sciexam", "sciexam annotate", "0" * 32)
    made = [URLSafeSerializer(key, salt=salt).dumps(claims) for key in keys for salt in ("sciexam annotate", "cookie")]
    plain = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    made += [plain, f"{plain}.", f"{plain}..", "1", "owner", "null", "%00owner", "eyJhbGciOiJub25lIn0.WzEsIiJd."]
    for one in made:
        for page in ("a", "owner"):
            assert ask(site, f"/{page}/{one}").status == 403, one
    tally(2 * len(made))


def test_a_link_of_another_ledger_opens_nothing(site: Study, tmp_path: Path) -> None:
    """The same person, and the same nonce: only the ledger's key is another."""
    with site.store() as store, Store(tmp_path / "other.sqlite") as other:
        people = store.annotators.all()
        own, foreign = ([Links(one).token(person) for person in people] for one in (store, other))
    assert [token_of(link) for link in site.links.values()] == own
    for token in foreign:
        assert ask(site, f"/a/{token}").status == 403
        assert ask(site, f"/owner/{token}").status == 403


def test_a_link_holds_no_name(site: Study) -> None:
    for link, name in zip(site.links.values(), (*NAMES, "owner"), strict=True):
        number, nonce = read_claims(token_of(link))
        assert isinstance(number, int)
        assert re.fullmatch("[0-9a-f]{32}", nonce)
        address = urlsplit(link).path.removeprefix("/owner/").lower()
        for part in name.lower().split():
            assert len(part) < 5 or part not in address  # shorter ones may come about by chance


def test_a_link_expires(site: Study, links: dict[str, str]) -> None:
    """Its time is over when whoever holds it has an item already."""
    item = next_item(site, links["Dora"]).removeprefix(links["Dora"])
    before = stored(site)[0]
    with site.store() as store:
        [dora] = [one for one in store.annotators.all() if one.name == "Dora Numbat"]
        link = f"{site.origin}/a/{Links(store).token(store.annotators.renew(dora.id, int(time.time() * 1000)))}"
    for answer in (ask(site, link), ask(site, link + item), submit(site, link + item, {"turn": "0"})):
        assert answer.status == 403
        assert "This link has expired. Ask whoever sent it to you for a new one." in said(answer)
    assert stored(site)[0] == before
    renewed = site.run("annotate", "link", "Dora Numbat", "--renew", "--port", str(site.port)).stdout.split()[-1]
    assert next_item(site, renewed).startswith(renewed)


def test_a_link_is_ended_and_renewed_while_the_pages_are_served(site: Study, links: dict[str, str]) -> None:
    item = next_item(site, links["Cleo"])
    before = stored(site)[0]
    port = ("--port", str(site.port))
    assert "the link of Cleo Okapi is ended" in site.run("annotate", "link", "Cleo Okapi", "--revoke", *port).stderr
    for answer in (
        ask(site, links["Cleo"]),
        ask(site, item),
        ask(site, links["Cleo"] + "/history"),
        submit(site, item, {"turn": "0", "choice": "left-much"}),
        submit(site, item + "/draft", {"turn": "0", "comment": "still here"}),
        submit(site, links["Cleo"] + "/undo", {}),
    ):
        assert answer.status == 403
        assert "This link was ended. Ask whoever sent it to you for a new one." in said(answer)
    count, assigned = stored(site)
    assert count == before
    assert not any(one.draft for one in assigned if item.endswith(one.item))
    renewed = site.run("annotate", "link", "Cleo Okapi", "--renew", *port).stdout.split()[-1]
    assert renewed != links["Cleo"]
    assert ask(site, links["Cleo"]).status == 403
    assert ask(site, item).status == 403
    assert submit(site, next_item(site, renewed), {"turn": "0", "choice": "left-much"}).status == 303
