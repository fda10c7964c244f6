"""A figure as a file and as a part of a page: safe, small, the same each time, and readable by everyone."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import worlds
from numpy.typing import NDArray

from sciexam.report.figures import figures_of
from sciexam.report.figures.drawing import Drawing, Format, figure_of, to_svg, write_figures
from sciexam.report.figures.frame import SMALL, name_of, width_of
from sciexam.report.figures.palette import DARK, LIGHT, PAGE, Palette
from sciexam.report.plain_text import one_line

LOOK = Path(__file__).parents[3] / "src" / "sciexam" / "report" / "templates" / "look.css.j2"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "$\\frac{1}{2}$ and $x^2$",
    "</svg><script>alert(1)</script>",
    "\u202egnp.exe\x1b[31m\ud800\ufffe\uffff",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "y" * 300,
    "\U0001f600 & <b>bold</b> %s {0} #fe0101",
)


@pytest.fixture(scope="module")
def every() -> list[Drawing]:
    """All kinds of figures, the names of whose contestants would do harm if they could."""
    found = [
        worlds.report(HOSTILE, prompts=24, judges=("$j$<script>",), margin=0.1),
        worlds.stopped(HOSTILE[:2], prompts=60),
        worlds.agreement(4, prompts=20),
        worlds.rewards(HOSTILE, prompts=30, samples=2),
        worlds.grades(HOSTILE, prompts=20),
        worlds.validation(),
        worlds.board(HOSTILE[:4], prompts=24),
    ]
    return [drawing for one in found for drawing in figures_of(one)]


@pytest.fixture(scope="module")
def svgs(every: Sequence[Drawing]) -> list[str]:
    return [to_svg(one) for one in every]


# ---------------------------------------------------------------- in a page


def test_a_page_gets_an_element_that_scales_and_says_its_numbers(every: Sequence[Drawing], svgs: Sequence[str]) -> None:
    for one, text in zip(every, svgs, strict=True):
        root = ElementTree.fromstring(text)
        assert (root.tag, root.get("role")) == (f"{SVG}svg", "img")
        assert root.get("aria-label") == one.label
        assert len(one.label) < len(one.title) + 300
        assert [child.text for child in root if child.tag == f"{SVG}title"] == [one_line(one.title)]
        assert root.get("viewBox") == f"0 0 360 {one.height:g}"
        assert "width:100%" in root.get("style", "")
        least, most = (float(re.search(f"{edge}-width:([\\d.]+)rem", text)[1]) for edge in ("min", "max"))  # type: ignore[index]
        assert most == 33.75
        assert 16 * least * SMALL / 360 >= 11, "pixels that the smallest letters are high on a telephone"
        assert text.startswith("<svg ")
        assert one.caption.endswith(".")


def test_nothing_in_it_runs_loads_or_styles_the_page(svgs: Sequence[str]) -> None:
    allowed = {"svg", "title", "g", "defs", "path", "use", "text", "clipPath", "rect"}
    for text in svgs:
        for element in ElementTree.fromstring(text).iter():
            assert element.tag.removeprefix(SVG) in allowed
            for key, value in element.attrib.items():
                assert not key.startswith("on")
                if key == "href":
                    assert value.startswith("#")
                assert "url(" not in value or re.fullmatch(r"url\(#[\w-]+\)", value), value
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("https://evil", "")


def test_ids_are_those_of_one_figure_alone(every: Sequence[Drawing]) -> None:
    report = worlds.report(worlds.names_of(4), prompts=24, judges=("one", "two"))
    texts = [to_svg(one) for one in figures_of(report)]
    ids = [element.get("id") for text in texts for element in ElementTree.fromstring(text).iter() if element.get("id")]
    assert len(ids) > 20
    assert len(set(ids)) == len(ids)
    for text in texts:
        inside = set(re.findall(r' id="([^"]+)"', text))
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) == inside


def test_every_colour_is_one_of_the_page(svgs: Sequence[str]) -> None:
    properties = {"ink", "quiet", "line", "faint", "card", "tie", *(f"c{n}" for n in range(6))}
    seen: set[str] = set()
    for text in svgs:
        styles = " ".join(element.get("style", "") for element in ElementTree.fromstring(text).iter())
        assert "#" not in styles.replace("url(#", "")
        seen |= set(re.findall(r"var\(--(\w+)\)", styles))
    assert seen <= properties
    assert {"ink", "quiet", "line", "card", "tie", "c0", "c1", "c2", "c3", "c4", "c5"} <= seen


def test_names_stay_text_and_short(svgs: Sequence[str]) -> None:
    for text in svgs:
        for element in ElementTree.fromstring(text).iter(f"{SVG}text"):
            assert not len(element), "a name is text, and no element"
            assert len(element.text or "") < 80
        assert "\u202e" not in text
        assert "\x1b" not in text
    shown = " ".join(svgs)
    assert "$\\frac{1}{2}$ an" in shown, "no formula is made of it"
    assert name_of("y" * 300) in shown
    assert "[U+FFFE][U+FFFF]" in shown
    assert "[U+202E]" in shown
    assert "\u05e9\u05dc\u05d5\u05dd" in shown
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown


def test_a_figure_of_many_numbers_is_called_by_its_title_and_the_first_of_them() -> None:
    drawn = Drawing("x", "Win rates", "", ("a beats b.", *("c beats d." for _ in range(400))), 100, lambda *_: None)
    assert drawn.label.startswith("Win rates. a beats b. c beats d.")
    assert drawn.label.endswith("c beats d. 377 more sentences follow below it.")
    assert len(drawn.alt) > 4000
    assert Drawing("x", "One", "", ("All of it.",), 100, lambda *_: None).label == "One. All of it."


@pytest.mark.parametrize("room", [5.0, 30.0, 88.0, 142.0])
@pytest.mark.parametrize(
    "name", ["y" * 300, "W" * 40, "\u6a21\u578b" * 20, "SFT-70B" * 9, "e\u0301\u200d" * 99, "a b " * 30]
)
def test_a_name_takes_no_more_than_its_room(name: str, room: float) -> None:
    for bold in (False, True):
        shown = name_of(name, room, SMALL, bold=bold)
        assert width_of(shown, SMALL, bold=bold) <= max(room, width_of("…", SMALL, bold=bold))
        assert name_of(shown, room, SMALL, bold=bold) == shown
        assert len(shown) < 200


def test_widths_are_those_that_are_drawn() -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for text, bold in itertools.product(
        ("gpt-4.1-mini", "MODEL-LLAMA-70B", "W\u0429\u05e9 \u2190 \u25cf"), (False, True)
    ):
        drawing = Drawing("x", "", "", (), 100, lambda *_: None)
        with figure_of(drawing, LIGHT) as figure:
            FigureCanvasSVG(figure)
            written = figure.text(0, 0.5, text, size=10.5, weight="bold" if bold else "normal")
            assert width_of(text, bold=bold) == pytest.approx(
                written.get_window_extent().width * 72 / figure.dpi, abs=3
            )


def test_names_that_differ_at_the_end_still_differ_when_they_are_shortened() -> None:
    assert name_of("llama-2-7b-chat-hf-sft-step-1000") != name_of("llama-2-7b-chat-hf-sft-step-2000")


# ---------------------------------------------------------------- as files


def written(folder: Path, format: Format, drawings: Sequence[Drawing], dark: bool = False) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in write_figures(drawings, folder, format, dark=dark)}


@pytest.mark.parametrize(("format", "begins"), [("svg", b"<svg "), ("pdf", b"%PDF-"), ("png", b"\x89PNG\r\n")])
def test_files_are_the_same_each_time_and_hold_no_date(tmp_path: Path, format: Format, begins: bytes) -> None:
    found = figures_of(worlds.report(prompts=24))[:3]
    first, second = (written(tmp_path / name, format, found) for name in "ab")
    assert first == second
    assert list(first) == [f"{one.name}.{format}" for one in found]
    for raw in first.values():
        assert raw.startswith(begins)
        for word in (b"Date", b"atplotlib", b"tEXt", str(Path.home()).encode()):
            assert word not in raw
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(first), "nothing else is left there"


def test_a_figure_of_its_own_has_its_colours_its_size_and_its_background(tmp_path: Path) -> None:
    found = figures_of(worlds.report(prompts=24))[:1]
    for dark, palette in ((False, LIGHT), (True, DARK)):
        (raw,) = written(tmp_path, "svg", found, dark).values()
        root = ElementTree.fromstring(raw)
        assert root.get("width", "").endswith("pt")
        used = set(re.findall(r"#[0-9a-f]{6}", raw.decode()))
        assert used <= {palette.ink, palette.quiet, palette.line, palette.card, *palette.contestants}
        assert palette.card in used
        assert "var(" not in raw.decode()
        assert [child.text for child in root if child.tag == f"{SVG}desc"] == [found[0].alt], "all its numbers in words"
    (raw,) = written(tmp_path, "png", found).values()
    width = int.from_bytes(raw[16:20], "big")
    assert width == pytest.approx(300 * (5 + 0.12), abs=1)


def test_fonts_are_in_the_pdf_as_letters(tmp_path: Path) -> None:
    (raw,) = written(tmp_path, "pdf", figures_of(worlds.report(prompts=24))[:1]).values()
    assert b"/FontFile2" in raw, "TrueType, which can be searched and edited"
    assert b"/Subtype /Type3" not in raw


PROGRAM = """
import hashlib, sys, warnings
sys.path.insert(0, {here!r})
import worlds
from pathlib import Path
from sciexam.report.figures import figures_of
from sciexam.report.figures.drawing import to_svg, write_figures
warnings.simplefilter("error")
found = figures_of(worlds.report(prompts=24))[:3]
import matplotlib
before = dict(dict.items(matplotlib.rcParams))
text = "".join(map(to_svg, found))
for format in ("svg", "pdf", "png"):
    text += "".join(path.read_bytes().hex() for path in write_figures(found[:1], Path(sys.argv[1]), format))
assert dict(dict.items(matplotlib.rcParams)) == before, "the settings of the process are its own"
assert not [name for name in sys.modules if "pyplot" in name or "torch" in name]
print(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.slow
def test_another_day_and_other_settings_change_nothing(tmp_path: Path) -> None:
    """A user's matplotlibrc may ask for LaTeX, other fonts and paths for letters."""
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nfont.size: 30\nsvg.fonttype: path\naxes.facecolor: red\ntimezone: Asia/Tokyo\n"
    )

    def run(**more: str) -> str:
        program = PROGRAM.format(here=str(Path(__file__).parent))
        command = [sys.executable, "-c", program, str(tmp_path / "figures")]
        done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    settled = run(MATPLOTLIBRC=str(tmp_path), SOURCE_DATE_EPOCH="1", TZ="Asia/Tokyo", LC_ALL="C")
    assert settled == run()


def test_two_reports_at_once_draw_what_each_would_alone() -> None:
    reports = [worlds.report(worlds.names_of(count), prompts=16, seed=count) for count in (2, 3)]
    found = [figures_of(report)[:4] for report in reports]
    alone = [[to_svg(one) for one in drawings] for drawings in found]
    together: dict[int, list[list[str]]] = {0: [], 1: []}

    def draw(which: int) -> None:
        for _ in range(2):
            together[which].append([to_svg(one) for one in found[which]])

    threads = [threading.Thread(target=draw, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == {which: [alone[which]] * 2 for which in (0, 1)}


# ---------------------------------------------------------------- who can read it

Floats = NDArray[np.float64]

# Machado, Oliveira & Fernandes (2009, IEEE TVCG 15:1291), severity 1, on linear RGB.
SIGHTS = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
PALETTES = [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")]


def linear(colour: str) -> Floats:
    levels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def lab(rgb: Floats) -> Floats:
    """CIE 1976 L*a*b*, in which 2.3 is about the least difference that is seen."""
    share = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    """WCAG 2.2."""
    brightness = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (brightness[1] + 0.05) / (brightness[0] + 0.05)


def mixed(one: str, other: str, share: float) -> str:
    parts = ((int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in parts)


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_contestants_are_told_apart_by_the_colour_blind(palette: Palette, sight: str) -> None:
    seen = [lab(SIGHTS[sight] @ linear(colour)) for colour in palette.contestants]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 10


@pytest.mark.parametrize("palette", PALETTES)
def test_words_have_contrast_on_the_page_and_on_the_strongest_cell(palette: Palette) -> None:
    assert min(contrast(palette.ink, palette.card), contrast(palette.quiet, palette.card)) >= 4.5
    for colour in palette.contestants[:2]:
        assert contrast(palette.ink, mixed(colour, palette.card, 0.5)) >= 4.5
    assert min(contrast(colour, palette.card) for colour in palette.contestants) >= 3, "lines and points, WCAG 1.4.11"


def test_the_colours_are_those_of_the_pages() -> None:
    day, night = re.findall(r":root \{(.*?)\}", LOOK.read_text(), re.S)[:2]
    for block, palette in ((day, LIGHT), (night, DARK)):
        stated = {name: full(colour) for name, colour in re.findall(r"--(\w+): (#[0-9a-f]{3,6})\b", block)}
        for name in ("ink", "quiet", "line", "faint", "card", "tie"):
            assert getattr(palette, name) == stated[name]
        assert palette.contestants == tuple(stated[f"c{number}"] for number in range(6))
    assert len({*colours(PAGE)}) == 12


def full(colour: str) -> str:
    return colour if len(colour) == 7 else "#" + "".join(2 * letter for letter in colour[1:])


def colours(palette: Palette) -> Iterator[str]:
    yield from (palette.ink, palette.quiet, palette.line, palette.faint, palette.card, palette.tie)
    yield from palette.contestants
