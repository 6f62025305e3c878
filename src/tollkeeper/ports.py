"""What we need from outside, as protocols. Adapters live in ``storage``, ``providers``, ``notify``.

Rules and apps name only these; ``bootstrap.py`` decides who stands behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from tollkeeper.data_folder import DataFolder as DataFolder
from tollkeeper.domain.access import VirtualKey
from tollkeeper.domain.alerts import AlertBook
from tollkeeper.domain.audit import AuditLog
from tollkeeper.domain.beside import Beside
from tollkeeper.domain.budget_raises import BudgetRaises
from tollkeeper.domain.budgets import Budget, Budgets
from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import Message, Outbox, Outcome
from tollkeeper.domain.invitations import Invitations
from tollkeeper.domain.job_bills import Billed
from tollkeeper.domain.leases import Account
from tollkeeper.domain.leases import BudgetAuthority as BudgetAuthority
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.months import ClosedMonths
from tollkeeper.domain.oidc import Identities
from tollkeeper.domain.passwords import Passwords
from tollkeeper.domain.people import ChangedKey as ChangedKey
from tollkeeper.domain.people import KeyRecord as KeyRecord
from tollkeeper.domain.people import Keys, People
from tollkeeper.domain.people import Membership as Membership
from tollkeeper.domain.people import NewKey as NewKey
from tollkeeper.domain.people import NewSecret as NewSecret
from tollkeeper.domain.people import Session as Session
from tollkeeper.domain.people import Team as Team
from tollkeeper.domain.people import User as User
from tollkeeper.domain.price_rules import PriceRule, StoredRule
from tollkeeper.domain.rate_limits import RateRule, RateRules
from tollkeeper.domain.repricing import PricingRuns
from tollkeeper.domain.scim import ScimBook
from tollkeeper.domain.segments import SegmentChunk as SegmentChunk
from tollkeeper.domain.segments import SegmentInfo as SegmentInfo
from tollkeeper.domain.statements import IssuedStatements
from tollkeeper.ledger_sums import LedgerSums
from tollkeeper.request_times import NO_VALUES as NO_VALUES
from tollkeeper.request_times import RequestTimes

if TYPE_CHECKING:
    import ibis.expr.types as ir

T = TypeVar("T")

# ----------------------------------------------------------------------------- journal


class Journal(Protocol):
    """The append-only journal of one gateway process.

    Records are buffered and written together once per turn of the event loop; the
    callback of a record runs right after the write that contains it, with None, or with
    the OSError that stopped it. Only the loop's own thread may call these. ``instance`` names
    this run of the process. ``accounts`` gives what was spent of budgets so far, None where
    there are none: each segment begins with it, and it is kept when the journal ends.
    """

    instance: str
    accounts: Callable[[], Sequence[Account]] | None

    def hold(self, held: Held, on_written: Callable[[OSError | None], None]) -> None:
        """Record a call before its first upstream byte."""

    def sent(self, held: Held, on_written: Callable[[OSError | None], None]) -> None:
        """Record that a held call's connection stands and its bytes follow."""

    def post(self, settled: Settled, on_written: Callable[[OSError | None], None] | None) -> None:
        """Resolve a held call with its outcome. Space for it was reserved when it was held."""

    def bill(self, bills: Sequence[Billed], on_written: Callable[[OSError | None], None]) -> None:
        """Record bills of work that an earlier call began: all, or none if there is no room."""

    def note(self, entry: LedgerEntry) -> None:
        """Record a call that was refused, and so never held."""

    def void(self, entry_id: str) -> None:
        """Resolve a held call that never reached the provider and leaves no entry."""

    def account(self, accounts: Sequence[Account]) -> None:
        """Record what was spent of some rows of budgets, by all that was recorded before."""

    def flush(self) -> bool:
        """Write what was recorded; False where some of it has to wait."""

    @property
    def open_calls(self) -> int:
        """Count the calls that are held and not resolved."""

    def probe(self) -> None:
        """Prove that the journal can be written and read. Raises OSError when it cannot."""

    def close(self) -> None:
        """Write what is left and end."""


class EndedSpending(Protocol):
    """What gateways spent of budgets that have ended, until the authority has heard it."""

    def ended(self) -> Mapping[str, Sequence[Account]]:
        """Give what each instance spent of whom nobody has said it yet."""

    def said(self, instance: str) -> None:
        """Forget an instance: the authority knows."""


class JournalTail(Protocol):
    """The journal folder as the loader sees it: segments of all gateway processes."""

    def segments(self) -> list[SegmentInfo]:
        """List the segments, oldest first."""

    def read(self, name: str, offset: int, entries_max: int) -> SegmentChunk:
        """Read the ledger entries that follow an offset. Raises LookupError if it is gone."""

    def remove(self, name: str) -> None:
        """Delete a closed segment that has been loaded to its end."""


# ----------------------------------------------------------------------------- ledger


NO_JOBS: Final[Mapping[str, str]] = MappingProxyType({})


class Position(NamedTuple):
    """How far a journal segment has been loaded: bytes from its start."""

    segment: str
    offset: int


QUARTER_HOUR_US: Final = 900_000_000
"""Offsets of time zones are whole quarters of an hour (since 1980), so that a quarter-hour is in
one local day and hour, wherever that is asked about."""

BOUND_PREFIX: Final = "tollkeeper_bound_"
"""Functions of this prefix stand in an expression for values that are bound when it runs
(``reports.bindings`` makes them, every engine replaces them by its own placeholders), so
that no value of a user ever becomes part of an SQL text."""


class Ledger(RequestTimes, LedgerSums, Protocol):
    """The one table of entries, in some engine. Only the process that opened it uses it.

    All methods may be called from any thread; one writes at a time. When the engine cannot
    answer they raise LedgerUnavailable, and recover by themselves once it can.
    """

    engine: str

    def __hash__(self) -> int:
        """Tell ledgers apart: queries are remembered for each."""

    def positions(self) -> Mapping[str, int]:
        """Give the loaded offset of every segment that the ledger remembers."""

    def append(
        self,
        entries: Sequence[LedgerEntry],
        position: Position | None,
        jobs: Mapping[str, str] = NO_JOBS,
    ) -> int:
        """Add a batch, move its segment's position and keep states of jobs, in one transaction.

        Entries that come from no segment have no position. Entries that are already present
        (by ``entry_id`` and ``part``, among those of the same start) are skipped. Returns how
        many were added. After LedgerUnavailable it is not known whether the batch was stored:
        ask ``positions``.
        Raises EntriesRejected, and stores nothing, when an entry fits no column.
        """

    def forget(self, segments: Sequence[str]) -> None:
        """Drop the positions of segments that no longer exist."""

    def jobs(self, names: Sequence[str]) -> Mapping[str, str]:
        """Give the states of jobs, as they were kept; those that are not known are left out."""

    def known(self, entry_ids: Sequence[str], started_at_us: int) -> frozenset[str]:
        """Say which entries of one start are there."""

    def entries(self) -> ir.Table:
        """Give the entries table as an Ibis expression."""

    def tag(self, table: ir.Table, key: str) -> ir.StringValue:
        """Give the value of one tag (NULL where absent). Raises ValueError for a bad key."""

    def nearest_rank(self, value: ir.IntegerValue, percent: int) -> ir.IntegerScalar:
        """Give a percentile: of n values in order the one at rank ceil(n * percent / 100)."""

    def run(
        self, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> list[dict[str, Any]]:
        """Run a query with the values of its bound slots.

        Money columns come back as Decimal USD, times as aware datetimes in UTC, sums of
        integers as int.
        """

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all queries that this thread runs inside see one state of the ledger."""

    def beside(self, lent: Beside, make: Callable[[], T]) -> Callable[[], T]:
        """Work something out on a thread that is lent, where the engine alone keeps one core busy.

        It sees the state that this thread's snapshot does, but not what that has set aside.
        """

    def maintain(self) -> None:
        """Do what the engine needs done now and then. A job calls this every minute."""

    def close(self) -> None:
        """Write everything out and release the engine."""


class ReportSource(Protocol):
    """Answers the questions of the JSON API, here or in a running server.

    Parameters are those of the query string, answers those of the API's JSON documents.
    Raises ValueError for a question that cannot be understood, LookupError for a call that
    does not exist, LedgerUnavailable when the ledger cannot answer.
    """

    def usage(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/usage``."""

    def calls(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/calls``."""

    def call(self, call_id: str) -> dict[str, Any]:
        """Answer ``GET /api/v1/calls/{id}``."""

    def adoption(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/adoption``."""

    def savings(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/savings``."""

    def forecast(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/forecast``."""

    def changes(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/changes``."""


# ----------------------------------------------------------------------------- messages


class Notifier(Protocol):
    """Sends messages to channels."""

    def send(self, channel: Channel, message: Message, link: str, now_us: int) -> Outcome:
        """Try once to send a message, with a link to its page; whatever goes wrong is an outcome,
        and shows neither the address nor a secret."""


# ----------------------------------------------------------------------------- store


class Store(
    People,
    Keys,
    Invitations,
    Passwords,
    Identities,
    ScimBook,
    ClosedMonths,
    IssuedStatements,
    PricingRuns,
    Budgets,
    BudgetRaises,
    RateRules,
    AlertBook,
    Outbox,
    AuditLog,
    Protocol,
):
    """Who may do what: organisation, teams, people, keys, sessions, provider secrets; and the
    bookkeeping that is not in the ledger.

    Every write raises the store's revision, which gateways watch.
    Unknown ids raise LookupError; a name that is taken raises ValueError; a store that
    cannot be used (busy, disk full, gone) raises OSError. Emails and team names are found
    whatever their case. Safe to use from several threads.
    """

    def org_name(self) -> str:
        """Give the organisation's name. Raises LookupError before the first start is done."""

    def set_org_name(self, name: str) -> None: ...
    def revision(self) -> int: ...
    def together(self) -> AbstractContextManager[None]:
        """Make all that this thread does inside happen, or nothing, with no writer between."""

    def add_login_link(
        self, token_hash: bytes, user_id: str, created_at_us: int, expires_at_us: int
    ) -> None: ...
    def use_login_link(self, token_hash: bytes, now_us: int) -> User | None:
        """Give the link's user and spend the link, in one step; None if it is no good."""

    def add_session(self, session: Session) -> None: ...
    def session(self, session_hash: bytes) -> Session | None: ...
    def sessions_of(self, user_id: str) -> list[Session]: ...
    def touch_session(self, session_hash: bytes, now_us: int) -> None: ...
    def end_session(self, session_hash: bytes) -> None:
        """End a session. One that has ended already, or never was, is no error."""

    def end_sessions_of(self, user_id: str) -> None: ...
    def forget_sign_ins(self, now_us: int, idle_since_us: int) -> int:
        """Delete links that are used or have expired, and sessions that have expired or were
        not used after ``idle_since_us``; say how many."""

    def set_provider_secret(self, provider: str, sealed: bytes, now_us: int) -> None: ...
    def provider_secrets(self) -> dict[str, bytes]: ...
    def provider_secrets_set_at(self) -> dict[str, int]:
        """Say when each provider's secret was set (epoch microseconds)."""

    def remove_provider_secret(self, provider: str) -> None: ...

    def add_price_rule(self, stored: StoredRule) -> None: ...
    def price_rules(self) -> list[StoredRule]:
        """List the rules, ended ones too, in the order in which they are tried."""

    def end_price_rule(self, rule_id: str, until_us: int) -> None: ...

    def probe(self) -> None:
        """Make a real write and a real read. Raises OSError when the store is unusable."""

    def close(self) -> None: ...


class KeyDirectory(Protocol):
    """The gateway's view of the store: keys by id, remembered and refreshed.

    ``known`` answers at once from memory; ``fetch`` asks the store in a thread and
    remembers the answer, also that an id does not exist. ``refresh`` is called every
    fraction of a second and forgets whatever changed since the last time. Both raise
    OSError when the store cannot be read; what is remembered stays.
    """

    def known(self, key_id: str) -> VirtualKey | None: ...
    def is_known_missing(self, key_id: str) -> bool: ...
    async def fetch(self, key_id: str) -> VirtualKey | None: ...
    async def refresh(self) -> bool:
        """Look for changes. Returns whether provider secrets, price rules or rate limits did."""

    def provider_secrets(self) -> Mapping[str, bytes]: ...
    def price_rules(self) -> Sequence[PriceRule]: ...
    def rate_rules(self) -> Sequence[RateRule]: ...
    def budgets(self) -> Sequence[Budget]:
        """Give all budgets as of the last refresh; another object whenever one has changed."""

    def close(self) -> None: ...


class Vault(Protocol):
    """Keeps secrets: derives keys from the key file, seals and opens provider secrets."""

    def key_hmac(self, secret: bytes) -> bytes:
        """Give the keyed hash under which a virtual key's secret is stored."""

    def mac(self, message: bytes, *, purpose: str) -> bytes:
        """Give a keyed hash of 32 bytes. Two purposes never share a key."""

    def seal(self, plain: str, *, name: str) -> bytes:
        """Encrypt one named secret."""

    def open(self, sealed: bytes, *, name: str) -> str:
        """Decrypt it. Raises ValueError if it was sealed under another name or key."""


class PasswordHasher(Protocol):
    """Hashes passwords, slowly and with much memory.

    ``nobody`` is a hash that nothing matches, checked in the same time as any other.
    """

    nobody: str

    def hashed(self, secret: bytes) -> str: ...
    def matches(self, encoded: str, secret: bytes) -> bool: ...
    def is_current(self, encoded: str) -> bool:
        """Tell whether a hash has the parameters that new ones have."""
