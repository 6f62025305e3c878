"""The Store port's part about issued statements, on SQLAlchemy."""

from __future__ import annotations

import zlib

from sqlalchemy import insert, select

from tollkeeper.domain.statements import IssuedHead, IssuedStatement
from tollkeeper.storage.store.schema import issued_statements
from tollkeeper.storage.store.transactions import Transactions

_HEAD = [issued_statements.c[name] for name in IssuedHead._fields]


class StoredStatements:
    """Implements ``domain.statements.IssuedStatements``."""

    _transactions: Transactions

    def issued_statements(self) -> list[IssuedHead]:
        with self._transactions.read() as db:
            rows = db.execute(select(*_HEAD).order_by(issued_statements.c.month))
            return [IssuedHead(**row) for row in rows.mappings()]

    def issued_statement(self, month: str) -> IssuedStatement | None:
        one = select(issued_statements).where(issued_statements.c.month == month)
        with self._transactions.read() as db:
            row = db.execute(one).mappings().first()
        if row is None:
            return None
        return IssuedStatement(**{**row, "document": _inflated(row["document"])})

    def issue_statement(self, issued: IssuedStatement) -> None:
        values = {**issued._asdict(), "document": zlib.compress(issued.document)}
        with self._transactions.write() as (db, _):
            db.execute(insert(issued_statements).values(**values))


def _inflated(deflated: bytes) -> bytes:
    try:
        return zlib.decompress(deflated)
    except zlib.error:
        return b""  # which has another hash than any statement
