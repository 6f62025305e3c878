"""Invitations in the dashboard and the API: who may, what is shown once, and joining."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from stores import DAY, NOW, issue_key
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.audit import AuditQuestion
from tollkeeper.services import people

LINK = re.compile(r"http://localhost:4000(/join\?token=[A-Za-z0-9_-]{43})")


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("invitations")) as made:
        yield made


def test_an_invited_person_joins_and_is_signed_in(running: RunningConsole) -> None:
    admin = running.sign_in("admin")
    form = {"email": "new@acme.com", "role": "lead", "team": "core"}
    page = running.post("/people/invitations", form, admin)
    (path,) = set(LINK.findall(page.text))
    assert "Invited" in page.text
    assert not LINK.search(running.get("/people", admin).text), "it is shown once"
    looked = running.get(path)
    assert "new@acme.com" in looked.text
    assert looked.header("set-cookie") == ""
    token = path.partition("=")[2]
    joined = running.ask(
        "POST",
        "/join",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=f"token={token}&name=New+One&role=admin&team=other".encode(),
    )
    assert (joined.status, joined.header("location")) == (303, "/account?start=1")
    cookie = joined.cookies[0].partition(";")[0]
    assert running.ask("GET", "/people", headers={"cookie": cookie}).status == 200
    user = people.find_user(running.store, "new@acme.com")
    assert (user.name, user.role, user.team) == ("New One", Role.LEAD, "core")
    assert running.get(path).status == 404
    assert "This invitation is over" in running.get(path).text
    newest = running.store.audit(AuditQuestion(actor="new@acme.com"))
    assert [entry.action for entry in newest] == ["session.begin", "user.add", "invitation.accept"]
    assert {(entry.actor_kind, entry.actor_id) for entry in newest} == {("person", user.user_id)}
    assert {entry.address for entry in newest} == {"203.0.113.9"}


def test_another_sites_page_cannot_make_somebody_join(running: RunningConsole) -> None:
    reply = running.ask(
        "POST",
        "/join",
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "sec-fetch-site": "cross-site",
        },
        body=b"token=x",
    )
    assert reply.status == 403


def test_a_lead_invites_members_into_the_own_team(running: RunningConsole) -> None:
    lead = running.sign_in("lead")
    good = running.post("/people/invitations", {"email": "zed@acme.com", "team": "core"}, lead)
    assert LINK.search(good.text)
    for form in (
        {"email": "b@acme.com", "team": "other"},
        {"email": "b@acme.com", "team": "core", "role": "admin"},
        {"email": "b@acme.com"},
    ):
        assert running.post("/people/invitations", form, lead).status == 403
    other = running.get("/people", running.sign_in("other lead")).text
    assert "zed@acme.com" not in other
    foreign = running.store.invitations()[0].invitation_id
    session = running.sign_in("other lead")
    assert running.post(f"/people/invitations/{foreign}/revoke", {}, session).status == 404


def test_the_api_invites_sends_again_and_revokes(running: RunningConsole) -> None:
    def send(method: str, path: str, body: object = None) -> dict[str, object]:
        reply = running.send(method, path, body, headers=running.as_admin_key)
        return reply.json() | {"status": reply.status}

    made = send("POST", "/api/v1/invitations", {"email": "new@acme.com", "role": "finance"})
    assert (made["status"], made["mailed"], made["state"]) == (201, False, "open")
    assert LINK.fullmatch(str(made["url"]))
    path = f"/api/v1/invitations/{made['id']}"
    again = send("POST", f"{path}/resend", {})
    assert again["url"] not in {None, made["url"]}
    assert send("DELETE", path)["state"] == "revoked"
    assert send("POST", f"{path}/resend", {})["status"] == 409
    listed = send("GET", "/api/v1/invitations")["invitations"]
    assert [each["state"] for each in listed] == ["revoked"]  # type: ignore[attr-defined]
    assert "token" not in str(listed)


def test_a_mailed_link_is_shown_to_nobody(running: RunningConsole) -> None:
    sent: list[tuple[str, str]] = []

    class Post:
        def send(self, to: str, subject: str, text: str) -> None:
            if to.startswith("full"):
                raise OSError("the mail server does not take this address")
            sent.append((to, text))

    object.__setattr__(running.console, "mailer", Post())
    admin = running.sign_in("admin")
    page = running.post("/people/invitations", {"email": "new@acme.com"}, admin)
    assert "was mailed" in page.text
    assert not LINK.search(page.text)
    assert sent[0][0] == "new@acme.com"
    assert LINK.search(sent[0][1])
    page = running.post("/people/invitations", {"email": "full@acme.com"}, admin)
    assert "does not take this address" in page.text
    assert LINK.search(page.text)


@pytest.mark.parametrize(
    "bounds",
    [
        {"networks": ("203.0.113.0/24",)},
        {"models": ("gpt-*",)},
        {"providers": ("openai",)},
        {"expires_at_us": NOW + DAY},
    ],
)
def test_a_bounded_management_key_makes_nobody_who_has_no_bounds(
    running: RunningConsole, bounds: dict[str, Any]
) -> None:
    """By a link of its own it would be an admin in a browser: for ever, and from everywhere."""
    key = issue_key(running.folder, kind=KeyKind.ADMIN, **bounds)
    headers = {"authorization": f"Bearer {key.token}"}
    body = {"email": f"x-{key.record.key.key_id}@acme.com", "role": "admin"}
    open_one = running.send(
        "POST",
        "/api/v1/invitations",
        {**body, "mail": False},
        headers={"authorization": f"Bearer {running.admin_key.token}"},
    ).json()
    before = running.store.audit_head().seq
    for path, data in (
        ("/api/v1/invitations", {**body, "mail": False}),
        ("/api/v1/invitations", {**body, "role": "lead", "team": "core"}),
        (f"/api/v1/invitations/{open_one['id']}/resend", {}),
        ("/api/v1/users", body),
        (f"/api/v1/users/{running.users['member'].user_id}", {"role": "finance"}),
        ("/user/new", {"user_email": body["email"], "user_role": "proxy_admin"}),
    ):
        reply = running.send("POST", path, data, headers=headers)
        assert (reply.status, reply.json()["code"]) == (403, "rights_exceeded"), path
    assert running.store.audit_head().seq == before
    member = {"email": f"m-{key.record.key.key_id}@acme.com", "team": "core"}
    assert running.send("POST", "/api/v1/users", member, headers=headers).status == 201
