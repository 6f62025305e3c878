"""Signing in at a certified OpenID provider, in a browser that takes the two for two sites."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from browsers import Visitor, expect
from certified_provider import CLIENT_ID, CLIENT_SECRET, certified_provider
from companies import Company, company
from loopback import HOST, free_port

pytestmark = pytest.mark.browser
PEOPLE = {
    "nora": {
        "email": "nora@acme.com",
        "email_verified": True,
        "name": "Nora New",
        "groups": ["finance"],
    },
    "mallory": {"email": "mallory@acme.com", "email_verified": True, "groups": ["others"]},
}


@pytest.fixture(scope="module")
def signing_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company whose people sign in elsewhere: at another site, by the name of its host."""
    folder, port = tmp_path_factory.mktemp("sso"), free_port()
    home = f"http://localhost:{port}"
    with certified_provider(f"{home}/login/oidc/acme/callback", PEOPLE) as issuer:
        entry = {
            "name": "acme",
            "label": "Acme",
            "issuer": issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scopes": ["openid", "email", "profile", "groups"],
            "groups": {"finance": {"role": "finance", "team": "Money"}},
            "create_users": True,
            "sign_out": True,
            "allow_private": [HOST],
        }
        text = json.dumps({"public_url": home, "sign_in": {"oidc": [entry]}})
        (folder / "tollkeeper.yaml").write_text(text)
        with company(folder, port=port) as made:
            made.url = home
            yield made


def test_somebody_new_comes_in_by_their_groups_and_goes(
    signing_on: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(signing_on)
    page = visitor.page
    page.goto("/calls")
    visitor.require_calm()
    assert visitor.faint_texts() == {}
    page.get_by_role("link", name="Sign in with Acme").click()
    page.locator("input[name=login]").fill("nora")
    page.locator("input[name=password]").fill("x")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()  # agrees to what is asked for
    expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    assert page.url == f"{signing_on.url}/calls"
    cookies = {each["name"]: each for each in visitor.context.cookies(signing_on.url)}
    assert cookies["tollkeeper"]["httpOnly"]
    assert cookies["tollkeeper"]["sameSite"] == "Lax"
    assert "tollkeeper-sign-in" not in cookies
    expect(page.get_by_text("nora@acme.com").first).to_be_attached()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    page.get_by_role("link", name="Sign in with Acme").click()  # the provider still knows her
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign out of Acme too").click()
    page.locator("button[name=logout]").click()
    page.goto(f"{signing_on.url}/login/oidc/acme")
    expect(page.locator("input[name=login]")).to_be_visible()  # and now it does not


def test_who_has_no_role_reads_why(signing_on: Company, visit: Callable[..., Visitor]) -> None:
    page = visit(signing_on).page
    page.goto("/login/oidc/acme")
    page.locator("input[name=login]").fill("mallory")
    page.locator("input[name=password]").fill("x")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()
    expect(page.get_by_text("None of your groups has a role here.")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("link", name="Sign in with Acme")).to_be_visible()
