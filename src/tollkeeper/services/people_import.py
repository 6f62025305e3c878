"""People from a table (CSV): read, compared with who is there, and taken over, all or nothing.

Columns are ``email`` and, where wanted, ``name``, ``role``, ``team`` and ``parent``, in any order.
A cell that is empty leaves things as they are. Nobody is switched off or on by a table.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import BadRequest, Conflict, Refused
from tollkeeper.domain.people import NewUser
from tollkeeper.ports import Store, Team, User
from tollkeeper.services import names, people
from tollkeeper.services.former_names import FormerNames, former_names, require_unused

COLUMNS: Final = ("email", "name", "role", "team", "parent")
BYTES_MAX: Final = 32 * 1024 * 1024
ROWS_MAX: Final = 100_000
_AT_ONCE: Final = 1_000
_SEPARATORS: Final = (",", ";", "\t")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Row(NamedTuple):
    """One person as the table has it. ``line`` counts from 1, the head included."""

    line: int
    email: str
    name: str = ""
    role: str = ""
    team: str = ""
    parent: str = ""


class Fault(NamedTuple):
    """What is wrong with a line."""

    line: int
    message: str


class Change(NamedTuple):
    """What a line changes. ``kind`` is ``add team``, ``nest team``, ``add`` or ``change``.

    ``fields`` has what each field is now ("" for nothing) and what it is to be.
    """

    line: int
    kind: str
    who: str
    fields: tuple[tuple[str, str, str], ...]


class Plan(NamedTuple):
    """What a table changes, in the order of its lines. With faults nothing is done."""

    changes: tuple[Change, ...]
    faults: tuple[Fault, ...]
    rows: int
    same: int


def plan_of(store: Store, table: bytes) -> Plan:
    """Compare a table with who is there; change nothing.

    Raises BadRequest for what is no such table at all.
    """
    rows, faults = _rows(table)
    return _Planning(store.teams(), store.users(), former_names(store)).plan(rows, faults)


def take_over(
    store: Store, plan: Plan, now_us: int, on_done: Callable[[int], None] = lambda done: None
) -> None:
    """Make all changes of a plan, or none. ``on_done`` is told how many are made so far.

    Raises BadRequest for a plan with faults, and what the store's state of now refuses, with the
    number of the line.
    """
    if plan.faults:
        raise BadRequest(f"{len(plan.faults)} lines are not good", code="import_faults")
    adds = [change for change in plan.changes if change.kind == "add"]
    done = 0
    with store.together():
        for change in plan.changes:
            if "team" in change.kind:
                _make(store, change, now_us)
                done += 1
        for start in range(0, len(adds), _AT_ONCE):
            some = adds[start : start + _AT_ONCE]
            _add(store, some, now_us)
            done += len(some)
            on_done(done)
        for change in plan.changes:
            if change.kind == "change":
                _make(store, change, now_us)
                done += 1
                on_done(done)


def _add(store: Store, changes: Sequence[Change], now_us: int) -> None:
    """Add people all at once: one by one, thousands would hold up other writers for long."""
    ids = {team.name.casefold(): team.team_id for team in store.teams() if team.active}
    new = []
    for change in changes:
        fields = {name: to for name, _, to in change.fields}
        team = fields.get("team", "").casefold()
        if team and team not in ids:
            raise BadRequest(f"line {change.line}: there is no such team any more")
        name = fields.get("name") or change.who[: names.NAME_CHARS_MAX]
        new.append(NewUser(change.who, name, Role(fields["role"]), ids.get(team)))
    try:
        store.add_users(new, now_us)
    except ValueError as error:
        raise Conflict(
            "somebody of the table was added at this very moment; try again", code="user_exists"
        ) from error


def _make(store: Store, change: Change, now_us: int) -> None:
    try:
        _change(store, change, now_us)
    except Refused as refused:
        raise BadRequest(f"line {change.line}: {refused.message}", code=refused.code) from refused


def _change(store: Store, change: Change, now_us: int) -> None:
    new = {name: to for name, _, to in change.fields}
    match change.kind:
        case "add team":
            people.add_team(store, change.who, now_us, parent=new.get("parent", ""))
        case "nest team":
            people.nest_team(store, change.who, new["parent"])
        case _:
            if "name" in new:
                people.rename_user(store, change.who, new["name"])
            if "team" in new:
                people.move_user(store, change.who, new["team"], now_us)
            if "role" in new:
                people.change_role(store, change.who, Role(new["role"]), now_us)


# ------------------------------------------------------------------ reading


class _Reader(Protocol):
    """What ``csv.reader`` gives; its own type has no public name."""

    @property
    def line_num(self) -> int: ...

    def __next__(self) -> list[str]: ...


def _rows(table: bytes) -> tuple[list[Row], list[Fault]]:
    text = _text(table)
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines = _lines(reader)
    head = next(lines, None)
    if head is None or isinstance(head, Fault):
        raise BadRequest("the table is empty", code="no_table")
    columns = [each.strip().casefold() for each in head[1]]
    unknown = [each for each in columns if each not in COLUMNS]
    if "email" not in columns or unknown or len(set(columns)) < len(columns):
        wrong = f"; {unknown[0]!r} is none of them" if unknown else ""
        raise BadRequest(
            f"the first line names the columns, each once: email, and any of "
            f"{', '.join(COLUMNS[1:])}{wrong}",
            code="no_table",
        )
    rows: list[Row] = []
    faults: list[Fault] = []
    for found in lines:
        if isinstance(found, Fault):
            faults.append(found)
            continue
        line, cells = found
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            faults.append(Fault(line, f"{len(cells)} cells under {len(columns)} columns"))
            continue
        if len(rows) >= ROWS_MAX:
            raise BadRequest(f"more than {ROWS_MAX} lines", code="table_too_long")
        rows.append(
            Row(line, **{name: cell.strip() for name, cell in zip(columns, cells, strict=True)})
        )
    return rows, faults


def _text(table: bytes) -> str:
    if len(table) > BYTES_MAX:
        raise BadRequest(f"the table is larger than {BYTES_MAX >> 20} MiB", code="table_too_long")
    encoding = next((name for mark, name in _MARKS if table.startswith(mark)), "utf-8")
    try:
        return table.decode(encoding)
    except UnicodeDecodeError as error:
        line = table.count(b"\n", 0, error.start) + 1
        raise BadRequest(
            f"line {line} is not UTF-8: save the table as 'CSV UTF-8'", code="bad_encoding"
        ) from None


def _lines(reader: _Reader) -> Iterator[tuple[int, list[str]] | Fault]:
    """Give each line with the number at which it ends; a fault ends the reading."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Fault(reader.line_num, f"cannot be read: {error}")
            return
        yield reader.line_num, cells


# ------------------------------------------------------------------ comparing


class _Planning:
    """Compares lines with teams and people, which it counts on as it goes."""

    def __init__(self, teams: Iterable[Team], users: Iterable[User], formers: FormerNames) -> None:
        self._formers = formers
        self._teams = {team.name.casefold(): team for team in teams}
        self._users = {user.email: user for user in users}
        self._lines: dict[str, int] = {}
        self._parents: dict[str, tuple[int, str]] = {}

    def plan(self, rows: Sequence[Row], faults: Sequence[Fault]) -> Plan:
        """Compare every line."""
        changes: list[Change] = []
        wrong, same = list(faults), 0
        for row in rows:
            try:
                found = [*self._team_changes(row), *self._person_changes(row)]
            except Refused as refused:
                wrong.append(Fault(row.line, refused.message))
                continue
            changes += found
            same += not found
        ordered = sorted(changes, key=lambda each: "team" not in each.kind)
        return Plan(tuple(ordered), tuple(sorted(wrong)), len(rows), same)

    def _team_changes(self, row: Row) -> Iterator[Change]:
        if not row.team:
            if row.parent:
                raise BadRequest("a parent without a team")
            return
        name = names.clean_name(row.team, people.TEAM)
        parent = ""
        if row.parent:
            parent = names.clean_name(row.parent, people.TEAM)
            yield from self._parent_changes(row, name, parent)
        team = self._teams.get(name.casefold())
        if team is None:
            require_unused(self._formers, name)
            self._teams[name.casefold()] = Team("", name, True, 0, parent)
            yield Change(row.line, "add team", name, (("parent", "", parent),) if parent else ())
        elif not team.active:
            raise BadRequest(f"team {team.name!r} is deactivated")
        elif parent and parent != team.parent:
            if any(each.parent == team.name for each in self._teams.values()):
                raise BadRequest(f"team {team.name!r} has parts: teams are nested one level")
            self._teams[name.casefold()] = Team(team.team_id, team.name, True, 0, parent)
            yield Change(row.line, "nest team", team.name, (("parent", team.parent, parent),))

    def _parent_changes(self, row: Row, name: str, parent: str) -> Iterator[Change]:
        line, before = self._parents.setdefault(name.casefold(), (row.line, parent))
        if before.casefold() != parent.casefold():
            raise BadRequest(f"team {name!r} is part of {before!r} on line {line}")
        if name.casefold() == parent.casefold():
            raise BadRequest("a team cannot be part of itself")
        above = self._teams.get(parent.casefold())
        if above is None:
            require_unused(self._formers, parent)
            self._teams[parent.casefold()] = Team("", parent, True, 0)
            yield Change(row.line, "add team", parent, ())
        elif above.parent:
            raise BadRequest(
                f"team {parent!r} is part of {above.parent!r}: teams are nested one level"
            )

    def _person_changes(self, row: Row) -> Iterator[Change]:
        email = names.clean_email(row.email)
        first = self._lines.setdefault(email, row.line)
        if first != row.line:
            raise BadRequest(f"{email!r} stands on line {first} already")
        name = names.clean_name(row.name, "the name") if row.name else ""
        role = row.role.casefold()
        if role and role not in tuple(Role):
            raise BadRequest(f"{row.role!r} is no role; one of {', '.join(Role)}")
        team = self._teams[row.team.strip().casefold()].name if row.team else ""
        user = self._users.get(email)
        if user is None:
            wanted = {"name": name, "role": role or Role.MEMBER.value, "team": team}
            fields = tuple((key, "", to) for key, to in wanted.items() if to)
            yield Change(row.line, "add", email, fields)
            return
        if not user.active:
            raise BadRequest(f"{email!r} is switched off; switch them on, or leave the line out")
        pairs = (
            ("name", user.name, name),
            ("role", user.role.value, role),
            ("team", user.team, team),
        )
        fields = tuple(each for each in pairs if each[2] and each[2] != each[1])
        if fields:
            yield Change(row.line, "change", email, fields)
