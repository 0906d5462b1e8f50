"""Reads ``program.yaml``; whatever is wrong with it is said at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from loyalty.definitions.fault_lines import fault_lines, key_path
from loyalty.errors import Faults
from loyalty.model.program import Program


def load_program(path: Path) -> Program:
    """The program that the file describes; Faults lists each wrong key with its value and what would be right."""
    settings, repeated = _read(path)
    try:
        program = Program.model_validate(settings)
    except ValidationError as error:
        raise Faults([*repeated, *fault_lines(str(path), Program, error)]) from None
    if repeated:
        raise Faults(repeated)
    return program


def _read(path: Path) -> tuple[Any, list[str]]:
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        settings = yaml.safe_load(text)
    except OSError as error:
        raise Faults([f"{path}: {error.strerror}; LOYALTY_PROGRAM names the file to read"]) from None
    except UnicodeDecodeError as error:
        raise Faults([f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise Faults([f"{path}: not YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(settings, dict):
        raise Faults([f"{path}: holds {settings!r}; a program is a list of keys with values, as in 'name: My program'"])
    return settings, [f"{path}: {line}" for line in _repeated_keys(tree, (), set())]


def _repeated_keys(node: yaml.Node | None, place: tuple[int | str, ...], seen: set[int]) -> Iterator[str]:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            yield from _repeated_keys(item, (*place, at), seen)
    if isinstance(node, yaml.MappingNode):
        yield from _repeated_in_mapping(node, place, seen)


def _repeated_in_mapping(node: yaml.MappingNode, place: tuple[int | str, ...], seen: set[int]) -> Iterator[str]:
    first_line: dict[str, int] = {}
    for key, value in node.value:
        here = (*place, str(key.value))
        line = key.start_mark.line + 1
        if str(key.value) in first_line:
            yield f"{key_path(here)}: given in line {first_line[str(key.value)]} and again in line {line}; keep one"
        first_line.setdefault(str(key.value), line)
        yield from _repeated_keys(value, here, seen)
