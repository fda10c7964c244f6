"""Text from models, judges and files made safe to show: no control, no hidden direction, no half character."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A terminal obeys C0, DEL and C1; a bidi control makes text read as something other than it says (Boucher & Anderson,
# "Trojan Source", 2021); a lone surrogate is no character, and UTF-8 refuses it; XML 1.0 (2.2) lacks U+FFFE and U+FFFF.
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}\ud800-\udfff\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n|[\u2028\u2029]")


def plain_text(text: str) -> str:
    """`text` with its line breaks and tabs, and with everything invisible that acts made visible.

    C0 controls and DEL become their Unicode symbols (ESC is ␛), bidi controls, U+FFFE and U+FFFF their code point in
    brackets ([U+202E]), C1 controls and lone surrogates U+FFFD. CR LF and the Unicode separators become a line feed.
    Any str is taken.
    """
    if text.isprintable():  # a page has hundreds of thousands of texts, and most are one line of letters
        return text
    return _UNSAFE.sub(_visible, _LINE_ENDS.sub("\n", text))


def one_line(text: str) -> str:
    """`plain_text` with every run of white space as one space."""
    return " ".join(plain_text(text).split())


def quoted(texts: Sequence[str], most: int = 3, width: int = 60) -> str:
    """Some texts by their beginnings, on one line: `'Why is the sky blue?', 'Why does i...' and 2 more`."""
    shown = [line if len(line) <= width else f"{line[:width].rstrip()}..." for line in map(one_line, texts[:most])]
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(f"'{line}'" for line in shown) + more


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if code < 0xA0 or 0xD800 <= code <= 0xDFFF else f"[U+{code:04X}]"
