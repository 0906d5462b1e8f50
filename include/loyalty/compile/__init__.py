"""Definitions as SQLAlchemy Core statements; nothing here executes one."""

from loyalty.compile.expressions import compile_aggregate, compile_expression, compile_values
from loyalty.compile.filters import filter_clause
from loyalty.compile.segments import compile_segment

__all__ = ["compile_aggregate", "compile_expression", "compile_segment", "compile_values", "filter_clause"]
