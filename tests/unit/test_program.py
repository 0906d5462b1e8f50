"""A program file is read whole, or every fault of it is named."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from loyalty.definitions.load_program import load_program
from loyalty.errors import Faults
from loyalty.model.program import EarningAction, EarningRule, Program
from loyalty.settings import PACKAGE

DEFAULT = PACKAGE / "definitions" / "program.yaml"
GOOD = """
name: Test
timezone: Europe/Warsaw
currency: EUR
point_value: 0.01
earning_actions:
  points.loyalty: {validity_days: 182}
  points.forever: {validity_days: null}
earning_rules:
  - {name: purchase, action: transaction.charge, earns: points.loyalty, points_per_unit: 1.5}
  - {name: survey, action: survey.completed, earns: points.forever, points_per_event: 50, valid_from: 2026-05-01}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "program.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(tmp_path: Path, text: str) -> list[str]:
    path = written(tmp_path, text)
    with pytest.raises(Faults) as caught:
        load_program(path)
    assert all(fault.startswith(f"{path}: ") for fault in caught.value.faults)
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]


def test_the_default_is_one_point_per_whole_unit_for_182_days() -> None:
    program = load_program(DEFAULT)
    assert program.timezone == "Europe/Warsaw"
    assert program.allow_debt is False
    assert program.batch_size == 50_000
    assert program.earning_actions == {"points.loyalty": EarningAction(validity_days=182)}
    [rule] = program.earning_rules
    assert (rule.name, rule.action, rule.earns) == ("purchase", "transaction.charge", "points.loyalty")
    assert (rule.amount, rule.points_per_unit) == ("$totalAmount", 1)


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    program = load_program(written(tmp_path, GOOD))
    assert program.point_value == Decimal("0.01")
    assert program.earning_actions["points.forever"].validity_days is None
    purchase, survey = program.earning_rules
    assert purchase.points_per_unit == Decimal("1.5")
    assert (survey.points_per_event, survey.valid_from) == (50, date(2026, 5, 1))


def test_the_zone_is_warsaw_where_none_is_given(tmp_path: Path) -> None:
    assert load_program(written(tmp_path, GOOD.replace("timezone: Europe/Warsaw\n", ""))).timezone == "Europe/Warsaw"


def test_a_program_survives_json() -> None:
    program = load_program(DEFAULT)
    assert Program.model_validate(program.model_dump(mode="json")) == program
    assert Program.model_validate_json(program.model_dump_json()).fingerprint() == program.fingerprint()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Europe/Warsaw", "Europe/Warsow", "timezone: 'Europe/Warsow': is no time zone; did you mean 'Europe/Warsaw'?"),
        ("currency: EUR", "currency: euro", "currency: 'euro': "),
        ("point_value: 0.01", "point_value: -1", "point_value: -1: "),
        ("182", "-182", "earning_actions.points.loyalty.validity_days: -182: "),
        ("182", "true", "earning_actions.points.loyalty.validity_days: True: "),
        ("182", "1.5", "earning_actions.points.loyalty.validity_days: 1.5: "),
        ("{validity_days: 182}", "{}", "earning_actions.points.loyalty.validity_days: is missing"),
        ("validity_days: 182", "validity_day: 182", "validity_day: is no known key; did you mean 'validity_days'?"),
        ("name: Test", "name: Test\nallow_dept: true", "allow_dept: is no known key; did you mean 'allow_debt'?"),
        ("name: Test", "name: Test\nallow_debt: maybe", "allow_debt: 'maybe': "),
        ("name: Test", "name: Test\nbatch_size: 0", "batch_size: 0: "),
        ("name: Test\n", "", "name: is missing"),
        ("points.forever: {", "points.expire: {", "'points.expire': is built in and cannot earn points"),
        ("points.forever: {", "transaction.charge: {", "'transaction.charge': is built in and cannot earn points"),
        ("earns: points.loyalty", "earns: points.loyalti", "'points.loyalti': is none of earning_actions; did you"),
        ("name: survey", "name: purchase", "earning_rules[1].name: 'purchase': names an earlier one too"),
        ("name: survey", "name: My Survey", "earning_rules[1].name: 'My Survey': "),
        ("action: survey.completed", "action: points.loyalty", "earning_rules[1].action: 'points.loyalty': moves the"),
        ("action: survey.completed", "action: client.activatePromotion", "moves the balance itself"),
        ("points_per_event: 50", "points_per_event: 0", "earning_rules[1].points_per_event: 0: "),
        (", points_per_event: 50", "", "takes exactly one of points_per_unit and points_per_event"),
        ("points_per_event: 50", "points_per_event: 50, points_per_unit: 2", "takes exactly one of points_per_unit"),
        ("points_per_event: 50", "points_per_event: 50, amount: x", "'amount' belongs to points_per_unit"),
        ("points_per_unit: 1.5", "points_per_unit: 0", "earning_rules[0].points_per_unit: 0: "),
        ("valid_from: 2026-05-01", "valid_from: 2026-05-01, valid_to: 2026-04-30", "valid_from must not lie after"),
        ("valid_from: 2026-05-01", "valid_from: soon", "earning_rules[1].valid_from: 'soon': "),
        ("points_per_event: 50", "points_per_event: 50, where: [{parameter: a, is: eq, value: 1}]", "[0].is: 'eq': "),
        ("points_per_event: 50", "points_per_event: 50, where: [{parameter: a, is: in, value: 1}]", "'in' takes a"),
        ("name: Test", "name: Test\nname: Again", "name: given in line 2 and again in line 3; keep one"),
    ],
)  # fmt: skip
def test_a_fault_names_place_value_and_what_would_be_right(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = faults(tmp_path, GOOD.replace(old, new, 1))
    assert sum(said in fault for fault in found) == 1, found


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace("Warsaw", "Warsow")
        .replace("182", "-1")
        .replace("name: survey", "name: purchase")
        .replace("earns: points.forever", "earns: points.never")
        .replace("currency: EUR\n", "currency: EUR\ncurrency: USD\nbatchsize: 3\n")
    )
    found = faults(tmp_path, text)
    for place in ("currency:", "timezone:", "points.loyalty.validity_days:", "batchsize:", "[1].earns:", "[1].name:"):
        assert sum(place in fault for fault in found) == 1, (place, found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "not YAML"),
        ("- a\n- b\n", "a program is a list of keys with values"),
        ("", "holds None"),
        ("name: a\n---\nname: b\n", "not YAML"),
        ("valid: 2026-13-45\n", "not YAML"),
        ("name: !!python/object/apply:os.system [ls]\n", "not YAML"),
    ],
)
def test_what_is_no_program_at_all_is_said_so(tmp_path: Path, text: str, said: str) -> None:
    [fault] = faults(tmp_path, text)
    assert said in fault


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Faults, match=r"nowhere\.yaml: No such file"):
        load_program(tmp_path / "nowhere.yaml")


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "program.yaml"
    path.write_bytes("name: Müller\n".encode("latin-1"))
    with pytest.raises(Faults, match="byte 7 is not UTF-8"):
        load_program(path)


def test_a_program_made_in_python_is_checked_too() -> None:
    rule = EarningRule(name="a", action="x", earns="points.other", points_per_event=1)
    with pytest.raises(ValidationError, match="is none of earning_actions"):
        Program(
            name="a",
            currency="EUR",
            point_value=Decimal(1),
            earning_actions={"points.loyalty": EarningAction(validity_days=1)},
            earning_rules=(rule,),
        )


def test_a_rule_of_points_per_event_is_read_again_as_it_prints_itself() -> None:
    rule = EarningRule(name="a", action="x", earns="points.other", points_per_event=1)
    assert EarningRule.model_validate_json(rule.model_dump_json()) == rule
