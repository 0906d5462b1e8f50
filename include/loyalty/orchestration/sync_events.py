"""Sources as an operator."""

from dataclasses import asdict

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from loyalty.orchestration.ledger import hook_url, ledger
from loyalty.services.sync_events import Synced, rejections, sync_events
from loyalty.store.database import source_connection

SHOWN = 20


class SyncEvents(BaseOperator):
    """What every source of program.yaml has held since the last reading is in the ledger; pushes the counts of each.

    Skipped where the program has no sources. A row that is no event is kept with its reason, and fails nothing.
    """

    def execute(self, context: Context) -> dict[str, dict[str, int]]:
        with ledger() as ours:
            if not ours.program.sources:
                raise AirflowSkipException("program.yaml has no sources: there is nothing to read")
            done = {}
            for source in ours.program.sources:
                with source_connection(hook_url(PostgresHook(source.connection))) as theirs:
                    now = context["ti"].start_date
                    read = sync_events(ours.connection, theirs, source, now=now, on_batch=self._tell)
                done[source.name] = asdict(read)
            with ours.connection.begin():
                for row in rejections(ours.connection)[:SHOWN]:
                    self.log.warning(f"{row['source']}: {row['event_id']}: {row['reason']}")
        return done

    def _tell(self, total: Synced) -> None:
        self.log.info(f"{total.read:,} rows read, {total.stored:,} stored, {total.rejected:,} rejected")
