"""The audit log: what is recorded besides changes of the store, walked along, and its head.

A change of the store leaves its entries by itself. Here stands what is no such change: files
that are taken away, sign-ins that fail, other settings in the file; and how it is found out
whether the log is as it was written.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tollkeeper import acting
from tollkeeper.clock import second_text
from tollkeeper.domain.audit import (
    NO_HEAD,
    Action,
    Actor,
    ActorKind,
    AuditEntry,
    AuditLog,
    AuditQuestion,
    Head,
    Record,
    Target,
    Verdict,
    against_noted,
    walked,
)
from tollkeeper.domain.errors import BadRequest
from tollkeeper.ports import Store, Vault
from tollkeeper.telemetry import logger

BATCH: Final = 2_000
ADDRESSES_MAX: Final = 20
WAYS_MAX: Final = 20
_HEAD: Final = "audit head"
_SECTION: Final = "configuration section"
_MARK_CHARS: Final = 16
_NOBODY: Final = Actor(ActorKind.ANYBODY, "somebody who is not known")


class SignedHead(NamedTuple):
    """A head, when it was looked at, and the vault's signature of both (hex)."""

    head: Head
    at_us: int
    signature: str


def record(
    log: AuditLog, action: Action, target: Target, detail: Mapping[str, Any] | None = None
) -> AuditEntry:
    """Record that whoever acts does something that is no change of the store.

    Inside ``store.together()`` it is one with the changes there.
    """
    return log.add_audit(Record(acting.actor(), action, target, detail or {}))


# --------------------------------------------------------------------- walking along


def entries(log: AuditLog, after: int = 0) -> Iterator[AuditEntry]:
    """Give all entries after a place in their order, some at a time."""
    while True:
        found = log.audit_after(after, BATCH)
        yield from found
        if len(found) < BATCH:
            return
        after = found[-1].seq


def matching(log: AuditLog, question: AuditQuestion) -> Iterator[AuditEntry]:
    """Give all entries that fit a question, the newest first, however many there are."""
    while True:
        found = log.audit(question._replace(most=BATCH))
        yield from found
        if len(found) < BATCH:
            return
        question = question._replace(before_seq=found[-1].seq)


def verify(log: AuditLog) -> Verdict:
    """Walk along the whole log. Entries that are added meanwhile are walked along too."""
    verdict = walked(entries(log))
    noted = log.audit_head()
    while verdict.bad_seq is None and verdict.head.seq < noted.seq:
        before = verdict.head
        verdict = walked(entries(log, before.seq), before)
        if verdict.head == before:
            break
        noted = log.audit_head()
    verdict = against_noted(verdict, noted)
    if verdict.bad_seq is not None:
        logger.error("audit log broken", extra={"entry": verdict.bad_seq, "fault": verdict.fault})
    return verdict


def compared(log: AuditLog, vault: Vault, verdict: Verdict, kept: SignedHead) -> Verdict:
    """Compare a log that was found whole with a head that was kept elsewhere.

    Raises BadRequest for a head that is not signed by this deployment's key file.
    """
    given = _signature(vault, kept.head, kept.at_us)
    if not hmac.compare_digest(given, kept.signature):
        raise BadRequest(
            "the kept head is not signed with this key file: it is of another deployment, "
            "or was changed",
            code="head_not_signed",
        )
    if verdict.bad_seq is not None or kept.head == NO_HEAD:
        return verdict
    entry = next(iter(log.audit_after(kept.head.seq - 1, 1)), None)
    if entry is None or entry.seq != kept.head.seq:
        last, then = verdict.head.seq, kept.head.seq
        fault = f"the log ends at {last}, but had {then} entries when the head was kept"
        return Verdict(verdict.head, verdict.head.seq + 1, fault)
    if entry.hash != kept.head.hash:
        fault = f"entry {entry.seq} or one before it is another than when the head was kept"
        return Verdict(verdict.head, entry.seq, fault)
    return verdict


class Walk(NamedTuple):
    """A walk along the log, and when it ended."""

    verdict: Verdict
    at_us: int


class AuditWatch:
    """Remembers the last walk along the log. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.last: Walk | None = None

    def walk(self, log: AuditLog, now_us: Callable[[], int]) -> Walk:
        """Walk along the log now."""
        with self._lock:  # one at a time: it reads all of it
            self.last = Walk(verify(log), now_us())
            return self.last

    def gauges(self) -> dict[str, tuple[str, float]]:
        """Give what the last walk found as metrics: name to help text and value."""
        if self.last is None:
            return {}
        verdict = self.last.verdict
        return {
            "tollkeeper_audit_entries": (
                "Entries of the audit log that were whole at the last walk along it",
                float(verdict.head.seq),
            ),
            "tollkeeper_audit_whole": (
                "1 if the last walk along the audit log found nothing wrong",
                float(verdict.bad_seq is None),
            ),
        }


# --------------------------------------------------------------------- the head


def signed_head(log: AuditLog, vault: Vault, now_us: int) -> SignedHead:
    """Give the head as it is now, signed with the deployment's key file."""
    head = log.audit_head()
    return SignedHead(head, now_us, _signature(vault, head, now_us))


def head_document(signed: SignedHead) -> dict[str, Any]:
    """Give a signed head as data."""
    return {
        "seq": signed.head.seq,
        "hash": signed.head.hash.hex(),
        "at_us": signed.at_us,
        "at": second_text(signed.at_us),
        "signature": signed.signature,
    }


def read_head(text: str) -> SignedHead:
    """Read a signed head as ``head_document`` wrote it, also out of a line of the log: the last
    of those that are there. Raises BadRequest."""
    for line in reversed(text.strip().splitlines()):
        try:
            said = json.loads(line)
            return SignedHead(
                Head(int(said["seq"]), bytes.fromhex(said["hash"])),
                int(said["at_us"]),
                str(said["signature"]),
            )
        except (ValueError, KeyError, TypeError):
            continue
    raise BadRequest("no signed head stands in this file", code="no_head")


def log_head(log: AuditLog, vault: Vault, now_us: int) -> None:
    """Write the signed head to the process's log, from where it goes wherever logs are kept."""
    document = head_document(signed_head(log, vault, now_us))
    logger.info("audit head", extra=document)


def _signature(vault: Vault, head: Head, at_us: int) -> str:
    said = f"{head.seq}:{head.hash.hex()}:{at_us}"
    return vault.mac(said.encode("ascii"), purpose=_HEAD).hex()


# --------------------------------------------------------------------- sign-ins that fail


class FailedSignIns:
    """Counts sign-ins that fail, and records them at most once in each minute.

    So whoever guesses fills no disk. What was counted since the last entry is lost if the
    process is killed. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted = _Counted()

    def count(self, way: str, address: str) -> None:
        """Count one: ``way`` is the code of the refusal. Never waits for the store."""
        with self._lock:
            self._counted.add(way, 1)
            self._counted.came_from(address)

    def record(self, log: AuditLog) -> None:
        """Record what was counted, if anything was. It stays counted where that fails."""
        with self._lock:
            taken, self._counted = self._counted, _Counted()
        if not taken.ways:
            return
        try:
            # The lock is not held: who signs in is counted on the loop that answers everybody,
            # and the store may be away for minutes.
            target = Target("sign-in")
            log.add_audit(Record(_NOBODY, Action.SIGN_IN_FAILED, target, taken.document()))
        except BaseException:
            with self._lock:
                self._counted.take_in(taken)
            raise


class _Counted:
    """Sign-ins that failed, by their ways and where they came from, within bounds."""

    def __init__(self) -> None:
        self.ways: Counter[str] = Counter()
        self.addresses: set[str] = set()
        self.more = 0

    def add(self, way: str, times: int) -> None:
        known = way in self.ways or len(self.ways) < WAYS_MAX
        self.ways[way if known else "other"] += times

    def came_from(self, address: str) -> None:
        if len(self.addresses) < ADDRESSES_MAX or address in self.addresses:
            self.addresses.add(address)
        else:
            self.more += 1

    def take_in(self, other: _Counted) -> None:
        """Count what another has counted, too."""
        for way, times in other.ways.items():
            self.add(way, times)
        for address in other.addresses:
            self.came_from(address)
        self.more += other.more

    def document(self) -> dict[str, Any]:
        return {
            "failures": dict(self.ways),
            "addresses": sorted(self.addresses - {""}),
            "from_further_addresses": self.more,
        }


# --------------------------------------------------------------------- the configuration


def record_configuration(
    log: AuditLog, vault: Vault, sections: Mapping[str, str], source: str
) -> Sequence[str]:
    """Record which sections of the configuration are others than at the last entry about it.

    ``sections`` gives the content of each as text. Kept is a keyed hash of each, of which
    nothing can be guessed without the key file. Gives the names of those that changed.
    """
    marks = {
        name: vault.mac(text.encode(), purpose=_SECTION).hex()[:_MARK_CHARS]
        for name, text in sections.items()
    }
    last = next(iter(log.audit(AuditQuestion(action=Action.CONFIGURATION, most=1))), None)
    former = {} if last is None else last.data.get("sections", {})
    names = sorted(name for name in {*marks, *former} if marks.get(name) != former.get(name))
    if names or last is None:
        log.add_audit(
            Record(
                Actor(ActorKind.CONFIGURATION, source),
                Action.CONFIGURATION,
                Target("configuration", source),
                {"changed": names, "sections": marks},
            )
        )
    return names


# --------------------------------------------------------------------- as data


def entry_document(entry: AuditEntry, name_of: Callable[[str, str], str]) -> dict[str, Any]:
    """Give an entry as data. ``name_of`` gives what people call a target, "" if nobody knows."""
    return {
        "seq": entry.seq,
        "at": second_text(entry.at_us),
        "at_us": entry.at_us,
        "actor": {
            "kind": entry.actor_kind,
            "id": entry.actor_id or None,
            "name": entry.actor_name or None,
            "address": entry.address or None,
        },
        "action": entry.action,
        "target": {
            "kind": entry.target_kind,
            "id": entry.target_id or None,
            "name": name_of(entry.target_kind, entry.target_id) or None,
        },
        "detail": entry.data,
        "prev_hash": entry.prev_hash.hex(),
        "hash": entry.hash.hex(),
    }


EXPORT_COLUMNS: Final = (
    *("seq", "at", "actor_kind", "actor_id", "actor_name", "address", "action"),
    *("target_kind", "target_id", "detail", "prev_hash", "hash"),
)


def export_row(entry: AuditEntry) -> dict[str, object]:
    """Give an entry as one flat row, with which its hash can be computed again."""
    row: dict[str, object] = {
        **entry._asdict(),
        "at": second_text(entry.at_us),
        "prev_hash": entry.prev_hash.hex(),
        "hash": entry.hash.hex(),
    }
    return row


def names_of_targets(store: Store) -> Callable[[str, str], str]:
    """Give what finds a target's name of now: the e-mail of people and of invitations, the name
    of teams and of budgets, "" for all else."""
    names = {
        "user": {user.user_id: user.email for user in store.users()},
        "team": {team.team_id: team.name for team in store.teams()},
        "invitation": {each.invitation_id: each.email for each in store.invitations()},
        "budget": {budget.budget_id: budget.name for budget in store.budgets()},
    }

    def name_of(kind: str, target_id: str) -> str:
        return names.get(kind, {}).get(target_id, "")

    return name_of
