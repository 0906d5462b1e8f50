"""All definitions of a program: the shipped ones and those that its operator wrote."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from loyalty.definitions.balance import shipped_definitions
from loyalty.definitions.fault_lines import Place, fault_lines, key_path
from loyalty.errors import Faults
from loyalty.model.aggregates import Aggregate
from loyalty.model.catalog import Catalog
from loyalty.model.expressions import Expression
from loyalty.model.program import Program
from loyalty.model.references import AnyDefinition
from loyalty.model.segments import Segment

_KINDS: dict[str, type[AnyDefinition]] = {"aggregates": Aggregate, "expressions": Expression, "segments": Segment}


def load_catalog(program: Program, source: str = "program.yaml") -> Catalog:
    """The catalog of the program; Faults lists everything that is wrong with it, each by its key path in ``source``."""
    written: list[AnyDefinition] = []
    places: dict[int, str] = {}
    faults: list[str] = []
    broken: set[str] = set()
    for place, kind, raw in _written(program):
        try:
            one = kind.model_validate(raw)
        except ValidationError as error:
            faults += fault_lines(source, kind, error, under=place)
            broken.add(f"refers to {raw.get('name')!r}, which")
        else:
            written.append(one)
            places[id(one)] = f"{source}: {key_path(place)}"
    try:
        catalog = Catalog((*shipped_definitions(program), *written), places)
    except Faults as found:
        faults += [text for text in found.faults if not any(cause in text for cause in broken)]
    if faults:
        raise Faults(faults)
    return catalog


def _written(program: Program) -> Iterator[tuple[Place, type[AnyDefinition], dict[str, Any]]]:
    for key, kind in _KINDS.items():
        for at, raw in enumerate(getattr(program.definitions, key)):
            yield ("definitions", key, at), kind, raw
