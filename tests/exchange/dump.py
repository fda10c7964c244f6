"""A small dump of a site, as StackExchange publishes them: several kinds of HTML, votes, accounts and mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

SITE = "cooking.stackexchange.com"

Row = dict[str, object]

CODE = """<p>I keep a list of doughs:</p>

<pre class="lang-py prettyprint-override"><code>def water(flour):
    # 70 % &amp; no more
    return flour * 0.7


print(water(500) &lt; 400)
</code></pre>

<p>Why is <code>water(500)</code> not enough for <em>rye</em>?</p>
"""
FORMULA = r"""<p>Heat flows as $q = -k \nabla T_1 * a_i$, so the time is</p>

<p>$$
t \approx \frac{d^2}{\alpha} \\
- c_0
$$</p>

<p>Is that right for a roast of 2 kg?</p>"""
LISTS = """<p>Two ways:</p>

<ol>
<li>Cold: <kbd>12</kbd> hours.</li>
<li><p>Warm:</p>

<ul>
<li>fold</li>
<li>rest</li>
</ul></li>
</ol>

<blockquote>
  <p>Time makes bread, says <a href="/users/7/ann" rel="nofollow">Ann</a></p>
</blockquote>

<p><a href="https://i.imgur.com/x.png"><img src="https://i.imgur.com/x.png" alt="A loaf cut in half"></a></p>
"""
ONIONS = (
    "<p>Whenever I chop more than two onions for a soup, tears run down my face and I have to stop. It is worse with "
    "old onions, and it does not happen to my sister, who wears glasses. Does cold water help, or a sharper knife?</p>"
)


def question(id: int, title: str, body: str = "<p>Body of it.</p>", **more: object) -> Row:
    return _post(id, 1, body, **{"Title": title, "Tags": "<bread><yeast>", **more})


def answer(id: int, parent: int, score: int, body: str = "<p>An answer.</p>", **more: object) -> Row:
    return _post(id, 2, body, **{"ParentId": parent, "Score": score, **more})


def _post(id: int, kind: int, body: str, **more: object) -> Row:
    row: Row = {"Id": id, "PostTypeId": kind, "CreationDate": "2015-06-01T10:00:00.123", "Score": 3, "Body": body}
    return {**row, "OwnerUserId": 7, **more}


def rows() -> list[Row]:
    """Ten questions. Each shows something; the comment says what."""
    return [
        # An accepted answer with few votes, a better voted one, a negative one by an account that is gone.
        question(1, "Why is my rye flat?", CODE, AcceptedAnswerId=12, CreationDate="2010-07-09T19:05:36.017"),
        answer(11, 1, 30, LISTS, CreationDate="2011-04-07T23:59:59.999"),
        answer(12, 1, 2, "<p>Rye has little gluten: $g < 0.1$.</p>", CreationDate="2018-05-02T00:00:00.000"),
        answer(13, 1, -4, "<p>Buy bread.</p>", OwnerUserId=None, OwnerDisplayName="user42"),
        # A tie of votes: no pair of these two, and the earlier one is the demonstration.
        question(2, "How long does a roast take?", FORMULA, Tags="|meat|roasting|", OwnerUserId=None),
        answer(21, 2, 1, "<p>Three hours.</p>"),
        answer(22, 2, 1, "<p>An hour a kilogram.</p>", CreationDate="2014-01-01T00:00:00.000"),
        # Nobody answered.
        question(3, "What is the best knife?"),
        # Only a negative answer: nothing to imitate and nothing to compare.
        question(4, "Is it safe to eat raw dough of flour?"),
        answer(41, 4, -1, "<p>Sure.</p>"),
        # A near-duplicate of question 6.
        question(5, "Why do onions make me cry?", ONIONS),
        answer(51, 5, 5, "<p>A gas.</p>"),
        question(6, "Why do onions make people cry?", ONIONS),
        answer(61, 6, 4, "<p>An enzyme makes a gas that becomes an acid.</p>"),
        answer(62, 6, 0, "<p>Use a sharp knife.</p>", OwnerUserId=-1),
        # Closed as a duplicate of question 1, in other words.
        question(7, "Flat loaves, again and again", "<p>My bread is flat. What can it be?</p>"),
        answer(71, 7, 3, "<p>Old yeast.</p>"),
        # Its answers are empty, or nested too deep.
        question(8, "Can I freeze cream?"),
        answer(81, 8, 9, "<p>   </p>"),
        answer(82, 8, 2, "<div>" * 90 + "Yes." + "</div>" * 90),
        # Thirteen answers of thirteen scores: more pairs than ten.
        question(9, "Which flour is for pasta?", CreationDate="2020-01-02T03:04:05.678", Tags="<pasta>"),
        *(answer(900 + n, 9, 2**n - 1, f"<p>Flour number {n}.</p>") for n in range(13)),
        # What an exam might ask.
        question(10, "What is gluten made of?", "<p>Please explain in simple words what gluten is made of.</p>"),
        answer(101, 10, 8, "<p>Two proteins.</p>"),
        # Neither a question nor an answer, and an answer to what is not here.
        _post(500, 5, "<p>About yeast.</p>"),
        answer(501, 4711, 3),
    ]


USERS: list[Row] = [{"Id": 7, "DisplayName": "Ann <b>Baker</b>"}, {"Id": -1, "DisplayName": "Community"}]
LINKS: list[Row] = [
    {"Id": 1, "PostId": 7, "RelatedPostId": 1, "LinkTypeId": 3},
    {"Id": 2, "PostId": 2, "RelatedPostId": 9, "LinkTypeId": 1},
]


def xml(root: str, rows: Iterable[Row]) -> str:
    """The file of a dump: one row a line."""
    lines = []
    for row in rows:
        given = [
            f'{key}="{escape(str(value))}"'.replace("\n", "&#xA;") for key, value in row.items() if value is not None
        ]
        lines.append(f"  <row {' '.join(given)} />\n")
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{root}>\n{"".join(lines)}</{root}>\n'


def write_dump(folder: Path, posts: Sequence[Row] | None = None, links: Sequence[Row] = ()) -> Path:
    """Posts.xml and Users.xml in folder/SITE, and PostLinks.xml with the usual posts; the path of the first."""
    folder = folder / SITE
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Users.xml").write_text(xml("users", USERS), encoding="utf-8")
    if links or posts is None:
        (folder / "PostLinks.xml").write_text(xml("postlinks", links or LINKS), encoding="utf-8")
    path = folder / "Posts.xml"
    path.write_text(xml("posts", rows() if posts is None else posts), encoding="utf-8")
    return path
