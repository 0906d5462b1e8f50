"""The world outside a cancellation of the crowd: a points engine with manners, customers who buy, and time."""

from dataclasses import dataclass

from sqlalchemy import Engine, bindparam, text

from e2e.crowd import BOUGHT_UNDER_A_LOCK, of_role
from loyalty.errors import LoyaltyError
from loyalty.local.engine import Manners, OutsideEngine
from loyalty.store.database import transaction

BUY = text(
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, source) "
    "SELECT profile_id, md5('bought under a lock:' || customer_id)::uuid, 'points.loyalty', clock_timestamp(), "
    ":points, jsonb_build_object('points', CAST(:points AS integer)), 'test' FROM loyalty.journey_member "
    "JOIN loyalty.profile USING (profile_id) WHERE state = 'locked' AND customer_id = ANY (CAST(:buyers AS text[])) "
    "ORDER BY profile_id ON CONFLICT (profile_id, key) DO NOTHING"
).bindparams(bindparam("points", BOUGHT_UNDER_A_LOCK))
END_LOCKS = text(
    "UPDATE loyalty.account SET lock_expires_at = clock_timestamp() FROM loyalty.journey_member AS member "
    "JOIN loyalty.profile USING (profile_id) "
    "WHERE account.profile_id = member.profile_id AND account.lock_run_id = member.run_id AND member.state = 'locked' "
    "AND account.lock_expires_at > clock_timestamp() AND customer_id = ANY (CAST(:hasty AS text[]))"
)
END_LOCK_WAITS = text(
    "UPDATE loyalty.journey_chunk AS chunk SET lock_deadline_at = clock_timestamp() "
    "WHERE lock_deadline_at > clock_timestamp() AND NOT EXISTS ("
    "  SELECT FROM loyalty.journey_member AS member JOIN loyalty.profile USING (profile_id) "
    "  LEFT JOIN loyalty.account USING (profile_id) WHERE member.run_id = chunk.run_id "
    "  AND profile_id BETWEEN chunk.first_profile_id AND chunk.last_profile_id AND ("
    "    (member.state = 'lock_requested' AND customer_id <> ALL (CAST(:silent AS text[]))) "
    "    OR (customer_id = ANY (CAST(:hasty AS text[])) AND account.lock_expires_at > clock_timestamp()) "
    "    OR (customer_id = ANY (CAST(:buyers AS text[])) AND member.state <> 'failed' AND NOT EXISTS ("
    "      SELECT FROM loyalty.event WHERE event.profile_id = member.profile_id "
    "      AND event.key = md5('bought under a lock:' || customer_id)::uuid))))"
)
END_DEACTIVATION_WAITS = text(
    "UPDATE loyalty.journey_chunk AS chunk SET deactivation_deadline_at = clock_timestamp() "
    "WHERE deactivation_deadline_at > clock_timestamp() AND NOT EXISTS ("
    "  SELECT FROM loyalty.promotion_activation AS activation JOIN loyalty.profile USING (profile_id) "
    "  WHERE profile_id BETWEEN chunk.first_profile_id AND chunk.last_profile_id "
    "  AND activation.state = 'deactivating' AND customer_id <> ALL (CAST(:idle AS text[])))"
)


@dataclass(frozen=True)
class Conduct:
    """What else happens outside: who buys under a lock, whose lock ends early."""

    buyers: tuple[str, ...]
    hasty: tuple[str, ...]


class World(OutsideEngine):
    """An engine with these manners, customers, and time: a deadline comes when only those are left who never answer."""

    def __init__(self, database: Engine, count: int) -> None:
        manners = Manners(silent=of_role(1, count), idle=of_role(2, count), refuses=of_role(3, count))
        super().__init__(database, manners)
        self.conduct = Conduct(buyers=tuple(of_role(6, count)), hasty=tuple(of_role(4, count)))

    def answer(self) -> None:
        try:
            super().answer()
            self._go_on()
        except LoyaltyError:  # no database answers: ask again
            return

    def _go_on(self) -> None:
        buyers, hasty = list(self.conduct.buyers), list(self.conduct.hasty)
        with transaction(self._database) as connection:
            connection.execute(BUY, {"buyers": buyers})
        with transaction(self._database) as connection:
            connection.execute(END_LOCKS, {"hasty": hasty})
        with transaction(self._database) as connection:
            silent = list(self.manners.silent)
            connection.execute(END_LOCK_WAITS, {"silent": silent, "hasty": hasty, "buyers": buyers})
            connection.execute(END_DEACTIVATION_WAITS, {"idle": list(self.manners.idle)})
