"""People from a table: separators and marks of Excel, faults by line, all or nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stores
from stores import NOW, Folder, add_person
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import BadRequest
from tollkeeper.services import people, people_import
from tollkeeper.services.people_import import COLUMNS, Plan

HEAD = "email,name,role,team,parent\n"
TABLE = HEAD + (
    "alice@acme.com,Alice Ng,lead,Search,Engineering\n"
    "BOB@acme.com,,,search,\n"
    '"carol@acme.com","Ng, Carol",finance,,\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path)
    yield opened
    opened.store.close()


def take(folder: Folder, text: str) -> Plan:
    plan = people_import.plan_of(folder.store, text.encode())
    people_import.take_over(folder.store, plan, NOW)
    return plan


def test_a_table_becomes_people_and_teams_and_twice_changes_nothing(folder: Folder) -> None:
    take(folder, TABLE)
    assert [(u.email, u.name, u.role, u.team) for u in folder.store.users()] == [
        ("alice@acme.com", "Alice Ng", Role.LEAD, "Search"),
        ("bob@acme.com", "bob@acme.com", Role.MEMBER, "Search"),
        ("carol@acme.com", "Ng, Carol", Role.FINANCE, ""),
    ]
    assert [(t.name, t.parent) for t in folder.store.teams()] == [
        ("Engineering", ""),
        ("Search", "Engineering"),
    ]
    again = people_import.plan_of(folder.store, TABLE.encode())
    assert (again.changes, again.faults, again.same) == ((), (), 3)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_excel_writes_is_read(folder: Folder, separator: str, encoding: str, end: str) -> None:
    lines = ["Email;Name;Team", "älice@acme.com;Älice;Vertrieb", ""]
    table = end.join(lines).replace(";", separator).encode(encoding)
    plan = people_import.plan_of(folder.store, table)
    assert plan.faults == ()
    assert [(each.kind, each.who) for each in plan.changes] == [
        ("add team", "Vertrieb"),
        ("add", "älice@acme.com"),
    ]


def test_a_plan_says_what_changes_and_changes_nothing(folder: Folder) -> None:
    add_person(folder.store, "bob@acme.com", "core")
    before = (folder.store.users(), folder.store.teams(), folder.store.revision())
    plan = people_import.plan_of(folder.store, (HEAD + "bob@acme.com,Bob,lead,new,core\n").encode())
    assert [(each.line, each.kind, each.who, each.fields) for each in plan.changes] == [
        (2, "add team", "new", (("parent", "", "core"),)),
        (
            *(2, "change", "bob@acme.com"),
            (("name", "bob@acme.com", "Bob"), ("role", "member", "lead"), ("team", "core", "new")),
        ),
    ]
    assert (folder.store.users(), folder.store.teams(), folder.store.revision()) == before


@pytest.mark.parametrize(
    ("lines", "line", "why"),
    [
        ("a@b.c,,boss,,\n", 2, "'boss' is no role"),
        ("ok@b.c,,,,\nnot an address,,,,\n", 3, "not an e-mail"),
        ("a@b.c,,,,\nA@B.C,,,,\n", 3, "on line 2 already"),
        ("a@b.c,,,\n", 2, "4 cells under 5 columns"),
        ("a@b.c,,,,core\n", 2, "a parent without a team"),
        ("a@b.c,,,x,x\n", 2, "part of itself"),
        ("a@b.c,,,x,y\nb@b.c,,,x,z\n", 3, "part of 'y' on line 2"),
        ("a@b.c,,,x,y\nb@b.c,,,z,x\n", 3, "nested one level"),
        ("a@b.c,,,y,x\nb@b.c,,,x,z\n", 3, "has parts"),
        ("gone@acme.com,,,,\n", 2, "switched off"),
        ("a@b.c,,,closed,\n", 2, "deactivated"),
        ('a@b.c,"x\ny",,,\n', 3, "control"),
        ('a@b.c,"x,,,\n', 2, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_nothing_is_done(
    folder: Folder, lines: str, line: int, why: str
) -> None:
    add_person(folder.store, "gone@acme.com", "closed")
    people.deactivate_user(folder.store, "gone@acme.com", NOW)
    people.set_team_active(folder.store, "closed", active=False)
    before = folder.store.users()
    plan = people_import.plan_of(folder.store, (HEAD + lines).encode())
    assert [fault.line for fault in plan.faults] == [line]
    assert why in plan.faults[0].message
    with pytest.raises(BadRequest):
        people_import.take_over(folder.store, plan, NOW)
    assert folder.store.users() == before


@pytest.mark.parametrize(
    "table",
    [
        b"",
        b"name\nx\n",
        b"email,email\n",
        b"email,spend\n",
        b"email\n\xff\xfe\xfa\n",
        b"\xfe\xff\x00",
    ],
)
def test_what_is_no_table_is_refused(folder: Folder, table: bytes) -> None:
    with pytest.raises(BadRequest):
        people_import.plan_of(folder.store, table)


def test_a_change_that_the_store_refuses_undoes_all_and_names_the_line(folder: Folder) -> None:
    add_person(folder.store, "root@acme.com", "", Role.ADMIN)
    table = HEAD + "new@acme.com,,,core,\nroot@acme.com,,member,,\n"
    plan = people_import.plan_of(folder.store, table.encode())
    assert plan.faults == ()
    with pytest.raises(BadRequest, match=r"line 3: .*last active admin"):
        people_import.take_over(folder.store, plan, NOW)
    assert [user.email for user in folder.store.users()] == ["root@acme.com"]
    assert folder.store.teams() == []


@given(st.lists(st.tuples(*[st.text(max_size=12)] * 5), max_size=6), st.sampled_from(",;\t"))
def test_any_table_is_planned_or_refused(rows: list[tuple[str, ...]], separator: str) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([COLUMNS, *rows])
    text = out.getvalue().encode("utf-8", "replace")
    plan = people_import._Planning([], [], {}).plan(*people_import._rows(text))
    assert (
        len(plan.faults) + plan.same + sum(each.kind in {"add", "change"} for each in plan.changes)
        >= plan.rows
    )
