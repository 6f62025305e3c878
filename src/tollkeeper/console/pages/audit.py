"""The audit log for people: who changed what, found by who, what, whom and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, ClassVar, Final, NamedTuple
from zoneinfo import ZoneInfo

from tollkeeper.console import words
from tollkeeper.console.early import stands
from tollkeeper.console.rendering import address
from tollkeeper.console.shared import Console, Query, Table
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.domain.audit import Action, ActorKind, AuditEntry, AuditQuestion
from tollkeeper.domain.budgets import Unit
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.services import audit as service
from tollkeeper.services.budget_refusals import amount_text

PATH: Final = "/settings/audit"
READERS: Final = frozenset({Role.ADMIN, Role.AUDITOR})
ROWS: Final = 50
ROWS_OF_A_FILE: Final = 100_000
_FILTERS: Final = ("actor", "what", "target", "from", "to")  # a field "action" hides the form's
_SUBJECTS: Final = tuple(sorted({each.partition(".")[0] for each in Action}))
_TIME: Final = "_us"
_ALWAYS_US: Final = 253_402_300_799_999_999
_CHANGE: Final = frozenset({"from", "to"})
_AMOUNTS: Final = frozenset({"amount", "limit", "rollover_max"})


class DetailLine(NamedTuple):
    """One thing that an entry says: its name, and its value or what it was and is."""

    name: str
    text: str


class EntryLine(NamedTuple):
    """One entry as people read it. ``target`` is what it is or was called, else its id."""

    seq: str
    when: str
    when_full: str
    who: str
    who_kind: str
    where: str
    action: str
    target: str
    target_id: str
    target_kind: str
    details: tuple[DetailLine, ...]
    hash: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, the newest first, and how the log was when it was last walked along.

    ``filters`` are the words of the form; ``older_href`` leads to what comes after.
    """

    template: ClassVar[str] = "audit.html"
    entries: str
    state: words.Word
    walked: str
    fault: str
    lines: tuple[EntryLine, ...]
    filters: Mapping[str, str]
    subjects: tuple[str, ...]
    is_filtered: bool
    first_page: bool
    newest_href: str
    older_href: str
    verify_href: str
    file_href: str
    documents: Sequence[Mapping[str, Any]]
    every_entry: Callable[[], Iterator[AuditEntry]]

    def document(self) -> Mapping[str, Any]:
        """Give the entries as data."""
        return {
            "entries": list(self.documents),
            "state": self.state.name,
            "fault": self.fault or None,
            "next": self.older_href or None,
        }

    def table(self) -> Table:
        """Give all entries that fit as rows for a file."""
        found = islice(self.every_entry(), ROWS_OF_A_FILE)
        return Table("audit", service.EXPORT_COLUMNS, [service.export_row(each) for each in found])


def audit(console: Console, viewer: Viewer, query: Query) -> AuditPage:
    """Show the audit log."""
    zone = zones.zone_info(query["tz"])
    filters = {name: query.get(name, "").strip()[:200] for name in _FILTERS}
    wanted = AuditQuestion(
        actor=filters["actor"],
        action=filters["what"],
        target=_target_id(console, filters["target"]),
        since_us=_day_us("from", filters["from"], zone),
        until_us=_day_us("to", filters["to"], zone, following=True),
        before_seq=_before(query.get("before", "")),
        most=ROWS + 1,
    )
    stands(AuditPage)
    if query.get("verify") == "1":
        console.audit_watch.walk(console.store, console.now_us)
    found = console.store.audit(wanted)
    shown, more = found[:ROWS], len(found) > ROWS
    kept = {**filters, "tz": query["tz"] if query["tz"] != console.zone else ""}
    state, walked, fault = _state(console, zone)
    writer = _Writer(console, zone)
    return AuditPage(
        entries=formatting.count_full(console.store.audit_head().seq),
        state=state,
        walked=walked,
        fault=fault,
        lines=tuple(map(writer.line, shown)),
        filters=filters,
        subjects=_SUBJECTS,
        is_filtered=any(filters.values()),
        first_page=wanted.before_seq is None,
        newest_href=address(PATH, kept),
        older_href=address(PATH, {**kept, "before": shown[-1].seq}) if more else "",
        verify_href=address(PATH, {**kept, "verify": 1}),
        file_href=address(PATH, {**kept, "format": "csv"}),
        documents=[service.entry_document(entry, writer.name_of) for entry in shown],
        every_entry=lambda: service.matching(console.store, wanted._replace(before_seq=None)),
    )


def _state(console: Console, zone: ZoneInfo) -> tuple[words.Word, str, str]:
    """Say how the log was at the last walk, when that was, and what was wrong."""
    walk = console.audit_watch.last
    if walk is None:
        meaning = "It is walked along a minute after the start, and then every hour."
        return words.Word("Not checked yet", meaning, "warn"), "", ""
    at = _moment(zones.local_time(walk.at_us, zone))
    if walk.verdict.bad_seq is not None:
        return words.Word("Broken", walk.verdict.fault, "bad"), at, walk.verdict.fault
    meaning = f"Entries 1 to {walk.verdict.head.seq:,} are as they were written."
    return words.Word("Whole", meaning, "good"), at, ""


class _Writer:
    """Writes entries for people."""

    def __init__(self, console: Console, zone: ZoneInfo) -> None:
        self._zone = zone
        self.name_of = service.names_of_targets(console.store)
        self._units = {budget.budget_id: budget.unit for budget in console.store.budgets()}

    def line(self, entry: AuditEntry) -> EntryLine:
        """Write one entry."""
        at = zones.local_time(entry.at_us, self._zone)
        said = _own_name(entry.data)
        name = self.name_of(entry.target_kind, entry.target_id) or entry.data.get(said, "")
        known = {entry.target_id, name} - {""}
        data = {
            key: value
            for key, value in entry.data.items()
            if key not in {said, "budget_id"} or value not in known
        }
        unit = self._units.get(entry.target_id)
        if unit is not None:
            data |= {key: _amounts(data[key], unit) for key in _AMOUNTS & data.keys()}
        return EntryLine(
            seq=formatting.count_full(entry.seq),
            when=_moment(at),
            when_full=f"{at:%Y-%m-%d %H:%M:%S} {self._zone}",
            who=entry.actor_name or _KINDS.get(entry.actor_kind, entry.actor_kind),
            who_kind=_KINDS.get(entry.actor_kind, entry.actor_kind),
            where=entry.address,
            action=entry.action,
            target=name or entry.target_id or "—",
            target_id=entry.target_id,
            target_kind=entry.target_kind,
            details=tuple(_details(data, self._zone)),
            hash=entry.hash.hex(),
        )


_KINDS: Final[Mapping[str, str]] = {
    ActorKind.PERSON: "person",
    ActorKind.KEY: "management key",
    ActorKind.COMMAND_LINE: "command line",
    ActorKind.CONFIGURATION: "configuration",
    ActorKind.SCIM: "SCIM",
    ActorKind.OIDC: "single sign-on",
    ActorKind.ANYBODY: "somebody unknown",
    ActorKind.SYSTEM: "Tollkeeper itself",
}


def _own_name(data: Mapping[str, Any]) -> str:
    """Tell which detail of an entry is what its target was called then, "" for none."""
    return next((each for each in ("title", "name") if isinstance(data.get(each), str)), "")


def _details(data: Mapping[str, Any], zone: ZoneInfo) -> list[DetailLine]:
    """Give what an entry says, its name first, without what is empty or says nothing to people."""
    found = []
    for name in sorted(data, key=lambda each: (each != "name", each)):
        value = data[name]
        if name == "sections" or value in (None, "", [], {}):
            continue
        if isinstance(value, Mapping) and set(value) == _CHANGE:
            before, after = (_said(name, value[each], zone) for each in ("from", "to"))
            text = f"{before} → {after}"
        else:
            text = _said(name, value, zone)
        found.append(DetailLine(name.removesuffix(_TIME).replace("_", " "), text))
    return found


def _amounts(value: Any, unit: Unit) -> Any:
    """Write an amount of a budget, or what it was and is, in its unit."""
    if isinstance(value, Mapping):
        return {name: _amounts(each, unit) for name, each in value.items()}
    return amount_text(value, unit) if type(value) is int else value


def _said(name: str, value: Any, zone: ZoneInfo) -> str:
    """Write a value; times as people read them."""
    if not name.endswith(_TIME) or not isinstance(value, int):
        return _plain(value)
    return _moment(zones.local_time(value, zone)) if 0 < value < _ALWAYS_US else "no end"


def _plain(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(each) for each in value)
    return str(value)


def _moment(at: datetime) -> str:
    return f"{formatting.day(at.date())}, {at:%H:%M}"


def _target_id(console: Console, said: str) -> str:
    """Give the id of a person or team that is named, else what was said."""
    if "@" in said:
        user = console.store.user_with_email(said)
        return user.user_id if user else said
    team = console.store.team_named(said) if said else None
    return team.team_id if team else said


def _before(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadQuestion("before", "the number of an entry")
    return int(text)


def _day_us(name: str, text: str, zone: ZoneInfo, *, following: bool = False) -> int | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        return zones.day_start(date.fromordinal(day.toordinal() + following), zone)
    except (ValueError, OverflowError):
        raise BadQuestion(name, "a date: 2026-11-30") from None
