"""What mail a program sends: its campaigns, in whose name they speak, to whom, when and how fast."""

from datetime import time
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from loyalty.model.frozen import Frozen, Slug

About = Literal["points_cancelled", "points_expired", "points_to_expire"]
# The journey whose runs a campaign tells about.
JOURNEYS: dict[str, str] = {
    "points_cancelled": "batch_cancellation",
    "points_expired": "rolling_expiry",
    "points_to_expire": "expiry_reminder",
}
URL_PARTS = ("customer_id", "campaign", "key")


def _mailbox(value: str) -> str:
    name, address = parseaddr(value)
    try:
        Address(name, addr_spec=address)
        address.encode("ascii")
    except (ValueError, IndexError):
        address = ""
    if "@" not in address or "\n" in value or "\r" in value:
        raise PydanticCustomError("mailbox", "is no mailbox; it looks like Our program <points@example.org>")
    return value


def _link(value: str) -> str:
    try:
        filled = value.format(**dict.fromkeys(URL_PARTS, "x"))
    except (KeyError, ValueError, IndexError, AttributeError):
        raise PydanticCustomError("link", "holds braces; known are {customer_id}, {campaign} and {key}") from None
    if urlsplit(filled).scheme not in ("https", "http", "mailto") or not filled.isascii() or filled.split() != [filled]:
        raise PydanticCustomError("link", "is no link; it looks like https://shop.example.org/unsubscribe?m={key}")
    return value


def _clock(value: object) -> object:
    """YAML 1.1 reads 21:00 as a number to the base of sixty."""
    return f"{value // 60:02}:{value % 60:02}" if isinstance(value, int) else value


Mailbox = Annotated[str, AfterValidator(_mailbox)]
Link = Annotated[str, AfterValidator(_link)]
Clock = Annotated[time, BeforeValidator(_clock)]


class QuietHours(Frozen):
    """Hours of the program's day in which nothing is sent, from ``start`` up to ``end``; over midnight, if need be."""

    start: Clock
    end: Clock

    def hold(self, now: time) -> bool:
        """Whether they go on at this local time."""
        if self.start <= self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


class Utm(Frozen):
    """What is appended to the links of a message, so that the shop knows where a visitor comes from."""

    source: str = "loyalty"
    medium: str = "email"
    campaign: str | None = Field(default=None, description="null: the campaign's name")


class Manner(Frozen):
    """How a campaign speaks and to whom; one that leaves something out takes it from ``mail``."""

    sender: Mailbox | None = Field(default=None, description="From, as in Our program <points@example.org>")
    reply_to: Mailbox | None = None
    unsubscribe_url: Link | None = Field(default=None, description="may hold {customer_id}, {campaign} and {key}")
    shop_url: Link | None = Field(default=None, description="where the offers are")
    one_click: StrictBool | None = Field(default=None, description="a POST to that address unsubscribes (RFC 8058)")
    consent: str | None = Field(default=None, min_length=1, description="the attribute that must be true")
    asks_consent: StrictBool | None = Field(default=None, description="false: sent to whoever has an address")
    quiet_hours: QuietHours | None = None
    utm: Utm | None = None


class Campaign(Manner):
    """One kind of message: what it is about, and by which templates it is written."""

    name: Slug
    about: About
    template: Slug | None = Field(default=None, description="the folder of its templates; null: that of its subject")
    days_ahead: tuple[Annotated[StrictInt, Field(ge=1, le=366)], ...] = Field(
        default=(), description="stages of points_to_expire: so many days before they expire"
    )

    @model_validator(mode="after")
    def _stages_belong_to_reminders(self) -> Self:
        if (self.about == "points_to_expire") != bool(self.days_ahead):
            raise PydanticCustomError("stages", "days_ahead belongs to points_to_expire, and there it is needed")
        return self

    @property
    def folder(self) -> str:
        """The folder of its templates."""
        return self.template or self.about

    @property
    def journey(self) -> str:
        """The journey whose runs it tells about."""
        return JOURNEYS[self.about]


class Mail(Manner):
    """The campaigns of a program, and what they share."""

    campaigns: tuple[Campaign, ...] = ()
    templates: str | None = Field(default=None, description="a folder beside program.yaml that goes before the shipped")
    address_attribute: str = Field(default="email", min_length=1)
    locale_attribute: str = Field(default="locale", min_length=1)
    default_locale: str = Field(default="en", pattern=r"^[a-z]{2,3}([_-][A-Za-z]{2,4})*$")
    connections: Annotated[StrictInt, Field(ge=1, le=200)] = 4
    per_second: Annotated[float, Field(gt=0)] | None = Field(default=None, description="messages, over all connections")
    attempts: Annotated[StrictInt, Field(ge=1)] = Field(default=8, description="how often a server may say: later")
    claim_size: Annotated[StrictInt, Field(ge=1, le=1_000)] = Field(
        default=50, description="messages that a connection takes at once"
    )
    unsettled: Literal["keep", "resend"] = Field(
        default="keep",
        description="messages that were being sent when their sender died: kept as unsettled, or resent",
    )

    @model_validator(mode="after")
    def _each_campaign_can_speak(self) -> Self:
        names = [one.name for one in self.campaigns]
        if len(set(names)) < len(names):
            raise PydanticCustomError("names", "two campaigns have one name")
        if sum(one.about == "points_to_expire" for one in self.campaigns) > 1:
            raise PydanticCustomError("names", "two campaigns are about points_to_expire; one has all stages")
        silent = next((one.name for one in self.campaigns if self.manner_of(one).sender is None), None)
        if silent:
            raise PydanticCustomError("sender", "the campaign {name} has no sender", {"name": silent})
        return self

    def manner_of(self, campaign: Campaign) -> Manner:
        """How this campaign speaks, after what it has from here; ``consent`` is None where none is asked for."""
        chosen = {
            name: getattr(self, name) if getattr(campaign, name) is None else getattr(campaign, name)
            for name in Manner.model_fields
        }
        return Manner.model_validate(chosen | ({"consent": None} if chosen["asks_consent"] is False else {}))

    def about(self, journey: str) -> tuple[Campaign, ...]:
        """The campaigns that tell about runs of this journey."""
        return tuple(one for one in self.campaigns if one.journey == journey)


NO_MAIL = Mail()


def filled_link(link: str, **parts: str) -> str:
    """The link with its parts in place, each as a part of a link must be written."""
    return link.format(**{name: quote(parts[name], safe="") for name in URL_PARTS})
