"""A site of StackExchange as its public dump has it: Posts.xml, with Users.xml and PostLinks.xml where they are there.

The files come in a folder, or as one archive a site (cooking.stackexchange.com.7z); those of the largest site come in
an archive each (stackoverflow.com-Posts.7z). Columns: meta.stackexchange.com/q/2677.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from sciexam.errors import UsageError
from sciexam.exchange.post_index import PostIndex
from sciexam.exchange.posts import Post, UnreadableError, is_host, known_site, licence_of, utc
from sciexam.exchange.seven_zip import Sinks, stream
from sciexam.exchange.xml_rows import PIECE, XmlRows

POSTS, USERS, LINKS = "Posts.xml", "Users.xml", "PostLinks.xml"
QUESTION, ANSWER = "1", "2"  # PostTypeId; the others are wikis of tags and notices
DUPLICATE = "3"  # LinkTypeId
COMMUNITY = "-1"  # OwnerUserId of the account that stands for everybody
_Take = Callable[[str, dict[str, str]], None]
_TYPED = re.compile(r"CC BY-SA \d\.\d")


def read_site(path: Path, index: PostIndex, site: str | None) -> list[Path]:
    """Put the posts of a dump into the index. Returns the files that were read. Raises UsageError."""
    path = path / POSTS if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    rows = SiteRows(_site_of(path, site), index)
    return _read_archives(path, rows) if path.suffix == ".7z" else _read_files(path, rows)


def _site_of(path: Path, site: str | None) -> str:
    named = known_site(path.stem if path.suffix == ".7z" else path.absolute().parent.name) or known_site(path.stem)
    if named is None and site is None:
        raise UsageError(f"{path}: say which site it is of, for the links: --site cooking.stackexchange.com")
    if named and site and named != site:
        raise UsageError(f"{path}: is of {named} by its name, and --site says {site}")
    return site or named or ""


def _read_files(path: Path, rows: SiteRows) -> list[Path]:
    files = [path]
    files += [beside for name in (USERS, LINKS) if (beside := path.with_name(name)).is_file() and beside != path]
    for file in files:
        sink = rows.sinks()[POSTS if file == path else file.name](str(file))
        with file.open("rb") as source:
            while piece := source.read(PIECE):
                sink.feed(piece)
        sink.close()
    return files


def _read_archives(path: Path, rows: SiteRows) -> list[Path]:
    files = [path]
    if POSTS not in stream(path, rows.sinks()):
        raise UsageError(f"{path}: holds no {POSTS}")
    for name in ("Users", "PostLinks"):
        beside = path.with_name(re.sub(r"-Posts\.7z$", f"-{name}.7z", path.name))
        if beside != path and beside.is_file():
            stream(beside, {f"{name}.xml": rows.sinks()[f"{name}.xml"]})
            files.append(beside)
    return files


class SiteRows:
    """What the rows of the three files mean. A row that cannot be understood is a fault of the index."""

    def __init__(self, site: str, index: PostIndex):
        if not is_host(site):
            raise UsageError(f"--site {site}: name it as browsers do: cooking.stackexchange.com")
        self.site, self._index = site, index

    def sinks(self) -> Sinks:
        """By the file's name: what makes a reader of it."""
        return {
            POSTS: partial(self._reader, "posts", self._take_post),
            USERS: partial(self._reader, "users", self._take_user),
            LINKS: partial(self._reader, "postlinks", self._take_link),
        }

    def _reader(self, root: str, take: _Take, where: str) -> XmlRows:
        def guarded(line: int, row: dict[str, str]) -> None:
            try:
                take(f"{where}:{line}", row)
            except UnreadableError as fault:
                self._index.fault(f"{where}:{line}: row {row.get('Id', '')[:20] or '?'}: {fault}")

        return XmlRows(where, root, guarded)

    def _take_post(self, place: str, row: Mapping[str, str]) -> None:
        kind = _given(row, "PostTypeId")
        if kind not in (QUESTION, ANSWER):
            self._index.read["other"] += 1
            return
        id, posted = _whole(row, "Id"), _date(row, "CreationDate")
        stated = row.get("ContentLicense", "")
        post = Post(
            key=self._key(id),
            place=place,
            site=self.site,
            question=self._key(_whole(row, "ParentId")) if kind == ANSWER else None,
            body=_given(row, "Body"),
            html=True,
            licence=stated if _TYPED.fullmatch(stated) else licence_of(_date(row, "LastEditDate", posted)),
            title=_given(row, "Title") if kind == QUESTION else "",
            votes=_whole(row, "Score"),
            accepted_answer=self._key(_whole(row, "AcceptedAnswerId")) if row.get("AcceptedAnswerId") else None,
            posted=posted,
            tags=tuple(re.findall(r"[^<>|]+", row.get("Tags", ""))),
            author="Community" if row.get("OwnerUserId") == COMMUNITY else row.get("OwnerDisplayName") or None,
            user=str(_whole(row, "OwnerUserId")) if row.get("OwnerUserId") else None,
            link=f"https://{self.site}/{'q' if kind == QUESTION else 'a'}/{id}",
        )
        self._index.add(post)

    def _take_user(self, _: str, row: Mapping[str, str]) -> None:
        self._index.name_user(f"{self.site}/{_whole(row, 'Id')}", row.get("DisplayName", ""))

    def _take_link(self, _: str, row: Mapping[str, str]) -> None:
        if _given(row, "LinkTypeId") == DUPLICATE:
            self._index.link(self._key(_whole(row, "PostId")), self._key(_whole(row, "RelatedPostId")))

    def _key(self, id: int) -> str:
        return f"{self.site}/{id}"


def _given(row: Mapping[str, str], name: str) -> str:
    if name not in row:
        raise UnreadableError(f"{name}: is missing")
    return row[name]


def _whole(row: Mapping[str, str], name: str) -> int:
    text = _given(row, name)
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise UnreadableError(f"{name}: {text[:40]!r} is no whole number")
    return int(text)


def _date(row: Mapping[str, str], name: str, default: str | None = None) -> str:
    if default is not None and not row.get(name):
        return default
    text = _given(row, name)
    try:
        return utc(text)
    except (ValueError, OverflowError):
        raise UnreadableError(f"{name}: {text[:40]!r} is no date; 2016-03-19T06:05:48 is one") from None
