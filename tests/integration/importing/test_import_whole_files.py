"""A file is imported wholly or not at all, beside others, killed or large."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from importing import LOSSES, NOW, ask, balances, counts, import_within, lines, load, objects
from ledger import profile, record
from loyalty.errors import LoyaltyError
from loyalty.services.import_events import ImportOutcome


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


def test_a_few_known_customers_among_many_new_ones(ledger: Engine, tmp_path: Path) -> None:
    known = [f"k{n},C{n},points.loyalty,2024-05-01,10" for n in range(0, 3_000, 600)]
    assert counts(load(ledger, lines(tmp_path, *known, name="known.csv"))) == (5, 5, 0, 0)
    path = lines(tmp_path, *known, *(f"n{n},C{n},points.loyalty,2024-05-02,1" for n in range(3_000)))
    assert counts(load(ledger, path)) == (3_005, 3_000, 5, 0)
    assert counts(load(ledger, path)) == (3_005, 0, 3_005, 0)
    assert sum(balances(ledger).values()) == 3_000 + 50


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
