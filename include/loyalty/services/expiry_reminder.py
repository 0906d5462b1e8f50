"""Warn customers of points about to expire: at stages before the day, each day and stage once, no day stranded."""

import json
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection

from loyalty.model.catalog import Catalog
from loyalty.model.mail import Mail
from loyalty.services.journey_runs import open_run
from loyalty.store.queries import query

JOURNEY = "expiry_reminder"


@dataclass(frozen=True)
class Reminded:
    """How many messages a run put into the outbox, and the points that they warn of."""

    run_id: int
    messages: int
    points: int


def remind(
    connection: Connection, mail: Mail, catalog: Catalog, *, run_key: str, business_date: date, ahead: bool = False
) -> Reminded:
    """Who holds points that expire soon is warned of it, in one transaction; the same run again warns nobody again.

    At stage N a run on the day D speaks of the days after the one that the stage's latest run before reached, up to
    D + N: what a missed day would have said, the next run says. A day that several stages have come to is said once, at
    the nearest.
    """
    messages = points = 0
    with connection.begin():
        run = open_run(
            connection, journey=JOURNEY, run_key=run_key, business_date=business_date, catalog=catalog, ahead=ahead
        )
        for campaign in mail.about(JOURNEY):
            before = connection.execute(query("mail/reminded_to"), {"run_id": run.run_id, "campaign": campaign.name})
            reached = {row.stage: row.reached for row in before}
            binds = {
                "run_id": run.run_id,
                "campaign": campaign.name,
                "today": business_date,
                "stages": list(campaign.days_ahead),
                "covered": [reached.get(str(stage), business_date) for stage in campaign.days_ahead],
                "address": mail.address_attribute,
                "consent": mail.manner_of(campaign).consent,
            }
            found = connection.execute(query("mail/remind"), binds).one()
            messages, points = messages + found.messages, points + found.points
        reach = {
            campaign.name: {str(stage): str(business_date + timedelta(days=stage)) for stage in campaign.days_ahead}
            for campaign in mail.about(JOURNEY)
        }
        connection.execute(query("mail/finish_reminder"), {"run_id": run.run_id, "reach": json.dumps(reach)})
    return Reminded(run.run_id, messages, points)
