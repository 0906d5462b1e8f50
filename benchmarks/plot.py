"""Lines over the number of customers, both axes logarithmic, as a small SVG that any page can show."""

from itertools import cycle
from math import ceil, floor, log10
from pathlib import Path
from xml.etree import ElementTree as Xml

from growth import Line

WIDTH, HEIGHT = 860, 420
LEFT, TOP, RIGHT, BOTTOM = 60, 40, 560, 370  # of the field; the names of the lines stand to its right
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f", "#bcbd22")


class Scale:
    """Whole powers of ten around the values, laid out from one pixel to another."""

    def __init__(self, values: list[float], start: float, end: float) -> None:
        self._first = floor(log10(min(values)))
        self._last = max(self._first + 1, ceil(log10(max(values))))
        self._start, self._end = start, end

    @property
    def marks(self) -> list[float]:
        return [10.0**n for n in range(self._first, self._last + 1)]

    def __call__(self, value: float) -> float:
        share = (log10(value) - self._first) / (self._last - self._first)
        return round(self._start + share * (self._end - self._start), 1)


def draw(title: str, lines: dict[str, Line], path: Path) -> None:
    """The file shows the lines, and beside each its name."""
    x = Scale([members for line in lines.values() for members, _ in line], LEFT, RIGHT)
    y = Scale([seconds for line in lines.values() for _, seconds in line], BOTTOM, TOP)
    box = f"0 0 {WIDTH} {HEIGHT}"
    style = {"font-family": "sans-serif", "font-size": "12", "fill": "#444"}
    page = Xml.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": box, **style})
    Xml.SubElement(page, "rect", {"width": str(WIDTH), "height": str(HEIGHT), "fill": "white"})
    _text(page, LEFT, 20, f"{title}: seconds by the number of customers", "start")
    for mark in x.marks:
        _rule(page, (x(mark), TOP), (x(mark), BOTTOM))
        _text(page, x(mark), BOTTOM + 18, f"{mark:,.0f}", "middle")
    for mark in y.marks:
        _rule(page, (LEFT, y(mark)), (RIGHT, y(mark)))
        _text(page, LEFT - 6, y(mark) + 4, f"{mark:g} s", "end")
    for place, ((name, line), colour) in enumerate(zip(lines.items(), cycle(COLOURS), strict=False)):
        _line(page, [(x(members), y(seconds)) for members, seconds in line], colour)
        _text(page, RIGHT + 20, TOP + 10 + 18 * place, name, "start", colour)
    Xml.indent(page)
    path.write_text(Xml.tostring(page, encoding="unicode") + "\n", encoding="utf-8")


def _line(page: Xml.Element, points: list[tuple[float, float]], colour: str) -> None:
    path = " ".join(f"{x},{y}" for x, y in points)
    Xml.SubElement(page, "polyline", {"points": path, "fill": "none", "stroke": colour, "stroke-width": "2"})
    for x, y in points:
        Xml.SubElement(page, "circle", {"cx": str(x), "cy": str(y), "r": "3", "fill": colour})


def _rule(page: Xml.Element, start: tuple[float, float], end: tuple[float, float]) -> None:
    ends = {"x1": str(start[0]), "y1": str(start[1]), "x2": str(end[0]), "y2": str(end[1])}
    Xml.SubElement(page, "line", {**ends, "stroke": "#ddd"})


def _text(page: Xml.Element, x: float, y: float, words: str, anchor: str, colour: str = "#444") -> None:
    where = {"x": str(x), "y": str(y), "text-anchor": anchor, "fill": colour}
    Xml.SubElement(page, "text", where).text = words
