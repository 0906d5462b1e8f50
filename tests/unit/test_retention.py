"""How long events are kept: as long as the program says, and never less than somebody reads them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ledger import program_of
from loyalty.definitions.load_catalog import load_catalog
from loyalty.definitions.retention import retentions
from loyalty.errors import Faults
from loyalty.model.periods import Period, between, last, lifetime, since
from loyalty.model.program import Program
from loyalty.model.retention import Retentions, days_read
from loyalty.model.segments import happened

RULE = {"name": "review", "action": "app.review", "earns": "points.loyalty", "points_per_event": 5}


def kept(retention: dict[str, Any], **more: Any) -> Retentions:
    program = program_of(retention=retention, **more)
    return retentions(program, load_catalog(program))


def reading(period: Period, action: str = "app.opened") -> dict[str, Any]:
    """Definitions of which a segment reads the action."""
    where = happened(action, period=period).model_dump(mode="json", by_alias=True)
    return {"segments": [{"name": "openers", "title": "Openers", "where": where}]}


def test_custom_actions_go_after_thirty_days_and_what_the_ledger_needs_never_does() -> None:
    found = kept({}, earning_rules=[RULE])
    assert found.others == 30
    for action in ("points.loyalty", "points.expire", "client.activatePromotion", "transaction.charge", "app.review"):
        assert found.days[action] is None
    assert "app.opened" not in found.days


def test_a_setting_says_otherwise() -> None:
    found = kept({"days": None, "actions": {"app.opened": 7, "app.closed": None}})
    assert (found.others, found.days["app.opened"], found.days["app.closed"]) == (None, 7, None)


@pytest.mark.parametrize(
    ("period", "days"),
    [
        (last(days=30), 31),
        (last(hours=25), 3),
        (last(weeks=2), 15),
        (last(months=2), 63),
        (last(years=1), 367),
        (last(hours=24).before(days=182), 184),
        (lifetime(), None),
        (lifetime().before(days=3), None),
    ],
)
def test_how_far_back_a_period_looks(period: Period, days: int | None) -> None:
    assert days_read(period) == days


def test_fixed_times_are_read_for_ever() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert days_read(since(start)) is None
    assert days_read(between(start, end)) is None


def test_what_a_definition_reads_is_kept_as_long_and_no_shorter_than_the_rest() -> None:
    assert kept({}, definitions=reading(last(days=90))).days["app.opened"] == 91
    assert kept({}, definitions=reading(last(days=3))).days["app.opened"] == 30
    assert kept({"days": None}, definitions=reading(last(days=90))).days["app.opened"] is None
    assert kept({}, definitions=reading(lifetime())).days["app.opened"] is None


@pytest.mark.parametrize(
    ("retention", "more", "fault"),
    [
        ({"actions": {"points.loyalty": 400}}, {}, "400 days would lose what every balance is made of"),
        ({"actions": {"points.expire": 400}}, {}, "400 days would lose what the ledger itself is made of"),
        ({"actions": {"app.review": 90}}, {"earning_rules": [RULE]}, "the earning rule 'review' turns into points"),
        (
            {"actions": {"app.opened": 30}},
            {"definitions": reading(last(days=30))},
            "retention.actions.app.opened: 30 days would lose what the segment 'openers' reads (31 days back)",
        ),
        ({"actions": {"app.opened": 3000}}, {"definitions": reading(lifetime())}, "reads (all of it)"),
    ],
)
def test_what_is_still_read_cannot_be_lost(retention: dict[str, Any], more: dict[str, Any], fault: str) -> None:
    with pytest.raises(Faults) as found:
        kept(retention, **more)
    assert [fault in one for one in found.value.faults].count(True) >= 1


@pytest.mark.parametrize(
    "wrong", [{"days": 0}, {"days": 1.5}, {"actions": {"": 3}}, {"actions": {"x": -1}}, {"day": 3}]
)
def test_a_malformed_retention_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="retention"):
        program_of(retention=wrong)


def test_a_program_with_retention_is_read_again_as_it_prints_itself() -> None:
    program = program_of(retention={"days": None, "actions": {"app.opened": 7}})
    assert Program.model_validate_json(program.model_dump_json()) == program
