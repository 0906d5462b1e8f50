"""A dry run of the mail: every message that waits is written into a folder, and nothing is sent or changed."""

import mailbox
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from loyalty.mail.templates import UnsentError
from loyalty.model.mail import Campaign
from loyalty.services.campaigns import Campaigns
from loyalty.services.write_mail import Draft, draft_mail, write_letter
from loyalty.store.queries import query


def rehearse_mail(
    connection: Connection, campaigns: Campaigns, folder: Path, now: datetime, run_id: int | None = None
) -> dict[str, int]:
    """The messages that wait, of one run or of all, are letters in the maildir; returns how many, and the unwritten."""
    counts: dict[str, int] = {}
    maildir = mailbox.Maildir(folder, create=True)
    try:
        for campaign in campaigns.mail.campaigns:
            for draft in _waiting(connection, campaigns, campaign, now, run_id):
                try:
                    maildir.add(write_letter(campaigns, campaign, draft).wire)
                    outcome = "written"
                except UnsentError as unsent:
                    outcome = unsent.reason
                counts[outcome] = counts.get(outcome, 0) + 1
    finally:
        maildir.close()
    return counts


def _waiting(
    connection: Connection, campaigns: Campaigns, campaign: Campaign, now: datetime, run_id: int | None
) -> Iterator[Draft]:
    after = 0
    while True:
        binds = {"campaign": campaign.name, "run_id": run_id, "after": after, "size": campaigns.mail.claim_size}
        messages = [(row.profile_id, row.key) for row in connection.execute(query("mail/waiting"), binds)]
        if not messages:
            return
        after = messages[-1][0]
        yield from draft_mail(connection, campaigns, campaign, messages, now)
