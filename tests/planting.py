"""Faults planted in statements of services and in functions of the database."""

from types import ModuleType

import pytest
from sqlalchemy import Engine, text

from loyalty.store.database import transaction
from loyalty.store.queries import query

DEFINITION = text("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE oid::regproc::text = :name")
Change = tuple[str, str]


class Planter:
    """Changes words of the program while a test lasts: each change is an old text and the new one."""

    def __init__(self, database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._database, self._monkeypatch = database, monkeypatch
        self._originals: list[str] = []

    def statement(self, service: ModuleType, name: str, *changes: Change) -> None:
        """The service says something else where it says store/sql/``name``.sql."""
        planted, real = _altered(query(name).text, changes), service.query
        self._monkeypatch.setattr(service, "query", lambda asked: text(planted) if asked == name else real(asked))

    def function(self, name: str, *changes: Change) -> None:
        """The function of the database does something else."""
        with transaction(self._database) as connection:
            self._originals.append(connection.execute(DEFINITION, {"name": name}).scalar_one())
        self._define(_altered(self._originals[-1], changes))

    def restore_functions(self) -> None:
        while self._originals:
            self._define(self._originals.pop())

    def _define(self, function: str) -> None:
        with transaction(self._database) as connection:
            connection.exec_driver_sql(function.replace("%", "%%"))


def _altered(words: str, changes: tuple[Change, ...]) -> str:
    for old, new in changes:
        assert old in words, f"{old!r} is not there any more: plant the fault in what stands in its place"
        words = words.replace(old, new)
    return words
