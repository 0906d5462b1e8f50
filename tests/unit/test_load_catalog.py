"""The operator's definitions stand beside the shipped ones, and their faults name the key path."""

from pathlib import Path

import pytest

from loyalty.definitions.balance import balance_catalog
from loyalty.definitions.load_catalog import load_catalog
from loyalty.definitions.load_program import load_program
from loyalty.errors import Faults
from loyalty.model.catalog import Catalog
from loyalty.settings import PACKAGE

DEFAULT = (PACKAGE / "definitions" / "program.yaml").read_text(encoding="utf-8")


def loaded(tmp_path: Path, definitions: str) -> Catalog:
    path = tmp_path / "program.yaml"
    path.write_text(DEFAULT + definitions, encoding="utf-8")
    return load_catalog(load_program(path))


def faults(tmp_path: Path, definitions: str) -> list[str]:
    with pytest.raises(Faults) as caught:
        loaded(tmp_path, definitions)
    return list(caught.value.faults)


def test_definitions_of_the_operator_are_merged_in(tmp_path: Path) -> None:
    catalog = loaded(
        tmp_path,
        """
definitions:
  aggregates:
    - name: visits
      function: count
      actions: transaction.charge
      period: {type: last, length: {count: 1, unit: years}}
  expressions:
    - name: points_per_visit
      formula: {type: divide, left: {type: expression, name: current_balance}, right: {type: aggregate, name: visits}}
  segments:
    - name: rich
      where:
        type: satisfies
        formula: {type: more, left: {type: expression, name: points_per_visit}, right: 100}
""",
    )
    assert catalog.segment("rich").describe() == "points_per_visit > 100"
    assert catalog.value("points_per_visit").describe() == "current_balance / visits"
    assert len(catalog.definitions) == 3 + len(
        balance_catalog(load_program(PACKAGE / "definitions" / "program.yaml")).definitions
    )
    assert "division by zero is null, and 'visits' may be zero" in catalog.warnings[0]


def test_faults_name_the_key_path_all_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """
definitions:
  aggregates:
    - {name: visits, function: cuont, actions: transaction.charge}
    - {name: earned_points, function: count, actions: transaction.charge}
  expressions:
    - {name: a, formula: {type: add, left: {type: aggregate, name: visits}, rigth: 1}}
    - {name: b, formula: {type: subtrct, left: 1, right: 1}}
    - {name: c, formula: {type: expression, name: curent_balance}}
    - {name: d, formula: {type: not, term: {type: aggregate, name: visits}}}
  segments:
    - {name: s, where: {type: happened, actions: [], period: {type: last, length: {count: 0, unit: days}}}}
""",
    )
    expected = [
        "program.yaml: definitions.aggregates[0].function: 'cuont': ",
        "program.yaml: definitions.expressions[0].formula.right: is missing",
        "program.yaml: definitions.expressions[0].formula.rigth: is no known key; did you mean 'right'?",
        "program.yaml: definitions.expressions[1].formula.type: 'subtrct': is no known type; did you mean 'subtract'?",
        "program.yaml: definitions.segments[0].where.actions: ",
        "program.yaml: definitions.segments[0].where.period.length.count: 0: ",
        "program.yaml: definitions.aggregates[1]: aggregate 'earned_points': the name 'earned_points' is taken",
        "program.yaml: definitions.expressions[2]: expression 'c': refers to 'curent_balance', which is no expression; "
        "did you mean 'current_balance'?",
    ]
    for said, wanted in zip(found, expected, strict=True):
        assert said.startswith(wanted)


def test_a_time_may_be_written_as_yaml_knows_it(tmp_path: Path) -> None:
    definition = "{name: n, function: count, actions: a, period: {type: between, start: %s}}"
    written = f"definitions: {{aggregates: [{definition}]}}\n"
    catalog = loaded(tmp_path, written % "2026-05-01T00:00:00+02:00")
    assert catalog.value("n").describe() == "count over a, since 2026-04-30T22:00:00+00:00"
    [fault] = faults(tmp_path, written % "2026-05-01T00:00:00")
    assert "definitions.aggregates[0].period.start: '2026-05-01T00:00:00': " in fault
    assert "timezone" in fault


def test_a_definition_that_is_no_mapping_is_said_so(tmp_path: Path) -> None:
    [fault] = faults(tmp_path, "definitions: {segments: [unsettled]}\n")
    assert "definitions.segments[0]: 'unsettled': " in fault
