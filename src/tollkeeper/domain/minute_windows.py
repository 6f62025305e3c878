"""What was taken within the last minute, in whole numbers, on a clock that never steps back.

The window slides: whatever is taken counts for a minute from then on, so that no minute, wherever
it begins, has more than the limit. Takings of one half second are remembered as one, which ends
with the last of them: so a window holds some 120 numbers at most, and counts a taking for up to
half a second longer than it must, never shorter.
"""

from __future__ import annotations

from typing import Final

MINUTE_NS: Final = 60_000_000_000
GRAIN_NS: Final = 500_000_000
"""Takings that are no further apart than this may be remembered as one."""

_SECOND_NS: Final = 1_000_000_000


class Taking:
    """What was taken within one half second. ``ends_ns`` is when it counts no more."""

    __slots__ = ("amount", "closes_ns", "ends_ns", "is_counted")

    def __init__(self, now_ns: int) -> None:
        self.amount = 0
        self.closes_ns = now_ns + GRAIN_NS
        self.ends_ns = now_ns + MINUTE_NS
        self.is_counted = True


class MinuteWindow:
    """One sliding minute. ``taken`` is what counts now, once ``forget`` was called.

    ``due_ns`` is when the oldest taking ends: before that ``forget`` has nothing to do.
    ``last`` is the newest taking, to which more may be added while it is not closed.
    """

    __slots__ = ("_takings", "due_ns", "last", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.due_ns = 0
        self.last = Taking(-MINUTE_NS)  # closed, and over
        self._takings: list[Taking] = []

    def forget(self, now_ns: int) -> None:
        """Forget what was taken a minute ago."""
        takings = self._takings
        done = 0
        for taking in takings:
            if taking.ends_ns > now_ns:
                break
            taking.is_counted = False
            self.taken -= taking.amount
            done += 1
        del takings[:done]
        # Nothing ends before the minute of the next taking, whenever that may be.
        self.due_ns = takings[0].ends_ns if takings else now_ns + MINUTE_NS

    def take(self, amount: int, now_ns: int) -> Taking:
        """Count an amount for a minute from now on, whether there is room or not."""
        last = self.last
        if now_ns >= last.closes_ns:
            last = self.open(now_ns)
        last.amount += amount
        last.ends_ns = now_ns + MINUTE_NS
        self.taken += amount
        return last

    def open(self, now_ns: int) -> Taking:
        """Begin a taking, of nothing yet."""
        taking = self.last = Taking(now_ns)
        self._takings.append(taking)
        return taking

    def give_back(self, taking: Taking, amount: int) -> None:
        """Count less of a taking. Of one whose minute is over nothing counts any more."""
        if taking.is_counted:
            taking.amount -= amount
            self.taken -= amount

    def taking_at(self, at_ns: int) -> Taking | None:
        """Give the taking of a moment, None where its minute is over."""
        for taking in reversed(self._takings):
            if taking.closes_ns - GRAIN_NS <= at_ns:
                return taking
        return None

    def wait_ns(self, amount: int, limit: int, now_ns: int) -> int:
        """Say how long it takes until an amount fits, 0 if it does; at most a minute."""
        excess = self.taken + min(amount, limit) - limit
        if excess <= 0:
            return 0
        for taking in self._takings:
            excess -= taking.amount
            if excess <= 0:
                return max(0, taking.ends_ns - now_ns)
        return MINUTE_NS

    def reset_ns(self, now_ns: int) -> int:
        """Say how long it takes until nothing counts any more, if nothing is taken."""
        return max(0, self._takings[-1].ends_ns - now_ns) if self._takings else 0


def whole_seconds(duration_ns: int) -> int:
    """Round a duration up to seconds."""
    return -(-duration_ns // _SECOND_NS)
