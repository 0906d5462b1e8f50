"""Tables could be distributed by profile_id: no statement joins profiles otherwise, no key reaches over several.

What cannot is listed here, with its reason; docs/scaling.md says what a distributed ledger would do about it.
"""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, Table, UniqueConstraint, select, text

from cancellation import PROMOTIONS, QUICK, activate, cancel, now
from colocation import PROFILE, Fault, Kind, faults
from ledger import program_of, settle
from loyalty.compile import compile_expression, compile_segment
from loyalty.definitions.balance import balance_catalog
from loyalty.definitions.load_program import load_program
from loyalty.model.segments import Segment
from loyalty.services.award_points import award_points
from loyalty.services.undo_journey import undo_journey
from loyalty.settings import PACKAGE
from loyalty.store import tables
from loyalty.store.database import transaction
from mailing import mail_of
from shop import NOON, PURCHASE, Shop
from sql_scopes import Schema
from statements import as_text, faults_of_functions, fixed, schema_of, sent

AT_THE_COORDINATOR = "once a run, for all its members: where the shards meet"
OF_ONE_CHUNK = "asks about one chunk, by the bounds of its profiles: as a join of the members it could"
A_PAGE = "one row, for whoever looks at a run"
BY_NAME = "customers are known outside by a name, which leads to the profile: where names are looked up"
OF_THE_DEFINITIONS = "asks once, when the program's settings change, whether there is any such event"
ONCE_A_DAY = "shows a few customers where the books disagree"
STATEMENTS: dict[tuple[str, Kind], str] = {
    ("books/miscounted", "row by row"): ONCE_A_DAY,
    ("cancel/await_deactivations", "row by row"): OF_ONE_CHUNK,
    ("cancel/await_locks", "row by row"): OF_ONE_CHUNK,
    ("cancel/cut_chunks", "window"): AT_THE_COORDINATOR,
    ("cancel/report", "row by row"): A_PAGE,
    ("engine/confirm_locks", "apart"): BY_NAME,
    ("engine/confirm_locks", "key"): BY_NAME,
    ("engine/deactivate_promotions", "apart"): BY_NAME,
    ("engine/deactivate_promotions", "key"): BY_NAME,
    ("engine/refuse_locks", "apart"): BY_NAME,
    ("engine/refuse_locks", "key"): BY_NAME,
    ("profile_bounds", "window"): AT_THE_COORDINATOR,
    ("program_changes", "row by row"): OF_THE_DEFINITIONS,
    ("waiting_ranges", "window"): AT_THE_COORDINATOR,
}
FUNCTIONS: dict[tuple[str, Kind], str] = {
    ("hold_accounts", "key"): BY_NAME,
    ("hold_accounts", "row by row"): BY_NAME,
    ("reject_what_does_not_fit", "window"): "over the rows of one file, by customer",
}
KEYS = {
    ("profile", "customer_id"): BY_NAME,
    (
        "delivery",
        "subscriber, n",
    ): "deliveries are a queue of one subscriber, in one order, and stay where it is served",
}
NUMBERED = {
    ("profile", "profile_id"): "numbers need only differ, and gaps are nothing",
    ("delivery", "n"): "the order of a queue: see KEYS",
}


@pytest.fixture(scope="module")
def schema(module_database: Engine) -> Schema:
    with transaction(module_database) as connection:
        return schema_of(connection)


def wanting(found: dict[str, list[Fault]]) -> dict[tuple[str, Kind], set[str]]:
    """What each statement is found wanting in, with the words for it."""
    kinds: dict[tuple[str, Kind], set[str]] = {}
    for name, several in found.items():
        for fault in several:
            kinds.setdefault((name, fault.kind), set()).add(fault.what)
    return kinds


def test_every_statement_keeps_to_the_shards_but_those_that_are_listed(schema: Schema) -> None:
    found = wanting({name: faults(statement, schema) for name, statement in fixed().items()})
    assert {one: what for one, what in found.items() if one not in STATEMENTS} == {}
    assert [one for one in STATEMENTS if one not in found] == [], "these keep to the shards now: take them off the list"


def test_every_function_and_trigger_does(module_database: Engine, schema: Schema) -> None:
    with transaction(module_database) as connection:
        by_function = faults_of_functions(connection, schema)
    assert {"check_events", "book_events", "lock_accounts", "confirm_locks", "settlement"} <= set(by_function)
    found = wanting(by_function)
    assert {one: what for one, what in found.items() if one not in FUNCTIONS} == {}
    assert [one for one in FUNCTIONS if one not in found] == [], "these keep to the shards now: take them off the list"


def test_every_view_does(schema: Schema) -> None:
    assert {"points_entry", "lot"} <= set(schema.views)
    assert wanting({name: faults(definition, schema) for name, definition in schema.views.items()}) == {}


def test_whatever_the_shipped_definitions_compile_to_does(schema: Schema) -> None:
    program = load_program(PACKAGE / "definitions" / "program.yaml")
    catalog = balance_catalog(program)
    due = select(tables.account.c.profile_id).where(tables.account.c.settle_on.is_not(None))
    compiled = {}
    for one in catalog.definitions:
        if isinstance(one, Segment):
            compiled[one.name] = compile_segment(catalog, program, one)
        else:
            compiled[one.name] = compile_expression(catalog, program, one)
            compiled[f"{one.name} of some"] = compile_expression(catalog, program, one, profiles=due)
    texts = {name: as_text(statement.params(as_of=NOON)) for name, statement in compiled.items()}
    assert wanting({name: faults(statement, schema) for name, statement in texts.items()}) == {}


def test_whatever_the_journeys_send_does(module_database: Engine, schema: Schema) -> None:
    of_listed = {fault for name, statement in fixed().items() for fault in faults(statement, schema)}
    with module_database.connect() as connection:
        statements = sent_by_the_journeys(connection)
    found = {statement: set(faults(statement, schema)) - of_listed for statement in statements}
    assert {statement: several for statement, several in found.items() if several} == {}
    for journey in ("rolling_expiry", "award_points", "batch_cancellation", "undo_journey"):
        assert any(f"'{journey}'" in statement for statement in statements), journey


def sent_by_the_journeys(connection: Connection) -> set[str]:
    """Purchases earn points, one is refunded, some expire, the rest is cancelled and given back; all hear of it."""
    program = program_of(
        earning_rules=[PURCHASE],
        promotions=PROMOTIONS,
        cancellation=QUICK | {"exclude_countries": ["DE"], "exclude_segment": "points_to_expire"},
        batch_size=3,
        mail=mail_of(),
    )
    shop, lately = Shop(connection, program), (now() - NOON).days - 40
    shop.happens("transaction.charge", day=lately - 300, totalAmount=100, orderID="first")
    shop.happens("transaction.charge", day=lately, totalAmount=200, orderID="second")
    shop.award()
    shop.happens("transaction.refund", day=lately + 1, totalAmount=50, orderID="second")
    with connection.begin():
        activate(connection, "the customer", "coffee")
    with sent(connection.engine) as statements:
        award_points(connection, program)
        assert settle(connection, program, now().date()).points
        totals = cancel(connection, program)
        assert totals.points
        undo_journey(connection, totals.run_id, run_key="undo", size=3)
    return statements


DISTRIBUTED = [table for table in (*tables.metadata.tables.values(), tables.batch) if PROFILE in table.c]


def keys_of(table: Table) -> Iterator[list[str]]:
    """The columns of everything that must be unique in the table."""
    yield [column.name for column in table.primary_key]
    for unique in (*table.constraints, *table.indexes):
        if isinstance(unique, UniqueConstraint) or getattr(unique, "unique", False):
            yield [column.name for column in unique.columns]


def test_every_key_of_a_table_of_profiles_holds_the_profile_but_those_that_are_listed() -> None:
    keys = {(table.name, ", ".join(key)) for table in DISTRIBUTED for key in keys_of(table) if PROFILE not in key}
    assert keys == set(KEYS)


def test_no_other_table_of_profiles_is_numbered_by_a_sequence() -> None:
    assert {(table.name, column.name) for table in DISTRIBUTED for column in table.c if column.identity} == set(
        NUMBERED
    )


TWO = "SELECT FROM loyalty.event AS e JOIN loyalty.account AS a"
THREE = f"{TWO} USING (profile_id) JOIN batch AS b ON"
PLANTED: dict[str, Kind] = {
    f"{TWO} ON a.balance = e.points": "apart",
    f"{TWO} ON a.profile_id = e.profile_id OR e.points > 0": "apart",
    f"{TWO} ON a.profile_id <> e.profile_id": "apart",
    f"{THREE} b.profile_id = e.run_id": "apart",
    "SELECT FROM loyalty.event, loyalty.account WHERE account.profile_id = $1": "apart",
    "SELECT FROM loyalty.event AS e WHERE EXISTS (SELECT FROM loyalty.event AS o WHERE o.key = e.refers_to)": "apart",
    "SELECT FROM loyalty.event WHERE key IN (SELECT refers_to FROM loyalty.event)": "apart",
    "SELECT FROM batch AS b, LATERAL (SELECT FROM loyalty.event AS e WHERE e.run_id = b.profile_id) AS e": "apart",
    "SELECT FROM loyalty.lot JOIN loyalty.event ON event.key = lot.key": "apart",
    "WITH o AS (SELECT profile_id + 1 AS profile_id FROM batch) SELECT FROM o JOIN batch USING (profile_id)": "apart",
    "WITH o AS (SELECT run_id AS profile_id FROM loyalty.event) SELECT FROM o JOIN batch USING (profile_id)": "apart",
    "UPDATE loyalty.account SET balance = 0 FROM batch WHERE account.lock_run_id = batch.profile_id": "apart",
    "DELETE FROM loyalty.event AS e USING loyalty.profile WHERE profile.customer_id = e.source": "apart",
    "SELECT FROM loyalty.promotion AS p WHERE EXISTS (SELECT FROM loyalty.event WHERE source = p.title)": "row by row",
    "SELECT row_number() OVER (ORDER BY profile_id) FROM loyalty.account": "window",
    "SELECT sum(points) OVER w FROM loyalty.event WINDOW w AS (PARTITION BY action)": "window",
    "INSERT INTO batch (profile_id) SELECT lock_run_id FROM loyalty.account": "key",
    "INSERT INTO loyalty.reminder (due_on) VALUES ($1)": "key",
    "INSERT INTO loyalty.email (profile_id, key) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING": "key",
    "SELECT lastval()": "sequence",
    "SELECT FROM loyalty.nobody_knows": "unknown",
}
SOUND = [
    f"{TWO} USING (profile_id)",
    f"{TWO} ON true WHERE a.profile_id = $1 AND e.profile_id = $1",
    f"{THREE} b.profile_id = a.profile_id",
    "SELECT FROM loyalty.event AS e, (SELECT max(balance) FROM loyalty.account) AS most",
    "WITH o AS (SELECT profile_id AS who FROM batch) SELECT FROM o JOIN batch ON profile_id = who",
    "SELECT FROM loyalty.event WHERE profile_id NOT IN (SELECT profile_id FROM batch UNION SELECT $1)",
    "SELECT row_number() OVER (PARTITION BY profile_id ORDER BY occurred_at) FROM loyalty.event",
    "SELECT (SELECT timezone FROM loyalty.program) FROM loyalty.event JOIN loyalty.action USING (action)",
]


@pytest.mark.parametrize("statement", PLANTED)
def test_a_statement_that_does_not_keep_to_the_shards_is_noticed(statement: str, schema: Schema) -> None:
    assert {fault.kind for fault in faults(statement, schema)} == {PLANTED[statement]}


def test_functions_are_looked_into(module_database: Engine, schema: Schema) -> None:
    with module_database.connect() as connection:  # never committed
        connection.execute(text(PLANTED_FUNCTION))
        assert wanting(faults_of_functions(connection, schema)).keys() - FUNCTIONS.keys() == {("planted", "apart")}


PLANTED_FUNCTION = """
    CREATE FUNCTION loyalty.planted(the loyalty.account) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        own loyalty.profile;
    BEGIN
        FOR own IN SELECT profile.* FROM loyalty.profile JOIN loyalty.account USING (profile_id) LOOP
            IF own.profile_id = the.profile_id THEN
                RETURN EXISTS (SELECT FROM loyalty.email AS m JOIN loyalty.reminder AS r ON r.email_key = m.key);
            END IF;
        END LOOP;
    END $$
"""


@pytest.mark.parametrize("statement", SOUND)
def test_one_that_does_is_not_blamed(statement: str, schema: Schema) -> None:
    assert faults(statement, schema) == []


TELLS_OF_A_LIST = {
    "insights/sample",
    "mail/write_outcomes",
}  # and joins it with one table of profiles


def test_a_join_by_the_profile_is_missed_wherever_it_goes(schema: Schema) -> None:
    missed = set()
    for name, statement in fixed().items():
        before = len(faults(statement, schema))
        missed |= {name for spoilt in without_a_join(statement) if len(faults(spoilt, schema)) <= before}
    assert missed <= TELLS_OF_A_LIST


def without_a_join(statement: str) -> Iterator[str]:
    """The statement as often as it joins by the profile, each time without one of these."""
    for join in re.finditer(r"USING \(profile_id\)|(\w+\.)?profile_id = (\w+\.)?profile_id", statement):
        instead = "ON true" if join[0].startswith("USING") else join[0].replace("=", "<>")
        yield statement[: join.start()] + instead + statement[join.end() :]
