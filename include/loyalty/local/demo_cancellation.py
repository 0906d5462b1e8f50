"""The second part of the demonstration: what is left is cancelled in one night, with failures and a second round."""

import csv
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.table import Table
from sqlalchemy import text

from loyalty.errors import LoyaltyError
from loyalty.local.airflow_api import AirflowApi, Run, wait_for_runs
from loyalty.local.engine import Manners, OutsideEngine
from loyalty.local.simulation import Story
from loyalty.local.stage import Stage
from loyalty.services.report_cancellation import CancellationReport, report_cancellation
from loyalty.store.database import transaction

DAG = "batch_cancellation"
PRICES = {"coffee": 20, "mug": 50}
CHUNK = 3_000
RUN_NUMBER = text("SELECT run_id FROM loyalty.journey_run WHERE journey = 'batch_cancellation' AND run_key = :key")
CANCELLED = text(
    "SELECT profile.customer_id, -sum(event.points)::bigint AS points FROM loyalty.event "
    "JOIN loyalty.profile USING (profile_id) WHERE event.action = 'points.cancel' GROUP BY 1"
)


@dataclass(frozen=True)
class Promotion:
    """What a customer activated yesterday, and whether the till has seen it since."""

    customer: str
    name: str
    is_redeemed: bool


def show_batch_cancellation(stage: Stage, stories: Mapping[str, Story]) -> None:
    """Everybody's points are cancelled in two rounds, and equal what the simulation leaves them."""
    stage.tell("Batch cancellation: what is left goes in one night")
    stage.say("The purchases are of 1997 and 1998; promotions, locks and cancellations carry the dates of today.")
    held = {who: points for who, story in stories.items() if (points := story.closing) > 0}
    promotions = list(_make_up_promotions(held))
    _import_promotions(stage, promotions)
    manners = _made_up_manners(held, promotions)
    with stage.stack.airflow.api() as airflow:
        airflow.wait_for_dag(DAG)
        airflow.unpause(DAG)
        airflow.end_runs(DAG)
        stage.tell("First round: some engines never answer, some refuse")
        with OutsideEngine(stage.ledger(), manners):
            first = _run(stage, airflow, {"chunk_size": CHUNK})
        stage.tell("Second round: whoever failed for a reason that may come again")
        with OutsideEngine(stage.ledger(), Manners()):
            second = _run(stage, airflow, {"chunk_size": CHUNK, "second_round_of": first.totals["run_id"]})
    stage.console.print(_summary(first, second))
    _compare(stage, held, promotions)


def _make_up_promotions(held: Mapping[str, int]) -> Iterator[Promotion]:
    """A tenth of the customers activated what they could afford; a third of these came to the till."""
    chance = random.Random(1998)  # noqa: S311 - made up, and the same every time
    for customer, points in held.items():
        affordable = [name for name, price in PRICES.items() if price <= points]
        if affordable and chance.random() < 0.1:
            yield Promotion(customer, affordable[-1], is_redeemed=chance.random() < 1 / 3)


def _import_promotions(stage: Stage, promotions: list[Promotion]) -> None:
    """Written once, so that a demonstration that is run again brings nothing new."""
    path = stage.settings.home / "promotions.csv"
    if not path.exists():
        _write_promotions(path, promotions)
    stage.loyalty("import", "events", str(path))


def _write_promotions(path: Path, promotions: list[Promotion]) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = (
            "event_id",
            "customer_id",
            "action",
            "occurred_at",
            "promotion",
            "promotionRequireRedeemedPoints",
            "activation",
        )
        writer.writerow(columns)
        for n, one in enumerate(promotions):
            name = f"activation-{n}"
            at = yesterday.isoformat()
            writer.writerow((name, one.customer, "client.activatePromotion", at, one.name, PRICES[one.name], ""))
            if one.is_redeemed:
                writer.writerow((f"redemption-{n}", one.customer, "client.redeemPromotion", at, "", "", name))


def _made_up_manners(held: Mapping[str, int], promotions: list[Promotion]) -> Manners:
    chance = random.Random(1997)  # noqa: S311
    silent = {customer for customer in held if chance.random() < 0.01}
    active = [one.customer for one in promotions if not one.is_redeemed and one.customer not in silent]
    refuses = set(chance.sample(sorted(held.keys() - silent - set(active)), 5))
    return Manners(silent=silent, idle=active[::10], refuses=refuses)


def _run(stage: Stage, airflow: AirflowApi, form: dict[str, object]) -> CancellationReport:
    run_id = airflow.trigger(DAG, conf=form)

    def look() -> list[Run]:
        _approve(stage, airflow, run_id)
        return [airflow.run(DAG, run_id)]

    [run] = wait_for_runs(look, 1, stage.say_run)
    if run.state != "success":
        raise LoyaltyError(f"{run_id} is {run.state}; its logs are below {stage.stack.airflow.folder / 'logs'}")
    with transaction(stage.ledger()) as connection:
        report = report_cancellation(connection, connection.execute(RUN_NUMBER, {"key": run_id}).scalar_one())
    for line in report.lines():
        stage.say(line)
    return report


def _approve(stage: Stage, airflow: AirflowApi, run_id: str) -> None:
    """A preview that waits is shown, and approved in the name of the user ``admin``, as you would by a click."""
    preview = airflow.question(DAG, run_id, "approve_run")
    if preview is not None:
        stage.say(preview.split("\n\n**Who loses most**")[0])
        airflow.answer(DAG, run_id, "approve_run", "Approve")
        stage.say("\napproved")


def _summary(*rounds: CancellationReport) -> Table:
    table = Table(title="the two rounds", title_justify="left")
    table.add_column("")
    for name in ("first", "second"):
        table.add_column(name, justify="right")
    for name in ("member_count", "locked_count", "failed_count", "points_in", "returned", "points", "points_out"):
        title = {"member_count": "selected", "points": "cancelled"}.get(
            name, name.replace("_count", "").replace("_", " ")
        )
        table.add_row(title, *(f"{one.run[name]:,}" for one in rounds))
    return table


def _compare(stage: Stage, held: Mapping[str, int], promotions: list[Promotion]) -> None:
    """Cancelled is what the simulation leaves to each customer, less what went into promotions that were redeemed.

    Who has nothing but what is in a promotion has no points to cancel, and is not of the segment.
    """
    paid = {one.customer: PRICES[one.name] for one in promotions}
    spent = {one.customer: PRICES[one.name] for one in promotions if one.is_redeemed}
    wanted = {who: points - spent.get(who, 0) for who, points in held.items() if points > paid.get(who, 0)}
    with transaction(stage.ledger()) as connection:
        found = {row.customer_id: row.points for row in connection.execute(CANCELLED)}
    if wanted != found:
        differing = sorted(who for who in {*wanted, *found} if wanted.get(who) != found.get(who))
        raise LoyaltyError(f"{len(differing)} customers differ, the first of them {differing[:5]}")
    stage.say(f"{len(found):,} customers have lost {sum(found.values()):,} points: each what the simulation says")
