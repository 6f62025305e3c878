"""The sandbox's own count of calls: what it billed to whom, to hold a ledger against."""

from __future__ import annotations

import enum
from collections import Counter, deque
from typing import Any, Final

from tollkeeper.sandbox.script import Account, Script

CALLS_MAX: Final = 100_000
_NO_ACCOUNT: Final = Account()


class Outcome(enum.StrEnum):
    """How far a call got."""

    READING = "reading"  # its request is not complete
    ANSWERING = "answering"
    ANSWERED = "answered"
    REFUSED = "refused"  # the request could not be read
    BROKEN = "broken"  # by the sandbox, because it was asked to
    LEFT = "left"  # by the caller


class Totals:
    """Counts since the start or the last reset."""

    __slots__ = ("answered", "began", "read", "redirected", "refused")

    def __init__(self) -> None:
        self.began = 0
        self.read = 0
        self.answered = 0
        self.refused = 0
        self.redirected = 0


class Call:
    """One call. ``writes_done`` of its script are out; when it has ended, the account stays."""

    __slots__ = ("_account", "endpoint", "nonce", "outcome", "script", "totals", "writes_done")

    def __init__(self, totals: Totals, endpoint: str, nonce: str) -> None:
        self.totals = totals
        self.endpoint = endpoint
        self.nonce = nonce
        self.outcome = Outcome.READING
        self.script: Script | None = None
        self.writes_done = 0
        self._account = _NO_ACCOUNT

    def answering(self, script: Script) -> None:
        """The request is there as a whole, and this is what it gets."""
        self.totals.read += 1
        self.script = script
        self.outcome = Outcome.ANSWERING

    def ended(self, outcome: Outcome) -> None:
        """Nothing more happens to this call."""
        self._account = self.account
        self.script = None  # replies are large, and calls are many
        self.outcome = outcome
        if outcome is Outcome.ANSWERED:
            self.totals.answered += 1

    @property
    def account(self) -> Account:
        """Say what is to be told as it stands."""
        return self._account if self.script is None else self.script.account_after(self.writes_done)

    def state(self) -> dict[str, Any]:
        """Describe the call."""
        account = self.account
        return {
            "nonce": self.nonce,
            "endpoint": self.endpoint,
            "model": account.model,
            "status": account.status,
            "streamed": account.streamed,
            "outcome": self.outcome,
            "pieces": account.pieces,
            "pieces_sent": account.pieces_sent,
            "billed": account.billed.quantities(),
        }


class CallBook:
    """The totals, and the latest calls."""

    def __init__(self) -> None:
        self.totals = Totals()
        self._calls: deque[Call] = deque(maxlen=CALLS_MAX)

    def begin(self, endpoint: str, nonce: str) -> Call:
        """A request has begun."""
        totals = self.totals
        totals.began += 1
        call = Call(totals, endpoint, nonce)
        self._calls.append(call)
        return call

    def reset(self) -> None:
        """Start anew. Calls under way keep counting into what is thrown away."""
        self.totals = Totals()
        self._calls.clear()

    def state(self, *, nonce: str | None = None, limit: int = CALLS_MAX) -> dict[str, Any]:
        """Give the totals, what all kept calls were billed, and the latest of them."""
        calls = [call for call in self._calls if nonce is None or call.nonce == nonce]
        billed: Counter[str] = Counter()
        for call in calls:
            billed.update(call.account.billed.quantities())
        totals = self.totals
        return {
            "began": totals.began,
            "read": totals.read,
            "answered": totals.answered,
            "refused": totals.refused,
            "redirected": totals.redirected,
            "billed": dict(billed),
            "calls": [call.state() for call in calls[max(0, len(calls) - limit) :]],
        }
