"""People from a table, in the dashboard: looked at, and taken over as shown, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from consoles import Reply, RunningConsole, running_console
from tollkeeper.console.pages.people_import import CHARS_MAX, PATH
from tollkeeper.domain.access import Role
from tollkeeper.domain.audit import AuditQuestion
from tollkeeper.services import people

TABLE = """email,name,role,team,parent\r
new@acme.com,New One,lead,search,core\r
alice@acme.com,,,,\r
"""
DIGEST = re.compile(r'name="digest" value="([0-9a-f]{64})"')
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea><script>alert(1)</script>",
    "=cmd|'/c calc'!A0",
    '<a hx-get="/keys">x</a>',
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("import")) as made:
        yield made


def look(running: RunningConsole, table: str, **more: str) -> Reply:
    return running.post(PATH, {"table": table, **more}, running.session("admin"))


def digest_of(reply: Reply) -> str:
    (found,) = DIGEST.findall(reply.text)
    return str(found)


def test_looking_changes_nothing_and_taking_over_does_what_was_shown(
    running: RunningConsole,
) -> None:
    running.session("admin")
    before = running.store.audit_head()
    shown = look(running, TABLE)
    assert (shown.status, running.store.audit_head()) == (200, before)
    assert "1 new person, 0 changed, 1 as they should be, 1 new team" in shown.text
    done = look(running, TABLE, digest=digest_of(shown))
    assert (done.status, done.header("location")) == (303, f"{PATH}?done=2")
    assert "2 changes are made" in running.get(f"{PATH}?done=2", running.session("admin")).text
    user = people.find_user(running.store, "new@acme.com")
    assert (user.name, user.role, user.team) == ("New One", Role.LEAD, "search")
    assert people.find_team(running.store, "search").parent == "core"
    told = running.store.audit(AuditQuestion(actor="root@acme.com"))
    assert {"team.add", "user.add"} <= {entry.action for entry in told}
    again = look(running, TABLE)
    assert "Nothing would change" in again.text
    assert not DIGEST.search(again.text)


def test_what_somebody_changed_in_between_is_shown_and_not_overwritten(
    running: RunningConsole,
) -> None:
    table = "email,role\nfred@acme.com,auditor\n"
    digest = digest_of(look(running, table))
    people.change_role(running.store, "fred@acme.com", Role.LEAD, running.now_us)
    reply = look(running, table, digest=digest)
    assert reply.status == 409
    assert "changed in the meantime" in reply.text
    assert people.find_user(running.store, "fred@acme.com").role is Role.LEAD
    assert digest_of(reply) != digest
    for forged in ("", "x", digest, "0" * 64):
        other = "email,role\nalice@acme.com,admin\n"
        assert look(running, other, digest=forged).status in {200, 409}
    assert people.find_user(running.store, "alice@acme.com").role is Role.MEMBER


def test_what_is_wrong_is_said_by_line_and_nothing_can_be_taken_over(
    running: RunningConsole,
) -> None:
    reply = look(running, "email,role\nnobody\nb@acme.com,boss\n")
    assert reply.status == 422
    assert "2 lines are not good" in reply.text
    assert "is no role; one of " in reply.text
    assert not DIGEST.search(reply.text)
    for table in ("", "name\nx\n", "email,email\n", "\0", "email\n" + '"' * 9):
        refused = look(running, table)
        assert refused.status in {400, 422}
        assert 'role="alert"' in refused.text or "not good" in refused.text


def test_a_table_is_bounded(running: RunningConsole) -> None:
    fits = "email\n" + "".join(f"person-{number}@acme.com\n" for number in range(1_000))
    assert "1,000 new people" in look(running, fits).text
    assert look(running, "email\n" + "x" * CHARS_MAX).status == 413
    assert look(running, "email\n" + "é" * 30_000).status == 413  # as it is sent: 180 KB


@pytest.mark.parametrize("cell", HOSTILE)
def test_cells_are_text(running: RunningConsole, cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    for table in (
        f"email,name,team\nhostile@acme.com,{quoted},{quoted}\n",
        f"email,role\nhostile@acme.com,{quoted}\n",
        f"{quoted}\nx\n",
        cell,
    ):
        text = look(running, table).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "<a hx-get" not in text
        assert text.count("</textarea>") == 1
