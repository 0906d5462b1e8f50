"""Profiles with the facts and the values of expressions beside them: what every statement selects from."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, FromClause, select, true

from loyalty.compile.aggregates import defaulted, facts
from loyalty.compile.events import looks_up
from loyalty.compile.formulas import Scope, formula_column
from loyalty.model.aggregates import Aggregate
from loyalty.model.catalog import Catalog, Value
from loyalty.model.expressions import Expression
from loyalty.model.program import Program
from loyalty.model.references import Key, key_of
from loyalty.store.tables import profile


class Source:
    """A FROM clause of profiles that grows by what is asked of it.

    ``narrow`` says that there are few profiles: then the events of each are looked up. Else all events are read once.
    """

    def __init__(self, catalog: Catalog, program: Program, base: FromClause, profile_id: ColumnElement[int]) -> None:
        self.catalog, self.program = catalog, program
        self.rows, self.profile_id = base, profile_id
        self.values: dict[Key, ColumnElement[Any]] = {}

    @property
    def scope(self) -> Scope:
        """What a formula over these rows may speak of."""
        return Scope(self.catalog, self.program.timezone, profile.c.attributes, self.values)

    def add_facts(self, wanted: Mapping[str, Aggregate], *, narrow: bool) -> dict[str, ColumnElement[Any]]:
        """The facts of the events stand beside the rows; returns its columns by label."""
        if not wanted:
            return {}
        if narrow:
            passed: FromClause = facts(self.program, wanted, self.profile_id).lateral("fact")
            self.rows = self.rows.join(passed, true())
            return {label: defaulted(one, passed.c[label]) for label, one in wanted.items()}
        # What looks other events up is read apart, and is little: only the rest can be shared among processes.
        apart = {label: one for label, one in wanted.items() if looks_up(one)}
        plain = {label: one for label, one in wanted.items() if label not in apart}
        return self._add_pass("fact", plain) | self._add_pass("referring", apart)

    def _add_pass(self, name: str, wanted: Mapping[str, Aggregate]) -> dict[str, ColumnElement[Any]]:
        """All events of their actions are read once; returns the columns by label."""
        if not wanted:
            return {}
        passed = facts(self.program, wanted, None).subquery(name)
        self.rows = self.rows.outerjoin(passed, passed.c.profile_id == self.profile_id)
        return {label: defaulted(one, passed.c[label]) for label, one in wanted.items()}

    def add_values(self, parts: Iterable[Value]) -> None:
        """Each expression, in this order, stands beside the rows as a step of its own, written once."""
        for part in parts:
            if isinstance(part, Expression):
                value = formula_column(part.formula, self.scope).label(part.name)
                step = select(value).correlate_except().lateral(f"the_{part.name}")
                self.rows = self.rows.join(step, true())
                self.values[key_of(part)] = step.c[part.name]
