"""Put what campaigns owe into the outbox, in the transaction that took the points."""

from sqlalchemy import Connection

from loyalty.model.mail import Mail
from loyalty.store.queries import query


def queue_mail(connection: Connection, mail: Mail, journey: str, run_id: int) -> int:
    """Every member of the batch that this run has taken points from has a message of each campaign, once.

    It waits to be sent, or is skipped where the customer does not consent or has no address. Returns the new ones.
    """
    return sum(
        connection.execute(
            query("mail/queue_batch"),
            {
                "run_id": run_id,
                "campaign": campaign.name,
                "address": mail.address_attribute,
                "consent": mail.manner_of(campaign).consent,
            },
        ).rowcount
        for campaign in mail.about(journey)
    )
