"""The audit log: who changed what and when, as a chain in which every entry names the one before.

An entry's hash covers all that the entry says and the hash before it. So whoever changes,
removes, inserts or swaps entries breaks the chain at the first of them, unless they make all
that follow anew; a head that was kept elsewhere shows that too.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

ADDRESS_CHARS_MAX: Final = 64
NAME_CHARS_MAX: Final = 254
ID_CHARS_MAX: Final = 200
DETAIL_CHARS_MAX: Final = 8_000
NO_HASH: Final = bytes(32)
"""What the first entry names as the one before."""

_FORM: Final = "tollkeeper audit 1"
_TEXT_CHARS_MAX: Final = 300
_ITEMS_MAX: Final = 100
_NAME_CHARS_MAX: Final = 40
_NAMES_MAX: Final = 20


class ActorKind(enum.StrEnum):
    """What kind of somebody acts."""

    PERSON = "person"
    KEY = "key"
    COMMAND_LINE = "command line"
    CONFIGURATION = "configuration"
    SCIM = "scim"
    OIDC = "oidc"
    ANYBODY = "anybody"  # nobody known: whoever fails to sign in
    SYSTEM = "tollkeeper"  # the server by itself

    __hash__ = str.__hash__


class Actor(NamedTuple):
    """Who acts. ``actor_id`` is a person's or a key's id, "" where there is none.

    ``address`` is where a request came from as far as that is known, "" where it is not.
    """

    kind: ActorKind
    name: str = ""
    actor_id: str = ""
    address: str = ""


SYSTEM: Final = Actor(ActorKind.SYSTEM, "Tollkeeper")


class Action(enum.StrEnum):
    """All that is ever done, as ``subject.verb``. A word that was used never changes."""

    ORG_NAME = "org.name"
    TEAM_ADD = "team.add"
    TEAM_RENAME = "team.rename"
    TEAM_PARENT = "team.parent"
    TEAM_ON = "team.activate"
    TEAM_OFF = "team.deactivate"
    USER_ADD = "user.add"
    USER_ROLE = "user.role"
    USER_NAME = "user.name"
    USER_TEAM = "user.team"
    USER_ON = "user.activate"
    USER_OFF = "user.deactivate"
    INVITE = "invitation.make"
    INVITE_AGAIN = "invitation.resend"
    INVITE_REVOKE = "invitation.revoke"
    INVITE_ACCEPT = "invitation.accept"
    USER_PROVISION = "user.provision"
    TEAM_PROVISION = "team.provision"
    SCIM_TOKEN_MAKE = "scim_token.make"  # noqa: S105 - a word
    SCIM_TOKEN_REVOKE = "scim_token.revoke"  # noqa: S105 - a word
    KEY_ISSUE = "key.issue"
    KEY_CHANGE = "key.change"
    KEY_ROTATE = "key.rotate"
    KEY_REVOKE = "key.revoke"
    PASSWORD_SET = "password.set"  # noqa: S105 - a word
    PASSWORD_REMOVE = "password.remove"  # noqa: S105 - a word
    IDENTITY_ADD = "identity.add"
    IDENTITY_REMOVE = "identity.remove"
    LINK_MAKE = "sign_in.link"
    SESSION_BEGIN = "session.begin"
    SESSION_END = "session.end"
    SESSIONS_END = "session.end_all"
    SIGN_IN_FAILED = "sign_in.failed"
    PROVIDER_KEY_SET = "provider.key_set"
    PROVIDER_KEY_REMOVE = "provider.key_remove"
    KEY_FILE = "key_file.note"
    PRICE_RULE_ADD = "price_rule.add"
    PRICE_RULE_END = "price_rule.end"
    PRICES_SET = "prices.set"
    REPRICE = "prices.reprice"
    RATE_LIMIT_SET = "rate_limit.set"
    RATE_LIMIT_REMOVE = "rate_limit.remove"
    BUDGET_ADD = "budget.add"
    BUDGET_CHANGE = "budget.change"
    BUDGET_ASK = "budget.ask"
    BUDGET_DECIDE = "budget.decide"
    BUDGET_END_RAISE = "budget.end_raise"
    BUDGET_OVERDRAFT = "budget.overdraft"
    BUDGET_ALLOW_OVERDRAFT = "budget.allow_overdraft"
    BUDGET_ABANDON = "budget.abandon_gateway"
    BUDGET_WRITE_OFF = "budget.write_off"
    MONTH_CLOSE = "month.close"
    MONTH_REOPEN = "month.reopen"
    STATEMENT_ISSUE = "statement.issue"
    ALERT_ACKNOWLEDGE = "alert.acknowledge"
    CONFIGURATION = "configuration.change"
    EXPORT = "data.export"
    UNMASK = "people.unmask"

    __hash__ = str.__hash__


class Target(NamedTuple):
    """What was changed or looked at: its kind, and its id (never a key or a secret)."""

    kind: str
    target_id: str = ""


class Record(NamedTuple):
    """What is to be kept: everything but the entry's place in the chain.

    ``detail`` is small: what changed from what to what, or under which words. No secrets.
    """

    actor: Actor
    action: Action
    target: Target
    detail: Mapping[str, Any] = {}


class AuditEntry(NamedTuple):
    """One entry. ``seq`` counts from 1 without a gap, ``at_us`` is epoch microseconds UTC.

    ``action`` is a text: a later version may know more. ``detail`` is a JSON object as it was
    written, of which every byte counts for the hash.
    """

    seq: int
    at_us: int
    actor_kind: str
    actor_id: str
    actor_name: str
    address: str
    action: str
    target_kind: str
    target_id: str
    detail: str
    prev_hash: bytes
    hash: bytes

    @property
    def data(self) -> dict[str, Any]:
        """Give the detail as data; a text that is no JSON object (any more) as it is."""
        try:
            found = json.loads(self.detail)
        except ValueError:
            return {"text": self.detail}
        return found if isinstance(found, dict) else {"text": self.detail}


class Head(NamedTuple):
    """The chain's last entry: by it, everything before it is known too."""

    seq: int
    hash: bytes


NO_HEAD: Final = Head(0, NO_HASH)


class Verdict(NamedTuple):
    """What a walk along the chain found: how far it is whole, and what is wrong after that.

    ``bad_seq`` is the first place that is not as it was written, None if all is well;
    ``fault`` says in words what is wrong there, "" if nothing is.
    """

    head: Head
    bad_seq: int | None = None
    fault: str = ""


class AuditQuestion(NamedTuple):
    """Which entries are wanted: those that fit all that is said, the newest first.

    ``actor`` is a name or an id, ``action`` a whole word or the part before the dot,
    ``target`` an id; "" is any. ``before_seq`` goes on from an earlier answer.
    """

    actor: str = ""
    action: str = ""
    target_kind: str = ""
    target: str = ""
    since_us: int | None = None
    until_us: int | None = None
    before_seq: int | None = None
    most: int = 100


class AuditLog(Protocol):
    """Where the log is kept. Entries are only ever added, each in its change's transaction."""

    def add_audit(self, record: Record) -> AuditEntry:
        """Add an entry at the end, inside the transaction that is open if there is one."""

    def audit(self, question: AuditQuestion) -> list[AuditEntry]:
        """List entries, the newest first."""

    def audit_after(self, seq: int, most: int) -> list[AuditEntry]:
        """List the entries after a place, in their order."""

    def audit_head(self) -> Head:
        """Give the last place and hash that were written; ``NO_HEAD`` before the first."""


def sealed(record: Record, at_us: int, before: Head) -> AuditEntry:
    """Make the entry that follows a head."""
    actor, target = record.actor, record.target
    entry = AuditEntry(
        before.seq + 1,
        at_us,
        str(actor.kind),
        _text(actor.actor_id, ID_CHARS_MAX),
        _text(actor.name, NAME_CHARS_MAX),
        _text(actor.address, ADDRESS_CHARS_MAX),
        str(record.action),
        _text(target.kind, ID_CHARS_MAX),
        _text(target.target_id, ID_CHARS_MAX),
        detail_text(record.detail),
        before.hash,
        b"",
    )
    return entry._replace(hash=hash_of(entry))


def hash_of(entry: AuditEntry) -> bytes:
    """Give SHA-256 over the canonical form of an entry: a JSON array of all but its own hash."""
    *said, before, _ = entry
    form = json.dumps([_FORM, *said, before.hex()], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(form.encode("ascii")).digest()


def detail_text(detail: Mapping[str, Any]) -> str:
    """Write a detail as JSON, with long texts and lists cut and keys sorted."""
    text = json.dumps(_plain(detail), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if len(text) <= DETAIL_CHARS_MAX:
        return text
    kept = [_text(str(name), _NAME_CHARS_MAX) for name in sorted(detail, key=str)]
    return json.dumps({"too_long": kept[:_NAMES_MAX]}, ensure_ascii=False, separators=(",", ":"))


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Give what differs as ``{name: {"from": …, "to": …}}``."""
    return {
        name: {"from": before.get(name), "to": value}
        for name, value in after.items()
        if before.get(name) != value
    }


def walked(entries: Iterable[AuditEntry], before: Head = NO_HEAD) -> Verdict:
    """Walk along entries in their order, the first of which is to follow a head."""
    head = before
    for entry in entries:
        fault = _fault(entry, head)
        if fault:
            return Verdict(head, head.seq + 1, fault)
        head = Head(entry.seq, entry.hash)
    return Verdict(head)


def against_noted(verdict: Verdict, noted: Head) -> Verdict:
    """Compare a whole walk with the head that was noted beside the entries."""
    head = verdict.head
    if verdict.bad_seq is not None or noted == head:
        return verdict
    if noted.seq > head.seq:
        fault = f"the log ends at {head.seq}, but {noted.seq} entries were written"
        return Verdict(head, head.seq + 1, fault)
    if noted.seq < head.seq:
        fault = f"entry {noted.seq + 1} is there, but was not written by Tollkeeper"
        return Verdict(head, noted.seq + 1, fault)
    return Verdict(head, head.seq, f"entry {head.seq} is not the one that was noted as the last")


def _fault(entry: AuditEntry, before: Head) -> str:
    """Say what is wrong with an entry that follows a head, "" if nothing is."""
    expected = before.seq + 1
    if entry.seq != expected:
        return f"entry {expected} is missing: {entry.seq} follows {before.seq}"
    if entry.prev_hash != before.hash:
        return f"entry {expected} does not follow the entry before it"
    if entry.hash != hash_of(entry):
        return f"entry {expected} was changed after it was written"
    return ""


def _plain(value: Any) -> Any:
    """Give a value as JSON can hold it, within bounds."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {_text(str(name), 100): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(each) for each in list(items)[:_ITEMS_MAX]]
    return _text(str(value), _TEXT_CHARS_MAX)


def _text(value: str, most: int) -> str:
    """Give a text that every database keeps as it is: no NUL, no half of a pair."""
    clean = value.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= most else clean[: most - 1] + "…"
