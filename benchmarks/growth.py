"""What becomes of the figures as the number of customers grows."""

from typing import Any

Figures = dict[str, Any]
Line = list[tuple[int, float]]


def lines_of(sizes: list[Figures]) -> dict[str, Line]:
    """For each case and way that has a median: the seconds at each size; of the floors, the quickest."""
    lines: dict[str, Line] = {}
    for size in sizes:
        for case in size["cases"]:
            ways = case.get("ways", {})
            quickest = min((way["median_seconds"] for name, way in ways.items() if _is_floor(name)), default=None)
            took = {name: way["median_seconds"] for name, way in ways.items() if not _is_floor(name)}
            for name, seconds in {**took, "floor": quickest}.items():
                if seconds:
                    lines.setdefault(f"{case['case']}, {name}", []).append((size["members"], seconds))
    return lines


def growth_of(lines: dict[str, Line]) -> dict[str, float]:
    """How the time for one customer at the largest size compares with that at the smallest."""
    found = {}
    for name, line in lines.items():
        (few, quick), (many, slow) = line[0], line[-1]
        if many > few:
            found[name] = round(slow / many / (quick / few), 2)
    return found


def growth_within(size: Figures) -> dict[str, float]:
    """How long work takes measured by the same work amid fewer customers, for each case that has such another."""
    others = {case["case"]: case["amid_fewer"] for case in size["cases"] if "amid_fewer" in case}
    medians = {
        (case["case"], way): found["median_seconds"]
        for case in size["cases"]
        for way, found in case.get("ways", {}).items()
        if not _is_floor(way)
    }
    return {
        f"{name}, {way}, {size['members']:,} customers": round(seconds / medians[others[name], way], 2)
        for (name, way), seconds in medians.items()
        if (others.get(name), way) in medians
    }


def _is_floor(way: str) -> bool:
    return way.startswith("floor")
