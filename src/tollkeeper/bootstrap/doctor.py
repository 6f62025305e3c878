"""``tollkeeper doctor``: all checks, in the order in which one fault explains the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tollkeeper import config
from tollkeeper.bootstrap.checks import (
    Check,
    Place,
    channels,
    fail,
    folder,
    listening,
    ok,
    prices,
    providers,
    records,
    sign_in,
    store,
)
from tollkeeper.bootstrap.running_server import RunningServer, server_of
from tollkeeper.config import Configuration
from tollkeeper.config.settings import Settings
from tollkeeper.domain.errors import ConfigError, TollkeeperError
from tollkeeper.http1.origin import Proxies
from tollkeeper.ports import DataFolder


def examine(config_file: Path | None, data: Path | None, *, online: bool) -> Iterator[Check]:
    """Give each check as soon as it is done. Never raises for what it finds.

    With a configuration that cannot be read, the rest is examined by its defaults.
    """
    readable = True
    try:
        configuration = config.load(config_file, config.environment())
        where = configuration.file
        yield ok("configuration", f"{where} is good" if where else "no file: defaults are used")
    except ConfigError as error:
        readable = False
        configuration = Configuration(Settings(), None, {}, {}, Proxies())
        message = error.message.removesuffix(f" ({error.hint})") if error.hint else error.message
        remedy = error.hint or "put it right; a running server keeps the one that it has"
        yield fail("configuration", message, remedy)
    root = Path(configuration.settings.data) if data is None else data
    settings = configuration.settings
    data_folder = DataFolder(root, settings.store, settings.ledger)
    server, refused = _server(data_folder)
    if refused is not None:
        yield refused
    place = Place(configuration, data_folder, server)
    yield from _told("data folder", folder.data_folder(place))
    yield from _told("disk space", folder.disk_space(place))
    yield from _told("key file", folder.key_file(place))
    yield from _told("store", store.store(place))
    yield from _told("ledger", records.records(place))
    yield from _told("price book", prices.price_book(place))
    if readable:
        yield from _told("server", listening.listening(place))
        yield from _told("providers", providers.providers(place, online=online))
        yield from _told("sign-in", sign_in.sign_in(place, online=online))
        yield from _told("alerts", channels.channels(place, online=online))


def _told(name: str, checks: Iterator[Check]) -> Iterator[Check]:
    """Let no failure of one thing hide what there is to say of the others."""
    try:
        yield from checks
    except (TollkeeperError, OSError) as error:
        yield fail(name, str(error), "see the checks before this one, and the server's log")


def _server(data: DataFolder) -> tuple[RunningServer | None, Check | None]:
    try:
        return server_of(data), None
    except (ConfigError, OSError) as error:
        hint = error.hint if isinstance(error, ConfigError) else ""
        message = str(error).removesuffix(f" ({hint})") if hint else str(error)
        return None, fail("console", message, hint or "its log says more")
