"""Events of files into the ledger: stored once, rejected row by row, all or nothing."""

import csv
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from ledger import profile, record
from loyalty.errors import LoyaltyError
from loyalty.services.import_events import ImportOutcome, import_events

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HEADER = "event_id,customer_id,action,occurred_at,points"
ACTIONS = """
    INSERT INTO loyalty.action (action, effect, parameter, validity_days, feeds_rules) VALUES
        ('points.loyalty', 'earn', 'points', 182, false), ('transaction.charge', 'none', NULL, NULL, true)
    ON CONFLICT DO NOTHING"""


@pytest.fixture
def ledger(database: Engine) -> Engine:
    with database.begin() as connection:
        connection.execute(text(ACTIONS))
    return database


def lines(tmp_path: Path, *rows: str, header: str = HEADER, name: str = "events.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def objects(tmp_path: Path, *rows: Mapping[str, Any] | str) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def load(ledger: Engine, path: Path, mapping: Mapping[str, str] | None = None, **options: Any) -> ImportOutcome:
    with ledger.begin() as connection:
        return import_within(connection, path, mapping, **options)


def import_within(
    connection: Connection, path: Path, mapping: Mapping[str, str] | None = None, **options: Any
) -> ImportOutcome:
    settings: dict[str, Any] = {"file_format": None, "rejects": None, "now": NOW, "on_progress": None, **options}
    return import_events(connection, path, mapping=mapping or {}, **settings)


def counts(outcome: ImportOutcome) -> tuple[int, int, int, int]:
    return outcome.read, outcome.stored, outcome.already_there, outcome.rejected


def rejected(outcome: ImportOutcome) -> dict[int, str]:
    assert outcome.rejects_path
    with outcome.rejects_path.open(encoding="utf-8", newline="") as source:
        return {int(row["row"]): row["reason"] for row in csv.DictReader(source)}


def ask(ledger: Engine, sql: str) -> list[Any]:
    with ledger.connect() as connection:
        return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(sql))]


def params(ledger: Engine) -> list[Any]:
    return ask(ledger, "SELECT params FROM loyalty.event ORDER BY occurred_at, key")


def balances(ledger: Engine) -> dict[str, int]:
    rows = ask(ledger, "SELECT customer_id, balance FROM loyalty.profile JOIN loyalty.account USING (profile_id)")
    return dict(rows)


def reason_of(ledger: Engine, path: Path, row: int = 2, **options: Any) -> str:
    """Why the one bad row of the file is rejected."""
    outcome = load(ledger, path, **options)
    assert outcome.rejected == 1
    return rejected(outcome)[row]


# What is stored -------------------------------------------------------------------------------------------------------


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


# The same again -------------------------------------------------------------------------------------------------------


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


# Rejections -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",,points.loyalty,2024-05-01,5", "customer_id is missing"),
        (',"  ",points.loyalty,2024-05-01,5', "begins or ends with a space"),
        (", 7,points.loyalty,2024-05-01,5", '" 7" begins or ends with a space'),
        (f",{'x' * 1001},points.loyalty,2024-05-01,5", "longer than 1000 bytes"),
        (",1,,2024-05-01,5", "action is missing"),
        (",1,points.loyalty ,2024-05-01,5", '"points.loyalty " begins or ends with a space'),
        (",1,points.loyalty,,5", "occurred_at is missing"),
        (",1,points.loyalty,01.05.2024,5", "'01.05.2024' is no time; write it like 2024-05-31"),
        (",1,points.loyalty,2024-06-01T12:05:01Z,5", "2024-06-01T12:05:01Z is in the future"),
        (",1,points.loyalty,2024-05-01", "4 cells, where the header has 5"),
        (",1,points.loyalty,2024-05-01,5,6", "6 cells, where the header has 5"),
        ("e9,1,points.loyalty,2024-05-01,1.5", '"e9".* points is "1.5": a whole number'),
        ("e9,1,points.loyalty,2024-05-01,many", 'points is "many": a whole number'),
        ("e9,1,points.loyalty,2024-05-01,9007199254740993", 'points is "9007199254740993"'),
        ("e9,1,points.loyalty,2024-05-01,", 'customer "1": the parameter points is missing'),
        ("e9,1,points.loyalty,2024-05-01,-1", 'points is "-1": only points.adjust'),
        (",1,client.activatePromotion,2024-05-01,1", "promotionRequireRedeemedPoints is missing"),
        (",1,points.expire,2024-05-01,5", "written by journeys only"),
        (",1,points.cancel,2024-05-01,5", "written by journeys only"),
        (",1,points.restore,2024-05-01,5", "written by journeys only"),
        (",1,points.reverse,2024-05-01,5", "without the parameter reverses"),
        (",1,x.y,2024-05-01,a\0b", "u0000, which cannot be stored"),
    ],
)
def test_a_bad_row_is_rejected_and_the_others_stored(ledger: Engine, tmp_path: Path, row: str, reason: str) -> None:
    path = lines(tmp_path, ",3,points.loyalty,2024-06-01T12:04:59Z,9007199254740992", row, ",4,x.y,2024-05-01,")
    outcome = load(ledger, path)
    assert counts(outcome) == (3, 2, 0, 1)
    assert re.search(reason, rejected(outcome)[3])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "no JSON"),
        ('{"customer_id": "1", "action": "x", "occurred_at": "2024-05-01", "a": NaN}', "NaN is no number"),
        (r'{"customer_id": "1", "action": "x", "occurred_at": "2024-05-01", "a": "\u0000"}', "u0000"),
        (r'{"customer_id": "1", "action": "x", "occurred_at": "2024-05-01", "a": "\ud800"}', "half of a character"),
        (r'{"customer_id": "1", "action": "x", "occurred_at": "2024-05-01", "a": 1e200000}', "out of range"),
        ('{"customer_id": "1", "action": "x", "occurred_at": 1717156800}', "'1717156800' is no time"),
        ('{"customer_id": 1.5, "action": "x", "occurred_at": "2024-05-01"}', "customer_id is 1.5"),
        ('{"customer_id": true, "action": "x", "occurred_at": "2024-05-01"}', "customer_id is true"),
        ('{"customer_id": null, "action": "x", "occurred_at": "2024-05-01"}', "customer_id is missing"),
        (
            '{"customer_id": "1", "action": "points.loyalty", "occurred_at": "2024-05-01", "points": null}',
            "points is missing",
        ),
        (
            '{"customer_id": "1", "action": "points.loyalty", "occurred_at": "2024-05-01", "points": 1.5}',
            "points is 1.5",
        ),
        (
            '{"customer_id": "1", "action": "points.loyalty", "occurred_at": "2024-05-01", "points": [1]}',
            r"points is \[1\]",
        ),
        (
            '{"customer_id": "1", "action": "x", "occurred_at": "2024-05-01", "source": "rolling_expiry"}',
            "name of a journey",
        ),
    ],
)
def test_a_bad_line_is_rejected_and_the_others_stored(ledger: Engine, tmp_path: Path, line: str, reason: str) -> None:
    good = {"customer_id": "2", "action": "points.loyalty", "occurred_at": "2024-05-01", "points": 1.0}
    outcome = load(ledger, objects(tmp_path, good, line))
    assert counts(outcome) == (2, 1, 0, 1)
    assert re.search(reason, rejected(outcome)[2])
    assert balances(ledger) == {"2": 1}


def test_the_file_of_rejects_shows_number_reason_and_cells(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, ",1,x.y,2024-05-01,", ',"1, 2",x.y,never,é', ",1,x.y", header=HEADER)
    outcome = load(ledger, path)
    assert outcome.rejects_path == tmp_path / "events.csv.rejected.csv"
    with outcome.rejects_path.open(encoding="utf-8", newline="") as source:
        rows = list(csv.reader(source))
    assert rows[0] == ["row", "reason", *HEADER.split(",")]
    assert (rows[1][0], rows[1][2:]) == ("3", ["", "1, 2", "x.y", "never", "é"])
    assert (rows[2][0], rows[2][2:]) == ("4", ["", "1", "x.y"])
    assert len(rows) == 3
    assert [file.name for file in tmp_path.iterdir()] in (
        ["events.csv", "events.csv.rejected.csv"],
        ["events.csv.rejected.csv", "events.csv"],
    )


def test_rejects_of_many_blocks_are_listed_in_order(ledger: Engine, tmp_path: Path) -> None:
    rows = [f",{n % 7},x.y,{'never' if n % 10_000 == 1 else '2024-05-01'},{'x' * 100}" for n in range(100_000)]
    rows[50_000] = "torn"
    outcome = load(ledger, lines(tmp_path, *rows), rejects=tmp_path / "other.csv")
    assert outcome.rejects_path == tmp_path / "other.csv"
    found = rejected(outcome)
    assert list(found) == sorted([n + 2 for n in range(100_000) if n % 10_000 == 1] + [50_002])
    assert "1 cells" in found[50_002]


def test_rejects_of_a_parquet_file_show_its_values(ledger: Engine, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    columns = {
        "customer_id": ["1", None],
        "action": ["x.y"] * 2,
        "occurred_at": [datetime(2024, 5, 1)] * 2,
        "a": [float("nan"), 2.5],
    }
    parquet.write_table(pa.table(columns), path)
    outcome = load(ledger, path)
    found = rejected(outcome)
    assert "nan in a is no number" in found[1]
    assert "customer_id is missing" in found[2]
    assert "2024-05-01 00:00:00,2.5" in outcome.rejects_path.read_text()  # type: ignore[union-attr]


def test_rejects_are_never_written_over_the_file(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, ",1,x.y,never,")
    with pytest.raises(LoyaltyError, match="cannot be written over"):
        load(ledger, path, rejects=path)


# References -----------------------------------------------------------------------------------------------------------

REFERENCES = "event_id,customer_id,action,occurred_at,points,reverses,corrects,expires_on"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("r,1,points.reverse,2024-05-02,5,gone,,", 'reverses "gone" is the event_id of no event of this customer'),
        ("r,2,points.reverse,2024-05-02,5,e1,,", 'reverses "e1" is the event_id of no event of this customer'),
        ("r,1,points.reverse,2024-05-02,5,r,,", 'reverses "r" is the event_id of no event'),
        ("r,1,points.reverse,2024-05-02,5,bad,,", 'reverses "bad" is the event_id of no event'),
        ("r,1,points.reverse,2024-05-02,5,x1,,", 'reverses "x1" is a x.y: only points earned can be reversed'),
        ("r,1,points.adjust,2024-05-02,5,,gone,", 'corrects "gone" is the event_id of no event'),
        ("r,1,points.adjust,2024-05-02,5,,,31.12.2024", 'expires_on "31.12.2024" is no date'),
        ("r,1,points.adjust,2024-05-02,5,,,2024-02-30", 'expires_on "2024-02-30" is no date'),
        ("r,1,points.adjust,2024-05-02,5,,x1,", "whose own expires_on is no date"),
    ],
)
def test_a_reference_that_cannot_be_resolved_is_rejected(ledger: Engine, tmp_path: Path, row: str, reason: str) -> None:
    path = lines(
        tmp_path,
        "e1,1,points.loyalty,2024-05-01,5,,,",
        "bad,1,points.loyalty,2024-05-01,x,,,",
        "x1,1,x.y,2024-05-01,,,,soon",
        row,
        header=REFERENCES,
    )
    outcome = load(ledger, path)
    assert counts(outcome) == (4, 2, 0, 2)
    assert reason in rejected(outcome)[5]
    assert balances(ledger) == {"1": 5}


def test_references_are_found_in_the_ledger_and_anywhere_in_the_file(ledger: Engine, tmp_path: Path) -> None:
    load(ledger, lines(tmp_path, "e1,1,points.loyalty,2024-05-01,5"))
    rows = [
        "r1,1,points.reverse,2024-05-02,2,e1,,",
        "r2,1,points.reverse,2024-05-02,3,e2,,",
        "a1,1,points.adjust,2024-05-02,-1,,e2,",
        "e2,1,points.loyalty,2024-05-01,10,,,",
        "a2,1,points.adjust,2024-05-02,1,,a1,2024-02-29",
    ]
    assert counts(load(ledger, lines(tmp_path, *rows, header=REFERENCES))) == (5, 5, 0, 0)
    assert counts(load(ledger, lines(tmp_path, *rows, header=REFERENCES))) == (5, 0, 5, 0)
    assert balances(ledger) == {"1": 10}
    assert ask(ledger, "SELECT count(*) FROM loyalty.points_entry") == [6]


def test_an_expiry_is_not_corrected(ledger: Engine, tmp_path: Path) -> None:
    load(ledger, lines(tmp_path, "e1,1,points.loyalty,2024-05-01,5"))
    key = UUID(hashlib.md5(b"id:x").hexdigest())
    with ledger.begin() as connection:
        record(connection, profile(connection, "1"), "points.expire", NOW - timedelta(days=9), 1, key=key)
    path = lines(tmp_path, "a,1,points.adjust,2024-05-02,5,,x,", header=REFERENCES)
    assert 'corrects "x" is an expiry' in reason_of(ledger, path)


# Balances that would not do -------------------------------------------------------------------------------------------

LOSSES = "event_id,customer_id,action,occurred_at,points,promotionRequireRedeemedPoints,corrects"


def test_the_latest_losses_are_rejected_until_the_rest_fits(ledger: Engine, tmp_path: Path) -> None:
    load(ledger, lines(tmp_path, "e1,1,points.loyalty,2024-05-01,10"))
    rows = [
        "d,1,client.activatePromotion,2024-05-04,,4,",
        "c,1,client.activatePromotion,2024-05-03,,8,",
        "b,1,client.activatePromotion,2024-05-02,,6,",
        "e,1,points.loyalty,2024-05-05,1,,",
        "f,2,client.activatePromotion,2024-05-02,,1,",
    ]
    outcome = load(ledger, lines(tmp_path, *rows, header=LOSSES))
    reasons = rejected(outcome)
    assert sorted(reasons) == [2, 3, 6]
    assert 'customer "1" would be -7' in reasons[2]
    assert 'customer "1" would be -3' in reasons[3]
    assert 'customer "2" would be -1' in reasons[6]
    assert all("may not have been awarded yet" in reason for reason in reasons.values())
    assert balances(ledger) == {"1": 5}
    load(ledger, lines(tmp_path, "e9,1,points.loyalty,2024-05-01,10"))
    assert counts(load(ledger, lines(tmp_path, *rows, header=LOSSES))) == (5, 2, 2, 1)
    assert balances(ledger) == {"1": 3}


def test_losses_already_in_the_ledger_are_not_counted_again(ledger: Engine, tmp_path: Path) -> None:
    path = lines(
        tmp_path, "a,1,points.loyalty,2024-05-01,10,,", "b,1,client.activatePromotion,2024-05-02,,10,", header=LOSSES
    )
    assert counts(load(ledger, path)) == (2, 2, 0, 0)
    assert counts(load(ledger, path)) == (2, 0, 2, 0)


def test_what_depends_on_a_rejected_loss_is_rejected_with_it(ledger: Engine, tmp_path: Path) -> None:
    rows = [
        "a,1,points.loyalty,2024-05-01,10,,",
        "b,1,client.activatePromotion,2024-05-02,,30,",
        "c,1,points.adjust,2024-05-03,15,,b",
        "d,1,client.activatePromotion,2024-05-01,,10,",
        "b,1,client.activatePromotion,2024-05-02,,30,",
    ]
    outcome = load(ledger, lines(tmp_path, *rows, header=LOSSES))
    assert counts(outcome) == (5, 2, 0, 3)
    reasons = rejected(outcome)
    assert "no event of this customer" in reasons[4]
    assert reasons[6].startswith("the same event as row 3, which was rejected: the balance")
    assert balances(ledger) == {"1": 0}


def test_a_correction_may_make_room_for_what_it_corrects(ledger: Engine, tmp_path: Path) -> None:
    rows = ["b,1,client.activatePromotion,2024-05-02,,30,", "c,1,points.adjust,2024-05-03,30,,b"]
    assert counts(load(ledger, lines(tmp_path, *rows, header=LOSSES))) == (2, 2, 0, 0)
    assert balances(ledger) == {"1": 0}


def test_a_program_may_allow_debt(ledger: Engine, tmp_path: Path) -> None:
    with ledger.begin() as connection:
        connection.execute(text("UPDATE loyalty.program SET allow_debt = true"))
    path = lines(tmp_path, "b,1,client.activatePromotion,2024-05-02,,30,", header=LOSSES)
    assert counts(load(ledger, path)) == (1, 1, 0, 0)
    assert balances(ledger) == {"1": -30}


@pytest.mark.parametrize("sign", ["", "-"])
def test_sums_beyond_the_largest_number_are_rejected(ledger: Engine, tmp_path: Path, sign: str) -> None:
    with ledger.begin() as connection:
        connection.execute(text("UPDATE loyalty.program SET allow_debt = true"))
    amount = 2**53
    path = lines(tmp_path, *(f"{n},1,points.adjust,2024-05-01,{sign}{amount}" for n in range(1030)))
    outcome = load(ledger, path)
    assert outcome.stored == (1023 if not sign else 1024)
    assert abs(balances(ledger)["1"]) == outcome.stored * amount
    assert "beyond the largest number" in rejected(outcome)[1031]


# The whole file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "mapping", "message"),
    [
        (b"", {}, "is empty"),
        (
            b"customer,action,occurred_at\n1,x,2024-05-01\n",
            {},
            "'customer_id' is missing; did you mean 'customer'.*'occurred_at'",
        ),
        (
            b"customer_id,action,occurred_at\n1,x,2024-05-01\n",
            {"source": "shop"},
            "'shop', mapped to 'source', is missing",
        ),
        (b"customer_id,action,occurred_at,a,a\n", {}, "'a' is there more than once"),
        (
            b"customer_id,action,occurred_at\n1,x,2024-05-01\n2,\xff,2024-05-01\n",
            {},
            "row 3, byte 48: 0xff .*--encoding",
        ),
    ],
)
def test_a_file_that_cannot_be_read_stores_nothing(
    ledger: Engine, tmp_path: Path, content: bytes, mapping: dict[str, str], message: str
) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises(LoyaltyError, match=message):
        load(ledger, path, mapping)
    assert ask(ledger, "SELECT count(*) FROM loyalty.profile") == [0]
    assert not list(tmp_path.glob("*rejected*"))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "'customer_id' is missing; did you mean 'customer'"),
        ({"customer_id": "customer", "a": "b"}, "'b', mapped to 'a'"),
    ],
)
def test_json_lines_without_a_needed_member_are_refused(
    ledger: Engine, tmp_path: Path, mapping: dict[str, str], message: str
) -> None:
    path = objects(tmp_path, *[{"customer": "1", "action": "x.y", "occurred_at": "2024-05-01"}] * 3)
    with pytest.raises(LoyaltyError, match=message):
        load(ledger, path, mapping)


def test_an_encoding_can_be_given(ledger: Engine, tmp_path: Path) -> None:
    for suffix, content in (
        (".csv", "customer_id,action,occurred_at\nżółw,x.y,2024-05-01\n"),
        (".ndjson", '{"customer_id": "łoś", "action": "x.y", "occurred_at": "2024-05-01"}'),
    ):
        path = tmp_path / f"events{suffix}"
        path.write_bytes(content.encode("cp1250"))
        assert counts(load(ledger, path, encoding="cp1250")) == (1, 1, 0, 0)
    assert set(balances(ledger)) == {"żółw", "łoś"}


# Two at once, killed, large -------------------------------------------------------------------------------------------


def customers(count: int) -> Iterator[str]:
    return (
        f",C{n * 7919 % (count // 3)},points.loyalty,2024-05-{n % 28 + 1:02d}T10:00:00Z,{n % 50}" for n in range(count)
    )


@pytest.mark.parametrize("known", [False, True], ids=["new customers", "known customers"])
def test_two_imports_of_one_file_at_once_store_it_once(ledger: Engine, tmp_path: Path, known: bool) -> None:
    path = lines(tmp_path, *customers(6_000))
    back = lines(tmp_path, *reversed(list(customers(6_000))), name="back.csv")
    if known:
        load(
            ledger,
            lines(tmp_path, *(row.replace("points.loyalty", "x.y") for row in customers(6_000)), name="known.csv"),
        )
    outcomes: list[ImportOutcome] = []
    threads = [threading.Thread(target=lambda p=p: outcomes.append(load(ledger, p))) for p in (path, back, path, back)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts(outcome) for outcome in outcomes) == [(6_000, 0, 6_000, 0)] * 3 + [(6_000, 6_000, 0, 0)]
    assert sum(balances(ledger).values()) == sum(n % 50 for n in range(6_000))


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_an_import_waits_for_whoever_holds_an_account(ledger: Engine, tmp_path: Path) -> None:
    load(ledger, lines(tmp_path, "a,1,points.loyalty,2024-05-01,10"))
    path = lines(tmp_path, "b,1,client.activatePromotion,2024-05-02,,10,", header=LOSSES)
    outcomes: list[ImportOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(load(ledger, path)))
    with ledger.begin() as other:
        other.execute(text("SELECT FROM loyalty.account FOR NO KEY UPDATE"))
        thread.start()
        while not ask(ledger, WAITING)[0]:
            time.sleep(0.01)
        record(other, profile(other, "1"), "client.activatePromotion", NOW - timedelta(days=9), 1)
    thread.join()
    assert counts(outcomes[0]) == (1, 0, 0, 1)
    assert balances(ledger) == {"1": 9}


def test_an_import_killed_half_way_stores_nothing(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, *customers(3_000))
    connection = ledger.connect()
    assert import_within(connection, path).stored == 3_000
    backend = connection.scalar(text("SELECT pg_backend_pid()"))
    with ledger.begin() as killer:
        killer.execute(text("SELECT pg_terminate_backend(:backend, 5000)"), {"backend": backend})
    with pytest.raises(DBAPIError):
        connection.commit()
    connection.close()
    assert ask(ledger, "SELECT (SELECT count(*) FROM loyalty.event) + (SELECT count(*) FROM loyalty.profile)") == [0]
    assert counts(load(ledger, path)) == (3_000, 3_000, 0, 0)


MEASURED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from loyalty.services.import_events import import_events
from loyalty.store.database import open_engine
with open_engine(sys.argv[1]).begin() as connection:
    outcome = import_events(connection, Path(sys.argv[2]), file_format=None, mapping={}, rejects=None,
                            now=datetime(2024, 6, 1, tzinfo=UTC), on_progress=None)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(outcome.stored, status["VmHWM"].split()[0])
"""


def test_memory_stays_flat_however_long_the_file(ledger: Engine, tmp_path: Path) -> None:
    url = ledger.url.render_as_string(hide_password=False)
    peaks = []
    for count in (60_000, 300_000):
        filler = f"{count}{'x' * 300}"
        path = lines(tmp_path, *(f",C{n % 100},x.y,2024-05-01,{n}{filler}" for n in range(count)), name=f"{count}.csv")
        run = subprocess.run(
            [sys.executable, "-c", MEASURED, url, str(path)], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        stored, peak = map(int, run.stdout.split())
        assert stored == count
        peaks.append(peak)
    # 80 MB more of file; what is held at a time does not grow with it.
    assert peaks[1] - peaks[0] < 30 * 1024


def test_now_decides_what_is_future(ledger: Engine, tmp_path: Path) -> None:
    path = lines(tmp_path, ",1,x.y,2024-06-02,")
    assert load(ledger, path).rejected == 1
    assert load(ledger, path, now=NOW + timedelta(days=1)).stored == 1
