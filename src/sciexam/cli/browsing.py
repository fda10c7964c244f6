"""Opening a page in the browser of whoever asked for it."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path


def open_in_browser(page: Path) -> None:
    """Show `page`; where no browser can be opened, say on stderr where it lies."""
    try:
        shown = webbrowser.open(page.absolute().as_uri())
    except (webbrowser.Error, OSError):
        shown = False
    if not shown:
        print(f"sciexam: no browser could be opened here; the page is {page.absolute()}", file=sys.stderr)
