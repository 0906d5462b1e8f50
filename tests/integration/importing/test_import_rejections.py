"""Rows that are no events, refer to none, or would leave a balance what it may not be: rejected one by one."""

import csv
import hashlib
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import Engine, text

from importing import (
    HEADER,
    LOSSES,
    NOW,
    ask,
    balances,
    counts,
    lines,
    load,
    objects,
    reason_of,
    rejected,
)
from ledger import profile, record
from loyalty.errors import LoyaltyError


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
        ("r,1,points.adjust,2024-05-02,5,,,2024-05-02", 'expires_on "2024-05-02" is not after the day'),
        ("r,1,points.adjust,2024-05-02,5,,x1,2024-05-02", 'expires_on "2024-05-02" is not after the day'),
        (
            "r,1,points.adjust,2024-05-02,5,,e1,2024-05-31",
            'corrects "e1" is a points.loyalty, and its correction has no date',
        ),
    ],
)
def test_a_reference_that_cannot_be_resolved_is_rejected(ledger: Engine, tmp_path: Path, row: str, reason: str) -> None:
    path = lines(
        tmp_path,
        "e1,1,points.loyalty,2024-05-01,5,,,",
        "bad,1,points.loyalty,2024-05-01,x,,,",
        "x1,1,x.y,2024-05-01,,,,",
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
        "a2,1,points.adjust,2024-05-02,1,,e2,",
        "x1,1,x.y,2024-05-01,,,,soon",
        "a3,1,points.adjust,2024-05-02,7,,x1,2024-06-29",
    ]
    assert counts(load(ledger, lines(tmp_path, *rows, header=REFERENCES))) == (7, 7, 0, 0)
    assert counts(load(ledger, lines(tmp_path, *rows, header=REFERENCES))) == (7, 0, 7, 0)
    assert balances(ledger) == {"1": 17}
    assert ask(ledger, "SELECT count(*) FROM loyalty.points_entry") == [7]
    assert ask(ledger, "SELECT due_on FROM loyalty.points_entry WHERE points = 7") == [date(2024, 6, 29)]


@pytest.mark.parametrize("together", [True, False])
def test_corrections_and_reversals_take_no_more_than_was_there(
    ledger: Engine, tmp_path: Path, *, together: bool
) -> None:
    before = [
        "e0,1,points.loyalty,2024-05-01,100,,,",
        "e1,1,points.loyalty,2024-05-01,5,,,",
        "g1,1,points.adjust,2024-05-01,4,,,",
        "l1,1,points.adjust,2024-05-01,-2,,,",
    ]
    rows = [
        "r1,1,points.reverse,2024-05-02,5,e1,,",
        "a1,1,points.adjust,2024-05-03,-1,,e1,",
        "a2,1,points.adjust,2024-05-03,-3,,g1,",
        "a3,1,points.adjust,2024-05-04,-3,,g1,",
        "a4,1,points.adjust,2024-05-04,-3,,l1,",
    ]
    if not together:
        assert counts(load(ledger, lines(tmp_path, *before, header=REFERENCES))) == (4, 4, 0, 0)
    outcome = load(ledger, lines(tmp_path, *(before if together else ()), *rows, header=REFERENCES))
    assert outcome.rejected == 2
    said = " ".join(rejected(outcome).values())
    assert 'points.adjust "a1" of customer "1": corrects "e1", and takes 1 more than is left of it' in said
    assert 'points.adjust "a3" of customer "1": corrects "g1", and takes 2 more than is left of it' in said
    assert balances(ledger) == {"1": 100 + 5 + 4 - 2 - 5 - 3 - 3}


def test_an_expiry_is_not_corrected_nor_what_gave_it_back(ledger: Engine, tmp_path: Path) -> None:
    load(ledger, lines(tmp_path, "e1,1,points.loyalty,2024-05-01,5"))
    expired, restored = (UUID(hashlib.md5(b"id:" + name).hexdigest()) for name in (b"x", b"y"))
    midnight = {"midnight": "2024-05-02"}
    with ledger.begin() as connection:
        whose, at = profile(connection, "1"), NOW - timedelta(days=9)
        record(connection, whose, "points.expire", at, 2, key=expired, params=midnight)
        record(connection, whose, "points.restore", at, 1, key=restored, refers_to=expired, params=midnight)
    for name in ("x", "y"):
        path = lines(tmp_path, f"a,1,points.adjust,2024-05-02,1,,{name},", header=REFERENCES)
        assert f'corrects "{name}" is an expiry' in reason_of(ledger, path)


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
    assert outcome.stored == (1 if not sign else 1024)
    assert abs(balances(ledger)["1"]) == outcome.stored * amount
    assert "beyond the largest number" in rejected(outcome)[1031]
