"""What becomes of one event, of many, and of a stream of them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from serving import Api, calling, event, key


def fresh() -> str:
    return uuid4().hex


def test_one_event_is_stored_once(api: Api) -> None:
    told = event(fresh(), event_id=fresh())
    first, again = (api.shop.post("/v1/events", json=told) for _ in range(2))
    assert (first.status_code, first.json()["outcome"]) == (201, "stored")
    assert (again.status_code, again.json()["outcome"]) == (200, "known")
    assert api.stored("event_id = :id", id=told["event_id"]) == 1


def test_the_same_id_with_another_body_shows_what_differs(api: Api) -> None:
    told = event(fresh(), event_id=fresh())
    api.shop.post("/v1/events", json=told)
    other = api.shop.post("/v1/events", json=told | {"points": 53, "note": "x"})
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["code"] == "conflict"
    assert other.json()["differs"] == {"points": {"here": 53, "there": 52}, "note": {"here": "x", "there": None}}


def test_an_event_without_an_id_is_told_by_customer_action_time_and_salt(api: Api) -> None:
    told = event(fresh())
    first, again, salted, otherwise = (
        api.shop.post("/v1/events", json=body) for body in (told, told, told | {"salt": "2"}, told | {"points": 1})
    )
    assert [one.status_code for one in (first, again, salted, otherwise)] == [201, 200, 201, 409]
    assert first.json()["event_id"] == again.json()["event_id"] != salted.json()["event_id"]
    assert api.stored("params ? 'salt'") == 0


def test_of_many_each_has_a_result_and_the_good_ones_are_stored(api: Api) -> None:
    customer, at = fresh(), datetime.now(UTC) + timedelta(minutes=6)
    good, bad = event(customer, event_id=fresh()), event(customer, points="12.5", event_id=fresh())
    answer = api.shop.post(
        "/v1/events",
        json=[good, bad, good, event(customer, occurred_at=at.isoformat(), event_id=fresh()), 17, "x", None, {}],
    )
    assert answer.status_code == 200
    found = answer.json()
    assert [one["outcome"] for one in found["results"]] == ["stored", "rejected", "known", *["rejected"] * 5]
    assert (found["stored"], found["known"], found["rejected"]) == (1, 1, 6)
    reasons = [one.get("reason", "") for one in found["results"]]
    assert "a whole number of points within 2^53 is needed" in reasons[1]
    assert "is in the future" in reasons[3]
    assert "the line is no object" in reasons[4]
    assert "customer_id is missing" in reasons[7]
    assert api.stored("event_id = :id", id=good["event_id"]) == 1


def test_clocks_may_differ_a_little(api: Api) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    assert api.shop.post("/v1/events", json=event(fresh(), occurred_at=soon)).status_code == 201


def test_a_stream_of_lines_is_taken_whatever_its_length(api: Api) -> None:
    customer = fresh()
    lines = [json.dumps(event(customer, event_id=f"{customer}-{n}")) for n in range(2500)]
    lines[1200:1200] = ["", "{", "\x00", '{"customer_id": "\\u0000"}', '{"a":' * 9000, f'{{"x": "{"y" * 70_000}"}}']
    body = "\n".join(lines).encode() + b'\n{"customer_id": "\xff"}'
    answer = api.shop.post("/v1/events", content=body, headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 200
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["item"] for one in results] == list(range(2506))
    refused = [one for one in results if one["outcome"] == "rejected"]
    assert [one["item"] for one in refused] == [1200, 1201, 1202, 1203, 1204, 2505]
    assert refused[4]["reason"] == "the item is longer than 64 KiB"
    assert api.stored("event_id LIKE :start", start=f"{customer}-%") == 2500


def test_numbers_are_kept_as_they_were_written(api: Api) -> None:
    body = f'{{"customer_id": "{fresh()}", "action": "x", "occurred_at": "2026-06-01T12:00:00Z", "n": 1234567890.10}}'
    api.shop.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert api.stored("params ->> 'n' = '1234567890.10'") == 1


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"[1, 2", "application/json", 400),
        (b'[{"a": "]}', "application/json", 400),
        (b"[1]]", "application/json", 400),
        (b'["' + b'\\"' * 1_000_000, "application/json", 400),
        (b'[1] "x"', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" + b"1," * 1000 + b"1]", "application/json", 413),
        (b'"' + b"x" * (4 << 20) + b'"', "application/json", 413),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"customer_id": 5.5}', "application/json", 422),
        (b"[]", "application/json", 200),
        (b"", "application/x-ndjson", 200),
        (b"[,]", "application/json", 200),
    ],
)
def test_what_cannot_be_read_is_a_problem(api: Api, body: bytes, kind: str, status: int) -> None:
    before = api.stored()
    answer = api.shop.post("/v1/events", content=body, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert api.stored() == before


def test_a_time_without_an_offset_is_not_guessed(api: Api) -> None:
    answer = api.shop.post("/v1/events", json=event(fresh(), occurred_at="2026-06-01T12:00:00"))
    assert (answer.status_code, "has no offset" in answer.json()["detail"]) == (422, True)


def test_points_that_are_not_there_cannot_be_spent(api: Api) -> None:
    customer = fresh()
    api.shop.post("/v1/events", json=event(customer))
    spent = event(customer, "client.activatePromotion", promotionRequireRedeemedPoints=53)
    answer = api.shop.post("/v1/events", json=spent)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "would be -1" in answer.json()["detail"]


def test_while_locked_nothing_is_spent_and_everything_is_earned(api: Api) -> None:
    customer = fresh()
    api.shop.post("/v1/events", json=event(customer))
    until = api.lock(customer, 100)
    spent = event(customer, "client.activatePromotion", promotionRequireRedeemedPoints=5)
    answer = api.shop.post("/v1/events", json=spent)
    assert answer.status_code == 423
    assert 90 < int(answer.headers["retry-after"]) <= 100
    (result,) = api.shop.post("/v1/events", json=[spent]).json()["results"]
    assert (result["code"], datetime.fromisoformat(result["locked_until"])) == ("locked", until)
    assert api.shop.post("/v1/events", json=event(customer, event_id=fresh())).status_code == 201


def test_a_key_has_so_many_a_minute(api: Api) -> None:
    with calling(api.address, key(api.ledger, per_minute=5)) as slow:
        answers = [slow.post("/v1/events", json=[event(fresh())] * count) for count in (3, 3, 2)]
        while answers[1].status_code == 200:  # a new minute had begun
            answers = [slow.post("/v1/events", json=[event(fresh())] * count) for count in (3, 3, 2)]
        assert slow.post("/v1/events", json=[event(fresh())] * 6).status_code == 413, "no minute is long enough"
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert 1 <= int(answers[1].headers["retry-after"]) <= 60


def test_what_is_refused_is_counted_and_logged_without_secrets(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    def refused() -> float:
        lines = api.shop.get("/metrics").text.splitlines()
        return sum(
            float(line.split()[1]) for line in lines if line.startswith('loyalty_refusals_total{code="invalid"}')
        )

    before, secret = refused(), "lk_0_" + fresh()
    told: list[Any] = [event("someone-private", points="x")]
    api.shop.post("/v1/events", json=told)
    with calling(api.address, secret) as stranger:
        assert stranger.post("/v1/events", json=told).status_code == 401
    assert refused() == before + 1
    assert "1 of 1 items refused: invalid" in caplog.text
    assert "401" in caplog.text
    shown = api.shop.headers["authorization"].removeprefix("Bearer ")
    assert not any(word in caplog.text for word in (secret, shown, "someone-private"))
