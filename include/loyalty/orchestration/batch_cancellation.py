"""The steps of the batch cancellation as operators; which members a step acts on, the database alone decides."""

from abc import abstractmethod
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pydantic import ValidationError
from sqlalchemy import Connection

from loyalty.definitions.load_catalog import load_catalog
from loyalty.errors import LoyaltyError
from loyalty.model.cancellation import CancellationRun
from loyalty.model.program import Program
from loyalty.orchestration.batch_cancellation_form import asked_for
from loyalty.orchestration.days import JOURNEY_RUN
from loyalty.orchestration.ledger import ledger
from loyalty.services import batch_cancellation as journey
from loyalty.services.batch_cancellation import Step
from loyalty.services.decide_run import decide_run, end_dry_run
from loyalty.services.preview_run import preview_run
from loyalty.services.report_cancellation import report_cancellation


class SelectMembers(BaseOperator):
    """The segment's profiles are the members of the run, each with the points to cancel; pushes the run's number."""

    def execute(self, context: Context) -> int:
        with ledger() as ours:
            try:
                run = journey.settings_of(ours.program, **asked_for(dict(context["params"])))
                program, catalog = journey.catalog_of_run(load_catalog, ours.program, run)
                return journey.snapshot(ours.connection, program, catalog, run, run_key=context["run_id"])
            except (LoyaltyError, ValidationError) as error:  # no retry mends what was asked for
                raise AirflowFailException(str(error)) from error


class OfARun(BaseOperator):
    """A step that works on the run whose number ``select_members`` pushed."""

    template_fields: Collection[str] = ("journey_run",)

    def __init__(self, *, journey_run: str = JOURNEY_RUN, **task: Any) -> None:
        super().__init__(**task)
        self.journey_run = journey_run


class PreviewRun(OfARun):
    """What the run would do is in the log; pushes it as Markdown, for the page on which it is approved."""

    def execute(self, context: Context) -> str:
        with ledger() as ours, ours.connection.begin():
            preview = preview_run(ours.connection, ours.program, int(self.journey_run))
        for line in preview.lines():
            self.log.info("%s", line)
        return "\n".join(preview.lines())


class ApproveRun(ApprovalOperator):
    """The run may go on, or has ended; who decided, and when, is kept with it. A dry run ends here."""

    template_fields = (*ApprovalOperator.template_fields, "journey_run")

    def __init__(self, *, hours: float, journey_run: str = JOURNEY_RUN, **task: Any) -> None:
        super().__init__(
            subject="Cancel these points?",
            body="{{ ti.xcom_pull(task_ids='preview_run') }}",
            defaults=self.REJECT,
            response_timeout=timedelta(hours=hours),
            ignore_downstream_trigger_rules=True,
            **task,
        )
        self.journey_run = journey_run

    def execute(self, context: Context) -> Any:
        with ledger() as ours:
            settings = self._settings(ours.connection)
            if settings.dry_run:
                with ours.connection.begin():
                    end_dry_run(ours.connection, int(self.journey_run))
                self.log.info("a dry run ends with its preview: nothing was touched")
                self.skip(ti=context["ti"], tasks=context["task"].get_flat_relatives(upstream=False))
                return None
            if not settings.approval:
                self._decide(ours.connection, "not needed", "the run's settings", None)
                return None
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        if "error" not in event:
            decision = "approved" if event["chosen_options"] == [self.APPROVE] else "rejected"
            user = event.get("responded_by_user")
            name = (user.get("name") if isinstance(user, dict) else getattr(user, "name", None)) if user else None
            with ledger() as ours:
                self._decide(ours.connection, decision, name or "nobody: the time was over", event["responded_at"])
        return super().execute_complete(context, event)

    def _settings(self, connection: Connection) -> CancellationRun:
        with connection.begin():
            return journey.run_settings(connection, int(self.journey_run))

    def _decide(self, connection: Connection, decision: Any, who: str, when: datetime | None) -> None:
        with connection.begin():
            decide_run(connection, int(self.journey_run), decision, decided_by=who, decided_at=when)
        self.log.info("%s by %s", decision, who)


class CutChunks(OfARun):
    """The members are cut into chunks; pushes the chunks' numbers."""

    def execute(self, context: Context) -> list[int]:
        with ledger() as ours:
            return journey.cut(ours.connection, int(self.journey_run), size=ours.program.batch_size)


class OfAChunk(OfARun):
    """A step for the members of one chunk. Each range of them is committed: a retry goes on with those that wait."""

    template_fields = ("journey_run", "chunk")

    def __init__(self, *, chunk: int, **task: Any) -> None:
        super().__init__(**task)
        self.chunk = chunk

    @abstractmethod
    def work(self, connection: Connection, run_id: int, program: Program) -> Step:
        """The step is done; returns what it did just now."""

    def execute(self, context: Context) -> dict[str, int]:
        with ledger() as ours:
            done = self.work(ours.connection, int(self.journey_run), ours.program)
        self.log.info(
            f"chunk {self.chunk}: {done.member_count:,} members, {done.failed_count:,} failed, {done.points:,} points"
        )
        return {"members": done.member_count, "failed": done.failed_count, "points": done.points}

    def tell(self, done: Step) -> None:
        """Progress, range by range."""
        self.log.info(f"{done.member_count:,} members, {done.failed_count:,} failed, {done.points:,} points")


class LockBalances(OfAChunk):
    """Every member of the chunk has asked for its lock; where this database is the points engine, it has answered."""

    def work(self, connection: Connection, run_id: int, program: Program) -> Step:
        return journey.lock(connection, run_id, self.chunk, size=program.batch_size, on_batch=self.tell)


class FailUnlocked(OfAChunk):
    """Members whose lock was not confirmed in time have failed; skipped where there are none."""

    def work(self, connection: Connection, run_id: int, program: Program) -> Step:
        done = journey.fail_without_lock(connection, run_id, self.chunk, size=program.batch_size)
        return _some(done, done.failed_count, "every lock was confirmed")


class FilterClients(OfAChunk):
    """Members with active promotions are about to have them deactivated; pushes how many these are."""

    def work(self, connection: Connection, run_id: int, program: Program) -> Step:
        return journey.split_clients(connection, run_id, self.chunk, size=program.batch_size)


class DeactivatePromotions(OfAChunk):
    """The promotions of these members are deactivated, or asked for; skipped where no member has any."""

    def work(self, connection: Connection, run_id: int, program: Program) -> Step:
        done = journey.deactivate(connection, run_id, self.chunk, size=program.batch_size)
        with connection.begin():
            waiting = journey.someone_deactivates(connection, run_id, self.chunk)
        return _some(done, done.member_count or waiting, "no member has an active promotion")


class FailUndeactivated(OfAChunk):
    """Members whose promotions were not deactivated in time have failed; skipped where there are none."""

    def work(self, connection: Connection, run_id: int, program: Program) -> Step:
        done = journey.fail_with_promotions(connection, run_id, self.chunk, size=program.batch_size)
        return _some(done, done.failed_count, "every promotion was deactivated")


class DeductPoints(OfAChunk):
    """Every locked member has lost its points, computed again under the lock, or has failed with nothing moved."""

    def work(self, connection: Connection, run_id: int, program: Program) -> Step:
        return journey.deduct(
            connection, run_id, self.chunk, size=program.batch_size, mail=program.mail, on_batch=self.tell
        )


class ReleaseLocks(OfAChunk):
    """No lock of the chunk is live, and nobody on the way: whoever was, because a step failed, has failed."""

    def work(self, connection: Connection, run_id: int, program: Program) -> Step:
        return journey.release(connection, run_id, self.chunk, size=program.batch_size)


class FinishRun(OfARun):
    """The run is completed, with the totals of its members."""

    def execute(self, context: Context) -> dict[str, Any]:
        with ledger() as ours:
            totals = journey.finish(ours.connection, int(self.journey_run))
        return {"members": totals.member_count, "failed": totals.failed_count, "points": totals.points}


class Report(OfARun):
    """What the run did is in the log; pushes its totals. It fails where a task of the run has failed for good."""

    def execute(self, context: Context) -> dict[str, Any]:
        run_id = int(self.journey_run)
        with ledger() as ours, ours.connection.begin():
            report = report_cancellation(ours.connection, run_id)
        for line in report.lines():
            self.log.info("%s", line)
        failed = context["ti"].get_ti_count(
            dag_id=self.dag_id, run_ids=[context["run_id"]], states=["failed", "upstream_failed"]
        )
        if failed:
            raise AirflowFailException(
                f"{failed} tasks of this run have failed: the members of their chunks have failed with engine_error, "
                f"and a second round of run {run_id} takes them up"
            )
        return report.totals


def _some(done: Step, count: int, otherwise: str) -> Step:
    """The step as it was done; a task that had nothing to do shows itself as skipped."""
    if not count:
        raise AirflowSkipException(otherwise)
    return done
