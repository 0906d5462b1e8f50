"""The actions whose meaning the project fixes, and what each does to a balance."""

import re
from dataclasses import dataclass
from typing import Literal

Effect = Literal["earn", "reverse", "redeem", "return", "expire", "cancel", "restore", "adjust", "none"]
ACTION_PATTERN = re.compile(r"^([^\s*]+\*?|\*)$")
"""One action, or many: a * at the end stands for any rest."""
LOSING_EFFECTS: frozenset[Effect] = frozenset({"reverse", "redeem", "expire", "cancel"})


@dataclass(frozen=True)
class ActionMeaning:
    """What an action does to the balance, and the parameter that holds the amount; ``none`` has no parameter."""

    effect: Effect
    parameter: str | None

    @property
    def sign(self) -> int:
        """-1 where the amount is taken from the balance, 1 where it is added (an adjustment carries its own sign)."""
        return -1 if self.effect in LOSING_EFFECTS else 1


EARNING = ActionMeaning("earn", "points")
NOTHING = ActionMeaning("none", None)
BUILT_IN_ACTIONS: dict[str, ActionMeaning] = {
    "points.reverse": ActionMeaning("reverse", "points"),
    "points.expire": ActionMeaning("expire", "points"),
    "points.cancel": ActionMeaning("cancel", "points"),
    "points.restore": ActionMeaning("restore", "points"),
    "points.adjust": ActionMeaning("adjust", "points"),
    "client.activatePromotion": ActionMeaning("redeem", "promotionRequireRedeemedPoints"),
    "client.deactivatePromotion": ActionMeaning("return", "returnedPoints"),
    "points.lockRequested": NOTHING,
    "points.locked": NOTHING,
    "points.unlocked": NOTHING,
    "points.engineError": NOTHING,
    "client.redeemPromotion": NOTHING,
    "client.deactivatePromotionRequested": NOTHING,
    "transaction.charge": NOTHING,
    "transaction.refund": NOTHING,
}
