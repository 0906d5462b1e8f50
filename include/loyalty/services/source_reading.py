"""A source of events as SQL: its rows in the shape of intake/copy_rows.sql, by windows of its watermark."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from loyalty.errors import LoyaltyError, nearest
from loyalty.model.sources import NEEDED, EventSource

# What a watermark may be.
TIMES, NUMBERS = ("timestamp with time zone", "timestamp without time zone", "date"), ("bigint", "integer")
TYPES = "SELECT oid, format_type(oid, NULL) FROM pg_type WHERE oid = ANY (%s)"
NAMELESS = "event_id is missing: without a name it could not be told from the same row read again"
SourceConnection = psycopg.Connection[tuple[Any, ...]]


class SourceReading:
    """What is asked of a source; a fault of its query or its columns is said when it is made."""

    def __init__(self, theirs: SourceConnection, source: EventSource) -> None:
        self._theirs, self._source = theirs, source
        asked = sql.SQL("({})").format(sql.SQL(source.query or ""))
        self._rows = sql.SQL("{} AS q").format(sql.Identifier(*source.table.split(".")) if source.table else asked)
        self._types = self._columns()
        self._mark = sql.SQL("q.{}").format(sql.Identifier(source.watermark))
        self._type = self._types[source.watermark]
        if self._type not in (*TIMES, *NUMBERS):
            raise LoyaltyError(
                f"source {source.name!r}: the watermark {source.watermark!r} is {self._type}: a time or a whole number "
                "that grows with each row is needed"
            )

    def back_from(self, mark: str | None) -> str | None:
        """Where a reading begins that is to find late rows."""
        if mark is None:
            return None
        back = (
            sql.SQL("make_interval(secs => {})").format(sql.Literal(self._source.overlap_seconds))
            if self._type in TIMES
            else sql.Literal(self._source.overlap_count)
        )
        return str(self._ask(sql.SQL("SELECT ({} - {})::text").format(self._value(mark), back))[0][0])

    def later(self, one: str, other: str) -> str:
        """The higher of two watermarks; of times, none that is yet to come: what comes until then would be missed."""
        now = sql.SQL("now()" if self._type in TIMES else "NULL")
        both = (self._value(one), self._value(other))
        later = sql.SQL("SELECT least(greatest({}, {}), {}::{})::text").format(*both, now, sql.SQL(self._type))
        return str(self._ask(later)[0][0])

    def next_batch(self, start: str | None, *, inclusive: bool) -> tuple[str, int]:
        """The watermark up to which the next batch goes, and its number of rows; those that share one stay together."""
        statement = sql.SQL(
            "SELECT max(mark)::text, count(*) FROM (SELECT {mark} AS mark FROM {rows} WHERE {after} "
            "ORDER BY {mark} FETCH FIRST {size} ROWS WITH TIES) AS batch"
        ).format(
            mark=self._mark,
            rows=self._rows,
            after=self._after(start, inclusive),
            size=sql.Literal(self._source.batch_size),
        )
        upto, count = self._ask(statement)[0]
        return upto, count

    def copy(self, start: str | None, upto: str, inclusive: bool, into: Any) -> None:
        """The rows of a window have gone into the other copy, in the order of the watermark."""
        statement = sql.SQL("COPY (SELECT {} FROM {} WHERE {} AND {} <= {} ORDER BY {}) TO STDOUT (FORMAT csv)").format(
            sql.SQL(", ").join(self._select()),
            self._rows,
            self._after(start, inclusive),
            self._mark,
            self._value(upto),
            self._mark,
        )
        with self._faults(), self._theirs.cursor() as cursor, cursor.copy(statement) as out:
            for block in out:
                into.write(block)

    def _columns(self) -> dict[str, str]:
        with self._faults(), self._theirs.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(self._rows))
            found = cursor.description or []
            cursor.execute(TYPES, [[column.type_code for column in found]])
            names = {int(row[0]): str(row[1]) for row in cursor}
        types = {column.name: str(names[column.type_code]) for column in found}
        wanted = {name: self._source.column_of(name) for name in NEEDED} | {"watermark": self._source.watermark}
        wanted |= {name: self._source.column_of(name) for name in self._source.columns}
        for name, column in wanted.items():
            if column is not None and column not in types:
                raise LoyaltyError(
                    f"source {self._source.name!r}: {name} is to be in the column {column!r}, which is not there; "
                    f"{nearest(column, types)}"
                )
        return types

    def _select(self) -> list[sql.Composable]:
        """Number, fault, customer, action, time as an instant or as clocks show it, id, source, parameters."""
        source = self._source
        when = source.column_of("occurred_at") or ""
        moment = sql.SQL("q.{}").format(sql.Identifier(when))
        is_instant = self._types[when] == TIMES[0]
        local = sql.SQL("{}::timestamp").format(moment)
        empty = sql.SQL("NULL")
        return [
            sql.SQL("row_number() OVER (ORDER BY {})").format(self._mark),
            sql.SQL("CASE WHEN {} IS NULL THEN {} END").format(self._text("event_id"), sql.Literal(NAMELESS)),
            self._text("customer_id"),
            self._text("action"),
            sql.SQL("timezone('UTC', {})").format(moment) if is_instant else empty,
            empty if is_instant else local,
            self._text("event_id"),
            self._text("source") if source.columns.get("source") else sql.Literal(source.name),
            sql.SQL("jsonb_strip_nulls(jsonb_build_object({}))").format(sql.SQL(", ").join(self._parameters())),
        ]

    def _parameters(self) -> list[sql.Composable]:
        source = self._source
        taken = {source.watermark, *(source.column_of(name) for name in (*NEEDED, *source.columns))}
        named = {column: column for column in self._types if column not in taken}
        named |= {name: source.columns[name] for name in source.columns if name not in (*NEEDED, "source")}
        parts: list[sql.Composable] = []
        for name, column in named.items():
            value = (
                sql.Literal(column[1:]) if column.startswith("=") else sql.SQL("q.{}").format(sql.Identifier(column))
            )
            parts += [sql.Literal(name), sql.SQL("{}::text").format(value) if column.startswith("=") else value]
        return parts

    def _text(self, name: str) -> sql.Composable:
        column = self._source.column_of(name)
        if column is None:
            return sql.Literal(self._source.columns[name][1:])
        return sql.SQL("q.{}::text").format(sql.Identifier(column))

    def _value(self, mark: str) -> sql.Composable:
        return sql.SQL("{}::{}").format(sql.Literal(mark), sql.SQL(self._type))

    def _after(self, start: str | None, inclusive: bool) -> sql.Composable:
        if start is None:
            return sql.SQL("{} IS NOT NULL").format(self._mark)
        return sql.SQL("{} {} {}").format(self._mark, sql.SQL(">=" if inclusive else ">"), self._value(start))

    def _ask(self, statement: sql.Composed) -> list[tuple[Any, ...]]:
        with self._faults(), self._theirs.cursor() as cursor:
            return cursor.execute(statement).fetchall()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What the source's database finds wrong is said with the source's name."""
        try:
            yield
        except psycopg.Error as error:
            raise LoyaltyError(f"source {self._source.name!r}: {str(error).strip()}") from error
