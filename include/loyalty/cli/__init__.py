"""`loyalty …`: the same services from a terminal."""

from loyalty.cli.app import app, main

__all__ = ["app", "main"]
