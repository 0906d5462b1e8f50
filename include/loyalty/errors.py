"""The one error that a user of the project is meant to read."""

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 40


class LoyaltyError(Exception):
    """Something the user gave, or the world around, is not as it must be; the message says what would be right."""


class Faults(LoyaltyError):  # noqa: N818 - it is many
    """Several faults of one source, found together and listed together."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type["Faults"], tuple[tuple[str, ...]]]:
        return type(self), (self.faults,)


def nearest(value: str, choices: Iterable[str]) -> str:
    """A hint that names the choice closest to ``value``, or all of them where none is close and they are few."""
    known = sorted(choices)
    ends = [one for one in known if one.casefold().endswith(value.casefold().replace(" ", "_"))]
    close = get_close_matches(value, known, n=1) or ends
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + (", ".join(known[:FEW]) + (", …" if len(known) > FEW else "") or "none")
