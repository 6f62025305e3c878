"""The gateway process: puts its adapters together and runs it.

``python -m tollkeeper.bootstrap.gateway`` is what the supervisor starts. Nothing heavier
than the data plane needs is imported here.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from tollkeeper import bootstrap, clock, config
from tollkeeper.bootstrap.allocator import keep_freed_memory
from tollkeeper.bootstrap.children import ChildOptions, run_child
from tollkeeper.bootstrap.gateway_budgets import (
    follow_file,
    recover_journal,
    renew_desk,
    set_up_desk,
    sharing_rates,
)
from tollkeeper.bootstrap.listening import ServerTls, room_for_clients
from tollkeeper.bootstrap.prices import followed_files, newest_book
from tollkeeper.bootstrap.routing import Routed, route
from tollkeeper.config.settings import Settings
from tollkeeper.domain.networks import Networks
from tollkeeper.failpoints import FailPoint, kill_at
from tollkeeper.gateway.plans import Planner
from tollkeeper.gateway.process import GatewayProcess, Listening
from tollkeeper.gateway.shared import Gateway
from tollkeeper.http1.listener import ServerLimits
from tollkeeper.http1.origin import Origin
from tollkeeper.http1.pool import PoolLimits, UpstreamPool
from tollkeeper.ports import DataFolder, KeyDirectory, Vault
from tollkeeper.runtime import GatewaySettings
from tollkeeper.services.model_habits import ModelHabits
from tollkeeper.services.verified_keys import VerifiedKeys
from tollkeeper.storage import folder_lock
from tollkeeper.storage.journal.writer import JournalWriter
from tollkeeper.telemetry import logger, spawn

_HABITS_S = 300.0
_FATAL_EXIT = 74  # EX_IOERR: the disk cannot be trusted any more


def main() -> None:
    """Run the gateway until it is told to stop."""
    run_child("gateway", sys.argv[1:], serve)


async def serve(options: ChildOptions) -> None:
    """Build the gateway and carry calls."""
    keep_freed_memory()
    configuration = config.load(options.config, config.environment())
    settings = configuration.settings
    data = DataFolder(options.data, settings.store, settings.ledger)
    vault = bootstrap.open_vault(data)
    folder_lock.hold(data.run / "gateway.lock")  # until this process ends, however it does
    directory = bootstrap.open_key_directory(data)
    await directory.refresh()
    if follow_file(configuration, None, directory.budgets(), data):
        await directory.refresh()
    routed = _routed(configuration, directory, vault, data)
    failpoint = kill_at(settings.failpoint)
    recover_journal(data, routed.book, directory.budgets(), failpoint)
    gateway = Gateway(
        settings=gateway_settings(settings),
        planner=Planner(routed.routing, routed.book),
        prices=routed.book,
        keys=VerifiedKeys(directory, vault),
        journal=_journal(settings, data, failpoint),
        pool=_pool(configuration),
        console=_console(options, data),
        failpoint=failpoint,
        habits=ModelHabits.load(data.habits),
    )

    address = bootstrap.address_of(settings)
    set_up_desk(gateway, routed.book, directory.budgets(), data, address)
    gateway.rates.use((*configuration.rate_limits, *directory.rate_rules()))
    listen = settings.listen
    tls = ServerTls(listen)

    def routed_anew() -> None:
        """Read the configuration again. Raises ConfigError; then nothing has changed."""
        nonlocal configuration
        fresh = config.load(options.config, config.environment())
        again = _routed(fresh, directory, vault, data)
        tls.renew(fresh.settings.listen)
        follow_file(fresh, configuration, directory.budgets(), data)
        configuration = fresh
        gateway.prices = again.book
        gateway.rates.use((*fresh.rate_limits, *directory.rate_rules()))
        renew_desk(gateway, again.book, bootstrap.address_of(fresh.settings))
        gateway.planner = Planner(again.routing, again.book)
        gateway.settings = gateway_settings(fresh.settings)

    process = GatewayProcess(
        gateway,
        directory,
        Listening(listen.host, listen.port, tls.context, server_limits(settings)),
        reload=routed_anew,
        watched=followed_files(configuration, data),
    )
    saving = spawn(_keep_saving_habits(gateway, data), name="save-habits")
    async with sharing_rates(gateway, settings, data):
        await process.run(options.report_ready)
    saving.cancel()
    _save_habits(gateway, data)


def _routed(
    configuration: config.Configuration,
    directory: KeyDirectory,
    vault: Vault,
    data: DataFolder,
) -> Routed:
    """Lay out where calls go and what they cost. Raises ConfigError."""
    secrets, rules = directory.provider_secrets(), directory.price_rules()
    return route(configuration, secrets, vault, newest_book(data), data, rules)


def _journal(settings: Settings, data: DataFolder, failpoint: FailPoint | None) -> JournalWriter:
    return JournalWriter(
        data.journal,
        now_us=clock.now_us(),
        on_fatal=_stop_at_once,
        segment_bytes=settings.journal.segment_mb << 20,
        sync_always=settings.journal.fsync == "always",
        failpoint=failpoint,
    )


async def _keep_saving_habits(gateway: Gateway, data: DataFolder) -> None:
    """Keep what was learned of models, so that a crash loses little of it."""
    while True:
        await asyncio.sleep(_HABITS_S)
        _save_habits(gateway, data)


def _save_habits(gateway: Gateway, data: DataFolder) -> None:
    try:
        gateway.habits.save(data.habits)
        if gateway.desk is not None:
            gateway.desk.sizes.usual.save(data.replies)
    except OSError as error:
        logger.warning("what was learned is not saved", extra={"reason": str(error)})


def gateway_settings(settings: Settings) -> GatewaySettings:
    """Give the data plane's part of the settings."""
    limits, timeouts = settings.limits, settings.timeouts
    trusted = settings.listen.trusted_proxies
    return GatewaySettings(
        body_bytes_max=limits.body_mb << 20,
        upload_bytes_max=limits.upload_mb << 20,
        in_flight_max=limits.in_flight,
        drains_max=limits.drains,
        first_byte_s=timeouts.first_byte_s,
        abandoned_s=timeouts.abandoned_s,
        drain_s=timeouts.drain_s,
        store_away_s=timeouts.store_away_s,
        refusal_status=settings.refusals.status or None,
        metrics_token=settings.metrics.token,
        trusted_proxies=Networks(trusted) if trusted else None,
    )


def server_limits(settings: Settings) -> ServerLimits:
    """Give the timeouts of client connections, and how many there may be."""
    timeouts = settings.timeouts
    connections = room_for_clients(settings.limits.connections)
    return ServerLimits(timeouts.head_s, timeouts.idle_s, timeouts.stalled_s, connections)


def _pool(configuration: config.Configuration) -> UpstreamPool:
    settings = configuration.settings
    timeouts, limits = settings.timeouts, settings.limits
    tls = None
    if settings.ca_file:
        tls = ssl.create_default_context()
        tls.load_verify_locations(settings.ca_file)
    pool_limits = PoolLimits(
        connections_max=limits.upstream_connections,
        waiting_max=limits.upstream_waiting,
        connect_s=timeouts.connect_s,
        wait_s=timeouts.wait_s,
        idle_s=timeouts.upstream_idle_s,
        silence_s=timeouts.silence_s,
    )
    return UpstreamPool(pool_limits, tls, configuration.proxies)


def _console(options: ChildOptions, data: DataFolder) -> Origin | None:
    if options.alone:
        return None
    return Origin("http", "localhost", 80, str(data.socket("console")))


def _stop_at_once(error: OSError) -> None:
    """A failed sync means that nobody knows what the disk holds: stop, lose nothing more."""
    logger.critical("the journal's disk failed, the gateway stops", extra={"error": str(error)})
    asyncio.get_running_loop().call_later(0.2, sys.exit, _FATAL_EXIT)


if __name__ == "__main__":
    main()
