"""What handlers get and give: the console's ports and settings, pages, redirects, tables.

A page handler is a plain function ``(console, viewer, query) -> Page`` and runs on a thread;
a form's handler is ``(console, viewer, form) -> Page | Redirect``. ``query`` has one text for
each parameter, the path's own parameters, and always ``tz``, the zone to show times in;
``form`` has the fields of the form, the path's own parameters, and ``tz``.
Both raise what the services and reports raise; the dispatcher turns it into an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol, runtime_checkable

from tollkeeper.console.attempts import Attempts
from tollkeeper.console.beside import Threads
from tollkeeper.console.colours import ColourBook
from tollkeeper.console.joined import Joined
from tollkeeper.console.providers import SignOn
from tollkeeper.console.shown_settings import ShownSettings
from tollkeeper.console.work import Work
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.explanation import Explanation
from tollkeeper.domain.invitations import Mailer
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.rate_limits import RateRule
from tollkeeper.domain.self_service import SelfService
from tollkeeper.ports import Ledger, PasswordHasher, Store, Vault
from tollkeeper.reports.adoption_memory import PublicationMemory
from tollkeeper.services.alerting import NOBODY_TOLD, Alerting
from tollkeeper.services.audit import AuditWatch, FailedSignIns
from tollkeeper.services.loading import LoaderStatus
from tollkeeper.services.price_terms import Terms
from tollkeeper.services.repricing import Repricer
from tollkeeper.services.statements import StatementDesk
from tollkeeper.services.unmasking import Unmaskings

if TYPE_CHECKING:
    from tollkeeper.console.counters import ConsoleCounters
    from tollkeeper.console.live import LiveHub
    from tollkeeper.console.static_files import StaticFiles

HASHES_AT_ONCE: Final = 2
"""How many passwords are hashed at the same time; each takes 19 MiB."""

HASHES_WAITING: Final = 32

Query = Mapping[str, str]
HeaderLookup = Callable[[bytes], bytes | None]


class Page(Protocol):
    """What a page says: a frozen dataclass that names its template.

    The same object answers ``?format=json``: as it is, field by field, or as ``document()``
    gives it where a page has such a method. ``?format=csv`` needs ``table()``.
    A page may have a ``status`` (200 without one).
    """

    template: ClassVar[str]


@runtime_checkable
class HasDocument(Protocol):
    """A page that says itself what it is as JSON."""

    def document(self) -> Mapping[str, Any]: ...


class Table(NamedTuple):
    """Rows for a file. ``name`` is the file's name without its ending."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Mapping[str, object]]


@runtime_checkable
class HasTable(Protocol):
    """A page that can be had as a table."""

    def table(self) -> Table: ...


class Redirect(NamedTuple):
    """Go on to another of our own pages (303). ``path`` begins with one slash."""

    path: str


class SignInWay(NamedTuple):
    """Another way to sign in, for a button of the sign-in page. ``path`` is one of ours, without
    a query; the page adds ``next``, where to go afterwards. ``out_path`` leads to signing out
    there too, "" where that is not offered."""

    label: str
    path: str
    out_label: str = ""
    out_path: str = ""


PageHandler = Callable[["Console", Viewer, Query], Page]
PublicPageHandler = Callable[["Console", Viewer | None, Query], Page]
FormHandler = Callable[["Console", Viewer, Query], Page | Redirect]


def _hashing() -> Work:
    return Work(HASHES_AT_ONCE, HASHES_WAITING)


@dataclass(frozen=True, slots=True)
class Console:
    """Everything that handlers may use. Reports also need the viewer's ``scope``.

    ``explain`` explains the price of an entry. ``parquet`` writes a table as a file: columns,
    rows and, if they are to be said, types of columns (``storage.parquet_table``).
    ``presented_key`` finds one of our keys in a request's headers and query string.
    ``zone`` is the configured time zone. ``ledger_fault`` says in words why the ledger cannot
    answer ("" when it can).
    ``repricer`` prices old calls again; ``terms`` says what decides prices now.
    ``operator_token`` is the command line's own credential, new with each start.
    ``rate_limits`` gives those of the configuration file, ``self_service`` its bounds for keys
    that people issue.
    ``alerting`` knows who is told of what. ``budget_gauges`` says how balances agree with the
    ledger: name to help text and value. ``adoption`` has the last count of who uses what,
    ``statements`` what is booked for each team and month.
    ``mailer`` sends mails, None where no mail server is configured.
    ``passwords`` tells whether people may sign in with one, ``hasher`` hashes them and
    ``hashing`` is where it does so: few at once, since each takes much memory.
    ``sign_in_ways`` lists what else the sign-in page offers, ``sign_on`` the providers.
    ``colours`` remembers which colour each name has in pictures, ``joined`` what is being worked
    out for several at once, ``beside`` lends threads for parts of these, ``attempts`` who failed
    to sign in lately. ``settings`` says how the deployment is set up.
    """

    org: str
    public_url: str
    zone: str
    ledger: Ledger
    store: Store
    vault: Vault
    explain: Callable[[LedgerEntry], Explanation]
    parquet: Callable[..., bytes]
    presented_key: Callable[[HeaderLookup, str], str]
    now_us: Callable[[], int]
    loader_status: Callable[[], LoaderStatus]
    ledger_fault: Callable[[], str]
    operator_token: str = field(repr=False)
    hub: LiveHub
    work: Work
    repricer: Repricer
    terms: Callable[[], Terms]
    static: StaticFiles
    counters: ConsoleCounters
    settings: Callable[[], ShownSettings] = ShownSettings
    rate_limits: Callable[[], Sequence[RateRule]] = tuple
    self_service: Callable[[], Sequence[SelfService]] = tuple
    colours: ColourBook = field(default_factory=ColourBook)
    joined: Joined = field(default_factory=Joined, repr=False)
    beside: Threads = field(default_factory=Threads, repr=False)
    attempts: Attempts = field(default_factory=Attempts)
    failed_sign_ins: FailedSignIns = field(default_factory=FailedSignIns)
    audit_watch: AuditWatch = field(default_factory=AuditWatch)
    mask_people: bool = True
    unmaskings: Unmaskings = field(default_factory=Unmaskings)
    alerting: Alerting = field(default=NOBODY_TOLD, repr=False)
    adoption: PublicationMemory = field(repr=False, kw_only=True)
    budget_gauges: Callable[[], dict[str, tuple[str, float]]] = dict
    passwords: bool = True
    statements: StatementDesk = field(repr=False, kw_only=True)
    mailer: Mailer | None = field(default=None, repr=False, kw_only=True)
    hasher: PasswordHasher = field(repr=False, kw_only=True)
    hashing: Work = field(default_factory=_hashing, repr=False)
    sign_in_ways: Sequence[SignInWay] = ()
    sign_on: SignOn = field(default_factory=SignOn, repr=False)

    @property
    def secure(self) -> bool:
        """Tell whether people reach this deployment by https only."""
        return self.public_url.startswith("https://")
