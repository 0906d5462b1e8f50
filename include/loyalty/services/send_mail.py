"""Send what waits in the outbox: several connections in several processes, each message once."""

import multiprocessing
import os
import threading
import time
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
A_MOMENT, A_WHILE = 0.1, 10  # seconds between looks at whether to go on, and between reports


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
    """The connections are shared by as many processes as there are processors; this one begins, and others join it."""
    own, *others = _shares(order.connections, os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    ended = context.Event()
    pool = ProcessPoolExecutor(len(others) or 1, mp_context=context, initializer=_listen, initargs=(ended,))
    with ThreadPoolExecutor(1) as here, pool:
        works = [pool.submit(work, replace(order, connections=share), order.connections) for share in others]
        given = replace(order, connections=own), order.connections, _asked_now_and_then(lambda: not ended.is_set())
        works.append(here.submit(work, *given))
        try:
            while wait(works, timeout=A_WHILE).not_done:
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


def work(order: Order, connections_in_all: int, goes_on: Callable[[], bool] | None = None) -> None:
    """One process: its connections have sent what there was to be sent, or it does not go on."""
    is_wanted = goes_on or _asked_now_and_then(_is_wanted)
    program = Program.model_validate_json(order.program)
    campaigns = Campaigns(program, Catalog.from_json(order.definitions), order.folder)
    interval = connections_in_all / program.mail.per_second if program.mail.per_second else 0.0
    engine = open_engine(order.database_url, poolclass=NullPool)
    try:
        with ThreadPoolExecutor(order.connections) as pool:
            stop = threading.Event()
            given = (engine, campaigns, order, interval, lambda: not stop.is_set() and is_wanted())
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


def _asked_now_and_then(ask: Callable[[], bool]) -> Callable[[], bool]:
    """The same answer, a moment old at most: what asks other processes is not asked for each letter."""
    asked_at, answer = float("-inf"), False

    def last_answer() -> bool:
        nonlocal asked_at, answer
        if time.monotonic() - asked_at > A_MOMENT:
            asked_at, answer = time.monotonic(), ask()
        return answer

    return last_answer


def _is_wanted() -> bool:
    """Whether the process that waits for the mail lives, and still waits."""
    parent = multiprocessing.parent_process()
    return not _ended.is_set() and (parent is None or parent.is_alive())
