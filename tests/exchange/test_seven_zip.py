"""A site's archive is streamed: as good as its files, and nothing of it reaches the disk."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

pytest.importorskip("py7zr")
pytest.importorskip("datasketch")
pytest.importorskip("markdownify")

import py7zr
from dump import SITE, rows, write_dump, xml

from sciexam.errors import DocumentError, UsageError
from sciexam.exchange import seven_zip
from sciexam.exchange.question_draw import Choice
from sciexam.exchange.training_data import make

CHOICE = Choice(test_share=0.4)


def packed(archive: Path, files: dict[str, str], **more: object) -> Path:
    with py7zr.SevenZipFile(archive, "w", **more) as file:
        file.set_encoded_header_mode(False)  # the list of files is not packed, so that a test can change it
        for name, text in files.items():
            file.writestr(text, name)
    return archive


def site(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(write_dump(folder).parent.iterdir())}


def test_an_archive_gives_what_its_files_give(tmp_path: Path) -> None:
    files = site(tmp_path)
    archive = packed(tmp_path / f"{SITE}.7z", {"Badges.xml": xml("badges", []), **files, "Votes.xml": "<votes/>"})
    make([tmp_path / SITE], tmp_path / "one", CHOICE)
    make([archive], tmp_path / "two", CHOICE)
    for path in (tmp_path / "one").glob("*.jsonl"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_the_files_of_the_largest_site_come_in_archives_of_their_own(tmp_path: Path) -> None:
    files = site(tmp_path)
    for name in ("Posts", "Users", "PostLinks"):
        packed(tmp_path / f"stackoverflow.com-{name}.7z", {f"{name}.xml": files[f"{name}.xml"]})
    made = make([tmp_path / "stackoverflow.com-Posts.7z"], tmp_path / "out", CHOICE)
    assert [Path(source["file"]).name[:-3] for source in made.sources] == [
        "stackoverflow.com-Posts",
        "stackoverflow.com-Users",
        "stackoverflow.com-PostLinks",
    ]
    text = (tmp_path / "out" / "demonstrations.jsonl").read_text()
    assert "https://stackoverflow.com/a/" in text
    assert "Ann <b>Baker</b>" in text


@pytest.mark.parametrize("name", ["../../../Posts.xml", "/etc/Posts.xml", "a/b/Posts.xml"])
def test_a_path_in_an_archive_reaches_no_disk(name: str, tmp_path: Path) -> None:
    plain = packed(
        tmp_path / f"{SITE}.7z", {"x" * len(name): xml("posts", rows())}, filters=[{"id": py7zr.FILTER_COPY}]
    )
    hostile = tmp_path / "hostile" / f"{SITE}.7z"
    hostile.parent.mkdir()
    _rename(plain, hostile, "x" * len(name), name)
    plain.unlink()
    before = sorted(tmp_path.rglob("*"))
    refused = pytest.raises(UsageError, match="cannot be read") if name.startswith("..") else nullcontext()
    with refused:  # by the library, because of the name
        make([hostile], tmp_path / "hostile" / "out", CHOICE)
    after = [path for path in sorted(tmp_path.rglob("*")) if "out" not in path.parts]
    assert after == before
    assert not Path("/etc/Posts.xml").exists()
    assert not (Path.cwd() / "Posts.xml").exists()


def _rename(archive: Path, to: Path, old: str, new: str) -> None:
    """Write another name of the same length into the list of files, and the sums that guard it."""
    from zlib import crc32

    with py7zr.SevenZipFile(archive) as file:
        assert file.getnames() == [old]
    raw = bytearray(archive.read_bytes())
    at = raw.find(old.encode("utf-16-le"))
    raw[at : at + 2 * len(new)] = new.encode("utf-16-le")
    offset, size = (int.from_bytes(raw[place : place + 8], "little") for place in (12, 20))
    raw[28:32] = crc32(raw[32 + offset : 32 + offset + size]).to_bytes(4, "little")
    raw[8:12] = crc32(raw[12:32]).to_bytes(4, "little")
    to.write_bytes(raw)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seven_zip, "HARMLESS", 1_000_000)
    archive = packed(tmp_path / f"{SITE}.7z", {"Votes.xml": "0" * 5_000_000, "Posts.xml": xml("posts", rows())})
    with pytest.raises(UsageError, match=r"bytes would unpack to 5,0\d\d,\d\d\d; if this is no trap, unpack it"):
        make([archive], tmp_path / "out", CHOICE)


def test_a_damaged_archive_says_so(tmp_path: Path) -> None:
    archive = packed(tmp_path / f"{SITE}.7z", site(tmp_path))
    raw = archive.read_bytes()
    for damaged in (
        raw[: len(raw) // 2],
        raw[:40] + bytes(60) + raw[100:],
        raw[:12] + b"\xff" * 20 + raw[32:],
        raw[:9],
    ):
        archive.write_bytes(damaged)
        with pytest.raises(UsageError, match=r"is it damaged or cut off\?|its list of files takes more"):
            make([archive], tmp_path / "out", CHOICE)
    archive.write_text("<posts/>")
    with pytest.raises(UsageError, match="is no 7z archive"):
        make([archive], tmp_path / "out", CHOICE)
    assert not (tmp_path / "out").exists()


def test_a_fault_in_an_archive_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    posts = rows()
    posts[4]["Score"] = "many"
    archive = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": xml("posts", posts)})
    with pytest.raises(DocumentError, match=rf"{SITE}\.7z/Posts\.xml:7: row 2: Score: 'many' is no whole number"):
        make([archive], tmp_path / "out", CHOICE)


def test_an_archive_without_posts_with_two_or_with_a_password_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / f"{SITE}.7z"
    for files, more, told in (
        ({"Users.xml": xml("users", [])}, {}, r"holds no Posts\.xml"),
        ({"a/Posts.xml": "<posts/>", "b/Posts.xml": "<posts/>"}, {}, r"holds two files Posts\.xml"),
        ({"Posts.xml": "<posts/>"}, {"password": "x"}, "is locked with a password"),
    ):
        packed(archive, files, **more)
        with pytest.raises(UsageError, match=told):
            make([archive], tmp_path / "out", CHOICE)


def test_without_the_library_the_message_names_it_and_7z(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(tmp_path / f"{SITE}.7z", site(tmp_path))
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(UsageError, match=r"pip install 'sciexam\[data\]'; or unpack it: 7z x .* Posts\.xml"):
        make([archive], tmp_path / "out", CHOICE)
