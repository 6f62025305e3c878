"""A new company, as its documentation tells it: from the first link to a colleague's first call.

Two people in two browsers at ``tollkeeper serve`` with all its processes, the command ``connect``
in a home folder of its own, and the sandbox. Both see what they may see, and no more.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator

from browsers import NARROW, WIDE, Page, Visitor, expect
from canaries import PLANTED
from command_line import Ended, run_command
from served import Served, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ADMIN = "admin@localhost"
MEMBER = "mia@acme.com"
NAME = "Mia Moreau"
TEAM = "Search"
WHY = "to see who tried the first call"
ADMIN_PASSWORD = PLANTED.plant("the first admin's password", "nine quiet green lanterns")
MEMBER_PASSWORD = PLANTED.plant("the invited member's password", "seven loose paper boats")
TOKEN = re.compile(r"tk_live_[A-Za-z0-9]{8}_[A-Za-z0-9]+")
ANY_NAME = re.compile("mia", re.IGNORECASE)
PSEUDONYM = re.compile(r"person [0-9a-f]{8}")
CALL_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
OPEN_TO_MEMBERS = (
    *("Overview", "Explore", "Calls", "Budgets", "Models", "Savings"),
    *("People", "Keys", "Me"),
)
OPEN_TO_ADMINS = (
    *("Overview", "Explore", "Calls", "Budgets", "Models", "Savings"),
    *("Adoption", "Statements", "People", "Keys", "Alerts", "Audit log", "Me"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An installation that was started for the first time a moment ago."""
    with served(tmp_path_factory.mktemp("journey")) as made:
        yield made


def test_from_the_first_link_to_a_colleagues_call(
    server: Served, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    admin, member = visit(server), visit(server)
    come_in(admin, server.link)
    set_password(admin, ADMIN_PASSWORD)
    invitation = invite(admin)

    join(member, invitation)
    set_password(member, MEMBER_PASSWORD)
    key = issue_key(member)
    call_id = connect(server, key, tmp_path)
    foreign_id = server.call("not Mia's").header("x-tollkeeper-call-id")

    member_sees_their_call(member, call_id)
    admin_sees_a_pseudonym(admin, call_id)
    member_reads_who_looked(member)
    admin_finds_it_in_the_audit_log(admin)
    foreign_key_id = server.key.split("_")[2]
    for path in (f"/calls/{foreign_id}", f"/api/v1/keys/{foreign_key_id}"):
        assert answer(admin.page, path) == 200
    member_is_kept_out(member, foreign_key_id, foreign_id)
    for visitor, open_pages in ((admin, OPEN_TO_ADMINS), (member, OPEN_TO_MEMBERS)):
        offered = visitor.page.get_by_role("navigation", name="Main").get_by_role("link")
        assert [text.strip() for text in offered.all_inner_texts()] == list(open_pages)
    look_on_a_phone(admin, "/", "/calls", "/people", "/keys", "/settings/audit", "/me")
    look_on_a_phone(member, "/", "/calls", "/people", "/keys", "/me")
    sign_in_again(admin, ADMIN, ADMIN_PASSWORD)
    sign_in_again(member, MEMBER, MEMBER_PASSWORD)


# ------------------------------------------------------------------ coming in


def come_in(visitor: Visitor, link: str) -> None:
    visitor.page.goto(link)
    visitor.page.get_by_role("button", name="Sign in").click()


def set_password(visitor: Visitor, password: str) -> None:
    page = visitor.page
    expect(page.get_by_role("heading", name="Set a password, or just go on")).to_be_visible()
    page.get_by_label("New password").fill(password)
    page.get_by_label("The same again").fill(password)
    visitor.require_calm()
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_text("Your password is set.")).to_be_visible()
    visitor.require_calm()


def sign_in_again(visitor: Visitor, email: str, password: str) -> None:
    page = visitor.page
    page.locator("form[action='/logout'] button").click()
    page.goto("/calls")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    visitor.require_calm()


def invite(admin: Visitor) -> str:
    """Make the team and invite somebody into it; give the link as it is shown."""
    page = admin.page
    page.get_by_role("link", name="People", exact=True).click()
    page.get_by_text("Add a team").click()
    page.locator("#team-name").fill(TEAM)
    page.get_by_role("button", name="Add team").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_contain_text(TEAM)
    page.get_by_label("E-mail").fill(MEMBER)
    page.locator("#team").select_option(TEAM)
    page.get_by_role("button", name="Make an invitation").click()
    link = page.get_by_role("region", name="The link").inner_text().strip()
    PLANTED.plant("the token of the first invitation", link.partition("token=")[2])
    admin.require_calm()
    return link


def join(member: Visitor, link: str) -> None:
    page = member.page
    page.goto(link)
    expect(page.get_by_text(f"{ADMIN} invites {MEMBER} as Member in team {TEAM}")).to_be_visible()
    page.get_by_label("Your name").fill(NAME)
    member.require_calm()
    page.get_by_role("button", name="Join").click()


# ------------------------------------------------------------------ the key and the tool


def issue_key(member: Visitor) -> str:
    page = member.page
    page.get_by_role("link", name="Keys", exact=True).click()
    expect(page.get_by_label("Person")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Issue key").click()
    token = page.get_by_role("region", name="The new key").inner_text().strip()
    assert TOKEN.fullmatch(token)
    PLANTED.plant("the secret of the member's key", token.rpartition("_")[2])
    expect(page.locator("#issued")).to_contain_text(f"For {MEMBER} ({TEAM})")
    member.require_calm()
    return token


def connect(server: Served, key: str, folder: Path) -> str:
    """Connect Claude Code in a home folder of its own; give the id of the call that was made."""
    home, programs = folder / "home", folder / "bin"
    for made in (home, programs):
        made.mkdir()
    program = programs / "claude"
    program.write_text("#!/bin/sh\necho '2.1.332 (Claude Code)'\n")
    program.chmod(0o755)
    variables = {"HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin", "TOLLKEEPER_KEY": key}
    command = ("connect", "claude-code", "--url", server.url, "--write")
    ended: Ended = run_command(*command, folder=home, environment=variables)
    assert (ended.code, ended.err) == (0, "")
    for text in (MEMBER, TEAM, "claude-code 2.1.332", "echo", "$0.0"):
        assert text in ended.out
    assert key not in ended.out
    settings = json.loads((home / ".claude/settings.json").read_text())
    assert settings["env"] == {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_AUTH_TOKEN": key}
    shown = CALL_ID.search(ended.out)
    assert shown, ended.out
    return shown[0]


# ------------------------------------------------------------------ what both see


def member_sees_their_call(member: Visitor, call_id: str) -> None:
    page = member.page
    until_shown(page, "/calls", "#rows a.cover")
    expect(page.get_by_text("Your own calls")).to_be_visible()
    expect(page.locator("#rows a.cover")).to_have_count(1)
    expect(page.locator("#rows a.cover")).to_have_attribute("href", re.compile(call_id))
    row = page.locator("#rows tbody tr")
    require_seen(row, NAME, TEAM, "claude-code", "echo")
    member.require_calm()
    page.goto(f"/calls/{call_id}")
    facts = page.locator("dl.facts")
    require_seen(facts, NAME, TEAM, "claude-code 2.1.332", "laptop")
    member.require_calm()
    page.goto("/?by=tool")
    expect(page.locator("#recent a.cover")).to_have_count(1)
    require_seen(page.locator("#recent"), NAME, TEAM, "echo")
    require_seen(page.locator("#parts"), "claude-code")
    member.require_calm()
    page.goto("/me")
    expect(page.locator("#recent a.cover")).to_have_count(1)
    require_seen(page.locator("#recent"), NAME, TEAM, "claude-code", "echo")
    member.require_calm()
    expect(page.locator("#head")).to_contain_text(f"team {TEAM}")
    expect(page.locator("#seen")).to_have_count(0)


def admin_sees_a_pseudonym(admin: Visitor, call_id: str) -> None:
    page = admin.page
    until_shown(page, f"/calls?filter=team:{TEAM}", "#rows a.cover")
    row = page.locator("#rows tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(PSEUDONYM)
    expect(row).to_contain_text(TEAM)
    expect(page.locator("main")).not_to_contain_text(ANY_NAME)
    admin.require_calm()
    page.goto(f"/calls/{call_id}")
    expect(page.locator("dl.facts")).to_contain_text(PSEUDONYM)
    expect(page.locator("main")).not_to_contain_text(ANY_NAME)
    page.goto("/?by=user")
    parts = page.locator("#parts")
    expect(parts).to_contain_text(PSEUDONYM)
    expect(parts).to_contain_text(ADMIN)
    expect(parts).not_to_contain_text(ANY_NAME)
    admin.require_calm()
    page.locator("#unmask").click()
    page.get_by_label("Why").fill(WHY)
    page.get_by_role("button", name="Show names for an hour").click()
    expect(page.locator(".notice.warn")).to_contain_text(WHY)
    expect(parts).to_contain_text(NAME)
    admin.require_calm()
    page.goto("/?by=team")
    expect(page.locator("#parts")).to_contain_text(TEAM)
    expect(page.locator("#parts")).to_contain_text("default")


def member_reads_who_looked(member: Visitor) -> None:
    member.page.goto("/me")
    seen = member.page.locator("#seen")
    expect(seen).to_contain_text(WHY)
    expect(seen).to_contain_text(ADMIN)
    member.require_calm()


def admin_finds_it_in_the_audit_log(admin: Visitor) -> None:
    page = admin.page
    page.goto("/settings/audit")
    for action in ("team.add", "invitation.make", "key.issue", "people.unmask"):
        expect(page.locator("tbody")).to_contain_text(action)
    invited = page.locator("tbody tr").filter(has_text="invitation.make")
    expect(invited).to_contain_text(MEMBER)
    admin.require_calm()


def look_on_a_phone(visitor: Visitor, *paths: str) -> None:
    """Everything fits, and the menu shows where one is."""
    visitor.page.set_viewport_size(NARROW)
    for path in paths:
        visitor.page.goto(path)
        visitor.require_calm()
        place = visitor.page.locator(".nav [aria-current]").bounding_box()
        assert place
        assert 0 <= place["x"] <= NARROW["width"] - place["width"], path
    visitor.page.set_viewport_size(WIDE)


# ------------------------------------------------------------------ what a member may not


def member_is_kept_out(member: Visitor, foreign_key_id: str, foreign_call_id: str) -> None:
    """Ask for what is not the member's as a browser would: with the session, as forms are sent."""
    page = member.page
    page.goto("/people")
    for control in ("Add a team", "Make an invitation", "Change"):
        expect(page.get_by_text(control, exact=True)).to_have_count(0)
    page.goto("/keys")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    token = page.locator("#issue input[name=form_token]").get_attribute("value") or ""
    asked = {
        "/settings/audit": 403,
        "/api/v1/audit": 403,
        "/adoption": 403,
        "/alerts": 403,
        "/api/v1/prices/rules": 403,
        "/api/v1/users": 200,
        f"/api/v1/keys/{foreign_key_id}": 404,
        f"/calls/{foreign_call_id}": 404,
        f"/api/v1/calls/{foreign_call_id}": 404,
    }
    assert {path: answer(page, path) for path in asked} == asked
    assert len(page.request.get("/api/v1/calls").json()["calls"]) == 1
    forms: dict[str, dict[str, str]] = {
        "/people/teams": {"name": "Mine"},
        "/people/users": {"email": "eve@acme.com"},
        "/people/invitations": {"email": "eve@acme.com", "role": "admin"},
        "/unmask": {"reason": WHY},
        "/models/rules": {"effect": "free"},
    }
    sent = {path: answer(page, path, {**form, "form_token": token}) for path, form in forms.items()}
    assert sent == dict.fromkeys(forms, 403)
    for verb in ("revoke", "rotate"):
        form = {"form_token": token, "overlap": "0"}
        assert answer(page, f"/keys/{foreign_key_id}/{verb}", form) == 404


def answer(page: Page, path: str, form: dict[str, Any] | None = None) -> int:
    """Give the status of the answer to what a page of this browser may ask for."""
    reply = page.request.get(path) if form is None else page.request.post(path, form=form)
    return reply.status


def require_seen(where: Locator, *texts: str) -> None:
    """Fail unless all of these can be seen; what a style hides cannot."""
    for text in texts:
        expect(where).to_contain_text(text, use_inner_text=True)


def until_shown(page: Page, path: str, what: str) -> None:
    """Open a page again until something is on it: calls come into the ledger in a moment."""
    deadline_s = time.monotonic() + 20
    while True:
        page.goto(path)
        if page.locator(what).count():
            return
        assert time.monotonic() < deadline_s, f"{what} did not come up on {path}"
        time.sleep(0.1)
