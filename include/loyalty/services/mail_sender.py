"""One sender: it takes a few messages at a time, hands them over, and writes down what became of each.

It holds an advisory lock of its number as long as it lives: what a dead sender had taken is unsettled, since nobody
knows whether the server has it, and is not sent twice unless the program says so.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from loyalty.errors import LoyaltyError
from loyalty.mail.handover import Answer, Fate, SmtpHandover, UnreachableError
from loyalty.mail.templates import UnsentError
from loyalty.model.mail import Campaign
from loyalty.services.campaigns import Campaigns
from loyalty.services.mail_order import Order
from loyalty.services.write_mail import Draft, Letter, draft_mail, write_letter
from loyalty.store.database import connect, transaction
from loyalty.store.queries import query

UNSETTLED = "unsettled"
LONGEST_DELAY = 3_600.0
AHEAD, AHEAD_BYTES = 10, 1_000_000  # letters that are written before they are handed over, and how large they may be
Message = tuple[int, UUID]


@dataclass(frozen=True)
class Outcome:
    """What is to be written down of a message; ``delay`` seconds until it may be tried again."""

    message: Message
    state: str
    reason: str | None = None
    detail: str | None = None
    answered: int = 0
    delay: float = 0.0


class Sender:
    """One connection to the mail server and one to the database."""

    def __init__(
        self, engine: Engine, campaigns: Campaigns, order: Order, interval: float, goes_on: Callable[[], bool]
    ) -> None:
        self._goes_on = goes_on
        self._engine, self._campaigns, self._order, self._interval = engine, campaigns, order, interval
        self._zone = ZoneInfo(campaigns.program.timezone)
        self._next_at = 0.0
        self._reached: dict[str, int] = {}
        self._handover: SmtpHandover | None = None
        self._server = ExitStack()

    def run(self) -> None:
        """Messages are sent until none is left that may go."""
        with connect(self._engine) as connection, self._server:
            with connection.begin():
                self._number = connection.execute(query("mail/new_sender")).scalar_one()
            while self._goes_on():
                self._connect()
                if not self._send_some(connection) and not self._waited(connection):
                    return

    def _connect(self) -> None:
        """The mail server hears us; before that, nothing is taken from the outbox."""
        if self._handover is not None and self._handover.is_open():
            return
        self._server.close()
        deadline, pause = time.monotonic() + self._order.patience, 0.5
        while True:
            try:
                self._handover = self._server.enter_context(self._order.server.connect())
                return
            except UnreachableError:
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 15)

    def _send_some(self, connection: Connection) -> bool:
        """A few messages of each campaign have been handed over, if there were any."""
        sent = [self._send(connection, campaign) for campaign in self._campaigns.may_go(self._now())]
        return any(sent)

    def _send(self, connection: Connection, campaign: Campaign) -> bool:
        messages = self._claim(connection, campaign)
        if not messages:
            return False
        outcomes: list[Outcome] = []
        try:
            with connection.begin():
                drafts = draft_mail(connection, self._campaigns, campaign, messages, self._now())
            for draft, letter in self._written(campaign, drafts):
                if not self._may_go_on(campaign):
                    break
                outcomes.append(self._deliver(draft, letter))
        finally:
            left = set(messages) - {outcome.message for outcome in outcomes}
            self._write_down(connection, [*outcomes, *(Outcome(message, "queued") for message in sorted(left))])
        return True

    def _may_go_on(self, campaign: Campaign) -> bool:
        """Whether the rest of what was taken may be handed over, too; else it goes back."""
        assert self._handover is not None
        return self._goes_on() and self._handover.is_open() and campaign in self._campaigns.may_go(self._now())

    def _claim(self, connection: Connection, campaign: Campaign) -> list[Message]:
        binds = {
            "campaign": campaign.name,
            "sender": self._number,
            "run_id": self._order.run_id,
            "size": self._campaigns.mail.claim_size,
        }
        found: list[Message] = []
        # After the one that it had last, so that no sender looks through what was taken before; then from the first.
        for after in dict.fromkeys((self._reached.get(campaign.name, 0), 0)):
            if not found:
                with connection.begin():
                    rows = connection.execute(query("mail/claim"), binds | {"after": after}).all()
                found = sorted((row.profile_id, row.key) for row in rows)
        self._reached[campaign.name] = found[-1][0] if found else 0
        return found

    def _written(self, campaign: Campaign, drafts: Sequence[Draft]) -> Iterator[tuple[Draft, Letter | UnsentError]]:
        """Each draft with its letter, or why there is none; a few are written before the first is handed over.

        Each of the two finds its own code and data in the processor's cache, when they take turns less often.
        """
        ahead: list[tuple[Draft, Letter | UnsentError]] = []
        size = 0
        for draft in drafts:
            letter = self._letter(campaign, draft)
            ahead.append((draft, letter))
            size += 0 if isinstance(letter, UnsentError) else len(letter.wire)
            if len(ahead) == AHEAD or size >= AHEAD_BYTES:
                yield from ahead
                ahead, size = [], 0
        yield from ahead

    def _letter(self, campaign: Campaign, draft: Draft) -> Letter | UnsentError:
        try:
            return write_letter(self._campaigns, campaign, draft)
        except UnsentError as unsent:
            return unsent

    def _deliver(self, draft: Draft, letter: Letter | UnsentError) -> Outcome:
        message = draft.profile_id, draft.key
        if isinstance(letter, UnsentError):
            return Outcome(message, "failed" if letter.is_fault else "skipped", letter.reason, _clean(letter.detail))
        self._keep_pace()
        assert self._handover is not None
        return self._outcome(draft, self._handover.send(letter.sender, letter.address, letter.wire))

    def _outcome(self, draft: Draft, answer: Answer) -> Outcome:
        message = draft.profile_id, draft.key
        match answer.fate:
            case Fate.SENT:
                return Outcome(message, "sent", answered=1)
            case Fate.REFUSED:
                return Outcome(message, "failed", "refused", answer.said, answered=1)
            case Fate.UNKNOWN:
                resend = self._campaigns.mail.unsettled == "resend"
                return Outcome(message, "queued" if resend else "failed", UNSETTLED, answer.said)
            case _ if draft.attempts + 1 >= self._campaigns.mail.attempts:
                return Outcome(message, "failed", "given_up", answer.said, answered=1)
            case fate:
                delay = min(self._order.retry_seconds * 2.0**draft.attempts, LONGEST_DELAY)
                reason = "interrupted" if fate is Fate.NOT_BEGUN else "later"
                return Outcome(message, "queued", reason, answer.said, answered=1, delay=delay)

    def _keep_pace(self) -> None:
        now = time.monotonic()
        if now < self._next_at:
            time.sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._interval

    def _write_down(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """What became of the messages is kept. A database that went away is waited for, and then this sender ends."""
        try:
            with connection.begin():
                self._keep(connection, outcomes)
        except DBAPIError:
            self._write_down_late(outcomes)
            raise

    def _write_down_late(self, outcomes: Sequence[Outcome]) -> None:
        deadline = time.monotonic() + self._order.patience
        while time.monotonic() < deadline:
            time.sleep(1)
            with suppress(DBAPIError, LoyaltyError), transaction(self._engine) as connection:
                self._keep(connection, outcomes)
                return

    def _keep(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        binds = {
            "ids": [outcome.message[0] for outcome in outcomes],
            "keys": [outcome.message[1] for outcome in outcomes],
            "states": [outcome.state for outcome in outcomes],
            "reasons": [outcome.reason for outcome in outcomes],
            "details": [outcome.detail for outcome in outcomes],
            "answered": [outcome.answered for outcome in outcomes],
            "delays": [outcome.delay for outcome in outcomes],
            "sender": self._number,
        }
        connection.execute(query("mail/write_outcomes"), binds)

    def _waited(self, connection: Connection) -> bool:
        """Whether there may be something to send now; it has been waited for."""
        with connection.begin():
            names = [one.name for one in self._campaigns.may_go(self._now())]
            seconds = connection.scalar(query("mail/next_due"), {"campaigns": names, "run_id": self._order.run_id})
        if seconds is None or seconds > self._order.patience:
            return False
        time.sleep(min(max(seconds, 0.05), 5))
        return True

    def _now(self) -> datetime:
        return datetime.now(self._zone)


def _clean(detail: str | None) -> str | None:
    """What PostgreSQL can keep: no NUL."""
    return detail.replace("\0", "\ufffd") if detail else detail
