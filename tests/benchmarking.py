"""The benchmarks' own modules, which are no package and nobody's dependency."""

import importlib.util
import sys
from types import ModuleType

from loyalty.settings import PROJECT


def module_of_benchmarks(name: str) -> ModuleType:
    """The module of that name in ``benchmarks/``."""
    spec = importlib.util.spec_from_file_location(name, PROJECT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
