"""The store's tables of the audit log, and the triggers that let entries only be added.

The triggers stop mistakes and simple tampering. Whoever may change the schema can remove
them; the hashes, and a head that was kept elsewhere, show what happened then.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    event,
)

from tollkeeper.domain.audit import (
    ADDRESS_CHARS_MAX,
    DETAIL_CHARS_MAX,
    ID_CHARS_MAX,
)
from tollkeeper.domain.audit import NAME_CHARS_MAX as ACTOR_CHARS_MAX
from tollkeeper.storage.store.schema_parts import (
    COUNT_MAX,
    HASH_BYTES,
    TIME_US_MAX,
    bounded,
    length,
    metadata,
)

_WORD_CHARS_MAX: Final = 40

audit_log = Table(
    "audit_log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor_kind", String(_WORD_CHARS_MAX), nullable=False),
    Column("actor_id", String(ID_CHARS_MAX), nullable=False),
    Column("actor_name", String(ACTOR_CHARS_MAX), nullable=False),
    Column("address", String(ADDRESS_CHARS_MAX), nullable=False),
    Column("action", String(_WORD_CHARS_MAX), nullable=False),
    Column("target_kind", String(ID_CHARS_MAX), nullable=False),
    Column("target_id", String(ID_CHARS_MAX), nullable=False),
    Column("detail", Text, nullable=False),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    bounded("seq", COUNT_MAX, 1),
    bounded("at_us", TIME_US_MAX),
    length("action", _WORD_CHARS_MAX),
    length("detail", DETAIL_CHARS_MAX, 2),
    length("prev_hash", HASH_BYTES, HASH_BYTES),
    length("hash", HASH_BYTES, HASH_BYTES),
    Index("ix_audit_log_at_us", "at_us"),
    Index("ix_audit_log_actor_name", "actor_name", "seq"),
    Index("ix_audit_log_action", "action", "seq"),
    Index("ix_audit_log_target_id", "target_id", "seq"),
)
"""One row an entry, in the order of ``domain.audit.AuditEntry``."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("row_number", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    bounded("row_number", 1, 1),
    bounded("seq", COUNT_MAX, 1),
    length("hash", HASH_BYTES, HASH_BYTES),
)
"""One row: the place and hash of the last entry. None before the first."""

_ONLY_ADDED: Final = "the audit log is only ever added to"
_IN_ORDER: Final = "an entry of the audit log has the place after the last"
_NEXT: Final = "NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_log)"

SQLITE_GUARDS: Final = (
    "CREATE TRIGGER audit_log_in_order BEFORE INSERT ON audit_log "
    f"WHEN {_NEXT} BEGIN SELECT RAISE(ABORT, '{_IN_ORDER}'); END",
    "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log "
    f"BEGIN SELECT RAISE(ABORT, '{_ONLY_ADDED}'); END",
    "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log "
    f"BEGIN SELECT RAISE(ABORT, '{_ONLY_ADDED}'); END",
    "CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head "
    f"BEGIN SELECT RAISE(ABORT, '{_ONLY_ADDED}'); END",
)

POSTGRES_GUARDS: Final = (
    "CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
    f"BEGIN RAISE EXCEPTION '{_ONLY_ADDED}' USING ERRCODE = 'restrict_violation'; END $$",
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


def _guard(dialect: str, guards: tuple[str, ...]) -> None:
    """Make the triggers with the tables, where these are made from here."""
    for each in guards:
        table = audit_head if "ON audit_head" in each else audit_log
        made: Any = DDL
        event.listen(table, "after_create", made(each).execute_if(dialect))


_guard("sqlite", SQLITE_GUARDS)
_guard("postgresql", POSTGRES_GUARDS)
