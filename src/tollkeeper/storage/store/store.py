"""The Store port on SQLAlchemy: one method a question or change, sorted by noun."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select, update

from tollkeeper.domain.budgets import Balance, Budget
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.months import ClosedMonth
from tollkeeper.domain.price_rules import StoredRule
from tollkeeper.domain.rate_limits import StoredRateRule
from tollkeeper.domain.repricing import PricingRun
from tollkeeper.ports import ChangedKey, KeyRecord, NewKey, NewSecret, Session, User
from tollkeeper.storage.store import (
    books,
    budgets,
    key_file,
    keys,
    price_rules,
    provider_secrets,
    rate_rules,
    sign_in,
    sqlite_file,
    teams,
)
from tollkeeper.storage.store.schema import revisions
from tollkeeper.storage.store.schema_check import schema_is_current
from tollkeeper.storage.store.sqlite_engine import open_engine
from tollkeeper.storage.store.store_address import StoreAddress
from tollkeeper.storage.store.stored_alerts import StoredAlerts
from tollkeeper.storage.store.stored_audit import StoredAudit, audited
from tollkeeper.storage.store.stored_identities import StoredIdentities
from tollkeeper.storage.store.stored_invitations import StoredInvitations
from tollkeeper.storage.store.stored_passwords import StoredPasswords
from tollkeeper.storage.store.stored_people import StoredPeople
from tollkeeper.storage.store.stored_raises import StoredRaises
from tollkeeper.storage.store.stored_scim import StoredScim
from tollkeeper.storage.store.stored_statements import StoredStatements
from tollkeeper.storage.store.transactions import Touches, Transactions


def open_sql_store(at: StoreAddress) -> SqlStore:
    """Open a store whose schema is current (see ``migrate``).

    Raises ConfigError when it is not, or when a newer Tollkeeper has written it.
    """
    if not schema_is_current(at):
        raise ConfigError(
            "the store's schema is not up to date",
            file=str(at),
            hint="start Tollkeeper, which brings it up to date",
        )
    if isinstance(at, Path):
        return SqlStore(open_engine(at), partial(sqlite_file.as_os_error, path=at))
    server: Any = import_module("tollkeeper.storage.store.postgres_server")
    engine: Any = import_module("tollkeeper.storage.store.postgres_engine")
    return SqlStore(engine.open_engine(at), partial(server.as_os_error, database=at))


@audited
class SqlStore(
    StoredPeople,
    StoredInvitations,
    StoredPasswords,
    StoredIdentities,
    StoredScim,
    StoredStatements,
    StoredAlerts,
    StoredRaises,
    StoredAudit,
):
    """Who may do what, in an SQL database. Safe to use from several threads.

    Unknown ids raise LookupError, a name that is taken ValueError, an unusable database
    OSError.
    """

    def __init__(self, engine: Engine, explain: Callable[[BaseException], OSError]) -> None:
        self._engine = engine
        super().__init__(Transactions(engine, explain))
        self._read = self._transactions.read
        self._write = self._transactions.write
        self._ids = IdMint()

    # ------------------------------------------------------------- organisation

    def org_name(self) -> str:
        with self._read() as db:
            return teams.org_name(db)

    def set_org_name(self, name: str) -> None:
        with self._write(Touches.PEOPLE) as (db, _):
            teams.set_org_name(db, name)

    def revision(self) -> int:
        with self._read() as db:
            return int(db.scalars(select(revisions.c.revision)).one())

    def together(self) -> AbstractContextManager[None]:
        return self._transactions.together()

    # ------------------------------------------------------------- keys

    def add_key(self, new: NewKey, now_us: int) -> KeyRecord:
        with self._write() as (db, revision):
            return keys.add_key(db, new, now_us, revision)

    def keys(self) -> list[KeyRecord]:
        with self._read() as db:
            return keys.all_keys(db)

    def keys_of(self, user_id: str) -> list[KeyRecord]:
        with self._read() as db:
            return keys.keys_of(db, user_id)

    def key(self, key_id: str) -> KeyRecord | None:
        with self._read() as db:
            return keys.key(db, key_id)

    def change_key(self, new: ChangedKey) -> None:
        with self._write() as (db, revision):
            keys.change_key(db, new, revision)

    def rotate_key(self, new: NewSecret, now_us: int) -> None:
        with self._write() as (db, revision):
            keys.rotate_key(db, new, now_us, revision)

    def revoke_key(self, key_id: str, now_us: int) -> None:
        with self._write() as (db, revision):
            keys.revoke_key(db, key_id, now_us, revision)

    def revoke_keys_of(self, user_id: str, now_us: int) -> int:
        with self._write() as (db, revision):
            return keys.revoke_keys_of(db, user_id, now_us, revision)

    # ------------------------------------------------------------- sign-in

    def add_login_link(
        self, token_hash: bytes, user_id: str, created_at_us: int, expires_at_us: int
    ) -> None:
        with self._write() as (db, _):
            sign_in.add_login_link(db, token_hash, user_id, created_at_us, expires_at_us)

    def use_login_link(self, token_hash: bytes, now_us: int) -> User | None:
        with self._write() as (db, _):
            return sign_in.use_login_link(db, token_hash, now_us)

    def add_session(self, session: Session) -> None:
        with self._write() as (db, _):
            sign_in.add_session(db, session)

    def session(self, session_hash: bytes) -> Session | None:
        with self._read() as db:
            return sign_in.session(db, session_hash)

    def sessions_of(self, user_id: str) -> list[Session]:
        with self._read() as db:
            return sign_in.sessions_of(db, user_id)

    def touch_session(self, session_hash: bytes, now_us: int) -> None:
        with self._write() as (db, _):
            sign_in.touch_session(db, session_hash, now_us)

    def end_session(self, session_hash: bytes) -> None:
        with self._write() as (db, _):
            sign_in.end_session(db, session_hash)

    def end_sessions_of(self, user_id: str) -> None:
        with self._write() as (db, _):
            sign_in.end_sessions_of(db, user_id)

    def forget_sign_ins(self, now_us: int, idle_since_us: int) -> int:
        with self._transactions.quiet_write() as db:
            return sign_in.forget_sign_ins(db, now_us, idle_since_us)

    # ------------------------------------------------------------- provider secrets

    def set_provider_secret(self, provider: str, sealed: bytes, now_us: int) -> None:
        with self._write(Touches.SECRETS) as (db, _):
            provider_secrets.set_secret(db, provider, sealed, now_us)

    def provider_secrets(self) -> dict[str, bytes]:
        with self._read() as db:
            return provider_secrets.secrets(db)

    def provider_secrets_set_at(self) -> dict[str, int]:
        with self._read() as db:
            return provider_secrets.set_times(db)

    def remove_provider_secret(self, provider: str) -> None:
        with self._write(Touches.SECRETS) as (db, _):
            provider_secrets.remove_secret(db, provider)

    # ------------------------------------------------------------- price rules

    def add_price_rule(self, stored: StoredRule) -> None:
        with self._write(Touches.SECRETS) as (db, _):
            price_rules.add_rule(db, stored)

    def price_rules(self) -> list[StoredRule]:
        with self._read() as db:
            return price_rules.all_rules(db)

    def end_price_rule(self, rule_id: str, until_us: int) -> None:
        with self._write(Touches.SECRETS) as (db, _):
            price_rules.end_rule(db, rule_id, until_us)

    # ------------------------------------------------------------- rate limits

    def set_rate_rule(self, stored: StoredRateRule) -> None:
        with self._write(Touches.SECRETS) as (db, _):
            rate_rules.set_rule(db, stored)

    def rate_rules(self) -> list[StoredRateRule]:
        with self._read() as db:
            return rate_rules.all_rules(db)

    def remove_rate_rule(self, rule_id: str) -> None:
        with self._write(Touches.SECRETS) as (db, _):
            rate_rules.remove_rule(db, rule_id)

    # ------------------------------------------------------------- budgets

    def add_budget(self, budget: Budget, now_us: int, by: str) -> None:
        with self._write() as (db, revision):
            budgets.add_budget(db, budget, now_us, by, revision)

    def change_budget(self, budget: Budget) -> bool:
        with self._write() as (db, revision):
            return budgets.change_budget(db, budget, revision)

    def budgets(self) -> list[Budget]:
        with self._read() as db:
            return budgets.all_budgets(db)

    def balances(self, budget_id: str | None = None, at_us: int | None = None) -> list[Balance]:
        with self._read() as db:
            return budgets.balances(db, budget_id, at_us)

    # ------------------------------------------------------------- bookkeeping

    def closed_months(self) -> list[ClosedMonth]:
        with self._read() as db:
            return books.all_closed_months(db)

    def close_month(self, closed: ClosedMonth) -> None:
        with self._write() as (db, _):
            books.close_month(db, closed)

    def reopen_month(self, month: str) -> None:
        with self._write() as (db, _):
            books.reopen_month(db, month)

    def last_pricing_run(self) -> PricingRun | None:
        with self._read() as db:
            return books.last_pricing_run(db)

    def keep_pricing_run(self, run: PricingRun) -> None:
        with self._write() as (db, _):
            books.keep_pricing_run(db, run)

    # ------------------------------------------------------------- key file

    def noted_key_file(self) -> bytes | None:
        """Give the fingerprint of the key file that the store was made with, None before one is."""
        with self._read() as db:
            return key_file.fingerprint(db)

    def note_key_file(self, fingerprint: bytes) -> None:
        """Note a key file's fingerprint, unless one is noted."""
        with self._write() as (db, _):
            key_file.note(db, fingerprint)

    # ------------------------------------------------------------- health

    def probe(self) -> None:
        with self._transactions.quiet_write() as db:
            db.execute(update(revisions).values(probes=revisions.c.probes + 1))
            written = db.scalars(select(revisions.c.probes)).one()
        with self._read() as db:
            if db.scalars(select(revisions.c.probes)).one() < written:
                raise OSError("the store lost a write that it had confirmed")

    def close(self) -> None:
        self._engine.dispose()
