"""Work amid many customers is compared with the same work amid fewer, as soon as both are measured."""

from typing import Any

from benchmarking import module_of_benchmarks

growth_within = module_of_benchmarks("growth").growth_within
NIGHT, FEWER = "a night", "a night amid fewer"


def case(name: str, ways: dict[str, float], **compared: str) -> dict[str, Any]:
    return {"case": name, "ways": {way: {"median_seconds": took} for way, took in ways.items()}, **compared}


def test_what_is_not_measured_yet_is_not_compared() -> None:
    night = case(NIGHT, {"floor over 2": 2.0, "command": 3.0}, amid_fewer=FEWER)
    for measured in ([], [case(FEWER, {})], [case(FEWER, {"floor over 2": 1.0})]):
        assert growth_within({"members": 1000, "cases": [night, *measured]}) == {}


def test_a_way_is_compared_with_itself_and_floors_are_not() -> None:
    night = case(NIGHT, {"floor over 2": 2.0, "command": 3.0}, amid_fewer=FEWER)
    fewer = case(FEWER, {"floor over 2": 1.0, "command": 2.0})
    assert growth_within({"members": 1000, "cases": [night, fewer]}) == {"a night, command, 1,000 customers": 1.5}
