"""Waiting without a worker: sensors that the triggerer serves, until the database says that the wait is over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseSensorOperator, Context
from airflow.triggers.base import BaseTrigger, StartTriggerArgs, TaskSuccessEvent, TriggerEvent
from asgiref.sync import sync_to_async
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from loyalty.errors import LoyaltyError
from loyalty.orchestration.days import JOURNEY_RUN
from loyalty.orchestration.ledger import ledger_url
from loyalty.services import batch_cancellation as journey
from loyalty.store.database import connect, open_engine

WAITS = {"locks": journey.locks_answered, "deactivations": journey.deactivations_answered}
THIS_CHUNK = "{{ ti.map_index }}"


class AnswersTrigger(BaseTrigger):
    """Fires when everybody of a chunk has answered, or the chunk's deadline has come; both are in the database."""

    def __init__(self, wait: str, journey_run: str, chunk: str, seconds: float = 1.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wait, self.journey_run, self.chunk, self.seconds = wait, journey_run, chunk, seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        arguments = {"wait": self.wait, "journey_run": self.journey_run, "chunk": self.chunk, "seconds": self.seconds}
        return f"{type(self).__module__}.{type(self).__name__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        # Airflow's connection is asked for through the triggerer's own loop, which only sync_to_async leads back to.
        engine = open_engine(await sync_to_async(ledger_url)())
        try:
            while not await asyncio.to_thread(self._is_over, engine):
                await asyncio.sleep(self.seconds)
        finally:
            engine.dispose()
        yield TaskSuccessEvent()

    def _is_over(self, engine: Engine) -> bool:
        """The look at the database, in a thread of its own; while no database answers, the wait goes on."""
        try:
            with connect(engine) as connection:
                return WAITS[self.wait](connection, int(self.journey_run), int(self.chunk))
        except (DBAPIError, LoyaltyError) as error:
            self.log.warning("the wait goes on: %s", error)
            return False


class AwaitAnswers(BaseSensorOperator):
    """A wait for a chunk of a mapped group, by its map index; it never takes a worker.

    The trigger starts with the task, since a deferral of a few seconds can get lost (see docs/adr/0004).
    """

    template_fields = ("journey_run", "chunk")
    start_from_trigger = True
    wait = ""

    def __init__(self, *, journey_run: str = JOURNEY_RUN, chunk: str = THIS_CHUNK, **task: Any) -> None:
        super().__init__(**task)
        self.journey_run, self.chunk = journey_run, chunk
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=f"{AnswersTrigger.__module__}.{AnswersTrigger.__name__}",
            trigger_kwargs={"wait": self.wait, "journey_run": journey_run, "chunk": chunk},
            next_method="resume",
            timeout=None,
        )

    def execute(self, context: Context) -> None:
        self.defer(trigger=AnswersTrigger(self.wait, self.journey_run, self.chunk), method_name="resume")

    def resume(self, context: Context, event: Any = None) -> None:
        """The wait is over."""


class AwaitLocks(AwaitAnswers):
    """Every lock of the chunk is confirmed, or the deadline has come."""

    wait = "locks"


class AwaitDeactivations(AwaitAnswers):
    """Every promotion of the chunk is deactivated, or the deadline has come."""

    wait = "deactivations"
