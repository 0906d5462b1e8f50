"""`loyalty …`: the same services from a terminal."""

from loyalty.cli.app import app

__all__ = ["app"]
