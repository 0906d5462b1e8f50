"""Every statement that works on the ledger: the files of fixed SQL, functions and views, and what is sent to it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pglast import ast, parse_plpgsql, parse_sql
from sqlalchemy import ClauseElement, Connection, Engine, event, select, text
from sqlalchemy.dialects.postgresql import asyncpg

from colocation import Fault, Reading, faults
from loyalty.store.queries import FOLDER, query
from loyalty.store.tables import journey_member
from loyalty.store.temporary import keep_rows
from sql_scopes import Schema

COLUMNS = text("""
    SELECT relname, array_agg(attname::text ORDER BY attnum) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace IN ('loyalty'::regnamespace, pg_my_temp_schema()) AND relkind IN ('r', 'p') AND attnum > 0
    GROUP BY relname
""")
RETURNED = text("""
    SELECT proname, (SELECT array_agg(name ORDER BY place) FROM unnest(proargnames, proargmodes) WITH ORDINALITY
                     AS argument(name, mode, place) WHERE mode = 't')
    FROM pg_proc WHERE pronamespace = 'loyalty'::regnamespace AND 't' = ANY (proargmodes)
""")
VIEWS = text("SELECT viewname, definition FROM pg_views WHERE schemaname = 'loyalty'")
FUNCTIONS = text("""
    SELECT proname, pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = 'loyalty'::regnamespace AND prokind <> 'a' ORDER BY proname
""")
TRANSITION_TABLES = text("""
    SELECT DISTINCT tgfoid::regproc::text AS function, seen, relname
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    CROSS JOIN unnest(ARRAY[tgoldtable, tgnewtable]) AS seen WHERE seen IS NOT NULL
""")
MAKE_TEMPORARY_TABLES = ("clear_batch", "clear_reversals", "cancel/clear_weighed", "books/open_drafts", "intake/open")


def schema_of(connection: Connection) -> Schema:
    """Every table of the ledger, the temporary ones included, and its views and functions."""
    for name in MAKE_TEMPORARY_TABLES:
        connection.execute(query(name))
    chosen = select(journey_member.c.profile_id, journey_member.c.approved.label("points_to_cancel"))
    keep_rows(connection, "chosen", chosen.limit(0))
    tables, returned, views = (dict(connection.execute(asked).all()) for asked in (COLUMNS, RETURNED, VIEWS))
    return Schema(tables, returned, views)


def as_text(statement: ClauseElement) -> str:
    """The statement as PostgreSQL reads it, its binds numbered."""
    return str(statement.compile(dialect=asyncpg.dialect(), compile_kwargs={"render_postcompile": True}))


def fixed() -> dict[str, str]:
    """The statements in store/sql, by name."""
    names = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.sql"))
    return {name: as_text(query(name)) for name in names}


def faults_of_functions(connection: Connection, schema: Schema) -> dict[str, list[Fault]]:
    """What each function of the ledger is to blame for, those of triggers among them; by name."""
    seen: dict[str, dict[str, Any]] = {}
    for function, name, table in connection.execute(TRANSITION_TABLES):
        seen.setdefault(function.partition(".")[2], {})[name] = schema.tables[table]
    found: dict[str, list[Fault]] = {}
    for name, definition in connection.execute(FUNCTIONS):
        own = Schema({**schema.tables, **seen.get(name, {})}, schema.functions, schema.views)
        found.setdefault(name, []).extend(_faults_of_function(definition, own))
    return found


def _faults_of_function(definition: str, schema: Schema) -> Iterator[Fault]:
    made = parse_sql(definition)[0].stmt
    assert isinstance(made, ast.CreateFunctionStmt)
    body = next((option.arg[0].sval for option in made.options if option.defname == "as"), None)
    if made.sql_body:
        yield from Reading(schema).faults_of(made.sql_body)
    elif "LANGUAGE plpgsql" in definition:
        for statement in _expressions(parse_plpgsql(_with_plain_types(definition))):
            yield from faults(statement, schema)
    elif body:
        yield from faults(body, schema)


def _expressions(tree: Any) -> Iterator[str]:
    """Every statement and expression of a function, as a statement."""
    if isinstance(tree, dict) and "PLpgSQL_expr" in tree:
        expression = tree["PLpgSQL_expr"]
        words, mode = expression["query"], expression["parseMode"]
        assigned = re.sub(r"^[^=]*?:?=", "", words, count=1) if mode > 2 else words  # 0: a statement, 2: an expression
        yield assigned if mode == 0 else f"SELECT {assigned}"
    elif isinstance(tree, dict | list):
        for one in tree.values() if isinstance(tree, dict) else tree:
            yield from _expressions(one)


def _with_plain_types(definition: str) -> str:
    """The function with no type of the schema's own, which the parser does not look for."""
    head, mark, body = definition.partition("AS $function$")
    head = re.sub(r"(?<!FUNCTION )\bloyalty\.\w+", "text", head)
    declared, begin, rest = body.partition("BEGIN")
    return head + mark + re.sub(r"(?m)^(\s*\w+) loyalty\.\w+", r"\1 record", declared) + begin + rest


@contextmanager
def sent(engine: Engine) -> Iterator[set[str]]:
    """Every statement that is sent to the database while the body runs, its binds numbered."""
    statements: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        numbers: dict[str, str] = {}
        numbered = re.sub(r"%\((\w+)\)s", lambda bind: numbers.setdefault(bind[1], f"${len(numbers) + 1}"), statement)
        statements.add(numbered.replace("%%", "%"))

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)
