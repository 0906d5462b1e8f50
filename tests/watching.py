"""The dashboard as a browser without a screen sees it: served to somebody who may see some journeys."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from fastapi import Header, HTTPException
from sqlalchemy import Engine

from loyalty.dashboard.app import create_app
from loyalty.dashboard.surroundings import Surroundings
from loyalty.services.grant_roles import create_roles, grant_roles
from loyalty.store.database import READER, open_engine
from serving import served

NEXT = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


def asking(x_user: str | None = Header(default=None)) -> str:
    """Who asks, by a header; nobody is refused."""
    if x_user is None:
        raise HTTPException(401)
    return x_user


def surroundings(ledger: Engine) -> Surroundings:
    """A host whose user ``half`` may see no cancellation."""
    return Surroundings(
        ledger=lambda: open_engine(ledger.url, READER),
        asking=asking,
        may_see=lambda user, journey: user != "half" or journey == "rolling_expiry",
        next_runs=lambda _: {"rolling_expiry": NEXT, "batch_cancellation": None},
        task_path=lambda journey, key, task, place: f"/tasks/{journey}/{key}/{task}/{place}",
    )


@contextmanager
def watching(ledger: Engine, user: str | None = "maria", language: str = "en") -> Iterator[httpx.Client]:
    """A client of the dashboard on this ledger, whose roles are there."""
    with ledger.begin() as connection:
        create_roles(connection)
        grant_roles(connection)
    headers = {"accept-language": language} | ({"x-user": user} if user else {})
    with (
        served(create_app(surroundings(ledger))) as address,
        httpx.Client(base_url=address, headers=headers, timeout=30, trust_env=False) as client,
    ):
        yield client


def values(page: str, part: str) -> dict[str, int]:
    """The numbers on the cards of a part of the page, by their words."""
    section = re.search(rf'id="{part}".*?</section>', page, re.S)
    assert section, part
    found = re.findall(r'<dt>(.*?)</dt><dd>\s*<data value="([^"]*)"', section.group(0))
    return {words: int(number) for words, number in found}


def text_of(page: str) -> str:
    """The page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def ask(client: httpx.Client, path: str, **params: Any) -> str:
    """The page at this address, which is there."""
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.text
