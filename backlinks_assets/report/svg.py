"""matplotlib's SVG made part of a page: no styles of its own, short, with a title and a description.

Names given to drawn things (`gid`) become classes; every other id, style, wrapper and digit too many goes. Nothing is
drawn here.
"""

import re
import xml.etree.ElementTree as ET
from typing import Final

from backlinks_assets.report.words import visible

_SVG: Final = "{http://www.w3.org/2000/svg}"
_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_NUMBER: Final = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_OWN_NAME: Final = re.compile(r".*_\d+$|text_|DejaVu|[pm][0-9a-f]{8,}")
"""The ids that matplotlib gives by itself: `axes_1`, `line2d_12`, and hashes."""

_MIDDLE: Final = re.compile(r"text-anchor:\s*(\w+)")
_KEPT: Final = ("d", "x", "y", "transform", "viewBox")
_NOT_TURNED: Final = re.compile(r"rotate\(-?0 [^)]*\)")


def inline_svg(drawn: bytes, *, title: str, description: str, key: str) -> str:
    """Return an `<svg role="img">` to put into a page; the same drawing gives the same text.

    Classes are the names the drawing gave; `key` makes the ids of title and description unique.
    """
    source = ET.fromstring(drawn)  # noqa: S314 - matplotlib's, of this process
    shapes = {node.get("id"): node for node in source.iter(f"{_SVG}path") if node.get("id")}
    root = ET.Element("svg", {"class": "chart", "viewBox": source.get("viewBox", ""), "role": "img"})
    root.set("aria-labelledby", f"{key}-title {key}-desc")
    ET.SubElement(root, "title", {"id": f"{key}-title"}).text = visible(title)
    ET.SubElement(root, "desc", {"id": f"{key}-desc"}).text = visible(description)
    for child in source:
        _take(child, root, shapes)
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


def _take(node: ET.Element, parent: ET.Element, shapes: dict[str | None, ET.Element]) -> None:
    tag = node.tag.removeprefix(_SVG)
    if tag in {"metadata", "defs", "style"}:
        return
    if tag == "use":  # a marker: its shape is put in place, so that no id is needed
        shape = shapes[(node.get(_LINK) or "").removeprefix("#")]
        place = _short(f"translate({node.get('x')} {node.get('y')})")
        ET.SubElement(parent, "path", {"d": _short(shape.get("d", "")), "transform": place})
        return
    here = parent
    name = node.get("id")
    if tag != "g" or (name and not _OWN_NAME.match(name)):
        here = ET.SubElement(parent, tag, _attributes(node))
        if name and not _OWN_NAME.match(name):
            here.set("class", name)
        here.text = node.text.strip() if node.text else None
    for child in node:
        _take(child, here, shapes)
    if tag == "g" and here is not parent and not len(here):
        parent.remove(here)


def _attributes(node: ET.Element) -> dict[str, str]:
    kept = {name: _short(value) for name in _KEPT if (value := node.get(name))}
    if _NOT_TURNED.fullmatch(node.get("transform", "")):
        del kept["transform"]
    if anchor := _MIDDLE.search(node.get("style", "")):
        kept["text-anchor"] = anchor[1]
    return kept


def _short(text: str) -> str:
    """Round to a tenth of a unit and join the lines of a path."""
    return _NUMBER.sub(lambda found: f"{round(float(found[0]), 1) + 0:g}", " ".join(text.split()))
