"""Imports what tasks need: the scheduler forks its workers, and each task is spared a second of imports."""

import psycopg  # noqa: F401
from airflow.providers.postgres.hooks.postgres import PostgresHook  # noqa: F401

import loyalty.orchestration.after_run
import loyalty.orchestration.award_points
import loyalty.orchestration.rolling_expiry  # noqa: F401
