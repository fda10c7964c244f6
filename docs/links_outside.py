"""What `make docs` does beyond MkDocs: a link to a file that is no page becomes the file's name."""

from __future__ import annotations

import re
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The site has the folder docs/ alone: what else a page links to lies in the repository."""
    return OUTSIDE.sub(lambda link: f"{link[1]} (`{link[2].removeprefix('../')}` in the repository)", markdown)
