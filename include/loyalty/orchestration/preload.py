"""Imports what tasks need: the scheduler forks its workers, and each task is spared a second of imports."""

import psycopg  # noqa: F401
from airflow.providers.postgres.hooks.postgres import PostgresHook  # noqa: F401

import loyalty.orchestration.after_run
import loyalty.orchestration.award_points
import loyalty.orchestration.batch_cancellation
import loyalty.orchestration.batch_cancellation_form
import loyalty.orchestration.daily_close
import loyalty.orchestration.mail
import loyalty.orchestration.rolling_expiry
import loyalty.orchestration.waits  # noqa: F401
