"""How the tasks of every journey are tried again; each of them may be, at any moment."""

from datetime import timedelta
from typing import Any

# 10 s, 20 s, 40 s … 5 min: ten minutes in all, which outlast the restart of a database.
PATIENT: dict[str, Any] = {
    "owner": "loyalty",
    "retries": 6,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=5),
}
