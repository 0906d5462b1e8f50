"""Who is told, outside, of what the journeys do."""

from typing import Annotated

from pydantic import Field, StrictInt

from loyalty.model.actions import ACTION_PATTERN
from loyalty.model.frozen import Frozen, Slug


class Subscriber(Frozen):
    """A webhook that is told of what journeys write of these actions."""

    name: Slug
    url: str = Field(pattern=r"^https?://[^\s/?#]+\S*$", max_length=2000)
    secret: str = Field(
        pattern=r"^[A-Z_][A-Z0-9_]*$",
        description="the environment variable with the secret that signs: whsec_ and base64",
    )
    actions: tuple[Annotated[str, Field(pattern=ACTION_PATTERN)], ...] = Field(
        default=("points.*", "client.*"), min_length=1
    )
    batch_size: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(default=200, description="events in one call")
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    give_up_hours: Annotated[float, Field(gt=0, le=24 * 90)] = Field(
        default=72, description="after so long without success an event is a dead letter"
    )
