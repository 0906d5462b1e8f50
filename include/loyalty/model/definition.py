"""What aggregates, expressions and segments share: a name to speak of them, an id that never changes, a title."""

from typing import Any, ClassVar, Self
from uuid import UUID, uuid5

from pydantic import JsonValue, model_validator

from loyalty.model.frozen import Frozen, Slug

NAMESPACE = UUID("5b0c7d62-6c1f-5d0e-9f0a-3c9a2d6f8e41")


class Definition(Frozen):
    """One definition; without an id of its own it has the one that its kind and its name give."""

    kind: ClassVar[str]

    name: Slug
    id: UUID = UUID(int=0)
    title: str = ""

    @model_validator(mode="before")
    @classmethod
    def _has_an_id(cls, given: Any) -> Any:
        if isinstance(given, dict) and "id" not in given and isinstance(given.get("name"), str):
            return {**given, "id": uuid5(NAMESPACE, f"{cls.kind}/{given['name']}")}
        return given

    @model_validator(mode="after")
    def _has_a_title(self) -> Self:
        if not self.title:
            object.__setattr__(self, "title", self.name.replace("_", " ").capitalize())
        return self

    def to_json(self) -> dict[str, JsonValue]:
        """The definition as the program file and a run's record hold it."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
