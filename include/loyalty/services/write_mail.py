"""Write the messages of some customers: one look at the database for all of them, then each by its template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import format_datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, BigInteger, Connection, bindparam, column, func, select

from loyalty.compile import compile_values
from loyalty.mail.letters import Envelope, checked_address, compose
from loyalty.mail.templates import Attributes, Content, UnsentError
from loyalty.model.catalog import Value
from loyalty.model.mail import Campaign, filled_link
from loyalty.services.campaigns import Campaigns
from loyalty.store.queries import Row, rows

_IDS = bindparam("ids", type_=ARRAY(BigInteger))


@dataclass(frozen=True)
class Letter:
    """A message as it goes over the wire, and between whom."""

    sender: str
    address: str
    content: Content
    wire: bytes


@dataclass(frozen=True)
class Draft:
    """What is known of one message, before it is written."""

    profile_id: int
    key: UUID
    attempts: int
    facts: dict[str, Any]
    values: Mapping[str, Any]
    envelope: Envelope
    hindrance: str | None


def draft_mail(
    connection: Connection,
    campaigns: Campaigns,
    campaign: Campaign,
    messages: Sequence[tuple[int, UUID]],
    now: datetime,
) -> list[Draft]:
    """The drafts of these messages of the outbox: their facts as of now, the points as of the events they are about."""
    ids = [profile_id for profile_id, _ in messages]
    consent = campaigns.manner_of(campaign).consent
    of = "reminders" if campaign.days_ahead else "runs"
    facts = rows(connection, f"mail/facts_of_{of}", ids=ids, keys=[key for _, key in messages], consent=consent)
    return drafts_of(connection, campaigns, campaign, facts, now)


def drafts_of(
    connection: Connection, campaigns: Campaigns, campaign: Campaign, facts: Sequence[Row], now: datetime
) -> list[Draft]:
    """The drafts for rows of facts."""
    offers = rows(connection, "mail/offers")
    values = _values(connection, campaigns, campaign, [row["profile_id"] for row in facts], now)
    common = _Common(campaigns, campaign, offers, now)
    return [common.draft(row, values.get(row["profile_id"], {})) for row in facts]


def write_letter(campaigns: Campaigns, campaign: Campaign, draft: Draft) -> Letter:
    """The letter; UnsentError where there is to be none."""
    if draft.hindrance:
        raise UnsentError(draft.hindrance)
    address = checked_address(draft.envelope.address)
    content = campaigns.templates.render(campaign.folder, draft.facts, draft.values)
    try:
        wire = compose(draft.envelope, content)
    except UnicodeError as error:
        raise UnsentError("template_error", str(error)) from None
    return Letter(draft.envelope.return_path, address, content, wire)


def _values(
    connection: Connection, campaigns: Campaigns, campaign: Campaign, ids: list[int], now: datetime
) -> dict[int, dict[str, Any]]:
    """The values that the templates ask for, by customer and by the names that the templates have for them."""
    asked = campaigns.values(campaign)
    if not asked:
        return {}
    wanted: list[Value] = list(dict.fromkeys(asked.values()))
    given = func.unnest(_IDS).table_valued(column("profile_id", BigInteger)).render_derived(name="given")
    profiles = select(given.c.profile_id)
    statement = compile_values(campaigns.catalog, campaigns.program, wanted, profiles=profiles)
    found = connection.execute(statement, {"ids": sorted(set(ids)), "as_of": now}).mappings()
    return {row["profile_id"]: {name: _plain(row[one.name]) for name, one in asked.items()} for row in found}


def _plain(value: Any) -> Any:
    """Whole numbers without a fraction, as people write them."""
    return int(value) if hasattr(value, "as_integer_ratio") and value == int(value) else value


class _Common:
    """What the drafts of a campaign have in common, found out once for all of them."""

    def __init__(self, campaigns: Campaigns, campaign: Campaign, offers: Sequence[Row], now: datetime) -> None:
        program = campaigns.program
        self._campaigns, self._campaign, self._offers = campaigns, campaign, offers
        self._manner = manner = campaigns.manner_of(campaign)
        self._date, self._zone = format_datetime(now), ZoneInfo(program.timezone)
        self._program = {"name": program.name, "currency": program.currency, "point_value": program.point_value}
        utm = manner.utm.model_dump() | {"campaign": manner.utm.campaign or campaign.name} if manner.utm else {}
        self._utm = {f"utm_{name}": value for name, value in utm.items()}

    def draft(self, row: Row, values: Mapping[str, Any]) -> Draft:
        """The draft for a row of facts."""
        manner = self._manner
        parts = {"customer_id": row["customer_id"], "campaign": self._campaign.name, "key": str(row["key"])}
        unsubscribe_url = filled_link(manner.unsubscribe_url, **parts) if manner.unsubscribe_url else None
        envelope = Envelope(
            sender=manner.sender or "",
            address=row["address"],
            key=row["key"],
            date=self._date,
            reply_to=manner.reply_to,
            unsubscribe_url=unsubscribe_url,
            one_click=bool(manner.one_click),
        )
        facts = self._facts(row, unsubscribe_url)
        return Draft(row["profile_id"], row["key"], row["attempts"], facts, values, envelope, _hindrance(row))

    def _facts(self, row: Row, unsubscribe_url: str | None) -> dict[str, Any]:
        wanted = row["attributes"].get(self._campaigns.mail.locale_attribute)
        return {
            "customer": Attributes(row["attributes"] | {"customer_id": row["customer_id"]}),
            "event": {
                "action": row["action"],
                "points": row["points"],
                "occurred_at": row["occurred_at"] and row["occurred_at"].astimezone(self._zone),
                "days": [{"day": date.fromisoformat(one["day"]), "points": one["points"]} for one in row["days"]],
            },
            "account": {"balance": row["balance"]},
            "promotions": [offer for offer in self._offers if offer["required_points"] <= row["balance"]],
            "program": self._program,
            "message": {
                "key": str(row["key"]),
                "campaign": self._campaign.name,
                "locale": self._campaigns.templates.locale_for(
                    self._campaign.folder, wanted if isinstance(wanted, str) else None
                ),
                "stage": row["stage"],
                "unsubscribe_url": unsubscribe_url,
                "shop_url": self._manner.shop_url,
                "utm": self._utm,
            },
        }


def _hindrance(row: Row) -> str | None:
    """Why the message is not to be sent any more, though it was queued."""
    if row["suppressed"]:
        return str(row["suppressed"])
    if not row["consents"]:
        return "no_consent"
    return None if row["points"] > 0 else "no_points"
