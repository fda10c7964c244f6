"""A figure: what it says in words, how it is drawn, and its picture as SVG for a page or as a file for a paper."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sciexam.files import write_atomically
from sciexam.report.figures.palette import DARK, LIGHT, PAGE, Palette
from sciexam.report.plain_text import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["svg", "pdf", "png"]

WIDTH = 360.0  # points, as every size here: 5 inches, which a column of a paper or a telephone can still show
DPI = 300
EDGE = 0.06  # inches of paper around what is drawn
POINTS = 72  # an inch
BREATH = 240  # letters
_LOCK = threading.Lock()  # matplotlib's settings are the process's
_SETTINGS: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # it comes with matplotlib, so a figure is the same everywhere
    "text.parse_math": False,  # a contestant may be called $x$
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "axes.linewidth": 0.8,
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure. `name`: its file's stem. `caption`: how to read it. `words`: its numbers in sentences, instead of it.

    `draw` draws it into an empty Figure of WIDTH x `height` points, in the colours of a palette.
    """

    name: str
    title: str
    caption: str
    words: tuple[str, ...]
    height: float
    draw: Callable[[Figure, Palette], None]

    @property
    def alt(self) -> str:
        """All its numbers in words."""
        return " ".join(self.words)

    @property
    def label(self) -> str:
        """What it is, and as many of its numbers as are heard in one breath."""
        lengths = accumulate(len(sentence) for sentence in self.words)
        said = sum(1 for _ in takewhile(lambda length: length <= BREATH, lengths))
        rest = len(self.words) - said
        more = (f"{rest} {'more ' if said else ''}{'sentence' if rest == 1 else 'sentences'} follow below it.",)
        return one_line(" ".join((f"{self.title}.", *self.words[:said], *(more if rest else ()))))

    def _repr_svg_(self) -> str:
        """What a notebook shows: the file for a paper, in light colours."""
        from sciexam.report.figures.svg import for_paper

        return for_paper(self, _saved(self, "svg", LIGHT))


def to_svg(drawing: Drawing) -> str:
    """The figure as an SVG element for a page that has the palette's custom properties (templates/look.css.j2).

    It is drawn in the page's colours, by day and by night, and in its fonts; it fits the width that it is given, down
    to the one at which its letters can be read; it holds no script, loads nothing, and its ids begin with the drawing's
    name. It is called by `label`; the page has to say all of `words` beside it.
    """
    from sciexam.report.figures.svg import for_page

    return for_page(drawing, _saved(drawing, "svg", PAGE))


def write_figures(
    drawings: Sequence[Drawing], folder: Path, format: Format = "svg", *, dark: bool = False
) -> list[Path]:
    """Write each as `folder`/NAME.`format` for a paper, in plain light colours or `dark` ones; the paths.

    A file is replaced whole. The same record gives the same bytes, whenever and wherever it is drawn with one version
    of matplotlib: no date and nothing of the machine is in them.
    """
    palette = DARK if dark else LIGHT
    return [_write(drawing, folder / f"{drawing.name}.{format}", format, palette) for drawing in drawings]


def _write(drawing: Drawing, path: Path, format: Format, palette: Palette) -> Path:
    from sciexam.report.figures.svg import for_paper

    made = _saved(drawing, format, palette)
    write_atomically(path, for_paper(drawing, made) if format == "svg" else made)
    return path


def _saved(drawing: Drawing, format: Format, palette: Palette) -> bytes:
    import io

    from matplotlib.transforms import Bbox

    made = io.BytesIO()
    with figure_of(drawing, palette) as figure:
        # Without these, the day and the version of matplotlib are written into the file.
        none = {"svg": ("Date",), "pdf": ("CreationDate", "Creator", "Producer"), "png": ("Software",)}[format]
        if palette is PAGE:
            figure.savefig(made, format=format, facecolor="none", metadata=dict.fromkeys(none))
        else:
            around = Bbox([[-EDGE, -EDGE], [WIDTH / POINTS + EDGE, drawing.height / POINTS + EDGE]])
            look: dict[str, Any] = {"dpi": DPI, "facecolor": palette.card, "bbox_inches": around}
            figure.savefig(made, format=format, metadata=dict.fromkeys(none), **look)
    return made.getvalue()


@contextmanager
def figure_of(drawing: Drawing, palette: Palette) -> Iterator[Figure]:
    """The drawing as a matplotlib Figure, one at a time; pyplot is not imported, and its settings are left alone."""
    import matplotlib
    from matplotlib.figure import Figure

    with _LOCK, matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # not what a user's matplotlibrc says
        settings: Any = {**_SETTINGS, "svg.hashsalt": drawing.name}
        matplotlib.rcParams.update(settings)
        # A name in a script that the font lacks is still text in an SVG, which the page shows in its own fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDTH / POINTS, drawing.height / POINTS))
        drawing.draw(figure, palette)
        yield figure
