"""The composition root: the only module that knows every adapter.

Adapters that are heavy to import are loaded when they are first needed, so that each
process pays only for its own.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tollkeeper.ports import BudgetAuthority, DataFolder, KeyDirectory, Store, Vault
from tollkeeper.storage.store.schema_check import (
    has_organisation,
    has_provider_secrets,
    schema_is_current,
)

if TYPE_CHECKING:
    from tollkeeper.config import Configuration
    from tollkeeper.config.settings import Settings

_LOCAL_HOSTS = {"127.0.0.1", "0.0.0.0", "::", "::1"}  # noqa: S104 - compared, not bound

if TYPE_CHECKING:
    from tollkeeper.storage.store.key_directory import SqliteKeyDirectory
    from tollkeeper.storage.store.store import SqlStore
    from tollkeeper.storage.vault import KeyFileVault


def open_vault(data: DataFolder) -> Vault:
    """Open the vault; on the first start, create its key file. Raises ConfigError."""
    store_exists = data.store.exists()
    vault: KeyFileVault = import_module("tollkeeper.storage.vault").open_vault(
        data.secret_key, store_exists=store_exists
    )
    return vault


def open_store(data: Path) -> Store:
    """Open the store in a data folder; create it, or bring its schema up to date, first.

    Raises ConfigError when the folder cannot be written, the key file is missing or the
    store is of a newer Tollkeeper; OSError when it cannot be used at the moment.
    """
    folder = DataFolder(data)
    open_vault(folder)  # first: no store may exist without its key file
    if not schema_is_current(folder.store):
        import_module("tollkeeper.storage.store.migrate").migrate(folder.store)
    module = import_module("tollkeeper.storage.store.store")
    store: SqlStore = module.open_sql_store(folder.store)
    return store


def open_key_directory(data: DataFolder) -> KeyDirectory:
    """Open the gateway's view of the store, which must be there and up to date."""
    module = import_module("tollkeeper.storage.store.key_directory")
    directory: SqliteKeyDirectory = module.SqliteKeyDirectory(data.store)
    return directory


def open_budget_authority(data: DataFolder) -> BudgetAuthority:
    """Open the gateway's way to the budgets of the store. Raises ConfigError or OSError."""
    module = import_module("tollkeeper.storage.store.sqlite_budgets")
    authority: BudgetAuthority = module.open_sqlite_budgets(data.store)
    return authority


def provider_base_url(name: str, config_file: Path | None) -> str:
    """Give the address that a provider is called at, by configuration or by its known name.

    Raises ConfigError when the configuration is faulty, or when nobody knows the provider.
    """
    config = import_module("tollkeeper.config")
    providers = config.load(config_file, config.environment()).providers
    provider = providers.get(name)
    if provider is None:
        provider = import_module("tollkeeper.providers.catalogue").provider_from(name, {})
    return str(provider.root)


def dashboard_url(config_file: Path | None) -> str:
    """Give the address under which people reach the dashboard. Raises ConfigError."""
    config = import_module("tollkeeper.config")
    return address_of(config.load(config_file, config.environment()).settings)


def address_of(settings: Settings) -> str:
    """Give the address under which people reach a deployment."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    listen = settings.listen
    host = "localhost" if listen.host in _LOCAL_HOSTS else listen.host
    return f"{'https' if listen.tls_cert else 'http'}://{host}:{listen.port}"


def is_prepared(data: DataFolder) -> bool:
    """Tell, without any heavy import, whether the store is there and ready for use."""
    return (
        data.secret_key.exists() and schema_is_current(data.store) and has_organisation(data.store)
    )


def wants_sandbox(configuration: Configuration, data: DataFolder) -> bool:
    """Tell whether the sandbox is to run: see ``bootstrap.routing.sandbox_wanted``."""
    wanted = configuration.settings.sandbox
    if wanted != "auto":
        return wanted == "on"
    return not configuration.providers and not has_provider_secrets(data.store)


def configured_data_folder(config_file: Path | None) -> Path:
    """Give the data folder that the configuration names. Raises ConfigError."""
    return Path(configuration(config_file).settings.data)


def configured_zone(config_file: Path | None) -> str:
    """Give the time zone that days are counted in. Raises ConfigError."""
    return configuration(config_file).settings.timezone


def configuration(config_file: Path | None) -> Configuration:
    """Read the configuration. Raises ConfigError."""
    config = import_module("tollkeeper.config")
    found: Configuration = config.load(config_file, config.environment())
    return found
