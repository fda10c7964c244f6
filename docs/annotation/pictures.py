"""Takes the pictures of docs/annotation.md: a real study, in a real browser.

    python docs/annotation/pictures.py

It serves the shipped suite, lets three made annotators judge it, and photographs what the fourth and the owner see.
The judgements are drawn by a seed, so the figures on the owner's page say nothing about any model.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from sciexam.annotate.desk import Desk, kept_queue
from sciexam.store import Store

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).parent / "sciexam"
DESKTOP = {"width": 1280, "height": 800}
RIGHT = {"annotator-1": 0.85, "annotator-2": 0.8}  # how often each names sft; the third presses 1 once a second


def serve(folder: Path, *options: str) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """A served queue, and its links."""
    out = folder / "out.txt"
    command = [COMMAND, "annotate", "serve", "base", "sft", "--port", "0", *options]
    with out.open("wb") as file:
        server = subprocess.Popen(command, cwd=folder, stdout=file, stderr=file)
    while "Listening" not in out.read_text():
        time.sleep(0.1)
    lines = [line.split() for line in out.read_text().splitlines() if "http" in line]
    return server, {"owner" if line[0] == "the" else line[0]: line[-1] for line in lines}


def judge(folder: Path) -> None:
    """Three annotators judge, each by a rule of their own, and the owner's page has something to show."""
    with Store(folder / "results" / "ledger.sqlite") as store:
        [body] = store.annotations.queues().values()
        desk = Desk(store, kept_queue(store, body))
        people = {one.pseudonym: one for one in store.annotators.all()}
        for name in ("annotator-1", "annotator-2", "annotator-3"):
            drawn = random.Random(name)
            while (id := desk.next(people[name])) is not None:
                showing = desk.show(people[name], id)
                choice, seconds = "left-much", 1.0
                if name in RIGHT:
                    left = showing.item.by[showing.place.shown[0]] == "sft"
                    hand = "left" if left == (drawn.random() < RIGHT[name]) else "right"
                    choice, seconds = f"{hand}-{drawn.choice(('much', 'slightly'))}", drawn.uniform(25, 70)
                desk._since[people[name].id, id] -= seconds  # as if they had looked for so long
                desk.judge(people[name], id, 0, {"choice": choice})


def photograph(browser: Any, url: str, name: str, keys: str = "", size: dict[str, int] = DESKTOP) -> None:
    context = browser.new_context(viewport=size)
    page = context.new_page()
    page.goto(url)
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(500)
    page.screenshot(path=HERE / f"{name}.png")
    context.close()


def main() -> None:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        server, links = serve(folder, "--annotators", "4")
        judge(folder)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        own = links["annotator-4"]
        photograph(browser, own, "pair", keys="14")
        photograph(browser, links["owner"], "overview", size={"width": 1280, "height": 1400})
        server.terminate()
        server.wait()
        browser.close()


if __name__ == "__main__":
    main()
