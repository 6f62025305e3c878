"""What the page Settings shows, from the configuration as it is now. Never a secret.

Each line names the one thing that it takes; nothing is shown because it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import urlsplit

from tollkeeper import bootstrap, clock
from tollkeeper.config import Configuration
from tollkeeper.console.shown_settings import SettingLine, SettingsSection, ShownSettings
from tollkeeper.data_folder import SQLITE_LEDGER
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.routing import Provider
from tollkeeper.ports import Store

_NO_CHANNEL: Final = "name one in alerts.notify, or a webhook"
_NO_MAIL: Final = "without the section mail, invitations are links to be copied"
_NO_KEY: Final = "tollkeeper providers set {name}"


class FollowedShownSettings:
    """Gives the settings as they are now; while the file has a fault, those before it."""

    def __init__(
        self,
        first: Configuration,
        read: Callable[[], Configuration],
        store: Store,
        book_version: Callable[[], str],
    ) -> None:
        self._configuration = first
        self._read = read
        self._store = store
        self._book_version = book_version

    def __call__(self) -> ShownSettings:
        """Read the file."""
        fault = ""
        try:
            self._configuration = self._read()
        except ConfigError as error:
            fault = str(error)
        found = self._configuration
        return ShownSettings(
            "" if found.file is None else str(found.file.resolve()),
            fault,
            (
                _place(found),
                self._providers(found),
                self._sign_in(found),
                _telling(found),
                self._prices(found),
                _privacy(found),
            ),
        )

    def _providers(self, found: Configuration) -> SettingsSection:
        stored = frozenset(self._store.provider_secrets())
        lines = [_provider(each, stored) for each in found.providers.values()]
        nobody = SettingLine("None", "the built-in sandbox answers", "name one in providers")
        return SettingsSection("Providers", "providers", tuple(lines) or (nobody,))

    def _sign_in(self, found: Configuration) -> SettingsSection:
        tokens = sum(each.revoked_at_us is None for each in self._store.scim_tokens())
        lines = [
            SettingLine("One-time links", "on, by the command line"),
            SettingLine("Passwords", "on" if found.settings.sign_in.passwords else "off"),
        ]
        for each in found.oidc:
            groups = f"{_counted(len(each.rules), 'rule')} for groups"
            value = f"{each.issuer}, {groups}, sessions of {each.session_h} hours"
            lines.append(SettingLine(f"Single sign-on: {each.label}", value))
        if not found.oidc:
            lines.append(SettingLine("Single sign-on", "not set up"))
        scim = f"on, {_counted(tokens, 'token')}" if tokens else "off"
        lines.append(SettingLine("People by SCIM", scim))
        return SettingsSection("Signing in", "sign_in", tuple(lines))

    def _prices(self, found: Configuration) -> SettingsSection:
        now_us = clock.now_us()
        rules = sum(each.rule.until_us > now_us for each in self._store.price_rules())
        return SettingsSection(
            "Prices",
            "prices",
            (
                SettingLine("Price book", self._book_version()),
                SettingLine("Rules of the file", str(len(found.price_rules))),
                SettingLine("Rules of the dashboard", str(rules)),
                SettingLine("Flat-rate plans", str(len(found.seat_plans))),
            ),
        )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _place(found: Configuration) -> SettingsSection:
    settings = found.settings
    is_server = settings.store.partition(":")[0].startswith("postgres")
    return SettingsSection(
        "This deployment",
        "",
        (
            SettingLine("Address", bootstrap.address_of(settings)),
            SettingLine("Time zone", settings.timezone),
            SettingLine("Data folder", settings.data),
            SettingLine("Store", "PostgreSQL" if is_server else "SQLite"),
            SettingLine("Ledger", _ledger(settings.ledger)),
            SettingLine("Entries are kept", "for ever: they are never deleted by themselves"),
        ),
    )


def _ledger(url: str) -> str:
    file = url.removeprefix(SQLITE_LEDGER)
    return "DuckDB, in the data folder" if file == url else f"SQLite, {file}"


def _provider(provider: Provider, stored: Collection[str]) -> SettingLine:
    host = urlsplit(provider.root).hostname or "no address"
    if provider.api_key or provider.aws_key is not None:
        key, remedy = "key in the configuration", ""
    elif provider.name in stored:
        key, remedy = "key in the store", ""
    else:
        key, remedy = "no key of ours", _NO_KEY.format(name=provider.name)
    return SettingLine(provider.name, f"{provider.kind} at {host}, {key}", remedy)


def _telling(found: Configuration) -> SettingsSection:
    mail = found.settings.mail
    lines = [SettingLine(each.name, each.shown) for each in found.alerts.channels]
    if not lines:
        lines = [SettingLine("Channels", "none: alerts are on their page alone", _NO_CHANNEL)]
    if mail.host:
        lines.append(SettingLine("Mail server", f"{mail.host}, port {mail.port}"))
    else:
        lines.append(SettingLine("Mail server", "none", _NO_MAIL))
    return SettingsSection("Alerts and mail", "alerts", tuple(lines))


def _privacy(found: Configuration) -> SettingsSection:
    masked = found.settings.privacy.mask_people
    least = found.settings.adoption.group_min
    return SettingsSection(
        "Privacy",
        "privacy",
        (
            SettingLine("Other people in reports", "under pseudonyms" if masked else "by name"),
            SettingLine("Figures about use", f"of {least} people or more"),
            SettingLine("Prompts and replies", "are never stored"),
        ),
    )
