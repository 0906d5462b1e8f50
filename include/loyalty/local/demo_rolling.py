"""The first part of the demonstration: real purchases, real expiries, each held against an independent computation."""

import json
from collections.abc import Mapping
from datetime import date, timedelta

from sqlalchemy import text

from loyalty.errors import LoyaltyError
from loyalty.local.airflow_api import wait_for_runs
from loyalty.local.cdnow import fetch_purchases
from loyalty.local.demo_mail import give_addresses
from loyalty.local.simulation import Story, play_all, write_redemptions
from loyalty.local.stage import Stage
from loyalty.store.database import transaction

DAG = "rolling_expiry"
FIRST, LAST = date(1997, 1, 1), date(1998, 6, 30)
MISSED = 14
EXPIRED = text(
    "SELECT profile.customer_id, timezone('UTC', event.occurred_at)::date AS midnight, "
    "-sum(event.points)::bigint AS points FROM loyalty.event JOIN loyalty.profile USING (profile_id) "
    "WHERE event.action IN ('points.expire', 'points.restore') GROUP BY 1, 2 HAVING sum(event.points) <> 0"
)


def show_rolling_expiry(stage: Stage) -> Mapping[str, Story]:
    """Every day of the purchase log is settled, and equals the simulation; returns each customer's story."""
    last_night_run = LAST - timedelta(days=MISSED)
    airflow = stage.meanwhile(stage.stack.start)
    stories = _record_history(stage)
    stage.tell(f"Expire every day up to {last_night_run}, then miss {MISSED} days")
    words = ("expire", "--from", str(FIRST), "--to", str(last_night_run), "--format", "json")
    runs = json.loads(stage.loyalty(*words, echo=False))
    stage.say(f"{len(runs)} midnights settled, {sum(run['points'] for run in runs):,} points expired")
    first_missed = last_night_run + timedelta(days=1)
    give_addresses(stage)
    stage.tell(f"Real Airflow makes up the missed days {first_missed} to {LAST} by a backfill")
    airflow.result()
    _backfill(stage, first_missed, LAST)
    stage.tell("Every customer and midnight, held against a simulation in plain Python")
    _compare(stage, stories)
    stage.tell("The points of the program, month by month")
    stage.loyalty("rollforward")
    return stories


def _record_history(stage: Stage) -> Mapping[str, Story]:
    stage.tell("69,659 real purchases of 23,570 customers, 1997-01-01 to 1998-06-30 (CDNOW)")
    purchases = fetch_purchases(stage.settings.home)
    stories = play_all(purchases, LAST)
    redemptions = purchases.with_name("redemptions.csv")
    write_redemptions(stories, redemptions)
    stage.loyalty("import", "events", str(purchases))
    stage.loyalty("award")
    stage.tell("Whoever has 100 points or more on a day of purchase redeems every full hundred")
    stage.loyalty("import", "events", str(redemptions))
    return stories


def _backfill(stage: Stage, first: date, last: date) -> None:
    with stage.stack.airflow.api() as airflow:
        airflow.wait_for_dag(DAG)
        airflow.unpause(DAG)
        stage.say(f"Airflow is ready at {stage.stack.airflow.url}")
        airflow.create_backfill(DAG, first, last, reprocess="failed", max_active_runs=4)
        runs = wait_for_runs(lambda: airflow.runs(DAG, first, last), (last - first).days + 1, stage.say_run)
    failed = [run.partition_key for run in runs if run.state != "success"]
    if failed:
        raise LoyaltyError(f"runs failed for {failed}; their logs are below {stage.stack.airflow.folder / 'logs'}")


def _compare(stage: Stage, stories: Mapping[str, Story]) -> None:
    wanted = {(who, day): points for who, story in stories.items() for day, points in story.expired.items()}
    with transaction(stage.ledger()) as connection:
        found = {(row.customer_id, row.midnight): row.points for row in connection.execute(EXPIRED)}
    if wanted != found:
        differing = sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key))
        raise LoyaltyError(f"{len(differing)} customers and midnights differ, the first of them {differing[:5]}")
    stage.say(f"{len(found):,} expiries of {len({who for who, _ in found}):,} customers: all equal")
