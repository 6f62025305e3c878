"""The console process: puts its adapters together and runs it.

``python -m tollkeeper.bootstrap.console`` is what the supervisor starts. The ledger may be
away at the start, and at any time later: pages say so, and the journal keeps what is to be
loaded.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from tollkeeper import bootstrap, clock, config
from tollkeeper.bootstrap.alerting import ConsoleAlerts
from tollkeeper.bootstrap.audit import ConsoleAudit
from tollkeeper.bootstrap.children import ChildOptions, run_child
from tollkeeper.bootstrap.console_budgets import ConsoleBudgets
from tollkeeper.bootstrap.ledgers import engine_of, open_ledger
from tollkeeper.bootstrap.loader_thread import LoaderThread
from tollkeeper.bootstrap.mailing import mailer_of
from tollkeeper.bootstrap.price_books import configured_terms, former_book
from tollkeeper.bootstrap.prices import FollowedPrices, followed_files
from tollkeeper.bootstrap.rate_limits import FollowedRateLimits
from tollkeeper.bootstrap.self_service import FollowedSelfService
from tollkeeper.bootstrap.shown_settings import FollowedShownSettings
from tollkeeper.bootstrap.sign_on import with_providers
from tollkeeper.config import Configuration
from tollkeeper.console.api.digest import sources_of
from tollkeeper.console.application import ConsoleApplication
from tollkeeper.console.counters import ConsoleCounters
from tollkeeper.console.live import LiveHub
from tollkeeper.console.server import ConsoleServer
from tollkeeper.console.shared import Console, HeaderLookup
from tollkeeper.console.static_files import StaticFiles
from tollkeeper.console.work import Work
from tollkeeper.domain.errors import ConfigError
from tollkeeper.failpoints import FailPoint, kill_at, nowhere
from tollkeeper.jobs.runner import JobRunner
from tollkeeper.jobs.table import adoption_job, jobs_of
from tollkeeper.ports import DataFolder, Store, Vault
from tollkeeper.reports.adoption_memory import PublicationMemory
from tollkeeper.reports.bookings import LedgerBookings
from tollkeeper.reports.statement_facts import LedgerFacts
from tollkeeper.services.explanation import explanation_of
from tollkeeper.services.loading import Loader
from tollkeeper.services.repricing import CurrentPrices, Repricer
from tollkeeper.services.repricing_unpriced import UnpricedCalls
from tollkeeper.services.statements import StatementDesk
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.late_ledger import LateLedger
from tollkeeper.storage.parquet_table import parquet_bytes
from tollkeeper.storage.password_hashes import Argon2Hasher
from tollkeeper.telemetry import logger
from tollkeeper.wire.credentials import read_credentials

_TOKEN_BYTES: Final = 32


def main() -> None:
    """Run the console until it is told to stop."""
    os.umask(0o077)  # the ledger, its log and the socket are for this user alone
    run_child("console", sys.argv[1:], serve)


async def serve(options: ChildOptions) -> None:
    """Build the console and answer."""
    configuration = config.load(options.config, config.environment())
    data = DataFolder(options.data, configuration.settings.store, configuration.settings.ledger)
    vault = bootstrap.open_vault(data)
    store = bootstrap.open_store(data)
    failpoint = kill_at(configuration.settings.failpoint) or nowhere
    ledger = _ledger(data, failpoint, configuration)
    try:
        org = _org(store, data)
        prices = FollowedPrices(
            lambda: configured_terms(config.load(options.config, config.environment()), data),
            followed_files(configuration, data),
            store.price_rules,
        )
        hub = LiveHub(org, secrets.token_hex(8))
        budgets = ConsoleBudgets(data, store, ledger, org, clock.now_us)
        on_loaded = budgets.also(hub.on_loaded)
        loader = Loader(_tail(data), ledger, on_loaded=on_loaded, failpoint=failpoint)
        budgets.status = lambda: loader.status
        loading = LoaderThread(loader)
        repricer = Repricer(
            LedgerBookings(ledger, org),
            ledger,
            store,
            lambda: CurrentPrices(prices.terms.book, prices.terms.accounts),
            clock.now_us,
            on_loaded,
        )
        unpriced = UnpricedCalls(
            repricer,
            store,
            lambda: prices.book.version,
            clock.now_us,
            lambda: loader.status.lag_entries,
        )
        console = _console(
            org, configuration, data, store, vault, ledger, loading, prices, hub, repricer
        )
        alerts = ConsoleAlerts(configuration, store, ledger, org, failpoint, sources_of(console))
        console = replace(console, alerting=alerts.alerting, budget_gauges=budgets.gauges)
        console = with_providers(console, configuration)
        audit = ConsoleAudit(console, configuration.file)
        audit.begin()
        jobs = jobs_of(ledger, store, clock.now_us, prices.follow, unpriced.take_turn)
        counted = adoption_job(console.adoption, clock.now_us)
        parts = _Parts(
            console,
            ConsoleServer(ConsoleApplication(console), data.socket("console")),
            loading,
            JobRunner((*jobs, counted, *alerts.jobs(), *budgets.jobs(), *audit.jobs())),
            prices,
            alerts,
            audit,
        )
        await _run(parts, options.report_ready)
    finally:
        data.operator_token.unlink(missing_ok=True)
        ledger.close()
        store.close()


def _ledger(data: DataFolder, failpoint: FailPoint, configuration: Configuration) -> LateLedger:
    zone = configuration.settings.timezone
    return LateLedger(engine_of(data), lambda: open_ledger(data, failpoint, zone))


def _console(
    org: str,
    configuration: Configuration,
    data: DataFolder,
    store: Store,
    vault: Vault,
    ledger: LateLedger,
    loading: LoaderThread,
    prices: FollowedPrices,
    hub: LiveHub,
    repricer: Repricer,
) -> Console:
    return Console(
        org=org,
        public_url=bootstrap.address_of(configuration.settings),
        zone=configuration.settings.timezone,
        ledger=ledger,
        store=store,
        vault=vault,
        explain=lambda entry: explanation_of(entry, prices.book, partial(former_book, data)),
        parquet=parquet_bytes,
        presented_key=_presented_key,
        now_us=clock.now_us,
        loader_status=lambda: loading.loader.status,
        ledger_fault=lambda: ledger.fault or loading.loader.status.fault,
        operator_token=_new_operator_token(data.operator_token),
        hub=hub,
        work=Work(),
        repricer=repricer,
        terms=lambda: prices.terms,
        static=StaticFiles(),
        counters=ConsoleCounters(),
        mask_people=configuration.settings.privacy.mask_people,
        mailer=mailer_of(configuration),
        hasher=Argon2Hasher(),
        passwords=configuration.settings.sign_in.passwords,
        adoption=PublicationMemory(
            *(ledger, org, store.memberships),
            *(configuration.settings.timezone, configuration.settings.adoption.group_min),
        ),
        statements=StatementDesk(
            *(LedgerFacts(ledger, org), store, org, ZoneInfo(configuration.settings.timezone)),
            *(configuration.sharing, lambda: prices.terms.seat_plans, clock.now_us),
        ),
        self_service=FollowedSelfService(
            configuration.self_service,
            lambda: config.load(configuration.file, config.environment()),
        ),
        settings=_settings(configuration, store, prices),
        rate_limits=FollowedRateLimits(
            lambda: config.load(configuration.file, config.environment())
        ),
    )


def _settings(
    configuration: Configuration, store: Store, prices: FollowedPrices
) -> FollowedShownSettings:
    return FollowedShownSettings(
        configuration,
        lambda: config.load(configuration.file, config.environment()),
        store,
        lambda: prices.book.version,
    )


class _Parts(NamedTuple):
    console: Console
    server: ConsoleServer
    loading: LoaderThread
    jobs: JobRunner
    prices: FollowedPrices
    alerts: ConsoleAlerts
    audit: ConsoleAudit


async def _run(parts: _Parts, report_ready: Callable[[], None]) -> None:
    """Answer until SIGTERM or SIGINT, then load what the journal still holds."""
    loop = asyncio.get_running_loop()

    def asked_to_stop() -> None:
        parts.console.hub.close()
        parts.server.stop()

    def on_ready() -> None:
        report_ready()
        logger.info("console ready")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop)
    loop.add_signal_handler(signal.SIGHUP, parts.prices.read_again)
    parts.console.hub.open(loop)
    parts.loading.start()
    parts.jobs.start()
    parts.alerts.start()
    try:
        await parts.server.run(on_ready)
    finally:
        await parts.jobs.stop()
        await loop.run_in_executor(None, parts.alerts.finish)
        await loop.run_in_executor(None, parts.audit.finish)
        await loop.run_in_executor(None, parts.loading.finish)
        parts.console.work.close()
        parts.console.beside.close()
        parts.console.sign_on.work.close()
        parts.console.hashing.close()
        logger.info("console stopped")


def _org(store: Store, data: DataFolder) -> str:
    try:
        return store.org_name()
    except LookupError:
        raise ConfigError(
            "nobody has started with this data folder yet",
            file=str(data.root),
            hint="start it once with: tollkeeper serve",
        ) from None


def _tail(data: DataFolder) -> FolderTail:
    data.journal.mkdir(mode=0o700, exist_ok=True)
    return FolderTail(data.journal)


def _presented_key(header: HeaderLookup, query: str) -> str:
    return read_credentials(header, query).key


def _new_operator_token(path: Path) -> str:
    """Make the command line's credential and leave it where only this user can read it."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    return token


if __name__ == "__main__":
    main()
