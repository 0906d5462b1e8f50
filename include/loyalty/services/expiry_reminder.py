"""Warn customers of points about to expire: at stages before the day, each day and stage once, no day stranded."""

from dataclasses import dataclass
from datetime import date

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

    At stage N a run on the day D speaks of the days up to D + N of which this stage has not spoken: what a missed day
    would have said, the next run says. A day that several stages have come to is said once, at the nearest.
    """
    messages = points = 0
    with connection.begin():
        run = open_run(
            connection, journey=JOURNEY, run_key=run_key, business_date=business_date, catalog=catalog, ahead=ahead
        )
        for campaign in mail.about(JOURNEY):
            binds = {
                "run_id": run.run_id,
                "campaign": campaign.name,
                "today": business_date,
                "stages": list(campaign.days_ahead),
                "address": mail.address_attribute,
                "consent": mail.manner_of(campaign).consent,
            }
            found = connection.execute(query("mail/remind"), binds).one()
            messages, points = messages + found.messages, points + found.points
        connection.execute(query("mail/finish_reminder"), {"run_id": run.run_id})
    return Reminded(run.run_id, messages, points)
