"""How long something takes, and which of its steps took what."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import Lock
from time import perf_counter
from types import ModuleType
from typing import Any
from unittest.mock import patch


def seconds(work: Callable[[], Any]) -> float:
    """How long the work takes by the clock on the wall."""
    started = perf_counter()
    work()
    return perf_counter() - started


class Stopwatch:
    """The seconds of each step; of steps that go on side by side in several threads, the sum."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self._lock = Lock()

    @contextmanager
    def lap(self, step: str) -> Iterator[None]:
        """What happens meanwhile is added to the step."""
        started = perf_counter()
        try:
            yield
        finally:
            self.add(step, perf_counter() - started)

    def add(self, step: str, took: float) -> None:
        with self._lock:
            self.steps[step] = self.steps.get(step, 0.0) + took

    def as_json(self) -> dict[str, float]:
        return {step: round(took, 4) for step, took in self.steps.items()}

    @contextmanager
    def timed(self, module: ModuleType, steps: Mapping[str, str]) -> Iterator[None]:
        """Functions of the module, by name, are timed as these steps wherever the module calls them."""
        with ExitStack() as patches:
            for name, step in steps.items():
                patches.enter_context(patch.object(module, name, self._clocked(getattr(module, name), step)))
            yield

    def _clocked(self, work: Callable[..., Any], step: str) -> Callable[..., Any]:
        def clocked(*arguments: Any, **named: Any) -> Any:
            with self.lap(step):
                return work(*arguments, **named)

        return clocked
