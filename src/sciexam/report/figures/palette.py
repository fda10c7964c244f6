"""The colours of figures: those of the pages (templates/look.css.j2), and stand-ins that become the page's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """What a figure is drawn in. `contestants` are told apart by the colour-blind; a seventh begins at the first."""

    ink: str
    quiet: str
    line: str
    faint: str
    card: str
    tie: str
    contestants: tuple[str, ...]

    def of(self, number: int) -> str:
        """The colour of the contestant that has this place in its record."""
        return self.contestants[number % len(self.contestants)]


LIGHT = Palette(
    ink="#1c2126",
    quiet="#5b646e",
    line="#dcdfe3",
    faint="#f1f2f4",
    card="#ffffff",
    tie="#9aa3ad",
    contestants=("#c2540a", "#0067a5", "#00795a", "#a9467f", "#6b5200", "#6a5fd0"),
)
DARK = Palette(
    ink="#e4e7ea",
    quiet="#9aa4ae",
    line="#343a41",
    faint="#242a30",
    card="#1b1f24",
    tie="#77818b",
    contestants=("#f0975a", "#62b3ea", "#4cc7a0", "#dd92bd", "#e2bd4b", "#9d8cff"),
)
# Colours that nobody would choose, each standing for a custom property of the page that shows the figure.
PAGE = Palette(
    ink="#fe0101",
    quiet="#fe0102",
    line="#fe0103",
    faint="#fe0104",
    card="#fe0105",
    tie="#fe0106",
    contestants=("#fe0201", "#fe0202", "#fe0203", "#fe0204", "#fe0205", "#fe0206"),
)
PROPERTIES = {
    **{getattr(PAGE, name): f"var(--{name})" for name in ("ink", "quiet", "line", "faint", "card", "tie")},
    **{colour: f"var(--c{number})" for number, colour in enumerate(PAGE.contestants)},
}
