"""What an operator says of the program without writing Python."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, StrictBool, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from loyalty.model.actions import BUILT_IN_ACTIONS, EARNING, NOTHING, ActionMeaning
from loyalty.model.cancellation import Cancellation
from loyalty.model.deliveries import Subscriber
from loyalty.model.filters import Filter
from loyalty.model.frozen import Frozen, Slug, fingerprint_of
from loyalty.model.mail import NO_MAIL, Mail
from loyalty.model.program_faults import cross_checked, known_zone
from loyalty.model.provision import Provision
from loyalty.model.retention import Retention
from loyalty.model.sources import EventSource

ActionName = Annotated[str, Field(min_length=1)]


def _times_as_text(value: Any) -> Any:
    """YAML reads times as such; JSON knows them as texts."""
    match value:
        case dict():
            return {key: _times_as_text(one) for key, one in value.items()}
        case list():
            return [_times_as_text(one) for one in value]
        case date():
            return value.isoformat()
        case _:
            return value


AsJson = Annotated[dict[str, JsonValue], BeforeValidator(_times_as_text)]


class EarningAction(Frozen):
    """An action that brings points; they are due ``validity_days`` calendar days after it, or never (None)."""

    validity_days: Annotated[StrictInt, Field(ge=1, le=36_500)] | None


class EarningRule(Frozen):
    """Turns events of ``action`` into points of ``earns``: so many per unit of an amount, or so many per event."""

    name: Slug
    action: ActionName
    earns: ActionName
    points_per_unit: Decimal | None = Field(default=None, gt=0)
    points_per_event: Annotated[StrictInt, Field(ge=1)] | None = None
    amount: str = Field(default="$totalAmount", min_length=1)
    where: tuple[Filter, ...] = ()
    valid_from: date | None = Field(default=None, description="the first local day of the rule")
    valid_to: date | None = Field(default=None, description="the last local day of the rule")

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if (self.points_per_unit is None) == (self.points_per_event is None):
            raise PydanticCustomError("one_of", "takes exactly one of points_per_unit and points_per_event")
        if self.points_per_event is not None and self.amount != type(self).model_fields["amount"].default:
            raise PydanticCustomError("one_of", "'amount' belongs to points_per_unit; points_per_event reads none")
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise PydanticCustomError("order", "valid_from must not lie after valid_to")
        return self


class Promotion(Frozen):
    """What customers may pay points for; paid for, it lives ``valid_days`` days, and not past ``valid_to``."""

    name: Slug
    title: str = Field(min_length=1)
    required_points: Annotated[StrictInt, Field(ge=1)]
    valid_from: date | None = Field(default=None, description="the first local day on which it may be activated")
    valid_to: date | None = Field(default=None, description="the last local day on which it is worth anything")
    valid_days: Annotated[StrictInt, Field(ge=1, le=36_500)] | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise PydanticCustomError("order", "valid_from must not lie after valid_to")
        return self


class Definitions(Frozen):
    """What the operator defines beside what is shipped, each in the form in which it prints itself as JSON."""

    aggregates: tuple[AsJson, ...] = ()
    expressions: tuple[AsJson, ...] = ()
    segments: tuple[AsJson, ...] = ()


class Program(Frozen):
    """One loyalty program: its zone, its points, what earns them and how."""

    name: str = Field(min_length=1)
    timezone: Annotated[str, AfterValidator(known_zone)] = "Europe/Warsaw"
    allow_debt: StrictBool = False
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="three capital letters, as in EUR")
    point_value: Decimal = Field(ge=0, description="the money value of one point")
    provision: Provision = Provision()
    earning_actions: dict[ActionName, EarningAction] = Field(min_length=1)
    earning_rules: tuple[EarningRule, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    cancellation: Cancellation = Cancellation()
    mail: Mail = NO_MAIL
    retention: Retention = Retention()
    subscribers: tuple[Subscriber, ...] = ()
    sources: tuple[EventSource, ...] = ()
    ends_on: date | None = Field(default=None, description="the last day whose midnight Airflow settles by itself")
    batch_size: Annotated[StrictInt, Field(ge=1)] = Field(default=50_000, description="members per transaction")
    definitions: Definitions = Definitions()

    _cross_checked = model_validator(mode="wrap")(cross_checked)

    def meaning_of(self, action: str) -> ActionMeaning:
        """What the action does to a balance in this program; ``none`` for an action that is only recorded."""
        return EARNING if action in self.earning_actions else BUILT_IN_ACTIONS.get(action, NOTHING)

    def fingerprint(self) -> str:
        """The hash of all settings."""
        return fingerprint_of(self.model_dump(mode="json"))
