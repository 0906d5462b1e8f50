"""Each shipped definition compiles to the SQL that was reviewed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from golden.sql_text import sql_text
from loyalty.compile import compile_expression, compile_segment
from loyalty.definitions.balance import balance_catalog
from loyalty.definitions.load_program import load_program
from loyalty.model.program import EarningAction
from loyalty.model.references import AnyDefinition
from loyalty.model.segments import Segment
from loyalty.settings import PACKAGE
from loyalty.store.tables import account

FILES = Path(__file__).parent / "sql"
PROGRAM = load_program(PACKAGE / "definitions" / "program.yaml")
CATALOG = balance_catalog(PROGRAM)
SEVERAL = PROGRAM.model_copy(
    update={
        "earning_actions": {
            "points.loyalty": EarningAction(validity_days=182),
            "points.survey": EarningAction(validity_days=90),
            "points.welcome": EarningAction(validity_days=90),
            "points.forever": EarningAction(validity_days=None),
        }
    }
)


def compiled(definition: AnyDefinition) -> str:
    if isinstance(definition, Segment):
        return sql_text(compile_segment(CATALOG, PROGRAM, definition))
    return sql_text(compile_expression(CATALOG, PROGRAM, definition))


def check(name: str, sql: str, rewrite: bool) -> None:
    file = FILES / f"{name}.sql"
    if rewrite:
        file.write_text(sql, encoding="utf-8")
    assert file.exists(), f"{file.name} is missing: pytest tests/golden --rewrite-golden writes it"
    assert sql == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("definition", CATALOG.definitions, ids=lambda one: f"{one.kind}.{one.name}")
def test_shipped_definition_compiles_to_the_reviewed_sql(definition: AnyDefinition, rewrite_golden: bool) -> None:
    check(f"{definition.kind}.{definition.name}", compiled(definition), rewrite_golden)


def test_restricted_to_profiles_the_events_of_each_are_looked_up(rewrite_golden: bool) -> None:
    unsettled = select(account.c.profile_id).where(account.c.settle_on.is_not(None))
    statement = compile_expression(CATALOG, PROGRAM, CATALOG.value("points_to_expire"), profiles=unsettled)
    check("restricted.points_to_expire", sql_text(statement), rewrite_golden)


@pytest.mark.parametrize("name", ["matured_points", "seed_points_to_expire"])
def test_each_validity_of_a_program_has_its_own_group(name: str, rewrite_golden: bool) -> None:
    catalog = balance_catalog(SEVERAL)
    [definition] = catalog.find(name)
    compiler = compile_segment if isinstance(definition, Segment) else compile_expression
    check(f"several_validities.{name}", sql_text(compiler(catalog, SEVERAL, definition)), rewrite_golden)


def test_no_golden_file_is_left_over() -> None:
    named = {f"{one.kind}.{one.name}" for one in CATALOG.definitions}
    others = {"restricted.points_to_expire"}
    others |= {"several_validities.matured_points", "several_validities.seed_points_to_expire"}
    assert {file.stem for file in FILES.glob("*.sql")} == named | others


def test_statements_do_not_depend_on_the_as_of_instant() -> None:
    statement = compile_expression(CATALOG, PROGRAM, CATALOG.value("points_to_expire"))
    first, second = (statement.params(as_of=datetime(year, 3, 1, tzinfo=UTC)).compile() for year in (1997, 2026))
    assert str(first) == str(second)
    assert {name for name in first.params if name == "as_of"} == {"as_of"}


def test_the_expression_keeps_the_id_that_the_seed_shows() -> None:
    assert CATALOG.value("a7d340ac-906d-49af-83a1-fbe4015bc76f").name == "points_to_expire"


def test_no_shipped_expression_can_turn_null() -> None:
    assert CATALOG.warnings == ()
