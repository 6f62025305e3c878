"""The rate limits of one gateway process: admits calls in memory, and speaks to nobody.

Every process counts for itself, up to its share of each limit. Only one thread may use a gate. A
call that passed has a ``Ticket``, which knows what it took; whoever carries the call says what it
used, and frees its place at its end. Times are nanoseconds of a clock that never steps back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Final

from tollkeeper import clock
from tollkeeper.domain.budgets import Spender
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.gateway_company import WHOLE, Share
from tollkeeper.domain.minute_windows import MINUTE_NS, MinuteWindow, Taking, whole_seconds
from tollkeeper.domain.rate_limits import (
    Rate,
    RateBook,
    RateLimited,
    RateRule,
    Standing,
    WindowState,
)

ENTITIES_MAX: Final = 10_000
"""So many keys, people, teams and models are counted apart. Beyond, those of one rule share
a count, so that names nobody has seen before can neither fill the memory nor pass a limit."""
PARALLEL_RETRY_S: Final = 1
"""Nobody knows when a call ends; so soon it is worth another try."""

_PURGE_EVERY_NS: Final = 1_000_000_000
_OTHERS: Final = "\0others"  # no name: those are printable

_RowKey = tuple[tuple[str, str, str, str, bool], str]


class RateRow:
    """What counts of one rule for one entity. Its windows stand for the limits that are set."""

    __slots__ = ("in_use", "requests", "tokens")

    def __init__(self) -> None:
        self.requests = MinuteWindow()
        self.tokens = MinuteWindow()
        self.in_use = 0

    def is_idle(self, now_ns: int) -> bool:
        """Tell whether nothing of it counts any more."""
        for window in (self.requests, self.tokens):
            window.forget(now_ns)
        return not (self.in_use or self.requests.taken or self.tokens.taken)


# Plain tuples, which are taken apart in half the time of named ones, on every call.
_Windowed = tuple[MinuteWindow, int, RateRule]
"""A limit by the minute that a call concerns."""
_Parallel = tuple[RateRow, int, RateRule]
"""A limit on calls at the same time that a call concerns."""
_Limits = tuple[Sequence[_Windowed], Sequence[_Windowed], Sequence[_Parallel]]
"""All limits that a call concerns: requests, tokens, calls at the same time."""
_NO_LIMITS: Final[_Limits] = ((), (), ())


class RateSubject:
    """Calls that concern the same rules: made once for many calls of one profile.

    ``limits`` are those of the rules that ``seal`` stands for.
    """

    __slots__ = ("call", "limits", "seal")

    def __init__(self, call: Spender) -> None:
        self.call = call
        self.seal: object = None
        self.limits = _NO_LIMITS


class Ticket:
    """What a call took. Each method does nothing when it is called again.

    It is filled where it is made, which takes half the time that arguments would.
    """

    __slots__ = ("at_ns", "expected", "limits", "places", "takings")

    at_ns: int
    limits: _Limits
    places: Sequence[_Parallel]  # none once the call is over
    expected: int | None  # tokens; None once it is known what was used
    takings: list[Taking]  # of tokens, one for each limit

    def used(self, tokens: int, now_ns: Callable[[], int]) -> None:
        """Count the tokens that the call used in place of those that were expected.

        What was expected too much is given back; what was used beyond it counts from now on.
        """
        expected, self.expected = self.expected, None
        if expected is None or expected == tokens:
            return
        for (window, limit, _), taking in zip(self.limits[1], self.takings, strict=True):
            difference = tokens - (expected if expected < limit else limit)
            if difference > 0:
                at_ns = now_ns()
                window.forget(at_ns)
                window.take(difference, at_ns)
            elif taking.is_counted:
                taking.amount += difference
                window.taken += difference

    def release(self) -> None:
        """Say that the call is over: others may take its places."""
        places, self.places = self.places, ()
        for row, _, _ in places:
            row.in_use -= 1

    def cancel(self) -> None:
        """Say that the call was never sent: it counts for nothing."""
        if self.expected is not None:
            self.used(0, lambda: self.at_ns)
            for window, _, _ in self.limits[0]:
                taking = window.taking_at(self.at_ns)
                if taking is not None:
                    window.give_back(taking, 1)
        self.release()

    def standing(self, now_ns: int) -> Standing:
        """Say where the caller stands at a time."""
        requests, tokens, _ = self.limits
        return Standing(_least(requests, now_ns), _least(tokens, now_ns))


class RateGate:
    """Admits the calls of one gateway process by its rules."""

    def __init__(
        self,
        rules: Iterable[RateRule] = (),
        entities_max: int = ENTITIES_MAX,
        now_ns: Callable[[], int] = clock.monotonic_ns,
    ) -> None:
        self._entities_max = entities_max
        self._now_ns = now_ns
        self._book = RateBook(rules)
        self._share = WHOLE
        self._seal = object()  # a new one lets every subject be matched anew
        self._rows: dict[_RowKey, RateRow] = {}
        self._purged_ns = 0

    @property
    def entities(self) -> int:
        """Count the entities that are remembered."""
        return len(self._rows)

    @property
    def in_use(self) -> int:
        """Count the places that calls have taken, at all rules together."""
        return sum(row.in_use for row in self._rows.values())

    def use(self, rules: Iterable[RateRule]) -> None:
        """Take over changed rules. What was counted goes on to count where a rule still does."""
        book = RateBook(rules)
        if book.rules == self._book.rules:
            return
        counted = {rule.counted for rule in book.rules}
        self._rows = {key: row for key, row in self._rows.items() if key[0] in counted}
        self._book = book
        self._seal = object()

    def divide(self, share: Share) -> None:
        """Let no more pass from now on than this gateway's share of each limit."""
        if share != self._share:
            self._share = share
            self._seal = object()

    def concerns(self, subject: RateSubject) -> bool:
        """Tell whether any rule concerns these calls."""
        if subject.seal is not self._seal:
            self._match(subject)
        return subject.limits is not _NO_LIMITS

    def require_alike(self, subject: RateSubject, call: Spender) -> None:
        """Raise BadRequest where other rules concern a call by what became known of it late."""
        now = RateSubject(call)
        self._match(now)
        self._match(subject)
        if now.limits != subject.limits:
            raise BadRequest(
                "put the form field 'model' before the file: rate limits depend on it",
                code="model_late",
            )

    def admit(self, subject: RateSubject, tokens: int, now_ns: int) -> Ticket:
        """Take a call's place at all rules that it concerns, or raise RateLimited.

        ``tokens`` are those it is expected to use. A call that is expected to use more than a
        whole limit passes where nothing else counts.
        """
        if subject.seal is not self._seal:
            self._match(subject)
        by_request, by_token, parallel = subject.limits
        for window, limit, _ in by_request:
            if now_ns >= window.due_ns:
                window.forget(now_ns)
            if window.taken >= limit:
                raise _refusal(subject.limits, tokens, now_ns)
        for window, limit, _ in by_token:
            if now_ns >= window.due_ns:
                window.forget(now_ns)
            if window.taken + tokens > limit and not _fits(window, tokens, limit):
                raise _refusal(subject.limits, tokens, now_ns)
        for row, limit, _ in parallel:
            if row.in_use >= limit:
                raise _refusal(subject.limits, tokens, now_ns)
        # There is room everywhere. From here on it is ``MinuteWindow.take``, written out.
        ends_ns = now_ns + MINUTE_NS
        for window, _, _ in by_request:
            last = window.last
            if now_ns >= last.closes_ns:
                last = window.open(now_ns)
            last.amount += 1
            last.ends_ns = ends_ns
            window.taken += 1
        takings = []
        for window, limit, _ in by_token:
            last = window.last
            if now_ns >= last.closes_ns:
                last = window.open(now_ns)
            amount = tokens if tokens < limit else limit
            last.amount += amount
            last.ends_ns = ends_ns
            window.taken += amount
            takings.append(last)
        for row, _, _ in parallel:
            row.in_use += 1
        ticket = Ticket()
        ticket.at_ns = now_ns
        ticket.limits = subject.limits
        ticket.places = parallel
        ticket.expected = tokens
        ticket.takings = takings
        return ticket

    def _match(self, subject: RateSubject) -> None:
        seal, share = self._seal, self._share
        by_request: list[_Windowed] = []
        by_token: list[_Windowed] = []
        parallel: list[_Parallel] = []
        for rule, entity in self._book.concerns(subject.call):
            row = self._row(rule, entity)
            if rule.requests_per_minute is not None:
                by_request.append((row.requests, share.of(rule.requests_per_minute), rule))
            if rule.tokens_per_minute is not None:
                by_token.append((row.tokens, share.of(rule.tokens_per_minute), rule))
            if rule.parallel is not None:
                parallel.append((row, share.of(rule.parallel), rule))
        is_limited = by_request or by_token or parallel
        subject.limits = (by_request, by_token, parallel) if is_limited else _NO_LIMITS
        subject.seal = self._seal
        if seal is not self._seal:  # room was made meanwhile, perhaps of a row that was found
            self._match(subject)

    def _row(self, rule: RateRule, entity: str) -> RateRow:
        key = (rule.counted, entity)
        row = self._rows.get(key)
        if row is None and entity and len(self._rows) >= self._entities_max:
            self._purge()
            if len(self._rows) >= self._entities_max:
                key = (rule.counted, _OTHERS)
                row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = RateRow()
        return row

    def _purge(self) -> None:
        """Forget whoever has not called for a minute; at most once in a second."""
        now_ns = self._now_ns()
        if now_ns - self._purged_ns < _PURGE_EVERY_NS:
            return
        self._purged_ns = now_ns
        kept = {key: row for key, row in self._rows.items() if not row.is_idle(now_ns)}
        if len(kept) < len(self._rows):
            self._rows = kept
            self._seal = object()  # no subject may go on with a row that is forgotten


def _fits(window: MinuteWindow, tokens: int, limit: int) -> bool:
    """Tell whether a call passes that does not fit as it is: with nothing, or all alone."""
    return not tokens or (tokens > limit and not window.taken)


def _refusal(limits: _Limits, tokens: int, now_ns: int) -> RateLimited:
    """Say why not: the limit that keeps the call waiting longest."""
    by_request, by_token, parallel = limits
    waits: list[tuple[int, RateRule, Rate, int]] = []
    for rate, amount, windows in (
        (Rate.REQUESTS, 1, by_request),
        (Rate.TOKENS, tokens, by_token),
    ):
        for window, limit, rule in windows:
            window.forget(now_ns)
            wait_ns = window.wait_ns(amount, limit, now_ns) if amount else 0
            waits.append((whole_seconds(wait_ns), rule, rate, limit))
    for row, limit, rule in parallel:
        wait_s = PARALLEL_RETRY_S if row.in_use >= limit else 0
        waits.append((wait_s, rule, Rate.PARALLEL, limit))
    wait_s, rule, rate, limit = max(waits, key=itemgetter(0))
    standing = Standing(_least(by_request, now_ns), _least(by_token, now_ns))
    return RateLimited(rule, rate, limit, wait_s, standing)


def _least(windows: Sequence[_Windowed], now_ns: int) -> WindowState | None:
    """Give the state of the window with the least left, None where there is no window."""
    least: WindowState | None = None
    for window, limit, _ in windows:
        if now_ns >= window.due_ns:
            window.forget(now_ns)
        left = limit - window.taken if window.taken < limit else 0
        if least is None or left < least.left:
            least = WindowState(limit, left, whole_seconds(window.reset_ns(now_ns)))
    return least
