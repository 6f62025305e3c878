"""Every page there is, by the table of routes, with an address of each for a browser.

A page that is added to the table and not named here is a fault of the test that asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from browsers import Page, newest_call
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.routes import PAGES

ELSEWHERE: Final = frozenset(
    {
        "/login/oidc/{provider}",
        "/login/oidc/{provider}/callback",
        "/login/oidc/{provider}/logout",
        "/k/{path_key}/me",
    }
)
"""Addresses that show no page of their own: they lead to a provider, or show what /me does."""

SIGNED_OUT: Final = ("/login", "/login?token=x", "/nothing")
"""What somebody sees who is not signed in."""

MORE: Final[Mapping[str, tuple[str, ...]]] = {
    "/": ("/?by=team&rows=all", "/?period=month"),
    "/explore": (
        "/explore?group_by=team,tool,model&view=sankey",
        "/explore?group_by=none&view=heat",
        "/explore?metric=duration_p95_ms&group_by=tool",
        "/explore?group_by=team,model&view=table",
        "/explore?group_by=customer&limit=10",
    ),
    "/calls": ("/calls?filter=outcome:refused",),
    "/keys": ("/keys?show=all",),
    "/savings": ("/savings?from_model=openai/gpt-5.4-mini&to_model=openai/gpt-5.4-nano",),
}
"""Views of a page that look like another page."""

Finder = Callable[[Page], str]


_LISTED: Final[dict[str, list[str]]] = {}


def every_page(page: Page) -> list[str]:
    """List an address of every page, for who is signed in as an admin of the demo's company.

    For one company once: what has to be made for some page can be made only once.
    """
    company = str(page.evaluate("location.origin"))
    if company not in _LISTED:
        found = _LISTED[company] = []
        for path in paths():
            found.append(_FOUND[path](page) if path in _FOUND else path)
            found += MORE.get(path, ())
    return list(_LISTED[company])


def paths() -> list[str]:
    """List the paths of all pages. Raises LookupError for one that nobody can find."""
    listed = [
        route.path
        for route in PAGES
        if (route.method, route.kind) == ("GET", Kind.PAGE) and route.path not in ELSEWHERE
    ]
    for path in listed:
        if "{" in path and path not in _FOUND:
            raise LookupError(f"say in {__name__} how a page of {path} is found")
    return [path for path in listed if path != "/login"]


def _first(path: str, links: str) -> Finder:
    """Find the first link of a page."""

    def find(page: Page) -> str:
        page.goto(path)
        address = page.locator(links).first.get_attribute("href")
        assert address is not None
        return address

    return find


def _ask(page: Page) -> str:
    """Find where more of a budget is asked for: one that refuses."""
    page.goto("/budgets")
    refusing = page.locator("#budgets tbody tr").filter(has_not_text="Observes")
    page.goto(refusing.locator("th a").first.get_attribute("href") or "")
    return page.get_by_role("link", name="Ask for more").get_attribute("href") or ""


def _request(page: Page) -> str:
    """Ask for more of a budget, and find the request."""
    page.goto(_ask(page))
    page.get_by_label("Amount").fill("5")
    page.get_by_label("Reason").fill("invoices of the whole year")
    page.get_by_role("button", name="Ask").click()
    return _first("/budgets/requests", "main a[href^='/budgets/requests/']")(page)


def _invitation(page: Page) -> str:
    """Invite somebody, and find what they see."""
    page.goto("/people")
    page.get_by_label("E-mail").fill("yan@meridian.example")
    page.get_by_role("button", name="Make an invitation").click()
    link = urlsplit(page.get_by_role("region", name="The link").inner_text().strip())
    return f"{link.path}?{link.query}"


_FOUND: Final[Mapping[str, Finder]] = {
    "/calls/{call_id}": newest_call,
    "/budget/{budget_id}": _first("/budgets", "#budgets tbody th a"),
    "/budgets/ask": _ask,
    "/budgets/requests/{request_id}": _request,
    "/statements/{month}": _first("/statements", "#months tbody a"),
    "/statements/{month}/{team:path}": _first("/statements", "#teams tbody a"),
    "/join": _invitation,
}
