"""What every journey ends with, as operators: the books are checked, and the run is told."""

from dataclasses import asdict
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from loyalty.orchestration.days import JOURNEY_RUN
from loyalty.orchestration.ledger import ledger
from loyalty.services.reconcile import Finding, broken, reconcile_side_by_side
from loyalty.services.report_run import RunReport, report_run


class Reconcile(BaseOperator):
    """Every invariant holds for the run's members; otherwise the task fails, with the offending rows in its log."""

    template_fields = ("journey_run",)

    def __init__(self, *, journey_run: str = JOURNEY_RUN, **task: Any) -> None:
        super().__init__(**task)
        self.journey_run = journey_run

    def execute(self, context: Context) -> None:
        with ledger() as ours:
            findings = reconcile_side_by_side(ours.connection.engine, int(self.journey_run))
        for finding in findings:
            self._tell(finding)
        faults = ", ".join(f"{finding.invariant} ({finding.count} rows)" for finding in broken(findings))
        if faults:
            raise AirflowFailException(f"the ledger breaks its invariants: {faults}; the log shows the rows")

    def _tell(self, finding: Finding) -> None:
        if finding.holds:
            self.log.info("%s holds", finding.invariant)
            return
        self.log.error("%s is broken by %d rows:", finding.invariant, finding.count)
        for row in finding.rows:
            self.log.error("    %s", ", ".join(f"{name} {value}" for name, value in row.items()))


class Report(BaseOperator):
    """What the run did is a table in the log; pushes its totals."""

    template_fields = ("journey_run",)

    def __init__(self, *, journey_run: str = JOURNEY_RUN, **task: Any) -> None:
        super().__init__(**task)
        self.journey_run = journey_run

    def execute(self, context: Context) -> dict[str, Any]:
        with ledger() as ours, ours.connection.begin():
            report = report_run(ours.connection, int(self.journey_run))
        for line in lines(report):
            self.log.info("%s", line)
        return asdict(report.totals) | {"business_date": str(report.totals.business_date)}


def lines(report: RunReport) -> list[str]:
    """The report as a table: the totals of the run, and each midnight that it settled."""
    totals = report.totals
    table = [("midnight", "customers", "expired", "given back")]
    table += [(str(n.midnight), f"{n.customers:,}", f"{n.expired:,}", f"{n.given_back:,}") for n in report.nights]
    return [
        f"as of {totals.business_date}: {totals.member_count:,} members, {totals.points:,} points taken, "
        f"{totals.shortfall:,} points due that were no longer there",
        *(f"{row[0]:<10} {row[1]:>12} {row[2]:>16} {row[3]:>16}" for row in table),
    ]
