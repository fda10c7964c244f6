"""An SVG as matplotlib writes it made fit for a page: small, its ids its own, nothing in it but shapes and text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from sciexam.report.figures.palette import PROPERTIES
from sciexam.report.plain_text import one_line

if TYPE_CHECKING:
    from sciexam.report.figures.drawing import Drawing

Element = ElementTree.Element

NAMESPACE = "http://www.w3.org/2000/svg"
GROWS = 1.5  # times the drawn size that a figure may have on a page
READABLE = 1.25  # times that it has at least: letters of 9 are then 11 pixels high
REM = 16.0
FONTS = "'DejaVu Sans', Verdana, sans-serif"  # of a file of its own; a page has its fonts
_FRACTION = re.compile(r"(\d+\.\d\d)\d+")
_FONT = re.compile(r"font-family: [^;]*;? ?")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LINKED = re.compile(r"#([\w.-]+)")
_UNTURNED = re.compile(r"rotate\(-?0(?:\.0)? [^)]*\)")


def for_page(drawing: Drawing, made: bytes) -> str:
    """The element for a page's HTML, in the page's colours."""
    root = _clean(drawing, made)
    width = float(root.attrib["viewBox"].split()[2])
    least, most = (f"{times * width / REM:g}rem" for times in (READABLE, GROWS))
    root.set("style", f"display:block;width:100%;min-width:{least};max-width:{most};height:auto;stroke-linejoin:round")
    root.set("aria-label", drawing.label)
    for element in root.iter():
        if style := element.get("style"):
            element.set("style", _COLOUR.sub(lambda found: PROPERTIES.get(found[0], found[0]), style))
    return ElementTree.tostring(root, encoding="unicode")


def for_paper(drawing: Drawing, made: bytes) -> str:
    """A file of its own, as large as it was drawn."""
    root = _clean(drawing, made)
    width, height = root.attrib["viewBox"].split()[2:]
    root.attrib |= {"width": f"{width}pt", "height": f"{height}pt"}
    root.set("style", f"font-family:{FONTS};stroke-linejoin:round")
    said = Element("desc")
    said.text = one_line(drawing.alt)
    root.insert(1, said)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _clean(drawing: Drawing, made: bytes) -> Element:
    """What matplotlib made, without its metadata, its style sheet (which would rule the page) and its ids."""
    root = ElementTree.fromstring(made)  # noqa: S314 - matplotlib wrote it, a moment ago
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {key.rpartition("}")[2]: _short(key, value) for key, value in element.attrib.items()}
        element.tail = None
        if element.tag != "text":
            element.text = None
    _remove(root, "metadata", "style")
    _rename(root, drawing.name)
    _flatten(root)
    root.attrib = {"xmlns": NAMESPACE, "viewBox": root.attrib["viewBox"], "role": "img"}
    title = Element("title")
    title.text = one_line(drawing.title)
    root.insert(0, title)
    return root


def _short(key: str, value: str) -> str:
    if key == "style":
        return _FRACTION.sub(r"\1", _FONT.sub("", value)).rstrip("; ")
    if key in ("d", "x", "y", "transform", "points", "width", "height"):
        return " ".join(_FRACTION.sub(r"\1", value).split())
    return value


def _remove(element: Element, *tags: str) -> None:
    for child in list(element):
        if child.tag in tags:
            element.remove(child)
        else:
            _remove(child, *tags)


def _rename(root: Element, name: str) -> None:
    """Ids that nothing refers to are dropped, and the others are numbered under the drawing's name."""
    values = (value for element in root.iter() for key, value in element.attrib.items() if key != "id")
    linked = {found for value in values if value.startswith(("#", "url(#")) for found in _LINKED.findall(value)}
    ids: dict[str, str] = {}
    for element in root.iter():
        own = element.attrib.pop("id", "")
        if own in linked:
            ids[own] = f"{name}-{len(ids) + 1}"
            element.set("id", ids[own])
    for element in root.iter():
        for key, value in element.attrib.items():
            if value.startswith(("#", "url(#")):
                element.set(key, _LINKED.sub(lambda found: f"#{ids[found[1]]}", value))


def _flatten(element: Element) -> None:
    """Groups that say nothing give way to what is in them; turns by nothing, and what cannot be seen, go."""
    kept: list[Element] = []
    for child in list(element):
        _flatten(child)
        if _UNTURNED.fullmatch(child.get("transform", "")):
            del child.attrib["transform"]
        if (child.tag == "defs" and not len(child)) or (child.tag == "path" and child.get("style") == "fill: none"):
            continue
        kept += _inside(child) if child.tag == "g" and not child.attrib else [child]
    element[:] = kept


def _inside(group: Element) -> Iterable[Element]:
    return list(group)
