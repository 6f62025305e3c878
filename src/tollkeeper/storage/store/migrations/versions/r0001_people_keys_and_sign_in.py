"""The first schema: organisation, teams, people, virtual keys, sign-in, provider secrets.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME_US_MAX = 253_402_300_799_999_999


def upgrade() -> None:
    """Create the tables, and the one row of ``revisions``."""
    _create_single_rows()
    _create_people()
    _create_virtual_keys()
    _create_sign_in()
    _create_provider_secrets()


def downgrade() -> None:
    """Drop everything."""
    for table in (
        "provider_secrets",
        "sessions",
        "login_links",
        "virtual_keys",
        "users",
        "teams",
        "revisions",
        "orgs",
    ):
        op.drop_table(table)


def _bounded(table: str, column: str, most: int, least: int = 0) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"{column} BETWEEN {least} AND {most}", name=op.f(f"ck_{table}_{column}")
    )


def _length(table: str, column: str, most: int, least: int = 1) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"length({column}) BETWEEN {least} AND {most}", name=op.f(f"ck_{table}_{column}")
    )


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}"))


def _primary_key(table: str, column: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(column, name=op.f(f"pk_{table}"))


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"))


def _active(table: str) -> sa.Column[bool]:
    kind = sa.Boolean(create_constraint=True, name=op.f(f"ck_{table}_active"))
    return sa.Column("active", kind, nullable=False)


def _create_single_rows() -> None:
    op.create_table(
        "orgs",
        sa.Column("org_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        _bounded("orgs", "org_number", 1, 1),
        _length("orgs", "name", 200),
        _primary_key("orgs", "org_number"),
    )
    revisions = op.create_table(
        "revisions",
        sa.Column("row_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("people_revision", sa.BigInteger(), nullable=False),
        sa.Column("secrets_revision", sa.BigInteger(), nullable=False),
        sa.Column("probes", sa.BigInteger(), nullable=False),
        _bounded("revisions", "row_number", 1, 1),
        _primary_key("revisions", "row_number"),
    )
    first = {"row_number": 1, "revision": 1, "people_revision": 1, "secrets_revision": 1}
    op.bulk_insert(revisions, [first | {"probes": 0}])


def _create_people() -> None:
    op.create_table(
        "teams",
        sa.Column("team_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("name_folded", sa.String(600), nullable=False),
        _active("teams"),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        _length("teams", "name", 200),
        _bounded("teams", "created_at_us", _TIME_US_MAX),
        _primary_key("teams", "team_id"),
        sa.UniqueConstraint("name_folded", name=op.f("uq_teams_name_folded")),
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("team_id", sa.String(36), nullable=True),
        _active("users"),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        _length("users", "email", 254, 3),
        _length("users", "name", 200),
        _one_of("users", "role", "admin", "finance", "lead", "member", "auditor"),
        _bounded("users", "created_at_us", _TIME_US_MAX),
        _primary_key("users", "user_id"),
        _reference("users", "team_id", "teams.team_id"),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_index(op.f("ix_users_team_id"), "users", ["team_id"])


def _create_virtual_keys() -> None:
    op.create_table(
        "virtual_keys",
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.Column("secret_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("pepper_version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("team_id", sa.String(36), nullable=True),
        sa.Column("user_id", sa.String(36), nullable=True),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=True),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("providers", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_us", sa.BigInteger(), nullable=True),
        sa.Column("changed_revision", sa.BigInteger(), nullable=False),
        _length("virtual_keys", "key_id", 8, 8),
        _length("virtual_keys", "secret_hmac", 32, 32),
        _bounded("virtual_keys", "pepper_version", 1_000_000, 1),
        _one_of("virtual_keys", "kind", "virtual", "admin"),
        _length("virtual_keys", "name", 200),
        _bounded("virtual_keys", "expires_at_us", _TIME_US_MAX),
        _bounded("virtual_keys", "created_at_us", _TIME_US_MAX),
        _bounded("virtual_keys", "revoked_at_us", _TIME_US_MAX),
        _primary_key("virtual_keys", "key_id"),
        _reference("virtual_keys", "team_id", "teams.team_id"),
        _reference("virtual_keys", "user_id", "users.user_id"),
    )
    for column in ("team_id", "user_id", "changed_revision"):
        op.create_index(op.f(f"ix_virtual_keys_{column}"), "virtual_keys", [column])


def _create_sign_in() -> None:
    op.create_table(
        "login_links",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.Column("used_at_us", sa.BigInteger(), nullable=True),
        _length("login_links", "token_hash", 32, 32),
        _bounded("login_links", "created_at_us", _TIME_US_MAX),
        _bounded("login_links", "expires_at_us", _TIME_US_MAX),
        _bounded("login_links", "used_at_us", _TIME_US_MAX),
        _primary_key("login_links", "token_hash"),
        _reference("login_links", "user_id", "users.user_id"),
    )
    op.create_index(op.f("ix_login_links_user_id"), "login_links", ["user_id"])
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        _length("sessions", "session_hash", 32, 32),
        _bounded("sessions", "created_at_us", _TIME_US_MAX),
        _bounded("sessions", "last_seen_at_us", _TIME_US_MAX),
        _bounded("sessions", "expires_at_us", _TIME_US_MAX),
        _primary_key("sessions", "session_hash"),
        _reference("sessions", "user_id", "users.user_id"),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])


def _create_provider_secrets() -> None:
    op.create_table(
        "provider_secrets",
        sa.Column("provider", sa.String(200), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("set_at_us", sa.BigInteger(), nullable=False),
        _length("provider_secrets", "provider", 200),
        _bounded("provider_secrets", "set_at_us", _TIME_US_MAX),
        _primary_key("provider_secrets", "provider"),
    )
