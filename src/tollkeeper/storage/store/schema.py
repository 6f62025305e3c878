"""The tables of the store, for SQLite and PostgreSQL alike.

Times are epoch microseconds UTC. Ids that we mint are UUIDv7 texts. The checks bound every
number and text: SQLite would otherwise keep a text in a number's column, and since it sorts
texts after all numbers, an upper bound refuses them there too.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from tollkeeper.storage.store.alert_schema import alerts as alerts
from tollkeeper.storage.store.audit_schema import audit_log as audit_log
from tollkeeper.storage.store.identity_schema import identities as identities
from tollkeeper.storage.store.identity_schema import spent_states as spent_states
from tollkeeper.storage.store.invitation_schema import invitations as invitations
from tollkeeper.storage.store.key_schema import key_networks as key_networks
from tollkeeper.storage.store.key_schema import key_rotations as key_rotations
from tollkeeper.storage.store.password_schema import passwords as passwords
from tollkeeper.storage.store.password_schema import session_beginnings as session_beginnings
from tollkeeper.storage.store.people_schema import memberships as memberships
from tollkeeper.storage.store.people_schema import team_parents as team_parents
from tollkeeper.storage.store.raise_schema import budget_raises as budget_raises
from tollkeeper.storage.store.rate_schema import rate_rules as rate_rules
from tollkeeper.storage.store.schema_parts import (
    BUDGET_LIMIT_MAX,
    COUNT_MAX,
    EMAIL_CHARS_MAX,
    FINGERPRINT_BYTES,
    HASH_BYTES,
    ID_CHARS,
    NAME_CHARS_MAX,
    PRICES_CHARS_MAX,
    REASON_CHARS_MAX,
    TIME_US_MAX,
)
from tollkeeper.storage.store.schema_parts import bounded as _bounded
from tollkeeper.storage.store.schema_parts import length as _length
from tollkeeper.storage.store.schema_parts import metadata as metadata
from tollkeeper.storage.store.schema_parts import one_of as _one_of
from tollkeeper.storage.store.scim_schema import scim_groups as scim_groups
from tollkeeper.storage.store.scim_schema import scim_tokens as scim_tokens
from tollkeeper.storage.store.scim_schema import scim_users as scim_users

orgs = Table(
    "orgs",
    metadata,
    Column("org_number", Integer, primary_key=True, autoincrement=False),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    _bounded("org_number", 1, 1),
    _length("name", NAME_CHARS_MAX),
)
"""The organisation: one row, none before the first start is complete."""

revisions = Table(
    "revisions",
    metadata,
    Column("row_number", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("people_revision", BigInteger, nullable=False),
    Column("secrets_revision", BigInteger, nullable=False),
    Column("probes", BigInteger, nullable=False),
    _bounded("row_number", 1, 1),
)
"""One row. ``revision`` is raised by every write, first thing in its transaction, which also
makes writers wait for each other. ``people_revision`` is the last one that changed the
organisation, a team or a person, ``secrets_revision`` the last that changed a provider
secret. ``probes`` counts health checks, which are writes that change nothing."""

teams = Table(
    "teams",
    metadata,
    Column("team_id", String(ID_CHARS), primary_key=True),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("name_folded", String(NAME_CHARS_MAX * 3), nullable=False, unique=True),
    Column("active", Boolean(create_constraint=True, name="active"), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    _length("name", NAME_CHARS_MAX),
    _bounded("created_at_us", TIME_US_MAX),
)
"""``name_folded`` is the name without case, so that "Core" and "core" are one team."""

users = Table(
    "users",
    metadata,
    Column("user_id", String(ID_CHARS), primary_key=True),
    Column("email", String(EMAIL_CHARS_MAX), nullable=False, unique=True),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("role", String(16), nullable=False),
    Column("team_id", ForeignKey("teams.team_id"), nullable=True, index=True),
    Column("active", Boolean(create_constraint=True, name="active"), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    _length("email", EMAIL_CHARS_MAX, 3),
    _length("name", NAME_CHARS_MAX),
    _one_of("role", "admin", "finance", "lead", "member", "auditor"),
    _bounded("created_at_us", TIME_US_MAX),
)
"""``email`` is kept in lower case."""

virtual_keys = Table(
    "virtual_keys",
    metadata,
    Column("key_id", String(8), primary_key=True),
    Column("secret_hmac", LargeBinary, nullable=False),
    Column("pepper_version", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("team_id", ForeignKey("teams.team_id"), nullable=True, index=True),
    Column("user_id", ForeignKey("users.user_id"), nullable=True, index=True),
    Column("expires_at_us", BigInteger, nullable=True),
    Column("models", Text, nullable=False),
    Column("providers", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("created_by", String(NAME_CHARS_MAX), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("revoked_at_us", BigInteger, nullable=True),
    Column("changed_revision", BigInteger, nullable=False),
    _length("key_id", 8, 8),
    _length("secret_hmac", HASH_BYTES, HASH_BYTES),
    _bounded("pepper_version", 1_000_000, 1),
    _one_of("kind", "virtual", "admin"),
    _length("name", NAME_CHARS_MAX),
    _bounded("expires_at_us", TIME_US_MAX),
    _bounded("created_at_us", TIME_US_MAX),
    _bounded("revoked_at_us", TIME_US_MAX),
    Index("ix_virtual_keys_changed_revision", "changed_revision"),
)
"""``team_id`` is NULL where the key follows its user's team. ``models`` and ``providers``
are JSON lists of globs, ``tags`` a JSON object. ``changed_revision`` is the store's revision
at the key's last change."""

login_links = Table(
    "login_links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", ForeignKey("users.user_id"), nullable=False, index=True),
    Column("created_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Column("used_at_us", BigInteger, nullable=True),
    _length("token_hash", HASH_BYTES, HASH_BYTES),
    _bounded("created_at_us", TIME_US_MAX),
    _bounded("expires_at_us", TIME_US_MAX),
    _bounded("used_at_us", TIME_US_MAX),
)
"""One-time sign-in links; only a keyed hash of each is here."""

sessions = Table(
    "sessions",
    metadata,
    Column("session_hash", LargeBinary, primary_key=True),
    Column("user_id", ForeignKey("users.user_id"), nullable=False, index=True),
    Column("created_at_us", BigInteger, nullable=False),
    Column("last_seen_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    _length("session_hash", HASH_BYTES, HASH_BYTES),
    _bounded("created_at_us", TIME_US_MAX),
    _bounded("last_seen_at_us", TIME_US_MAX),
    _bounded("expires_at_us", TIME_US_MAX),
)
"""Console sessions; only a keyed hash of each cookie is here."""

provider_secrets = Table(
    "provider_secrets",
    metadata,
    Column("provider", String(NAME_CHARS_MAX), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("set_at_us", BigInteger, nullable=False),
    _length("provider", NAME_CHARS_MAX),
    _bounded("set_at_us", TIME_US_MAX),
)
"""Keys of providers, sealed by the vault."""

key_file = Table(
    "key_file",
    metadata,
    Column("row_number", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", LargeBinary, nullable=False),
    _bounded("row_number", 1, 1),
    _length("fingerprint", FINGERPRINT_BYTES, FINGERPRINT_BYTES),
)
"""One row: the key file that hashes and secrets here were made with. None before its first use."""

closed_months = Table(
    "closed_months",
    metadata,
    Column("month", String(7), primary_key=True),
    Column("zone", String(NAME_CHARS_MAX), nullable=False),
    Column("start_us", BigInteger, nullable=False),
    Column("end_us", BigInteger, nullable=False),
    Column("closed_at_us", BigInteger, nullable=False),
    Column("closed_by", String(EMAIL_CHARS_MAX), nullable=False),
    _length("month", 7, 7),
    _length("zone", NAME_CHARS_MAX),
    _bounded("start_us", TIME_US_MAX),
    _bounded("end_us", TIME_US_MAX),
    _bounded("closed_at_us", TIME_US_MAX),
    _length("closed_by", EMAIL_CHARS_MAX),
)
"""Months of which no entry is corrected any more; their ends as they were when it was closed."""

issued_statements = Table(
    "issued_statements",
    metadata,
    Column("month", String(7), primary_key=True),
    Column("issued_at_us", BigInteger, nullable=False),
    Column("issued_by", String(EMAIL_CHARS_MAX), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),
    _length("month", 7, 7),
    _bounded("issued_at_us", TIME_US_MAX),
    _length("issued_by", EMAIL_CHARS_MAX),
    _length("sha256", 64, 64),
)
"""Statements as they were issued: the text, deflated, and its hash. None is changed or deleted."""

pricing_runs = Table(
    "pricing_runs",
    metadata,
    Column("began_at_us", BigInteger, primary_key=True, autoincrement=False),
    Column("ended_at_us", BigInteger, nullable=True),
    Column("price_version", String(NAME_CHARS_MAX), nullable=False),
    Column("priced", BigInteger, nullable=False),
    Column("unpriced", BigInteger, nullable=False),
    _bounded("began_at_us", TIME_US_MAX),
    _bounded("ended_at_us", TIME_US_MAX),
    _bounded("priced", COUNT_MAX),
    _bounded("unpriced", COUNT_MAX),
)
"""Each time that a new price version was tried on calls without a price, by itself."""

price_rules = Table(
    "price_rules",
    metadata,
    Column("rule_id", String(ID_CHARS), primary_key=True),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("provider", String(NAME_CHARS_MAX), nullable=False),
    Column("model", String(NAME_CHARS_MAX), nullable=False),
    Column("team", String(NAME_CHARS_MAX), nullable=False),
    Column("usd", Text, nullable=False),
    Column("discount_bp", Integer, nullable=False),
    Column("since_us", BigInteger, nullable=True),
    Column("until_us", BigInteger, nullable=True),
    Column("reason", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("created_by", String(EMAIL_CHARS_MAX), nullable=False),
    *(_length(column, NAME_CHARS_MAX) for column in ("name", "provider", "model", "team")),
    _length("usd", PRICES_CHARS_MAX),
    _length("reason", REASON_CHARS_MAX, 0),
    _length("created_by", EMAIL_CHARS_MAX),
    _bounded("discount_bp", 10_000, -10_000),
    *(_bounded(column, TIME_US_MAX) for column in ("since_us", "until_us", "created_at_us")),
)
"""Contracts and own prices. None is deleted: one that ended still prices what it priced."""

budgets = Table(
    "budgets",
    metadata,
    Column("budget_id", String(ID_CHARS), primary_key=True),
    Column("name", String(NAME_CHARS_MAX), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("limit_amount", BigInteger, nullable=False),
    Column("window_kind", String(16), nullable=False),
    Column("zone", String(NAME_CHARS_MAX), nullable=False),
    Column("first_weekday", Integer, nullable=False),
    Column("first_month", Integer, nullable=False),
    Column("first_day", Integer, nullable=False),
    Column("match_value", String(NAME_CHARS_MAX), nullable=False),
    Column("each_value", Boolean(create_constraint=True, name="each_value"), nullable=False),
    Column("tag", String(NAME_CHARS_MAX), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("sizing", String(16), nullable=False),
    Column("exempt_models", Text, nullable=False),
    Column("rollover_max", BigInteger, nullable=False),
    Column("thresholds_bp", Text, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("changed_revision", BigInteger, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("created_by", String(EMAIL_CHARS_MAX), nullable=False),
    _length("name", NAME_CHARS_MAX),
    _one_of("mode", "hard", "observe"),
    _bounded("limit_amount", BUDGET_LIMIT_MAX),
    _bounded("rollover_max", BUDGET_LIMIT_MAX),
    *(_bounded(column, TIME_US_MAX) for column in ("since_us", "until_us", "created_at_us")),
)
"""What a budget counts never changes, only its limit and the like. None is deleted."""

_ROW_KEY: Final = ("budget_id", "entity", "window_start_us")


def _row_columns() -> tuple[Column[Any], ...]:
    return (
        Column("budget_id", ForeignKey("budgets.budget_id"), primary_key=True),
        Column("entity", String(NAME_CHARS_MAX), primary_key=True),
        Column("window_start_us", BigInteger, primary_key=True, autoincrement=False),
    )


budget_balances = Table(
    "budget_balances",
    metadata,
    *_row_columns(),
    Column("window_end_us", BigInteger, nullable=False),
    Column("posted", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("rolled_in", BigInteger, nullable=False),
    Column("rolled_on", BigInteger, nullable=False),
    _bounded("posted", COUNT_MAX),
    _bounded("held", COUNT_MAX),
    _bounded("rolled_in", BUDGET_LIMIT_MAX),
    _bounded("rolled_on", BUDGET_LIMIT_MAX),
    _bounded("window_start_us", TIME_US_MAX, -TIME_US_MAX),
    _bounded("window_end_us", TIME_US_MAX),
)
"""One row for each window of each budget (and each value, for one that counts them apart),
made when it is first needed, in the budget's unit. ``rolled_in`` came from the window before,
``rolled_on`` went to the next."""

budget_gateways = Table(
    "budget_gateways",
    metadata,
    Column("gateway", String(NAME_CHARS_MAX), primary_key=True),
    Column("seen_at_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger, nullable=True),
    _bounded("seen_at_us", TIME_US_MAX),
    _bounded("ended_at_us", TIME_US_MAX),
)
"""Gateway processes that leased. Whatever arrives from one after its end gets nothing."""

budget_leases = Table(
    "budget_leases",
    metadata,
    Column("gateway", String(NAME_CHARS_MAX), primary_key=True),
    *_row_columns(),
    Column("granted", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    _bounded("granted", COUNT_MAX),
    _bounded("spent", COUNT_MAX),
    _one_of("state", "open", "expired", "closed"),
    _bounded("expires_at_us", TIME_US_MAX),
    Index("ix_budget_leases_budget_id", *_ROW_KEY),
)
"""What one gateway process was ever granted of a row, and has reported as spent. What lies
between is part of the row's ``held``. ``epoch`` grows with each exchange."""

budget_holds = Table(
    "budget_holds",
    metadata,
    Column("entry_id", String(64), primary_key=True),
    *_row_columns(),
    Column("gateway", String(NAME_CHARS_MAX), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=True),
    Column("state", String(16), nullable=False),
    Column("changed_at_us", BigInteger, nullable=False),
    _bounded("amount", COUNT_MAX),
    _bounded("spent", COUNT_MAX),
    _one_of("state", "held", "posted", "voided", "estimated"),
    _bounded("changed_at_us", TIME_US_MAX),
    Index("ix_budget_holds_changed_at_us", "changed_at_us"),
)
"""Holds that were made here and not from a lease. One that has ended stays for a while, so
that whatever arrives twice is known."""
