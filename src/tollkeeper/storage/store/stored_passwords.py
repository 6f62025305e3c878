"""The Store port's part about passwords, on SQLAlchemy."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from tollkeeper.domain.passwords import StoredPassword
from tollkeeper.storage.store.password_schema import passwords
from tollkeeper.storage.store.transactions import Transactions
from tollkeeper.storage.store.users import require_user


class StoredPasswords:
    """Implements ``domain.passwords.Passwords``."""

    _transactions: Transactions

    def password(self, user_id: str) -> StoredPassword | None:
        wanted = select(passwords.c.encoded, passwords.c.set_at_us)
        with self._transactions.read() as db:
            row = db.execute(wanted.where(passwords.c.user_id == user_id)).first()
        return None if row is None else StoredPassword(*row)

    def set_password(self, user_id: str, encoded: str, now_us: int) -> None:
        with self._transactions.write() as (db, _):
            require_user(db, user_id)
            db.execute(delete(passwords).where(passwords.c.user_id == user_id))
            values = {"user_id": user_id, "encoded": encoded, "set_at_us": now_us}
            db.execute(insert(passwords).values(**values))

    def replace_password(self, user_id: str, before: str, encoded: str) -> bool:
        same = (passwords.c.user_id == user_id, passwords.c.encoded == before)
        with self._transactions.write() as (db, _):
            return db.execute(update(passwords).where(*same).values(encoded=encoded)).rowcount == 1

    def remove_password(self, user_id: str) -> bool:
        with self._transactions.write() as (db, _):
            return db.execute(delete(passwords).where(passwords.c.user_id == user_id)).rowcount == 1

    def users_with_password(self) -> frozenset[str]:
        with self._transactions.read() as db:
            return frozenset(db.scalars(select(passwords.c.user_id)))
