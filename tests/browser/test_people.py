"""The page People in a browser: teams, people, and what an admin does with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from browsers import NARROW, Visitor, expect
from canaries import PLANTED
from companies import MEMBER, Company

pytestmark = pytest.mark.browser


def test_an_admin_adds_a_team_and_somebody_and_switches_them_off(olive: Visitor) -> None:
    page = olive.page
    page.goto("/people")
    page.get_by_text("Add a team").click()
    page.locator("#team-name").fill("Zebra")
    page.get_by_role("button", name="Add team").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_contain_text("Zebra")
    page.get_by_label("E-mail").fill("zoe@acme.com")
    page.locator("#team").select_option("Zebra")
    page.get_by_role("button", name="Add without inviting").click()
    card = page.get_by_role("region", name="Zebra")
    expect(card).to_contain_text("zoe@acme.com")
    card.locator("tbody summary").click()
    olive.require_calm()
    card.locator("tbody").get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("region", name="Zebra")).to_contain_text("Nobody is in this team yet")
    page.get_by_role("searchbox").fill("nobody is called so")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Nothing found")).to_be_visible()
    olive.require_calm()


def test_people_from_a_file_are_looked_at_and_taken_over(olive: Visitor, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes("email;name;team\r\nin.one@acme.com;Zoë <b>;imported\r\n".encode("utf-16"))
    page = olive.page
    page.goto("/people")
    page.get_by_role("link", name="Take many people over from a table").click()
    page.set_input_files("#file", file)
    expect(page.locator("#table")).to_have_value(
        "email;name;team\nin.one@acme.com;Zoë <b>;imported\n"
    )
    page.get_by_role("button", name="Look what it changes").click()
    expect(page.locator("#plan")).to_contain_text("Zoë <b>")
    olive.require_calm()
    page.get_by_role("button", name="Take it over").click()
    expect(page.locator("main").get_by_role("status")).to_contain_text("2 changes are made")
    page.goto("/people?q=in.one")
    expect(page.locator("main")).to_contain_text("in.one@acme.com")


def test_a_member_sees_the_own_team_on_a_phone(
    acme: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(acme, viewport=NARROW, java_script_enabled=False).sign_in(MEMBER)
    page = visitor.page
    page.goto("/people")
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    expect(page.get_by_role("button", name="Make an invitation")).to_have_count(0)
    expect(page.locator("section.card")).to_have_count(1)
    expect(page.locator("section.card")).not_to_contain_text("@")


def test_somebody_is_invited_and_joins(acme: Company, visit: Callable[..., Visitor]) -> None:
    admin = visit(acme).sign_in()
    page = admin.page
    page.goto("/people")
    page.get_by_label("E-mail").fill("yan@acme.com")
    page.get_by_role("button", name="Make an invitation").click()
    link = page.get_by_role("region", name="The link").inner_text().strip()
    PLANTED.plant("the token of an invitation", link.partition("token=")[2])
    admin.require_calm()
    page.goto("/people")
    expect(page.locator("#invitations")).to_contain_text("yan@acme.com")
    page.locator("#invitations summary").click()
    admin.require_calm()
    newcomer = visit(acme, viewport=NARROW)
    newcomer.page.goto(link)
    newcomer.page.get_by_label("Your name").fill("Yan")
    newcomer.require_calm()
    newcomer.page.get_by_role("button", name="Join").click()
    expect(newcomer.page.get_by_role("navigation", name="Main")).to_be_visible()
    expect(newcomer.page).to_have_url(re.compile(r"/account\?start=1$"))
    newcomer.page.goto(link)
    expect(newcomer.page.get_by_text("This invitation is over")).to_be_visible()
