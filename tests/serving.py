"""The events API behind a real server, and callers with keys."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine, text

from loyalty.api.app import create_app
from loyalty.local.kept import free_port
from loyalty.local.processes import wait_until
from loyalty.services.api_keys import KeyRights, create_key
from loyalty.store.database import open_engine


@contextmanager
def serving(ledger: Engine) -> Iterator[str]:
    """The address of an API on the ledger, with connections of its own."""
    own = open_engine(ledger.url, hide_parameters=True, pool_size=16, max_overflow=0, pool_pre_ping=True)
    with served(create_app(own)) as address:
        yield address


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of an application behind a real server."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert wait_until(lambda: server.started, 20)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def calling(address: str, token: str | None = None) -> Iterator[httpx.Client]:
    """A caller with this key."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def key(ledger: Engine, title: str = "shop", **rights: Any) -> str:
    """A new key with these rights."""
    with ledger.begin() as connection:
        return create_key(connection, title, KeyRights(**rights))


@dataclass
class Api:
    """The API, its ledger, and a caller with a key for everybody."""

    address: str
    ledger: Engine
    shop: httpx.Client

    def stored(self, where: str = "true", **binds: Any) -> int:
        """How many events of the ledger satisfy a condition."""
        with self.ledger.connect() as connection:
            return int(connection.scalar(text(f"SELECT count(*) FROM loyalty.event WHERE {where}"), binds))

    def ask(self, sql: str, **binds: Any) -> Any:
        with self.ledger.connect() as connection:
            return connection.scalar(text(sql), binds)

    def lock(self, customer: str, seconds: int) -> datetime:
        """The customer's balance is locked for so long."""
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        with self.ledger.begin() as connection:
            connection.execute(
                text(
                    "UPDATE loyalty.account SET lock_run_id = 1, lock_expires_at = :until FROM loyalty.profile "
                    "WHERE profile.profile_id = account.profile_id AND customer_id = :customer"
                ),
                {"until": until, "customer": customer},
            )
        return until


def event(customer: str = "17", action: str = "points.loyalty", **more: Any) -> dict[str, Any]:
    """An event of noon on a day of June 2026."""
    amount = {"points": 52} if action.startswith(("points", "quest")) else {}
    return {"customer_id": customer, "action": action, "occurred_at": "2026-06-01T12:00:00+02:00", **amount, **more}
