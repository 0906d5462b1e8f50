"""GET /v1/profiles/…: what a customer has, and may do with it."""

from datetime import date, datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from loyalty.api.access import CallerDependency, CustomerDependency
from loyalty.api.problems import declared
from loyalty.services import front_door
from loyalty.services.promotions import Activation as HeldActivation

router = APIRouter(prefix="/v1/profiles/{customer_id}", tags=["profiles"])
REFUSED = declared(401, 403, 404, 422, 429)
CHANGES = declared(400, 401, 403, 404, 409, 413, 415, 422, 423, 429)


class Lot(BaseModel):
    """What is left of one earning."""

    action: str
    earned_at: datetime
    points: int
    remaining: int = Field(ge=1)
    expires_on: date | None = Field(description="The local day whose midnight takes what is left; null: never.")


class Expiry(BaseModel):
    """Points that expire at the midnight with which a local day begins."""

    expires_on: date
    points: int = Field(ge=1)


class Profile(BaseModel):
    """One customer's points, as things stand."""

    customer_id: str
    balance: int
    locked_until: datetime | None = Field(description="Until then nothing can be spent; null: not locked.")
    lots: list[Lot] = Field(description="Soonest to expire first.")
    upcoming: list[Expiry] = Field(description="Soonest first.")


class Offer(BaseModel):
    """A promotion that the balance pays for now."""

    promotion: str
    title: str
    required_points: int = Field(ge=1)
    valid_to: date | None


class Activation(BaseModel):
    """A promotion paid for."""

    activation: UUID
    promotion: str
    points: int = Field(description="What was paid.")
    state: str = Field(description="active, deactivating, redeemed, deactivated or lapsed.")
    lapses_at: datetime | None


class Promotions(BaseModel):
    """What the customer can afford, and holds."""

    customer_id: str
    balance: int
    affordable: list[Offer]
    activations: list[Activation]


class Choice(BaseModel):
    """The promotion to pay for."""

    promotion: str = Field(min_length=1, max_length=1000, pattern="^[^\\x00]+$", examples=["coffee"])


@router.get("", responses=REFUSED)
def profile(caller: CallerDependency, customer_id: CustomerDependency) -> Profile:
    """Balance, lots with their expiry, the lock, and what expires when."""
    return Profile(**caller.ask(front_door.read_profile, customer_id))


@router.get("/promotions", responses=REFUSED)
def promotions(caller: CallerDependency, customer_id: CustomerDependency) -> Promotions:
    """What the customer can afford now, and the activations that have not ended."""
    return Promotions(**caller.ask(front_door.read_promotions, customer_id))


@router.put("/activations/{activation}", responses=CHANGES)
def activate(caller: CallerDependency, customer_id: CustomerDependency, activation: UUID, choice: Choice) -> Activation:
    """Pay for a promotion. The caller names the activation; the same again is the same activation."""
    return _shown(caller.ask(front_door.activate, customer_id, choice.promotion, activation))


@router.post("/activations/{activation}/redeem", responses=CHANGES)
def redeem(caller: CallerDependency, customer_id: CustomerDependency, activation: UUID) -> Activation:
    """The customer has got what was paid for, once; also while the balance is locked."""
    return _shown(caller.ask(front_door.redeem, customer_id, activation))


@router.post("/activations/{activation}/deactivate", responses=CHANGES)
def deactivate(caller: CallerDependency, customer_id: CustomerDependency, activation: UUID) -> Activation:
    """The customer gives the promotion back, and has its points again, once."""
    return _shown(caller.ask(front_door.deactivate, customer_id, activation))


def _shown(held: HeldActivation) -> Activation:
    return Activation(**vars(held))
