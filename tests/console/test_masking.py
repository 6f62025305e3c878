"""Reports name nobody but oneself, until an admin or auditor says why; and that can be read."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from consoles import OPERATOR_TOKEN, RunningConsole, running_console
from page_figures import last_cells, section
from stores import issue_key
from tollkeeper.console.access import OPERATOR_HEADER
from tollkeeper.console.masking import REASON_HEADER
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.audit import AuditQuestion
from tollkeeper.reports.masking import pseudonym, salt_of
from tollkeeper.services.unmasking import LASTS_US

BY_USER = "/api/v1/usage?group_by=user&metrics=cost_usd,requests"
WHY = "a script spends at night"
OTHERS = ("alice@acme.com", "lena@acme.com", "mallory@acme.com")
READERS = ("lead", "finance", "auditor", "admin")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("masked"), mask_people=True) as made:
        made.load(
            *(
                made.entry_of(who, entry_id=f"call-{who}", call_id=f"call-{who}", cost_nanos=cost)
                for who, cost in (("member", 3_000), ("lead", 1_000), ("other member", 2_000))
            )
        )
        yield made


def mask_of(console: RunningConsole, who: str) -> str:
    return pseudonym(salt_of(console.vault), console.users[who].user_id)


def rows(console: RunningConsole, target: str, **asked: Any) -> list[dict[str, Any]]:
    reply = console.send("GET", target, **asked)
    assert reply.status == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["rows"]
    return found


@pytest.mark.parametrize("who", READERS)
@pytest.mark.parametrize(
    "target",
    [
        *("/?by=user", "/?by=user&format=json", "/?by=user&format=csv"),
        *("/explore?group_by=user,key", "/explore?group_by=user&format=json"),
        *("/explore?group_by=team,user&view=sankey", "/explore?group_by=user&format=csv"),
        *("/calls", "/calls?format=json", "/calls?format=csv", "/models"),
        *("/calls/call-member", "/calls/call-member?format=json"),
        *(BY_USER, f"{BY_USER}&format=csv", "/api/v1/calls", "/api/v1/calls?format=csv"),
        "/api/v1/calls/call-member",
    ],
)
def test_no_report_names_anybody_else(console: RunningConsole, who: str, target: str) -> None:
    reply = console.get(target, console.session(who))
    assert reply.status == 200, reply.text
    own = console.users[who].email
    for email in OTHERS:
        assert email == own or email not in reply.text
    for name, user in console.users.items():
        assert name == who or user.user_id not in reply.text


def test_a_pseudonym_lasts_and_can_be_filtered_by(console: RunningConsole) -> None:
    session = console.session("finance")
    found = console.get(BY_USER, session).json()["rows"]
    assert {row["user"] for row in found} == {
        mask_of(console, who) for who in ("member", "lead", "other member")
    }
    alice = mask_of(console, "member")
    assert alice.startswith("person ")
    filtered = console.get(f"{BY_USER}&filter=user:{alice.replace(' ', '%20')}", session).json()
    assert [row["cost_usd"] for row in filtered["rows"]] == ["0.000003000"]


@pytest.mark.parametrize("said", ["alice@acme.com", "<id>"])
def test_nobody_gets_behind_a_pseudonym_by_a_filter(console: RunningConsole, said: str) -> None:
    named = said.replace("<id>", console.users["member"].user_id)
    for target in (f"{BY_USER}&filter=user:{named}", f"/api/v1/calls?filter=user:{named}"):
        answer = console.get(target, console.session("admin")).json()
        assert answer.get("rows", answer.get("calls")) == []


def test_a_name_without_an_id_is_masked_too_also_for_a_key_of_nobody(
    tmp_path: Path,
) -> None:
    with running_console(tmp_path, mask_people=True) as made:
        made.load(made.entry_of("member", call_id="of before", user_id="", user_name="Old Alice"))
        nobody = issue_key(made.folder, kind=KeyKind.ADMIN)
        assert not nobody.record.key.user_id
        as_nobody = {"authorization": f"Bearer {nobody.token}"}
        for headers in (as_nobody, made.session("admin").headers):
            for target in ("/api/v1/calls", "/api/v1/calls/of%20before", BY_USER):
                reply = made.send("GET", target, headers=headers)
                assert reply.status == 200, reply.text
                assert "Old Alice" not in reply.text


def test_one_sees_oneself_by_name(console: RunningConsole) -> None:
    reply = console.get("/api/v1/calls", console.session("lead"))
    assert "lena@acme.com" in reply.text
    assert "alice@acme.com" not in reply.text
    member = console.get("/api/v1/calls", console.session("member"))
    assert "alice@acme.com" in member.text


def test_a_key_names_people_for_a_reason_in_one_answer(console: RunningConsole) -> None:
    admin = console.as_admin_key
    assert "alice@acme.com" not in repr(rows(console, BY_USER, headers=admin))
    before = console.store.audit_head().seq
    named = rows(console, BY_USER, headers=admin | {REASON_HEADER: WHY})
    assert "alice@acme.com" in repr(named)
    (entry,) = console.store.audit(AuditQuestion(action="people.unmask", most=1))
    assert entry.seq == before + 1
    assert (entry.data["reason"], entry.data["where"]) == (WHY, "/api/v1/usage")
    assert "alice@acme.com" not in repr(rows(console, BY_USER, headers=admin))


@pytest.mark.parametrize(
    ("who", "reason", "status"),
    [("admin", "why", 400), ("finance", WHY, 403), ("lead", WHY, 403), ("auditor", WHY, 200)],
)
def test_only_some_may_and_only_with_a_reason(
    console: RunningConsole, who: str, reason: str, status: int
) -> None:
    before = console.store.audit_head().seq
    reply = console.get(BY_USER, console.session(who), x_tollkeeper_unmask_reason=reason)
    assert reply.status == status
    assert console.store.audit_head().seq == before + (status == 200)


def test_a_session_sees_names_for_an_hour_and_everybody_can_read_why(
    console: RunningConsole,
) -> None:
    session, other = console.sign_in("auditor"), console.sign_in("auditor")
    assert console.post("/unmask", {"reason": "short", "next": "/calls"}, session).status == 400
    reply = console.post("/unmask", {"reason": WHY, "next": "/calls"}, session)
    assert (reply.status, reply.header("location")) == (303, "/calls")
    page = console.get("/calls", session).text
    assert "alice@acme.com" in page
    assert WHY in page
    assert "alice@acme.com" not in console.get("/calls", other).text  # this session only
    for who in ("member", "other member"):
        seen = console.get("/me", console.session(who), accept="text/html").text
        assert WHY in seen
        assert "audrey@acme.com" in seen
    console.post("/mask", {"next": "/calls"}, session)
    assert "alice@acme.com" not in console.get("/calls", session).text
    console.post("/unmask", {"reason": WHY}, session)
    console.now_us += LASTS_US
    assert "alice@acme.com" not in console.get("/calls", session).text


def test_people_who_are_named_are_never_ranked(console: RunningConsole) -> None:
    admin = console.as_admin_key | {REASON_HEADER: WHY}
    refused = console.send("GET", f"{BY_USER}&order=-cost_usd", headers=admin)
    assert (refused.status, "not ranked" in refused.text) == (422, True)
    named = [row["user_name"] for row in rows(console, BY_USER, headers=admin)]
    assert len(named) == 3
    masked = rows(console, f"{BY_USER}&order=-cost_usd", headers=console.as_admin_key)
    costs = [row["cost_usd"] for row in masked]
    assert costs == sorted(costs, reverse=True)


def test_the_first_page_ranks_nobody_by_name_either(console: RunningConsole) -> None:
    session = console.sign_in("admin")
    console.post("/unmask", {"reason": WHY}, session)
    page = console.get("/?by=user", session).text
    places = [section(page, "parts").index(email) for email in OTHERS]
    assert places == sorted(places)
    assert not any(email in section(page, "movers") for email in OTHERS)
    rows_sum, whole = last_cells(section(page, "parts"))
    assert rows_sum == whole == Decimal("0.000006")


def test_the_command_line_of_this_machine_sees_names(console: RunningConsole) -> None:
    operator = {OPERATOR_HEADER: OPERATOR_TOKEN}
    assert "alice@acme.com" in repr(rows(console, BY_USER, headers=operator, direct=True))


def test_litellms_clients_know_their_users_by_id(console: RunningConsole) -> None:
    reply = console.send(
        "GET",
        f"/spend/logs?user_id={console.users['member'].user_id}",
        headers=console.as_admin_key,
    )
    assert reply.status == 200
    assert console.users["member"].user_id in reply.text


def test_a_browser_gets_litellms_answers_by_name_only_while_it_sees_names(
    console: RunningConsole,
) -> None:
    session = console.sign_in("admin")
    alice = console.users["member"].user_id
    targets = (
        *("/spend/logs", f"/spend/logs?user_id={alice}", f"/user/info?user_id={alice}"),
        f"/global/spend/report?internal_user_id={alice}",
    )
    for target in targets:
        reply = console.get(target, session)
        assert (reply.status, reply.json()["code"]) == (403, "names_masked")
        assert "alice" not in reply.text
    assert console.get("/user/info", session).status == 200  # about oneself
    assert console.get("/global/spend/report", session).status == 200
    console.post("/unmask", {"reason": WHY}, session)
    assert all(console.get(target, session).status == 200 for target in targets)
