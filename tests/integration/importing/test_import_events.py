"""Events of files into the ledger: what is stored, and stored once."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet
from sqlalchemy import Engine, text

from importing import ask, balances, counts, import_within, lines, load, objects, params, reason_of, rejected


def test_a_csv_becomes_events_with_texts_as_parameters(ledger: Engine, tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        'e1,C7,transaction.charge,2024-05-01T10:00:00+02:00,shop,007,"a ""b""\\c"',
        ",C7,transaction.charge,2024-05-02T10:00:00Z,,,",
        header="event_id,customer_id,action,occurred_at,source,$orderID,note",
    )
    assert counts(load(ledger, path)) == (2, 2, 0, 0)
    assert ask(
        ledger, "SELECT event_id, action, occurred_at, points, params, source FROM loyalty.event ORDER BY occurred_at"
    ) == [
        (
            "e1",
            "transaction.charge",
            datetime(2024, 5, 1, 8, tzinfo=UTC),
            None,
            {"$orderID": "007", "note": 'a "b"\\c'},
            "shop",
        ),
        (None, "transaction.charge", datetime(2024, 5, 2, 10, tzinfo=UTC), None, {}, ""),
    ]
    assert ask(ledger, "SELECT key = md5('id:e1')::uuid FROM loyalty.event WHERE event_id = 'e1'") == [True]
    assert not list(tmp_path.glob("*rejected*"))


def test_json_lines_keep_their_types(ledger: Engine, tmp_path: Path) -> None:
    body = {
        "whole": 12345678901234567890,
        "real": 1.5,
        "flag": True,
        "text": "007",
        "nested": {"a": [1, None]},
        "none": None,
    }
    event = {"customer_id": 17, "action": "transaction.charge", "occurred_at": "2024-05-01"}
    path = objects(tmp_path, {**event, **body}, json.dumps({**event, "x": 0})[:-1] + ', "exact": 1.10}')
    assert counts(load(ledger, path)) == (2, 2, 0, 0)
    del body["none"]
    assert body in params(ledger)
    assert ask(ledger, "SELECT params ->> 'exact' FROM loyalty.event WHERE params ? 'exact'") == ["1.10"]
    assert balances(ledger) == {"17": 0}


def test_parquet_keeps_its_types(ledger: Engine, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    at = datetime(2024, 5, 1, 10)
    columns = {
        "customer_id": pa.array([17, 18]),
        "action": pa.array(["points.loyalty"] * 2).dictionary_encode(),
        "occurred_at": pa.array([at.replace(tzinfo=UTC)] * 2),
        "points": pa.array([52, 7]),
        "amount": pa.array([Decimal("12.50"), None]),
        "paid_at": pa.array([at, None]),
        "basket": pa.array([[{"sku": "a"}], None]),
        "ratio": pa.array([0.1, None]),
        "flag": pa.array([True, None]),
    }
    parquet.write_table(pa.table(columns), path)
    assert counts(load(ledger, path)) == (2, 2, 0, 0)
    assert sorted(params(ledger), key=len) == [
        {"points": 7},
        {
            "points": 52,
            "amount": 12.5,
            "paid_at": "2024-05-01T10:00:00",
            "basket": [{"sku": "a"}],
            "ratio": 0.1,
            "flag": True,
        },
    ]
    assert balances(ledger) == {"17": 52, "18": 7}


def test_a_mapping_names_columns_and_constants(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, "7,2024-05-01,12.50,o1", header="client,day,amount,order")
    mapping = {
        "customer_id": "client",
        "occurred_at": "day",
        "action": "=transaction.charge",
        "event_id": "order",
        "$orderID": "order",
        "$totalAmount": "amount",
        "currency": "=PLN",
    }
    assert counts(load(ledger, path, mapping)) == (1, 1, 0, 0)
    expected = {"$orderID": "o1", "$totalAmount": "12.50", "currency": "PLN"}
    assert params(ledger) == [expected]
    path = objects(tmp_path, {"client": "8", "day": "2024-05-01", "amount": "12.50", "order": "o1", "gone": None})
    assert counts(load(ledger, path, mapping)) == (1, 1, 0, 0)
    assert params(ledger) == [expected, expected]


def test_times_without_an_offset_are_in_the_zone_of_the_program(ledger: Engine, tmp_path: Path) -> None:
    with ledger.begin() as connection:
        connection.execute(text("UPDATE loyalty.program SET timezone = 'Europe/Warsaw'"))
    times = ("2024-05-01", "2024-05-01T10:00:00", "2024-05-01T10:00:00+00:00", "2024-01-01")
    load(ledger, lines(tmp_path, *(f",1,transaction.charge,{time}," for time in times)))
    assert ask(ledger, "SELECT occurred_at FROM loyalty.event ORDER BY 1") == [
        datetime(2023, 12, 31, 23, tzinfo=UTC),
        datetime(2024, 4, 30, 22, tzinfo=UTC),
        datetime(2024, 5, 1, 8, tzinfo=UTC),
        datetime(2024, 5, 1, 10, tzinfo=UTC),
    ]


def test_balances_follow_the_amounts(ledger: Engine, tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        'a,1,points.loyalty,2024-05-01," 52 ",,,',
        "b,1,client.activatePromotion,2024-05-02,,20,,",
        "c,1,points.adjust,2024-05-03,-2,,,2024-05-09",
        "d,1,points.reverse,2024-05-04,10,,a,",
        "e,1,points.loyalty,2024-05-04,0,,,",
        header="event_id,customer_id,action,occurred_at,points,promotionRequireRedeemedPoints,reverses,expires_on",
    )
    assert counts(load(ledger, path)) == (5, 5, 0, 0)
    assert balances(ledger) == {"1": 20}
    assert ask(ledger, "SELECT refers_to = md5('id:a')::uuid FROM loyalty.event WHERE event_id = 'd'") == [True]


def test_profiles_are_made_in_ascending_order_and_only_for_events(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, *(f",{c},transaction.charge,2024-05-01," for c in "cab"), ",z,transaction.charge,never,")
    load(ledger, path)
    assert ask(ledger, "SELECT customer_id FROM loyalty.profile ORDER BY profile_id") == ["a", "b", "c"]


def test_all_events_of_a_file_are_recorded_at_one_time(ledger: Engine, tmp_path: Path) -> None:
    load(ledger, lines(tmp_path, *(f",{c},transaction.charge,2024-05-01," for c in range(50))))
    assert ask(ledger, "SELECT count(DISTINCT recorded_at), count(*) FROM loyalty.event") == [(1, 50)]


def test_progress_reaches_the_size_of_the_file(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, *(f",{c},transaction.charge,2024-05-01,{'x' * 400}" for c in range(30_000)))
    heard: list[tuple[int, int]] = []
    load(ledger, path, on_progress=lambda done, total: heard.append((done, total)))
    assert heard == sorted(heard)
    assert len(heard) > 2
    assert heard[-1] == (path.stat().st_size,) * 2


def test_an_empty_list_of_events_is_no_error(ledger: Engine, tmp_path: Path) -> None:
    assert counts(load(ledger, lines(tmp_path))) == (0, 0, 0, 0)


def test_importing_the_same_file_twice_changes_nothing(ledger: Engine, tmp_path: Path) -> None:
    path = lines(
        tmp_path, *["e1,1,points.loyalty,2024-05-01,5", ",1,points.loyalty,2024-05-01,5"], ",2,x.y,2024-05-01,"
    )
    assert counts(load(ledger, path)) == (3, 3, 0, 0)
    before = ask(ledger, "SELECT event::text FROM loyalty.event ORDER BY 1")
    assert counts(load(ledger, path)) == (3, 0, 3, 0)
    assert ask(ledger, "SELECT event::text FROM loyalty.event ORDER BY 1") == before
    assert balances(ledger) == {"1": 10, "2": 0}


def test_a_file_may_be_imported_twice_in_one_transaction(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, ",1,points.loyalty,2024-05-01,5")
    with ledger.begin() as connection:
        assert counts(import_within(connection, path)) == (1, 1, 0, 0)
        assert counts(import_within(connection, path)) == (1, 0, 1, 0)


def test_identical_rows_of_one_file_are_events_of_their_own(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, *[",1,points.loyalty,2024-05-01,5"] * 3, ",2,points.loyalty,2024-05-01,5")
    assert counts(load(ledger, path)) == (4, 4, 0, 0)
    assert counts(load(ledger, path)) == (4, 0, 4, 0)
    longer = lines(tmp_path, *[",1,points.loyalty,2024-05-01,5"] * 4)
    assert counts(load(ledger, longer)) == (4, 1, 3, 0)
    assert balances(ledger) == {"1": 20, "2": 5}


def test_a_key_does_not_depend_on_how_the_row_is_written(ledger: Engine, tmp_path: Path) -> None:
    load(ledger, lines(tmp_path, "1,x.y,2024-05-01T12:00:00+02:00,1,2", header="customer_id,action,occurred_at,a,b"))
    again = lines(tmp_path, '2,1,"1",2024-05-01T10:00:00Z,x.y', header="b,a,customer_id,occurred_at,action")
    assert counts(load(ledger, again)) == (1, 0, 1, 0)
    as_json = objects(
        tmp_path, {"b": "2", "action": "x.y", "a": "1", "customer_id": 1, "occurred_at": "2024-05-01 10:00"}
    )
    with ledger.begin() as connection:
        connection.execute(text("SET LOCAL timezone = 'Asia/Tokyo'"))
        assert counts(import_within(connection, as_json)) == (1, 0, 1, 0)


def test_parts_of_a_row_never_run_into_each_other(ledger: Engine, tmp_path: Path) -> None:
    rows = ("1\x1f,2", "1,\x1f2", "1\x1f2\x1f,3", "1,2\x1f\x1f3")
    load(ledger, lines(tmp_path, *(f"{row},2024-05-01" for row in rows), header="customer_id,action,occurred_at"))
    assert ask(ledger, "SELECT count(DISTINCT key) FROM loyalty.event") == [4]


def test_the_same_event_id_with_another_body_is_rejected_with_both_bodies(ledger: Engine, tmp_path: Path) -> None:
    load(ledger, lines(tmp_path, "e1,1,points.loyalty,2024-05-01,5"))
    reason = reason_of(ledger, lines(tmp_path, "e1,1,points.loyalty,2024-05-01,6", "e2,1,points.loyalty,2024-05-01,1"))
    assert '"e1"' in reason
    assert re.search(r'here .*"points": "6".*in the ledger .*"points": "5"', reason)
    assert balances(ledger) == {"1": 6}


def test_the_first_of_two_bodies_in_one_file_wins(ledger: Engine, tmp_path: Path) -> None:
    rows = ["e1,1,points.loyalty,2024-05-01,5", "e1,1,points.loyalty,2024-05-01,5", "e1,1,points.loyalty,2024-05-01,6"]
    outcome = load(ledger, lines(tmp_path, *rows))
    assert counts(outcome) == (3, 1, 1, 1)
    assert re.search(r'row 2 .*"points": "6".*"points": "5"', rejected(outcome)[4])
    assert counts(load(ledger, lines(tmp_path, *rows))) == (3, 0, 2, 1)


def test_a_bad_row_does_not_take_the_event_id_from_a_good_one(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, "e1,1,points.loyalty,2024-05-01,x", "e1,1,points.loyalty,2024-05-01,6")
    assert counts(load(ledger, path)) == (2, 1, 0, 1)
    assert balances(ledger) == {"1": 6}


def test_the_same_event_id_of_another_customer_is_another_event(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, "e1,1,points.loyalty,2024-05-01,5", "e1,2,points.loyalty,2024-05-01,6")
    assert counts(load(ledger, path)) == (2, 2, 0, 0)
