"""Send what waits in the outbox: several connections in several processes, each message once."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.pool import NullPool

from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.services.campaigns import Campaigns
from loyalty.services.mail_order import Order
from loyalty.services.mail_sender import Sender
from loyalty.services.outbox import Outbox, outbox, settle_mail
from loyalty.store.database import open_engine
from loyalty.store.queries import query

FEW = 200  # messages for which no process is started


def send_mail(connection: Connection, order: Order, tell: Callable[[Outbox], None] | None = None) -> Outbox:
    """Nothing that may go waits any more, as far as the patience reaches; returns the outbox.

    Messages held by quiet hours, or by a server that says later, stay queued. Raises LoyaltyError where the mail server
    cannot be reached or the login is refused.
    """
    program = Program.model_validate_json(order.program)
    resend = program.mail.unsettled == "resend"
    with connection.begin():
        settle_mail(connection, resend=resend)
        waiting = connection.execute(query("mail/some_wait"), {"run_id": order.run_id, "few": FEW + 1}).scalar_one()
    if waiting > FEW:
        _send_in_processes(connection, order, tell)
    elif waiting:
        work(order, order.connections)
    with connection.begin():
        settle_mail(connection, resend=resend)
        return outbox(connection, order.run_id)


def _send_in_processes(connection: Connection, order: Order, tell: Callable[[Outbox], None] | None) -> None:
    """The connections are shared by as many processes as there are processors."""
    shares = _shares(order.connections, os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    ended = context.Event()
    with ProcessPoolExecutor(len(shares), mp_context=context, initializer=_listen, initargs=(ended,)) as pool:
        works = [pool.submit(work, replace(order, connections=share), order.connections) for share in shares]
        try:
            while wait(works, timeout=10).not_done:
                if tell:
                    with connection.begin():
                        tell(outbox(connection, order.run_id))
        except BaseException:  # the task is cancelled, or somebody types Ctrl-C
            ended.set()
            raise
        for done in works:
            done.result()


_ended: Any = threading.Event()  # in a process of its own: that of the process which waits for it


def _listen(ended: Any) -> None:
    global _ended
    _ended = ended


def _shares(connections: int, processors: int) -> list[int]:
    """The connections of each process."""
    processes = min(connections, processors)
    return [connections // processes + (at < connections % processes) for at in range(processes)]


def work(order: Order, connections_in_all: int) -> None:
    """One process: its connections have sent what there was to be sent."""
    program = Program.model_validate_json(order.program)
    campaigns = Campaigns(program, Catalog.from_json(order.definitions), order.folder)
    interval = connections_in_all / program.mail.per_second if program.mail.per_second else 0.0
    engine = open_engine(order.database_url, poolclass=NullPool)
    try:
        with ThreadPoolExecutor(order.connections) as pool:
            stop = threading.Event()
            given = (engine, campaigns, order, interval, lambda: not stop.is_set() and _is_wanted())
            senders = [pool.submit(Sender(*given).run) for _ in range(order.connections)]
            try:
                wait(senders)
            except BaseException:
                stop.set()
                raise
        for done in senders:
            done.result()
    finally:
        engine.dispose()


def _is_wanted() -> bool:
    """Whether the process that waits for the mail lives, and still waits."""
    parent = multiprocessing.parent_process()
    return not _ended.is_set() and (parent is None or parent.is_alive())
