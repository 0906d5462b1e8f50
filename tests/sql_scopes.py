"""What a SQL statement speaks of: the tables in its scopes with their columns, and the parts of its syntax tree."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pglast import ast

AGGREGATES = {"array_agg", "avg", "bool_and", "bool_or", "count", "jsonb_agg", "jsonb_object_agg", "max", "min"}
AGGREGATES |= {"string_agg", "sum", "total"}
Node = tuple[object, str]
Column = tuple[str, Node | None]


@dataclass(frozen=True)
class Schema:
    """The columns of tables and of functions that return rows, and what views say, by name."""

    tables: Mapping[str, Sequence[str]]
    functions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)


class Rows(NamedTuple):
    """What a query returns: its columns in order, and the profile that each row is about (None: no single one)."""

    columns: list[Column]
    profile: Node | None


class Known(NamedTuple):
    """A CTE or a view: its columns, which of them hold the profile, and whether rows are about one at all."""

    columns: list[str]
    hold_the_profile: frozenset[str]
    is_distributed: bool


@dataclass(eq=False)
class Item:
    """A table, or what stands for one, in a FROM clause."""

    name: str
    columns: dict[str, Node]
    profile: Node | None


class Scope:
    """The items of one query; ``reached`` are those of the queries around it that it speaks of."""

    def __init__(self, outer: "Scope | None", known: Mapping[str, Known]) -> None:
        self.outer, self.known = outer, dict(known)
        self.items: list[Item] = []
        self.reached: set[Item] = set()
        self.windows: dict[str, Any] = {}

    @property
    def profiles(self) -> list[tuple[str, Node]]:
        """The profile of each item that has one, by the item's name."""
        return named(self.items)

    @property
    def around(self) -> Iterator["Scope"]:
        """The scopes of the queries around it, from within."""
        scope = self.outer
        while scope is not None:
            yield scope
            scope = scope.outer


def named(items: Iterable[Item]) -> list[tuple[str, Node]]:
    return [(item.name, item.profile) for item in items if item.profile is not None]


def words_of(expression: Any) -> list[str]:
    """The names that a reference to a column is made of; none for anything else."""
    fields = expression.fields if isinstance(expression, ast.ColumnRef) else ()
    return [part.sval for part in fields] if all(isinstance(part, ast.String) for part in fields) else []


def within(tree: Any) -> Iterator[Any]:
    """The node and all below it, subqueries left out."""
    if isinstance(tree, tuple | list):
        for one in tree:
            yield from within(one)
    elif isinstance(tree, ast.Node):
        yield tree
        if not isinstance(tree, ast.SubLink):
            for name in tree.__slots__:
                yield from within(getattr(tree, name))


def calls(tree: Any) -> Iterable[Any]:
    return (node for node in within(tree) if isinstance(node, ast.FuncCall))


def is_aggregate(call: Any) -> bool:
    return call.over is None and (call.agg_star or call.funcname[-1].sval in AGGREGATES)


def parts(expression: Any) -> Sequence[Any]:
    """The members of a row, or the expression alone."""
    return expression.args if isinstance(expression, ast.RowExpr) else (expression,)


def operator(expression: Any) -> str:
    return str(expression.name[-1].sval)
