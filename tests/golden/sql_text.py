"""A statement as text that a reviewer can read: one clause a line."""

import re
from datetime import UTC, datetime

from sqlalchemy import Select
from sqlalchemy.dialects.postgresql import psycopg

_MARK = datetime(2222, 2, 22, tzinfo=UTC)
_BREAKS = (
    (r" ?\n(FROM|WHERE|GROUP BY|HAVING|UNION)", r"\n\1"),
    (r" (LEFT OUTER JOIN|JOIN LATERAL|GROUP BY|HAVING)", r"\n\1"),
    (r", (?=(loyalty\.total|sum|count|min|max|avg|CAST|coalesce)\()", ",\n  "),
    (r"(?<! ON)(?<! BETWEEN) AND (?=[a-z(])", r"\n    AND "),
)


def sql_text(statement: Select[object]) -> str:
    bound = statement.params(as_of=_MARK)
    text = str(bound.compile(dialect=psycopg.dialect(), compile_kwargs={"literal_binds": True}))
    text = text.replace(f"'{_MARK}'", ":as_of").replace("%%", "%")
    for pattern, replacement in _BREAKS:
        text = re.sub(pattern, replacement, text)
    return text + ";\n"
