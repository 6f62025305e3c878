"""The composition root: the only module that knows every adapter.

Adapters that are heavy to import are loaded when they are first needed, so that each
process pays only for its own.
"""

from __future__ import annotations

import gc
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tollkeeper.domain.errors import ConfigError
from tollkeeper.ports import BudgetAuthority, DataFolder, KeyDirectory, Store, Vault
from tollkeeper.storage.store.schema_check import (
    has_organisation,
    has_provider_secrets,
    key_file_fingerprint,
    schema_is_current,
    store_exists,
)
from tollkeeper.storage.store.store_address import StoreAddress, store_of

# What a process makes while it starts stays: looking for garbage every 700 objects would be a
# sixth of a console's start.
gc.set_threshold(50_000, 20, 20)

_LOCAL_HOSTS = {"127.0.0.1", "0.0.0.0", "::", "::1"}  # noqa: S104 - compared, not bound

if TYPE_CHECKING:
    from tollkeeper.config import Configuration
    from tollkeeper.config.settings import Settings
    from tollkeeper.domain.invitations import Mailer
    from tollkeeper.storage.store.key_directory import SqliteKeyDirectory
    from tollkeeper.storage.store.postgres_keys import PostgresKeyDirectory
    from tollkeeper.storage.store.store import SqlStore
    from tollkeeper.storage.vault import KeyFileVault


def open_vault(data: DataFolder) -> Vault:
    """Open the vault; on the first start, create its key file. Raises ConfigError."""
    return _open_key_file(data)


def open_store(data: DataFolder) -> Store:
    """Open a deployment's store; create it, or bring its schema up to date, first.

    Raises ConfigError when it cannot be made there, the key file is missing or another than
    the store's, or the store is of a newer Tollkeeper; OSError when it cannot be used at the
    moment.
    """
    vault = _open_key_file(data)  # first: no store may exist without its key file
    at = store_of(data)
    if not schema_is_current(at):
        import_module("tollkeeper.storage.store.migrate").migrate(at)
    module = import_module("tollkeeper.storage.store.store")
    store: SqlStore = module.open_sql_store(at)
    try:
        _claim(store, vault, data)
    except BaseException:
        store.close()
        raise
    return store


def _claim(store: SqlStore, vault: KeyFileVault, data: DataFolder) -> None:
    """Note whose store it is at its first use; raise ConfigError if it is another key file's."""
    noted = store.noted_key_file()
    if noted is None:
        sealed = store.provider_secrets().values()
        if not sealed or any(vault.has_sealed(secret) for secret in sealed):
            store.note_key_file(vault.fingerprint)
            noted = store.noted_key_file()  # of two that start at once, one is first
    if noted != vault.fingerprint:
        raise _another_key_file(data)


def open_key_directory(data: DataFolder) -> KeyDirectory:
    """Open the gateway's view of the store, which must be there and up to date.

    Raises ConfigError, also when the data folder's key file is not the store's.
    """
    at = store_of(data)
    require_own_key_file(data)
    if isinstance(at, Path):
        module = import_module("tollkeeper.storage.store.key_directory")
        sqlite: SqliteKeyDirectory = module.SqliteKeyDirectory(at)
        return sqlite
    module = import_module("tollkeeper.storage.store.postgres_keys")
    postgres: PostgresKeyDirectory = module.PostgresKeyDirectory(at)
    return postgres


def open_budget_authority(data: DataFolder) -> BudgetAuthority:
    """Open the gateway's way to the budgets of the store. Raises ConfigError or OSError."""
    at = store_of(data)
    if isinstance(at, Path):
        module = import_module("tollkeeper.storage.store.sqlite_budgets")
        sqlite: BudgetAuthority = module.open_sqlite_budgets(at)
        return sqlite
    module = import_module("tollkeeper.storage.store.postgres_budgets")
    postgres: BudgetAuthority = module.PostgresBudgetAuthority(at)
    return postgres


def _open_key_file(data: DataFolder) -> KeyFileVault:
    # The store is asked only where the file is not there and might have to be made.
    needed = not data.secret_key.exists() and _is_in_use(store_of(data))
    module = import_module("tollkeeper.storage.vault")
    vault: KeyFileVault = module.open_vault(data.secret_key, store_exists=needed)
    return vault


def _is_in_use(at: StoreAddress) -> bool:
    """Tell whether a store may hold what was made with some key file."""
    if isinstance(at, Path) or not schema_is_current(at):
        return store_exists(at)
    return key_file_fingerprint(at) is not None or has_organisation(at)


def require_own_key_file(data: DataFolder) -> None:
    """Raise ConfigError when the data folder's key file is not the store's."""
    noted = key_file_fingerprint(store_of(data))
    if noted is not None and noted != _open_key_file(data).fingerprint:
        raise _another_key_file(data)


def _another_key_file(data: DataFolder) -> ConfigError:
    return ConfigError(
        "this is not the key file that the store was made with",
        file=str(data.secret_key),
        hint="copy secret.key from the data folder of a server that uses this store: "
        "all of them need the same one",
    )


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


def configured_mailer(config_file: Path | None) -> Mailer | None:
    """Make who sends mails to people; None where none is configured. Raises ConfigError."""
    config = import_module("tollkeeper.config")
    mailing = import_module("tollkeeper.bootstrap.mailing")
    mailer: Mailer | None = mailing.mailer_of(config.load(config_file, config.environment()))
    return mailer


def organisation_of(store: Store) -> str:
    """Name the organisation; by a word for it before the first start is done."""
    try:
        return store.org_name()
    except LookupError:
        return "the organisation"


def address_of(settings: Settings) -> str:
    """Give the address under which people reach a deployment."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    listen = settings.listen
    host = "localhost" if listen.host in _LOCAL_HOSTS else listen.host
    return f"{'https' if listen.tls_cert else 'http'}://{host}:{listen.port}"


def has_store(data: DataFolder) -> bool:
    """Tell whether there is a store, whatever its schema. Raises OSError where nobody answers."""
    return store_exists(store_of(data))


def is_prepared(data: DataFolder) -> bool:
    """Tell, without any heavy import, whether the store is there and ready for use.

    Raises ConfigError when the data folder's key file is not the store's.
    """
    at = store_of(data)
    if not data.secret_key.exists() or not schema_is_current(at):
        return False
    require_own_key_file(data)
    return has_organisation(at) and key_file_fingerprint(at) is not None


def wants_sandbox(configuration: Configuration, data: DataFolder) -> bool:
    """Tell whether the sandbox is to run: see ``bootstrap.routing.sandbox_wanted``."""
    wanted = configuration.settings.sandbox
    if wanted != "auto":
        return wanted == "on"
    return not configuration.providers and not has_provider_secrets(store_of(data))


def data_folder(data: Path | None, config_file: Path | None = None) -> DataFolder:
    """Give a data folder, or else the configured one, and where its store and its ledger are.

    Of the configuration no more is read than that. Raises ConfigError.
    """
    config = import_module("tollkeeper.config")
    store_url: str = config.load_store_url(config_file, config.environment())
    root = Path(configuration(config_file).settings.data) if data is None else data
    return DataFolder(root, store_url, config.load_ledger_url(config_file, config.environment()))


def configured_zone(config_file: Path | None) -> str:
    """Give the time zone that days are counted in. Raises ConfigError."""
    return configuration(config_file).settings.timezone


def configuration(config_file: Path | None) -> Configuration:
    """Read the configuration. Raises ConfigError."""
    config = import_module("tollkeeper.config")
    found: Configuration = config.load(config_file, config.environment())
    return found
