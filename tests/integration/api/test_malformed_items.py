"""Malformed items by the thousand: none of them is stored, and all of the good ones among them are."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serving import Api, event

Item = dict[str, Any]


def without(name: str) -> Callable[[Item, random.Random], str]:
    return lambda item, _: json.dumps({key: value for key, value in item.items() if key != name})


def given(name: str, *values: Any) -> Callable[[Item, random.Random], str]:
    return lambda item, chance: json.dumps(item | {name: chance.choice(values)})


def torn(item: Item, chance: random.Random) -> str:
    text = json.dumps(item)
    return text[: chance.randrange(1, len(text) - 1)]


def raw(*texts: str) -> Callable[[Item, random.Random], str]:
    return lambda _, chance: chance.choice(texts)


def holding(*values: str) -> Callable[[Item, random.Random], str]:
    return lambda item, chance: json.dumps(item)[:-1] + f', "x": {chance.choice(values)}}}'


def ahead(item: Item, chance: random.Random) -> str:
    moment = datetime.now(UTC) + timedelta(minutes=chance.randrange(10, 10**6))
    return json.dumps(item | {"occurred_at": moment.isoformat()})


SPOILT = [
    torn,
    ahead,
    *(without(name) for name in ("customer_id", "action", "occurred_at", "points")),
    given("customer_id", 1.5, [], {}, True, "", " x", "x ", "x" * 1001, None),
    given("action", 1.5, [], {}, False, "", " x", "\t", None, "points.expire", "points.cancel", "points.restore"),
    given("occurred_at", "yesterday", "2026-06-01T12:00:00", "2026-13-01T00:00:00Z", "2026-06-01", 1750000000, [], ""),
    given("occurred_at", "0001-01-01T00:00:00Z", "2026-06-01T25:00:00Z", "2026-02-30T00:00Z", "٢٠٢٦-06-01T00:00Z"),
    given("points", "1.5", 1.5, "", "ten", -5, "-1", 1e300, [1], {}, True, "0x10", "5 5", 2**53 + 1, "१०", None),
    given("event_id", 1.5, [], {}, True),
    given("source", "rolling_expiry", "batch_cancellation", [], 0.5),
    given("salt", [], {}, 1.5),
    given("x", "\0", {"a": ["\0"]}, "\ud800", "\udc00\ud800"),
    holding("NaN", "Infinity", "-Infinity", "1e9999", "01", "1.", ".5", "+1", "'a'", "undefined", "9" * 5000),
    holding("[" * 20_000 + "]" * 20_000, '"' + "x" * 70_000 + '"'),
    raw("[]", "17", '"x"', "null", "true", "{}", "{", "}", '{"a"}', "{'a': 1}", "\\", "//", '{"a":1,}', "<xml/>"),
]


@pytest.mark.parametrize("count", [1_500, pytest.param(100_000, marks=pytest.mark.exhaustive)])
def test_none_is_stored_and_the_good_ones_are(api: Api, count: int) -> None:
    chance, good, lines = random.Random(count), set[str](), list[str]()
    for n in range(count):
        name = f"fuzz-{count}-{n}"
        lines.append(chance.choice(SPOILT)(event(f"fuzz {n % 97}", event_id=name), chance))
        if n % 20 == 0:
            good.add(f"{name}-good")
            lines.append(json.dumps(event(f"fuzz {n % 97}", event_id=f"{name}-good")))
    chance.shuffle(lines)
    before, half = api.stored(), len(lines) * 9 // 10  # an array that cannot be told apart is told item by item
    stored = told_as_lines(api, lines[:half]) | told_as_arrays(api, lines[half:])
    assert stored == good
    assert api.stored() - before == len(good)
    assert api.stored("event_id = ANY (:ids)", ids=sorted(good)) == len(good)


def told_as_lines(api: Api, lines: list[str]) -> set[str]:
    """By streams that stay below the largest."""
    stored = set[str]()
    for start in range(0, len(lines), 20_000):
        body = "\n".join(line.replace("\n", " ") for line in lines[start : start + 20_000]).encode()
        answer = api.shop.post("/v1/events", content=body, headers={"content-type": "application/x-ndjson"})
        assert answer.status_code == 200
        results = [json.loads(line) for line in answer.text.splitlines()]
        stored |= {one["event_id"] for one in results if one["outcome"] == "stored"}
    return stored


def told_as_arrays(api: Api, lines: list[str]) -> set[str]:
    """By hundreds; where one spoils the array itself, which is refused as a whole, each alone."""
    stored = set[str]()
    for start in range(0, len(lines), 100):
        part = lines[start : start + 100]
        answer = tell(api, f"[{','.join(part)}]")
        if answer.status_code == 200 and len(answer.json()["results"]) == len(part):
            results = answer.json()["results"]
        else:
            assert answer.status_code in (200, 400, 413)
            results = [one.json() for one in (tell(api, line) for line in part) if one.status_code in (200, 201)]
        stored |= {one["event_id"] for one in results if one.get("outcome") in ("stored", "known")}
    return stored


def tell(api: Api, body: str) -> Any:
    return api.shop.post("/v1/events", content=body.encode(), headers={"content-type": "application/json"})
