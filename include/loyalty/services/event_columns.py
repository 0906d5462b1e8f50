"""Which column of a file means what."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loyalty.errors import LoyaltyError, nearest

REQUIRED = ("customer_id", "action", "occurred_at")
CANONICAL = (*REQUIRED, "event_id", "source")


@dataclass(frozen=True)
class ColumnPlan:
    """``named`` and ``constants`` speak about the canonical columns, ``renamed`` and ``fixed`` about parameters."""

    named: Mapping[str, str]
    constants: Mapping[str, str]
    renamed: Mapping[str, str]
    fixed: Mapping[str, str]

    @property
    def taken(self) -> set[str]:
        """The columns that are no parameter under their own name."""
        return {*self.named.values(), *self.renamed.values()}

    def parameters(self, columns: Sequence[str]) -> dict[str, str]:
        """Each parameter that a row of these columns has, with the column that holds it."""
        return {**{column: column for column in columns if column not in self.taken}, **self.renamed}


def plan_columns(mapping: Mapping[str, str]) -> ColumnPlan:
    """What ``name=column`` pairs mean; ``name==text`` gives every row that text, other columns keep their name."""
    columns = {name: value for name, value in mapping.items() if not value.startswith("=")}
    constants = {name: value[1:] for name, value in mapping.items() if value.startswith("=")}
    return ColumnPlan(
        named={name: columns.get(name, name) for name in CANONICAL if name not in constants},
        constants={name: value for name, value in constants.items() if name in CANONICAL},
        renamed={name: value for name, value in columns.items() if name not in CANONICAL},
        fixed={name: value for name, value in constants.items() if name not in CANONICAL},
    )


def check_columns(plan: ColumnPlan, columns: Sequence[str], path: Path) -> None:
    """The file has every column that the plan needs, each once, each with a name."""
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise LoyaltyError(f"{path}: the column {twice[0]!r} is there more than once")
    if not all(name.strip() and "\0" not in name for name in columns):
        raise LoyaltyError(f"{path}: a column has no name: name it, or leave it out (columns: {_listed(columns)})")
    check_presence(plan, columns, path)
    both = {*plan.renamed, *plan.fixed} & {column for column in columns if column not in plan.taken}
    if both:
        raise LoyaltyError(f"{path}: the parameter {min(both)!r} is given by the mapping and by a column of that name")


def check_presence(plan: ColumnPlan, columns: Sequence[str], path: Path) -> None:
    """Every column that is required or mapped is among ``columns``."""
    needed = {name: column for name, column in plan.named.items() if name in REQUIRED or name != column}
    for name, column in {**needed, **plan.renamed}.items():
        if column not in columns:
            role = f"the column {column!r}" if name == column else f"the column {column!r}, mapped to {name!r},"
            raise LoyaltyError(
                f"{path}: {role} is missing; {nearest(column, columns)} (columns found: {_listed(columns)}); "
                f"another name is given as {name}=COLUMN, one text for all rows as {name}==TEXT"
            )


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(repr(column) for column in columns) or "none"
