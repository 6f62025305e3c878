"""The audit log: entries in a chain, the head that is noted beside it, and their guards.

A migration states its tables in full, so that it stays what it was when the schema moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_LOG = "audit_log"
_HEAD = "audit_head"
_TIME_US_MAX = 253_402_300_799_999_999
_COUNT_MAX = 2**62
_ADDED = "the audit log is only ever added to"
_IN_ORDER = "an entry of the audit log has the place after the last"
_NEXT = "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_log)"
_SQLITE = (
    "CREATE TRIGGER audit_log_in_order BEFORE INSERT ON audit_log "
    f"WHEN {_NEXT} BEGIN SELECT RAISE(ABORT, '{_IN_ORDER}'); END",
    "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log "
    f"BEGIN SELECT RAISE(ABORT, '{_ADDED}'); END",
    "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log "
    f"BEGIN SELECT RAISE(ABORT, '{_ADDED}'); END",
    "CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head "
    f"BEGIN SELECT RAISE(ABORT, '{_ADDED}'); END",
)
_POSTGRES = (
    "CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
    f"BEGIN RAISE EXCEPTION '{_ADDED}' USING ERRCODE = 'restrict_violation'; END $$",
    "CREATE FUNCTION audit_log_check() RETURNS trigger LANGUAGE plpgsql AS $$ "
    f"BEGIN IF {_NEXT} THEN RAISE EXCEPTION '{_IN_ORDER}' "
    "USING ERRCODE = 'restrict_violation'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER audit_log_in_order BEFORE INSERT ON audit_log "
    "FOR EACH ROW EXECUTE FUNCTION audit_log_check()",
    "CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()",
    "CREATE TRIGGER audit_head_no_delete BEFORE DELETE OR TRUNCATE ON audit_head "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()",
)


def upgrade() -> None:
    """Create the two tables, their indexes and their triggers."""
    op.create_table(
        _LOG,
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor_kind", sa.String(40), nullable=False),
        sa.Column("actor_id", sa.String(200), nullable=False),
        sa.Column("actor_name", sa.String(254), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("target_kind", sa.String(200), nullable=False),
        sa.Column("target_id", sa.String(200), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        _check(_LOG, "seq", f"seq BETWEEN 1 AND {_COUNT_MAX}"),
        _check(_LOG, "at_us", f"at_us BETWEEN 0 AND {_TIME_US_MAX}"),
        _check(_LOG, "action", "length(action) BETWEEN 1 AND 40"),
        _check(_LOG, "detail", "length(detail) BETWEEN 2 AND 8000"),
        _check(_LOG, "prev_hash", "length(prev_hash) BETWEEN 32 AND 32"),
        _check(_LOG, "hash", "length(hash) BETWEEN 32 AND 32"),
        sa.PrimaryKeyConstraint("seq", name=op.f(f"pk_{_LOG}")),
    )
    op.create_index("ix_audit_log_at_us", _LOG, ["at_us"])
    for column in ("actor_name", "action", "target_id"):
        op.create_index(f"ix_audit_log_{column}", _LOG, [column, "seq"])
    op.create_table(
        _HEAD,
        sa.Column("row_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        _check(_HEAD, "row_number", "row_number BETWEEN 1 AND 1"),
        _check(_HEAD, "seq", f"seq BETWEEN 1 AND {_COUNT_MAX}"),
        _check(_HEAD, "hash", "length(hash) BETWEEN 32 AND 32"),
        sa.PrimaryKeyConstraint("row_number", name=op.f(f"pk_{_HEAD}")),
    )
    for guard in _POSTGRES if _is_postgres() else _SQLITE:
        op.execute(guard)


def downgrade() -> None:
    """Drop them."""
    op.drop_table(_HEAD)
    op.drop_table(_LOG)
    if _is_postgres():
        op.execute("DROP FUNCTION audit_log_check()")
        op.execute("DROP FUNCTION audit_log_refuse()")


def _is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))
