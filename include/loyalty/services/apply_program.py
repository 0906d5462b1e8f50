"""Make the database keep the program's rules."""

import json
import time

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.store.queries import query

ATTEMPTS, PAUSE = 30, 1.0


def apply_program(connection: Connection, program: Program, *, resettle: bool = False) -> None:
    """The database works by this program; applying it again changes nothing.

    A change that makes midnights already settled come out otherwise (the zone, or how long points live) is refused
    with an error that lists it, unless ``resettle`` says that the next expiry run shall correct them.
    """
    if _is_applied(connection, program):
        return
    _lock_program(connection)
    resettles = _check_changes(connection, program, consent=resettle)
    rules = json.dumps(program.model_dump(mode="json")["earning_rules"])
    connection.execute(query("apply_actions"), {"actions": json.dumps(_actions(program)), "rules": rules})
    promotions = json.dumps(program.model_dump(mode="json")["promotions"])
    connection.execute(query("apply_promotions"), {"promotions": promotions})
    subscribers = json.dumps(program.model_dump(mode="json")["subscribers"])
    connection.execute(query("apply_subscribers"), {"subscribers": subscribers})
    connection.execute(
        query("apply_program"),
        {
            "timezone": program.timezone,
            "allow_debt": program.allow_debt,
            "fingerprint": program.fingerprint(),
            "settings": program.model_dump_json(),
        },
    )
    if resettles:
        connection.execute(query("settle_all_anew"))


def _lock_program(connection: Connection) -> None:
    """Nobody books anything until the transaction ends; while somebody has to be waited for, others are let through."""
    for _ in range(ATTEMPTS):
        connection.execute(query("wait_briefly"), {"milliseconds": 1000})
        try:
            with connection.begin_nested():
                connection.execute(query("lock_program"))
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            time.sleep(PAUSE)
        else:
            connection.execute(query("wait_briefly"), {"milliseconds": 0})
            return
    raise LoyaltyError(
        "the program has changed, and cannot be applied: the ledger has been busy for a minute (a close of the books, "
        "a what-if, or an import); try again when that is done"
    )


def _is_applied(connection: Connection, program: Program) -> bool:
    """Whether these settings were applied last; asked in a savepoint that is rolled back, so that no lock stays behind.

    Two that had read the program here and apply a new one would each wait for the other.
    """
    with connection.begin_nested() as asking:
        fingerprint: str = connection.scalar(query("program_fingerprint"))
        asking.rollback()
    return fingerprint == program.fingerprint()


def _actions(program: Program) -> list[dict[str, object]]:
    earning: list[dict[str, object]] = [
        {"action": name, "effect": "earn", "parameter": "points", "validity_days": action.validity_days}
        for name, action in program.earning_actions.items()
    ]
    read = {rule.action for rule in program.earning_rules}
    if read:
        read.add("transaction.refund")
    return earning + [{"action": name, "effect": "none", "feeds_rules": True} for name in sorted(read)]


def _check_changes(connection: Connection, program: Program, *, consent: bool) -> bool:
    wanted = {
        "timezone": program.timezone,
        "allow_debt": program.allow_debt,
        "actions": json.dumps(_actions(program)),
    }
    changes = connection.execute(query("program_changes"), wanted).all()
    impossible = [row.change for row in changes if row.impossible]
    if impossible:
        raise LoyaltyError("the program contradicts the events of this database: " + "; ".join(impossible))
    if changes and not consent:
        raise LoyaltyError(
            "the program differs from the one that this database was settled by: "
            + "; ".join(row.change for row in changes)
            + ". `loyalty program apply --resettle` takes the new one, and the next expiry run corrects every midnight"
        )
    return bool(changes)
