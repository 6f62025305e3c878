"""Who answers the command line's questions: the running server, or the ledger's own file.

Both answer alike. Nothing is written and nothing is loaded here: calls that a server which
has stopped left in the journal are counted when it is started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Final, TypeVar

from tollkeeper import clock
from tollkeeper.bootstrap.ledgers import open_ledger_to_read
from tollkeeper.bootstrap.running_server import RunningServer, server_of
from tollkeeper.domain.access import Scope
from tollkeeper.domain.errors import ConfigError
from tollkeeper.ports import DataFolder, Ledger, Membership, ReportSource, Store
from tollkeeper.storage import folder_lock
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.store.schema_check import organisation_name
from tollkeeper.storage.store.store_address import store_of

if TYPE_CHECKING:
    from tollkeeper.config import Configuration

T = TypeVar("T")

_STARTING_S: Final = 10.0
_POLL_S: Final = 0.1
WAITING: Final = (
    "calls wait in the journal that are in no number yet; start the server, which loads them"
)


def open_source(
    data: DataFolder, configuration: Configuration, tell: Callable[[str], None]
) -> AbstractContextManager[ReportSource]:
    """Open whoever can answer: see ``server_or_here``. ``tell`` gets a sentence if the answers
    leave something out."""
    return server_or_here(data, lambda org: _reports_here(data, org, configuration, tell))


@contextmanager
def server_or_here(
    data: DataFolder, here: Callable[[str], AbstractContextManager[T]]
) -> Iterator[RunningServer | T]:
    """Give the running server, or else what this process opens for the organisation.

    Raises ConfigError when there is no store in the folder or its server may not be asked,
    LedgerInUse when another process than a server has the ledger open.
    """
    server = running_server(data)
    if server is not None:
        yield server
        return
    with here(organisation_in(data)) as opened:
        yield opened


@contextmanager
def _reports_here(
    data: DataFolder, org: str, configuration: Configuration, tell: Callable[[str], None]
) -> Iterator[ReportSource]:
    with ledger_of(data, tell) as ledger:
        yield _reports(ledger, org, configuration, data)


@contextmanager
def ledger_of(data: DataFolder, tell: Callable[[str], None]) -> Iterator[Ledger]:
    """Open the ledger of a folder without a server. ``tell`` gets a sentence if calls wait."""
    ledger = open_ledger_to_read(data)
    try:
        if some_wait(data.journal, ledger):
            tell(WAITING)
        yield ledger
    finally:
        ledger.close()


def running_server(data: DataFolder) -> RunningServer | None:
    """Find the running server, and give one that is just starting the time to open its socket."""
    deadline_s = clock.monotonic_s() + _STARTING_S
    while True:
        server = server_of(data)
        started = any(
            folder_lock.holder(data.run / f"serve-{role}.lock") is not None
            for role in ("all", "console")
        )
        if server is not None or not started or clock.monotonic_s() > deadline_s:
            return server
        sleep(_POLL_S)


def organisation_in(data: DataFolder) -> str:
    """Name the organisation of a data folder. Raises ConfigError where there is no store."""
    org = organisation_name(store_of(data))
    if not org:
        raise ConfigError(
            "there is no store in this data folder",
            file=str(data.root),
            hint="start it once with: tollkeeper serve; or name the right folder with --data",
        )
    return org


def _reports(
    ledger: Ledger, org: str, configuration: Configuration, data: DataFolder
) -> ReportSource:
    explanation = import_module("tollkeeper.services.explanation")
    prices = import_module("tollkeeper.bootstrap.price_books")
    terms = prices.configured_terms(configuration, data)
    book = terms.book
    reports: ReportSource = import_module("tollkeeper.reports.source").LedgerReports(
        ledger,
        Scope(org),
        clock.now_us,
        explain=lambda entry: explanation.explanation_of(
            entry, book, lambda version: prices.former_book(data, version)
        ),
        zone=configuration.settings.timezone,
        memberships=lambda: _memberships(data),
        group_min=configuration.settings.adoption.group_min,
        book=book,
        accounts=terms.accounts,
    )
    return reports


def _memberships(data: DataFolder) -> list[Membership]:
    store: Store = import_module("tollkeeper.bootstrap").open_store(data)
    try:
        return store.memberships()
    finally:
        store.close()


def some_wait(journal: Path, ledger: Ledger) -> bool:
    """Tell whether calls wait in the journal that the ledger does not have."""
    if not journal.is_dir():
        return False
    tail, positions = FolderTail(journal), ledger.positions()
    return any(
        tail.read(info.name, positions.get(info.name, 0), 1).entries for info in tail.segments()
    )
