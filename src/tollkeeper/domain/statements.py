"""Statements: what is booked for each team in a month, in lines that add up to the ledger.

A month's lines are its use, corrections of months whose statements were issued before, and
what shared cost takes from one team and gives to others. Seats of flat-rate plans stand apart:
nothing of them is in the ledger. Amounts are nano-dollars; None is not known, and never 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.sharing import Sharing, Split, placed

DISCOUNTED: Final = frozenset({Basis.PROVIDER_REPORTED, Basis.MEASURED, Basis.ESTIMATED})
"""How cost is known that a list price can be compared with."""


class UseKey(NamedTuple):
    """What makes a line one. ``month`` is when it was used (``2026-10``)."""

    month: str
    team: str
    provider: str
    model: str
    feature: str
    basis: str
    shared: bool


class Use(NamedTuple):
    """One line of use, or of the difference to what was told of it before.

    ``entries`` counts those that stand, ``first_version`` and ``last_version`` are the price
    versions between which all of its entries were priced ("" where none was).
    """

    key: UseKey
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    entries: int = 0
    unpriced: int = 0
    cost_nanos: int | None = None
    list_nanos: int | None = None
    first_version: str = ""
    last_version: str = ""

    @property
    def says_something(self) -> bool:
        """Tell whether anything was used: refused calls alone are no line."""
        return any((self.requests, self.tokens, self.unpriced, self.cost_nanos, self.list_nanos))

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    @property
    def discount_nanos(self) -> int:
        """Give how much less it cost than by the list; below zero if more."""
        if self.key.basis not in DISCOUNTED or self.list_nanos is None or self.cost_nanos is None:
            return 0
        return self.list_nanos - self.cost_nanos


class Share(NamedTuple):
    """Shared cost that a team has ``given`` away (below zero), or gets.

    ``weight`` out of all ``weights`` is its part, None where it gives or that is not told.
    """

    team: str
    cost_nanos: int
    list_nanos: int
    given: bool = False
    weight: int | None = None
    weights: int | None = None


class Seats(NamedTuple):
    """The part of a flat-rate plan that a team pays, by how many of its people it is for."""

    plan: str
    provider: str
    team: str
    people: int
    seats: int
    seat_nanos: int
    cost_nanos: int


class MonthStatement(NamedTuple):
    """All that is booked in a month. It lasts from ``start_us`` to before ``end_us``.

    ``entries`` counts the rows of the ledger, corrections and all, by the month of their use,
    of each month that the lines tell of: entries are only ever added, so the same count means
    that nothing has changed.
    """

    month: str
    org: str
    zone: str
    start_us: int
    end_us: int
    sharing: Sharing
    uses: Sequence[Use]
    corrections: Sequence[Use]
    shares: Sequence[Share]
    seats: Sequence[Seats]
    entries: Mapping[str, int]

    @property
    def teams(self) -> tuple[str, ...]:
        """List the teams with a line, by name; "" is what belongs to no team."""
        named = {use.key.team for use in (*self.uses, *self.corrections)}
        named |= {each.team for each in self.shares} | {each.team for each in self.seats}
        return tuple(sorted(named))

    def of(self, teams: frozenset[str] | None) -> MonthStatement:
        """Give the lines of these teams alone; None for all."""
        if teams is None:
            return self
        return self._replace(
            uses=[use for use in self.uses if use.key.team in teams],
            corrections=[use for use in self.corrections if use.key.team in teams],
            shares=[each for each in self.shares if each.team in teams],
            seats=[each for each in self.seats if each.team in teams],
        )

    def limited(self, teams: frozenset[str] | None) -> MonthStatement:
        """Give what somebody may see who sees these teams alone, None for all.

        Weights are costs of other teams, rules name them, and entries count theirs.
        """
        if teams is None:
            return self
        return self.of(teams)._replace(
            shares=[
                each._replace(weight=None, weights=None)
                for each in self.shares
                if each.team in teams
            ],
            sharing=Sharing(self.sharing.split),
            entries={},
        )

    def totals(self) -> Totals:
        """Add up all lines."""
        both = (*self.uses, *self.corrections)
        use, corrected = (_sum(each) for each in (self.uses, self.corrections))
        shared = sum(each.cost_nanos for each in self.shares)
        return Totals(
            use,
            corrected,
            shared,
            use + corrected + shared,
            sum(each.cost_nanos for each in self.seats),
            sum(each.list_nanos or 0 for each in both if each.key.basis in DISCOUNTED)
            + sum(each.list_nanos for each in self.shares),
            sum(each.discount_nanos for each in both),
            _sum(each for each in both if each.key.basis == Basis.ESTIMATED),
            sum(each.list_nanos or 0 for each in both if each.key.basis == Basis.FLAT_RATE),
            sum(each.requests for each in both),
            sum(each.tokens for each in both),
            sum(each.unpriced for each in both),
            sum(each.unpriced for each in self.uses),
        )


class Totals(NamedTuple):
    """Sums of lines, in nano-dollars and counts. ``cost_nanos`` is what is booked, without seats.

    ``flat_rate_nanos`` is the list value of calls under flat-rate plans; nobody paid it.
    ``unpriced`` is the balance of entries without a price, ``unpriced_now`` those of this
    month's own use.
    """

    use_nanos: int
    corrected_nanos: int
    shared_nanos: int
    cost_nanos: int
    seats_nanos: int
    list_nanos: int
    discount_nanos: int
    estimated_nanos: int
    flat_rate_nanos: int
    requests: int
    tokens: int
    unpriced: int
    unpriced_now: int


class IssuedStatement(NamedTuple):
    """A month's statement as it was issued: its text never changes, ``sha256`` is the text's."""

    month: str
    issued_at_us: int
    issued_by: str
    sha256: str
    document: bytes


class IssuedHead(NamedTuple):
    """What is known of an issued statement without its text."""

    month: str
    issued_at_us: int
    issued_by: str
    sha256: str


class IssuedStatements(Protocol):
    """Where issued statements are kept."""

    def issued_statements(self) -> list[IssuedHead]:
        """List the issued statements, the oldest month first."""

    def issued_statement(self, month: str) -> IssuedStatement | None:
        """Give a month's statement as it was issued, None before it is."""

    def issue_statement(self, issued: IssuedStatement) -> None:
        """Keep a statement for ever. Raises ValueError when the month has one."""


class Facts(Protocol):
    """What the ledger says of a stretch of time."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all that this thread asks inside be of one state of the ledger."""

    def first_us(self) -> int | None:
        """Give the start of the first entry, None where there is none."""

    def count(self, start_us: int, end_us: int) -> int:
        """Count the rows of the ledger, corrections and all."""

    def reasons(self, start_us: int, end_us: int) -> dict[str, int]:
        """Count the entries without a price by the reason; corrected ones are none any more."""

    def uses(self, month: str, start_us: int, end_us: int, sharing: Sharing) -> tuple[Use, ...]:
        """Sum up the entries in lines; lines in which nothing was used are left out."""


def differences(now: Iterable[Use], told: Iterable[Use]) -> list[Use]:
    """Give what lines say now beyond what was told of them, line by line; the same gives none."""
    before: dict[UseKey, Use] = {}
    for use in told:
        before[use.key] = _added(before[use.key], use) if use.key in before else use
    found = []
    for use in now:
        old = before.pop(use.key, None)
        found.append(use if old is None else _added(use, _negative(old)))
    found += [_negative(old) for old in before.values()]
    return sorted((use for use in found if use.says_something), key=lambda use: use.key)


def shares_of(
    uses: Sequence[Use], corrections: Sequence[Use], sharing: Sharing
) -> tuple[Share, ...]:
    """Split shared cost, corrections of it included. It is left where nobody is to bear it."""
    given: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for use in (*uses, *corrections):
        if use.key.shared:
            given[use.key.team][0] += use.cost_nanos or 0
            if use.key.basis in DISCOUNTED:
                given[use.key.team][1] += use.list_nanos or 0
    weights = weights_of(uses, sharing)
    whole = sum(weights.values())
    cost, listed = (sum(each[place] for each in given.values()) for place in (0, 1))
    if not whole or not any(amount for each in given.values() for amount in each):
        return ()
    costs, lists = placed(cost, weights), placed(listed, weights)
    away = [Share(team, -a, -b, given=True) for team, (a, b) in sorted(given.items()) if a or b]
    got = [
        Share(team, costs[team], lists[team], weight=weights[team], weights=whole)
        for team in sorted(costs)
    ]
    return (*away, *got)


def weights_of(uses: Iterable[Use], sharing: Sharing) -> dict[str, int]:
    """Say how much each team bears; those of weight zero are left out.

    By use, where no team's calls cost anything, all that made any bear the same.
    """
    if sharing.split is Split.FIXED:
        return {team: weight for team, weight in sharing.weights.items() if weight > 0}
    cost: dict[str, int] = defaultdict(int)
    for use in uses:
        if not use.key.shared:
            cost[use.key.team] += use.cost_nanos or 0
    dear = {team: nanos for team, nanos in cost.items() if nanos > 0}
    if sharing.split is Split.USAGE and dear:
        return dear
    return dict.fromkeys(cost, 1)


def following_month(month: str) -> str:
    """Name the month after."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12}-{number % 12 + 1:02d}"


def next_open(month: str, issued: Iterable[str]) -> str:
    """Name the first month after this one whose statement is not issued."""
    known = frozenset(issued)
    while (month := following_month(month)) in known:
        pass
    return month


def lines_of(statement: MonthStatement) -> Iterator[tuple[str, Use | Share | Seats]]:
    """Give all lines by kind: ``usage``, ``correction``, ``shared``, ``seats``."""
    yield from (("usage", use) for use in statement.uses)
    yield from (("correction", use) for use in statement.corrections)
    yield from (("shared", each) for each in statement.shares)
    yield from (("seats", each) for each in statement.seats)


def _sum(uses: Iterable[Use]) -> int:
    return sum(use.cost_nanos or 0 for use in uses)


def _added(left: Use, right: Use) -> Use:
    versions = [each for each in (left.first_version, right.first_version) if each]
    return Use(
        left.key,
        left.requests + right.requests,
        left.tokens_in + right.tokens_in,
        left.tokens_out + right.tokens_out,
        left.entries + right.entries,
        left.unpriced + right.unpriced,
        _plus(left.cost_nanos, right.cost_nanos),
        _plus(left.list_nanos, right.list_nanos),
        min(versions, default=""),
        max(left.last_version, right.last_version),
    )


def _negative(use: Use) -> Use:
    return use._replace(
        requests=-use.requests,
        tokens_in=-use.tokens_in,
        tokens_out=-use.tokens_out,
        entries=-use.entries,
        unpriced=-use.unpriced,
        cost_nanos=None if use.cost_nanos is None else -use.cost_nanos,
        list_nanos=None if use.list_nanos is None else -use.list_nanos,
    )


def _plus(left: int | None, right: int | None) -> int | None:
    return right if left is None else left if right is None else left + right
