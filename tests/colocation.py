"""Whether a statement could run shard by shard if the ledger were distributed by profile: read from its syntax tree.

It could where the tables of profiles that it brings together are joined by the profile (equalities count transitively,
and through subqueries, CTEs and views), where rows keep the profile of the rows that they are made from, where ON
CONFLICT names the profile, and where no window reaches over several profiles. What an aggregate makes of several
profiles is a few rows, and may be joined with anything. A function that is called is not looked into: it has
statements of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Literal, NamedTuple

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType, SetOperation, SubLinkType

from sql_scopes import (
    Column,
    Item,
    Known,
    Node,
    Rows,
    Schema,
    Scope,
    calls,
    is_aggregate,
    named,
    operator,
    parts,
    within,
    words_of,
)

PROFILE = "profile_id"
RELY_ON_ONE_SEQUENCE = {"currval", "lastval", "setval"}
Kind = Literal["apart", "row by row", "window", "key", "sequence", "unknown"]


class Fault(NamedTuple):
    """Why not: tables of profiles that stand apart, a subquery for each row of another table, and so on."""

    kind: Kind
    what: str


def faults(sql: str, schema: Schema) -> list[Fault]:
    """What keeps the statements from running shard by shard; empty: nothing does."""
    return [fault for raw in parse_sql(sql) for fault in Reading(schema).faults_of(raw.stmt)]


class Reading:
    """One statement as it is read: which columns must be equal, and what must be so in the end."""

    def __init__(self, schema: Schema) -> None:
        self.schema, self.numbers = schema, count()
        self.parents: dict[Node, Node] = {}
        self.together: list[tuple[Kind, str, list[tuple[str, Node]]]] = []
        self.found: list[Fault] = []

    def faults_of(self, statement: Any) -> list[Fault]:
        """The faults of the statement; one that neither reads nor writes rows has none."""
        if isinstance(statement, ast.ReturnStmt):
            self.look(statement.returnval, Scope(None, {}))
        elif isinstance(statement, ast.SelectStmt | ast.InsertStmt | ast.UpdateStmt | ast.DeleteStmt):
            self.rows_of(statement, None, {})
        for kind, what, members in self.together:
            if len({self.root(node) for _, node in members}) > 1:
                self.blame(kind, f"{what}: {', '.join(name for name, _ in members)}")
        return self.found

    def blame(self, kind: Kind, what: str) -> None:
        self.found.append(Fault(kind, what))

    # Which columns are equal ---------------------------------------------------------------------------------------

    def root(self, node: Node) -> Node:
        while node in self.parents:
            node = self.parents[node]
        return node

    def equate(self, one: Node | None, other: Node | None) -> None:
        if one is not None and other is not None and self.root(one) != self.root(other):
            first, second = sorted((self.root(one), self.root(other)), key=lambda node: node[0] == "constant")
            self.parents[first] = second  # a constant stays the root: whoever equals it is of one shard

    def is_one(self, node: Node) -> bool:
        """Whether it is a given profile."""
        return self.root(node)[0] == "constant"

    # Queries -------------------------------------------------------------------------------------------------------

    def rows_of(
        self, statement: Any, outer: Scope | None, known: Mapping[str, Known], scope: Scope | None = None
    ) -> Rows:
        """What the query returns, whose own scope is the last argument, if it is asked for."""
        scope = scope or Scope(outer, known)
        for cte in statement.withClause.ctes if statement.withClause else ():
            scope.known[cte.ctename] = self.know(self.rows_of(cte.ctequery, scope, scope.known), cte.aliascolnames)
        match statement:
            case ast.SelectStmt() if statement.op != SetOperation.SETOP_NONE:
                return self.united(statement, scope)
            case ast.SelectStmt():
                return self.selected(statement, scope)
            case ast.InsertStmt():
                return self.inserted(statement, scope)
        target = self.table(statement.relation, scope)
        scope.items.append(target)
        for item in (statement.fromClause if isinstance(statement, ast.UpdateStmt) else statement.usingClause) or ():
            self.bring(item, scope)
        self.hold(statement.whereClause, scope)
        self.look(getattr(statement, "targetList", None), scope)
        self.demand_together(scope)
        return self.returned(statement, scope, target)

    def selected(self, statement: Any, scope: Scope) -> Rows:
        for item in statement.fromClause or ():
            self.bring(item, scope)
        scope.windows = {window.name: window for window in statement.windowClause or ()}
        self.hold(statement.whereClause, scope)
        rest = ("targetList", "valuesLists", "havingClause", "groupClause", "sortClause", "limitCount", "limitOffset")
        for part in rest:
            self.look(getattr(statement, part), scope)
        self.demand_together(scope)
        columns = [column for target in statement.targetList or () for column in self.outputs(target, scope)]
        columns += [("?", None)] * len(statement.valuesLists[0] if statement.valuesLists else ())
        if not scope.profiles:
            return Rows(columns, None)
        _, profile = scope.profiles[0]
        by_itself = not named(scope.reached)
        return Rows(columns, None if by_itself and self.sums_up(statement, columns, profile, scope) else profile)

    def sums_up(self, statement: Any, columns: list[Column], profile: Node, scope: Scope) -> bool:
        """Whether a row of the result stands for several profiles."""
        if statement.distinctClause:
            kept = [node for _, node in columns]
        elif statement.groupClause or any(is_aggregate(call) for call in calls(statement.targetList)):
            kept = [self.grouped(one, columns, scope) for one in statement.groupClause or ()]
        else:
            return False
        return not self.is_one(profile) and all(node is None or self.root(node) != self.root(profile) for node in kept)

    def grouped(self, one: Any, columns: list[Column], scope: Scope) -> Node | None:
        if isinstance(one, ast.A_Const):
            return columns[one.val.ival - 1][1]
        return self.node(one, scope)

    def united(self, statement: Any, scope: Scope) -> Rows:
        arms = [self.rows_of(arm, scope, scope.known) for arm in (statement.larg, statement.rarg)]
        number, of_profiles = next(self.numbers), [arm for arm in arms if arm.profile is not None]
        roots = {self.root(arm.profile) for arm in of_profiles if arm.profile is not None}
        profile = None if not roots else roots.pop() if len(roots) == 1 else (number, "the profile")
        columns: list[Column] = []
        for place, (name, _) in enumerate(arms[0].columns):
            held = [self.holds(arm, place) for arm in of_profiles]
            columns.append((name, profile if held and all(held) else (number, name)))
        scope.items.append(Item("a union", {}, profile))
        return Rows(columns, profile)

    def holds(self, rows: Rows, place: int) -> bool:
        node = rows.columns[place][1]
        return node is not None and rows.profile is not None and self.root(node) == self.root(rows.profile)

    def know(self, rows: Rows, names: Sequence[Any] | None = None) -> Known:
        columns = [name.sval for name in names] if names else [name for name, _ in rows.columns]
        held = frozenset(name for place, name in enumerate(columns) if self.holds(rows, place))
        return Known(columns, held, rows.profile is not None)

    def inserted(self, statement: Any, scope: Scope) -> Rows:
        made_of = statement.selectStmt
        source = self.rows_of(made_of, scope.outer, scope.known) if made_of else Rows([], None)
        target = self.table(statement.relation, scope)
        names = [column.name for column in statement.cols or ()] or list(target.columns)
        if target.profile is not None and PROFILE not in names:
            self.blame("key", f"INSERT INTO {target.name} gives no {PROFILE}")
        elif target.profile is not None and source.profile is not None:
            given = dict(zip(names, (node for _, node in source.columns), strict=False))[PROFILE]
            ends = [(f"INSERT INTO {target.name}", given or (next(self.numbers), "?")), ("its source", source.profile)]
            self.together.append(("key", f"another {PROFILE}", ends))
        scope.items = [target, Item("excluded", target.columns, None)]
        if statement.onConflictClause:
            self.conflicts(statement.onConflictClause, target, scope)
        return self.returned(statement, scope, target)

    def conflicts(self, clause: Any, target: Item, scope: Scope) -> None:
        named_columns = {element.name for element in clause.infer.indexElems or ()} if clause.infer else {PROFILE}
        if target.profile is not None and PROFILE not in named_columns:
            self.blame("key", f"ON CONFLICT of {target.name} by {', '.join(map(str, named_columns))}")
        self.look((clause.targetList, clause.whereClause), scope)

    def returned(self, statement: Any, scope: Scope, target: Item) -> Rows:
        told = statement.returningClause.exprs if statement.returningClause else ()
        self.look(told, scope)
        return Rows([column for one in told for column in self.outputs(one, scope)], target.profile)

    def outputs(self, target: Any, scope: Scope) -> Iterator[Column]:
        value = target.val
        if isinstance(value, ast.ColumnRef) and isinstance(value.fields[-1], ast.A_Star):
            tables = {part.sval for part in value.fields[:-1]}
            for item in scope.items:
                if not tables or item.name in tables:
                    yield from item.columns.items()
            return
        name = target.name or (value.fields[-1].sval if isinstance(value, ast.ColumnRef) else "?")
        yield name, self.node(value, scope)

    # What stands in a FROM clause ----------------------------------------------------------------------------------

    def bring(self, source: Any, scope: Scope) -> list[Item]:
        """The items of this part of the FROM clause are in the scope; returns them."""
        match source:
            case ast.JoinExpr():
                return self.joined(source, scope)
            case ast.RangeVar():
                item = self.table(source, scope)
            case ast.RangeSubselect():
                rows = self.rows_of(source.subquery, scope, scope.known)
                names = [name.sval for name in source.alias.colnames or ()] if source.alias else []
                columns = {name: node for name, node in rows.columns if node is not None}
                columns |= {name: node for name, (_, node) in zip(names, rows.columns, strict=False) if node}
                item = Item(source.alias.aliasname if source.alias else "", columns, rows.profile)
            case ast.RangeFunction():
                item = self.function(source, scope)
            case _:
                raise NotImplementedError(f"{type(source).__name__} in a FROM clause")
        scope.items.append(item)
        return [item]

    def joined(self, join: Any, scope: Scope) -> list[Item]:
        left, right = self.bring(join.larg, scope), self.bring(join.rarg, scope)
        if join.isNatural:
            self.blame("unknown", "a NATURAL JOIN says not by what")
        for name in join.usingClause or ():
            sides = ((item.columns[name.sval] for item in side if name.sval in item.columns) for side in (left, right))
            self.equate(*(next(columns, None) for columns in sides))
        self.hold(join.quals, scope)
        return left + right

    def table(self, place: Any, scope: Scope) -> Item:
        alias = place.alias.aliasname if place.alias else place.relname
        if place.relname in scope.known and not place.schemaname:
            return self.instance(alias, scope.known[place.relname])
        if place.relname in self.schema.views:
            view = parse_sql(self.schema.views[place.relname])[0].stmt
            return self.instance(alias, self.know(self.rows_of(view, None, {})))
        if place.relname not in self.schema.tables and not place.relname.startswith("pg_"):
            self.blame("unknown", f"the table {place.relname}")
        columns = list(self.schema.tables.get(place.relname, ()))
        return self.instance(alias, Known(columns, frozenset({PROFILE}), PROFILE in columns))

    def instance(self, alias: str, known: Known) -> Item:
        number = next(self.numbers)
        profile = (number, "the profile") if known.is_distributed else None
        columns: dict[str, Node] = {name: (number, name) for name in known.columns}
        if profile:
            columns |= dict.fromkeys(known.hold_the_profile, profile)
        return Item(alias, columns, profile)

    def function(self, source: Any, scope: Scope) -> Item:
        self.look([call for call, _ in source.functions], scope)
        name = source.functions[0][0].funcname[-1].sval if isinstance(source.functions[0][0], ast.FuncCall) else ""
        returned = self.schema.functions.get(name, ())
        names = [column.colname for column in source.coldeflist or ()]
        names += [name.sval for name in source.alias.colnames or ()] if source.alias else []
        alias = source.alias.aliasname if source.alias else name
        return self.instance(alias, Known([*returned, *names], frozenset({PROFILE}), PROFILE in returned))

    # Conditions and expressions ------------------------------------------------------------------------------------

    def hold(self, condition: Any, scope: Scope) -> None:
        """The condition holds for every row: what it says to be equal is equal."""
        if isinstance(condition, ast.BoolExpr) and condition.boolop == BoolExprType.AND_EXPR:
            for part in condition.args:
                self.hold(part, scope)
            return
        if isinstance(condition, ast.A_Expr) and condition.kind == A_Expr_Kind.AEXPR_OP and operator(condition) == "=":
            for sides in zip(parts(condition.lexpr), parts(condition.rexpr), strict=True):
                # What a subquery says of others alone does not hold for them.
                if any(self.owner(side, scope) in scope.items for side in sides):
                    self.equate(*(self.node(side, scope) for side in sides))
        self.look(condition, scope)

    def look(self, expression: Any, scope: Scope) -> None:
        """Every subquery, window and sequence within the expression is judged."""
        for part in within(expression):
            if isinstance(part, ast.SubLink):
                self.subquery(part, scope)
            elif isinstance(part, ast.ColumnRef):
                self.node(part, scope)
            elif isinstance(part, ast.FuncCall):
                self.call(part, scope)

    def subquery(self, link: Any, scope: Scope) -> None:
        inner = Scope(scope, scope.known)
        rows = self.rows_of(link.subselect, scope, scope.known, inner)
        beside = set(inner.reached)
        if link.subLinkType == SubLinkType.ANY_SUBLINK:
            self.look(link.testexpr, scope)
            if rows.profile is None:
                return
            for one, (_, node) in zip(parts(link.testexpr), rows.columns, strict=True):
                self.equate(node, self.node(one, scope))
                beside |= {item for item in [self.owner(one, scope)] if item}
        if inner.profiles and named(beside):
            self.together.append(("apart", "in a subquery and around it", inner.profiles + named(beside)))
        elif inner.profiles and beside & set(scope.items):
            names = (", ".join(item.name for item in items) for items in (inner.items, scope.items))
            self.blame("row by row", "{} for each row of {}".format(*names))

    def call(self, call: Any, scope: Scope) -> None:
        name = call.funcname[-1].sval
        if name in RELY_ON_ONE_SEQUENCE:
            self.blame("sequence", name)
        if call.over is None or not scope.profiles:
            return
        window = scope.windows.get(call.over.name or call.over.refname, call.over)
        split = [self.node(one, scope) for one in (*(call.over.partitionClause or ()), *(window.partitionClause or ()))]
        _, profile = scope.profiles[0]
        split += [node for outer in scope.around for _, node in outer.profiles]  # else it sees one of these at a time
        if not self.is_one(profile) and all(node is None or self.root(node) != self.root(profile) for node in split):
            self.blame("window", f"{name} over several profiles")

    def demand_together(self, scope: Scope) -> None:
        if len(scope.profiles) > 1:
            self.together.append(("apart", "not joined by the profile", scope.profiles))

    def node(self, expression: Any, scope: Scope) -> Node | None:
        """What the expression is equal to: a column, or something given."""
        while isinstance(expression, ast.TypeCast):
            expression = expression.arg
        if isinstance(expression, ast.ParamRef):
            return ("constant", f"${expression.number}")
        words = words_of(expression)
        if not words:
            return None
        item = self.owner(expression, scope)
        if item is None:
            return ("constant", ".".join(words))
        return item.columns.setdefault(words[-1], (id(item), words[-1]))

    def owner(self, expression: Any, scope: Scope) -> Item | None:
        """The item whose column the expression is; None: it is none's."""
        *table, column = words_of(expression) or [""]
        passed: list[Scope] = []
        for at in (scope, *scope.around):
            for item in at.items:
                if item.name == table[-1] if table else column in item.columns:
                    for inner in passed:
                        inner.reached.add(item)
                    return item
            passed.append(at)
        return None
