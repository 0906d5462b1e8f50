"""Reversals and corrections of a file: of what, and how much of it."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from importing import balances, counts, lines, load, reason_of, rejected

HEADER = "event_id,customer_id,action,occurred_at,points,reverses,corrects"
STORED = (
    "e1,1,points.loyalty,2024-05-01,10,,",
    "a1,1,points.adjust,2024-05-02,-1,,e1",
    "r1,1,points.reverse,2024-05-02,2,e1,",
    "g1,1,points.adjust,2024-05-02,4,,",
)
CORRECTIONS = {
    "a1": 'corrects "a1" is itself a correction, of "e1": correct that event',
    "r1": 'corrects "r1" is a reversal of "e1": correct that earning',
}


@pytest.mark.parametrize("of", CORRECTIONS)
@pytest.mark.parametrize("known", [True, False], ids=["in the ledger", "in the file"])
def test_corrections_and_reversals_are_not_corrected(ledger: Engine, tmp_path: Path, of: str, known: bool) -> None:
    row = f"x,1,points.adjust,2024-05-03,1,,{of}"
    if known:
        load(ledger, lines(tmp_path, *STORED, header=HEADER))
        assert CORRECTIONS[of] in reason_of(ledger, lines(tmp_path, row, header=HEADER))
    else:
        assert CORRECTIONS[of] in reason_of(ledger, lines(tmp_path, row, *STORED, header=HEADER))
    assert balances(ledger) == {"1": 11}


def test_two_corrections_of_each_other_are_rejected(ledger: Engine, tmp_path: Path) -> None:
    rows = ["x,1,points.adjust,2024-05-03,1,,y", "y,1,points.adjust,2024-05-03,-1,,x"]
    assert counts(load(ledger, lines(tmp_path, *rows, header=HEADER))) == (2, 0, 0, 2)


def test_a_gift_may_be_corrected(ledger: Engine, tmp_path: Path) -> None:
    rows = [*STORED, "x,1,points.adjust,2024-05-03,-3,,g1"]
    assert counts(load(ledger, lines(tmp_path, *rows, header=HEADER))) == (5, 5, 0, 0)


@pytest.mark.parametrize("known", [True, False], ids=["in the ledger", "in the file"])
def test_no_more_is_reversed_than_is_left(ledger: Engine, tmp_path: Path, known: bool) -> None:
    """10 earned, 1 corrected away and 2 reversed leave 7."""
    rows = [
        "x,1,points.reverse,2024-05-03,5,e1,",
        "z,1,points.reverse,2024-05-05,2,e1,",
        "y,1,points.reverse,2024-05-04,3,e1,",
    ]
    if known:
        load(ledger, lines(tmp_path, *STORED, header=HEADER))
    else:
        rows = [*rows, *STORED]
    found = rejected(load(ledger, lines(tmp_path, *rows, header=HEADER)))
    assert sorted(found) == [3, 4]
    assert 'points.reverse "y" of customer "1": reverses "e1", and takes 1 more than is left of it' in found[4]
    assert balances(ledger) == {"1": 6}
    assert counts(load(ledger, lines(tmp_path, rows[1], header=HEADER))) == (1, 1, 0, 0)


def test_what_a_balance_cannot_hold_is_rejected(ledger: Engine, tmp_path: Path) -> None:
    most = 2**53
    load(ledger, lines(tmp_path, f"e1,1,points.loyalty,2024-05-01,{most - 5},,", header=HEADER))
    rows = [
        "x,1,points.loyalty,2024-05-02,5,,",
        "y,1,points.loyalty,2024-05-03,1,,",
        "z,2,points.loyalty,2024-05-03,1,,",
    ]
    found = rejected(load(ledger, lines(tmp_path, *rows, header=HEADER)))
    assert found == {
        3: f'the balance of customer "1" would be {most + 1}, beyond the largest number that is kept (2^53)'
    }
    assert balances(ledger) == {"1": most, "2": 1}
