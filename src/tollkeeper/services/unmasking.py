"""Seeing people by name in reports, for a reason and a time; each time stands in the audit log."""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

from tollkeeper.clock import second_text
from tollkeeper.domain.access import Role
from tollkeeper.domain.audit import Action, AuditEntry, AuditLog, AuditQuestion, Target
from tollkeeper.domain.errors import BadRequest, NotAllowed
from tollkeeper.services import audit

UNMASKERS: Final = frozenset({Role.ADMIN, Role.AUDITOR})
REASON_CHARS_MIN: Final = 10
REASON_CHARS_MAX: Final = 300
LASTS_US: Final = 3600 * 1_000_000
EVERYBODY: Final = "everybody"
SHOWN_MAX: Final = 20


class Unmasking(NamedTuple):
    """That a session sees names until a time, and why."""

    until_us: int
    reason: str


class Unmaskings:
    """Which sessions see names at the moment. Forgotten with the process. Safe to use from
    several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[bytes, Unmasking] = {}

    def begin(self, session_hash: bytes, unmasking: Unmasking) -> None:
        """Let a session see names until a time."""
        with self._lock:
            self._of[session_hash] = unmasking

    def end(self, session_hash: bytes) -> None:
        """Let it see no names any more."""
        with self._lock:
            self._of.pop(session_hash, None)

    def of(self, session_hash: bytes, now_us: int) -> Unmasking | None:
        """Give a session's unmasking, None where there is none or it is over."""
        with self._lock:
            found = self._of.get(session_hash)
            if found is not None and found.until_us <= now_us:
                del self._of[session_hash]
                return None
            return found


def record(log: AuditLog, role: Role, reason: str, until_us: int | None, where: str) -> str:
    """Record that whoever acts sees people by name, and give the reason as it is kept.

    ``until_us`` is None for one request. Raises NotAllowed for roles that may not, BadRequest
    for a reason that says nothing.
    """
    if role not in UNMASKERS:
        raise NotAllowed("only admins and auditors may see people by name", code="role_too_low")
    cleaned = " ".join(reason.split())
    if not REASON_CHARS_MIN <= len(cleaned) <= REASON_CHARS_MAX:
        raise BadRequest(
            f"say why in {REASON_CHARS_MIN} to {REASON_CHARS_MAX} characters; those who are "
            "named can read it",
            code="reason_needed",
        )
    detail = {"reason": cleaned, "until": second_text(until_us), "where": where}
    audit.record(log, Action.UNMASK, Target("people", EVERYBODY), detail)
    return cleaned


def told(log: AuditLog) -> list[AuditEntry]:
    """Give the newest times that people were seen by name: each of them may know."""
    return log.audit(AuditQuestion(action=Action.UNMASK, target=EVERYBODY, most=SHOWN_MAX))
