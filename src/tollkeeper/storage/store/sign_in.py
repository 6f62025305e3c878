"""The store's one-time sign-in links and console sessions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from tollkeeper.ports import Session, User
from tollkeeper.storage.store.password_schema import session_beginnings
from tollkeeper.storage.store.schema import login_links, sessions
from tollkeeper.storage.store.users import require_user

_LINK: Final = "link"
_SESSIONS: Final = select(
    sessions.c.session_hash,
    sessions.c.user_id,
    sessions.c.created_at_us,
    sessions.c.last_seen_at_us,
    sessions.c.expires_at_us,
    func.coalesce(session_beginnings.c.began_with, _LINK),
).join(
    session_beginnings,
    session_beginnings.c.session_hash == sessions.c.session_hash,
    isouter=True,
)


def add_login_link(
    db: Connection, token_hash: bytes, user_id: str, created_at_us: int, expires_at_us: int
) -> None:
    """Add a link, and forget those that have expired."""
    require_user(db, user_id)
    db.execute(delete(login_links).where(login_links.c.expires_at_us <= created_at_us))
    db.execute(
        insert(login_links).values(
            token_hash=token_hash,
            user_id=user_id,
            created_at_us=created_at_us,
            expires_at_us=expires_at_us,
        )
    )


def use_login_link(db: Connection, token_hash: bytes, now_us: int) -> User | None:
    """Spend a link; give its user if it was good and the user is active."""
    spent = db.execute(
        update(login_links)
        .where(
            login_links.c.token_hash == token_hash,
            login_links.c.used_at_us.is_(None),
            login_links.c.expires_at_us > now_us,
        )
        .values(used_at_us=now_us)
    )
    if spent.rowcount != 1:
        return None
    user_id = db.scalars(
        select(login_links.c.user_id).where(login_links.c.token_hash == token_hash)
    ).one()
    user = require_user(db, user_id)
    return user if user.active else None


def add_session(db: Connection, session: Session) -> None:
    """Add a session, and forget those that have expired."""
    require_user(db, session.user_id)
    db.execute(delete(sessions).where(sessions.c.expires_at_us <= session.created_at_us))
    db.execute(
        insert(sessions).values(
            session_hash=session.session_hash,
            user_id=session.user_id,
            created_at_us=session.created_at_us,
            last_seen_at_us=session.last_seen_at_us,
            expires_at_us=session.expires_at_us,
        )
    )
    if session.began_with != _LINK:
        how = {"session_hash": session.session_hash, "began_with": session.began_with}
        db.execute(insert(session_beginnings).values(**how))


def session(db: Connection, session_hash: bytes) -> Session | None:
    """Find a session by the hash of its cookie."""
    row = db.execute(_SESSIONS.where(sessions.c.session_hash == session_hash)).first()
    return None if row is None else Session(*row)


def sessions_of(db: Connection, user_id: str) -> list[Session]:
    """List a person's sessions, the oldest first."""
    wanted = _SESSIONS.where(sessions.c.user_id == user_id)
    order = (sessions.c.created_at_us, sessions.c.session_hash)
    return [Session(*row) for row in db.execute(wanted.order_by(*order))]


def touch_session(db: Connection, session_hash: bytes, now_us: int) -> None:
    """Note that a session was used. Raises LookupError when it has ended."""
    touched = db.execute(
        update(sessions)
        .where(sessions.c.session_hash == session_hash)
        .values(last_seen_at_us=now_us)
    )
    if not touched.rowcount:
        raise LookupError("this session has ended")


def end_session(db: Connection, session_hash: bytes) -> None:
    """End a session, if it has not ended yet."""
    db.execute(delete(sessions).where(sessions.c.session_hash == session_hash))


def end_sessions_of(db: Connection, user_id: str) -> None:
    """End all sessions of a person."""
    db.execute(delete(sessions).where(sessions.c.user_id == user_id))


def forget_sign_ins(db: Connection, now_us: int, idle_since_us: int) -> int:
    """Delete links and sessions that open nothing any more; say how many."""
    links = db.execute(
        delete(login_links).where(
            or_(login_links.c.used_at_us.is_not(None), login_links.c.expires_at_us <= now_us)
        )
    )
    ended = db.execute(
        delete(sessions).where(
            or_(sessions.c.expires_at_us <= now_us, sessions.c.last_seen_at_us <= idle_since_us)
        )
    )
    return links.rowcount + ended.rowcount
