"""The mail of the demonstration: who is written to, and whether everybody heard what the ledger says, once."""

import re
from collections import Counter
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from pathlib import Path

from sqlalchemy import text

from loyalty.errors import LoyaltyError
from loyalty.local.stage import Stage
from loyalty.store.database import transaction

# Everybody has an address; every tenth does not consent, and every other one reads Polish.
ADDRESSES = text(
    "UPDATE loyalty.profile SET attributes = attributes || jsonb_build_object("
    "'email', 'customer' || profile_id || '@example.org', 'mail_consent', profile_id % 10 <> 0, "
    "'locale', CASE profile_id % 2 WHEN 0 THEN 'en' ELSE 'pl' END)"
)
# What the ledger says that each address should have heard, run by run; the runs of the command line came before.
OWED = text(
    "SELECT 'customer' || event.profile_id || '@example.org' AS address, -sum(event.points)::bigint AS points "
    "FROM loyalty.event JOIN loyalty.journey_run USING (run_id) "
    "WHERE event.action IN ('points.expire', 'points.restore', 'points.cancel') AND event.profile_id % 10 <> 0 "
    "AND journey_run.run_key NOT LIKE 'cli/%' "
    "GROUP BY event.run_id, event.profile_id HAVING sum(event.points) < 0"
)
HEADS = BytesHeaderParser(policy=policy.compat32)  # thousands of them: the quick one
NUMBER = re.compile(r"\d[\d,\u00a0\u202f]*")


def give_addresses(stage: Stage) -> None:
    """Every customer can be written to; nine of ten consent."""
    with transaction(stage.ledger()) as connection:
        connection.execute(ADDRESSES)


def show_mail(stage: Stage) -> None:
    """Every message that was sent is in the maildir, and says what the ledger says."""
    stage.tell("The mail: everybody who lost points through Airflow, has an address and consents, heard how many")
    stage.loyalty("mail", "outbox")
    files = stage.mail.files()
    with transaction(stage.ledger()) as connection:
        owed = Counter((row.address, row.points) for row in connection.execute(OWED))
    heard = Counter(_heard(file) for file in files)
    if owed != heard:
        differing = sorted((owed - heard) + (heard - owed))
        raise LoyaltyError(f"{len(differing)} messages differ from the ledger, the first of them {differing[:5]}")
    stage.say(f"{len(files):,} messages, each owed by the ledger, each with its number; the last of them:\n")
    stage.say("\n".join(f"    {line}" for line in _shown(files[-1])))
    stage.say(f"\nAll of them are in {stage.mail.maildir}")


def _heard(file: Path) -> tuple[str, int]:
    """Who is told how many points, by the message's heads."""
    with file.open("rb") as lines:
        heads = HEADS.parse(lines)
    found = NUMBER.search(str(make_header(decode_header(heads["Subject"]))))
    return heads["To"], int(re.sub(r"\D", "", found[0])) if found else 0


def _shown(file: Path) -> list[str]:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    part = message.get_body(("plain",))
    heads = [f"{name}: {message[name]}" for name in ("From", "To", "Subject", "Message-ID")]
    return [*heads, "", *(str(part.get_content()).splitlines() if part else [])]
