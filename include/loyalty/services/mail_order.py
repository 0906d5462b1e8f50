"""What is to be sent, where to, and with what patience."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loyalty.mail.handover import MailServer
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program


@dataclass(frozen=True)
class Order:
    """What is to be sent, where to, and with what patience; it can travel to another process.

    ``run_id`` leaves all other runs' messages alone. A mail server that cannot be reached, and messages that may be
    tried again, are waited for ``patience`` seconds. A server that says *later* is tried again after ``retry_seconds``,
    and after twice as long each further time.
    """

    database_url: str = field(repr=False)
    program: str
    definitions: dict[str, Any]
    folder: Path | None
    server: MailServer
    run_id: int | None = None
    patience: float = 120
    retry_seconds: float = 60
    connections: int = 1


def order_of(
    url: str, program: Program, catalog: Catalog, folder: Path | None, server: MailServer, **more: Any
) -> Order:
    """An order for the messages of this program."""
    return Order(
        url, program.model_dump_json(), catalog.to_json(), folder, server, connections=program.mail.connections, **more
    )
