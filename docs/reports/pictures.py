"""Takes the pictures of docs/reports.md: a comparison that it runs, in a real browser.

    python docs/reports/pictures.py

It compares two of the shipped contestants by recorded verdicts: small models of a toy world, and a judge of their size.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).parent / "sciexam"
DESKTOP = {"width": 1120, "height": 800}
LOW = {"width": 1000, "height": 560}
PHONE = {"width": 390, "height": 760}


def photograph(browser: Any, page: Path, name: str, hash: str = "", **options: Any) -> None:
    context = browser.new_context(**({"viewport": DESKTOP} | options))
    shown = context.new_page()
    shown.goto(page.as_uri() + hash)
    shown.wait_for_timeout(800)  # until what differs is marked
    shown.screenshot(path=HERE / f"{name}.png")
    context.close()


def main() -> None:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        subprocess.run([COMMAND, "compare", "base", "sft", "--quiet"], cwd=name, check=True)
        (page,) = Path(name).glob("results/*/*/report.html")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        photograph(browser, page, "top")
        photograph(browser, page, "answers", "#p4&search=oxygen", viewport=LOW)
        photograph(browser, page, "phone-dark", "#p1&differences=yes", viewport=PHONE, color_scheme="dark")
        browser.close()


if __name__ == "__main__":
    main()
