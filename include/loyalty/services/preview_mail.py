"""Write one customer's message without sending it: the one in the outbox, or else one made up of the balance."""

from datetime import datetime

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.mail.templates import UnsentError
from loyalty.services.campaigns import Campaigns
from loyalty.services.look import find_profile
from loyalty.services.write_mail import Letter, draft_mail, drafts_of, write_letter
from loyalty.store.queries import query, rows


def preview_mail(connection: Connection, campaigns: Campaigns, name: str, customer_id: str, now: datetime) -> Letter:
    """The letter of a campaign to a customer; where none is owed, one about all points of the balance."""
    campaign = campaigns.named(name)
    profile = find_profile(connection, customer_id)
    latest = {"campaign": name, "profile_id": profile["profile_id"]}
    key = connection.scalar(query("mail/latest_message"), latest)
    if key is not None:
        [draft] = draft_mail(connection, campaigns, campaign, [(profile["profile_id"], key)], now)
    else:
        address = campaigns.mail.address_attribute
        facts = rows(connection, "mail/sample_facts", profile_id=profile["profile_id"], address=address)
        [draft] = drafts_of(connection, campaigns, campaign, facts, now)
    try:
        return write_letter(campaigns, campaign, draft)
    except UnsentError as unsent:
        said = f": {unsent.detail}" if unsent.detail else ""
        raise LoyaltyError(f"customer {customer_id!r} gets no message of {name!r}: {unsent.reason}{said}") from None
