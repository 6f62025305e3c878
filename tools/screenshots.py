"""Looks at the pages as people do, and keeps the pictures in docs/screenshots.

A deployment with the made-up company's past is started with ``tollkeeper serve``, and one that
nobody has called yet. `make screenshots` writes every page in both themes and at two widths;
`make screenshots ARGS=--demo` writes those of the company of ``tollkeeper demo``, and `ARGS=--few`
the few of them that are kept with the code.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from time import sleep
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs" / "screenshots"
SIZES: Final = ((1440, 900), (360, 740))
THEMES: Final = ("light", "dark")
CALLS: Final = 40_000
HEIGHT_MAX: Final = 1_400
"""How much of a long page is kept, in pixels from its top."""
AS_USUAL: Final = {"TOLLKEEPER_PUBLIC_URL": "http://localhost:4000"}
"""What the pages say of where they are, whatever port is free now."""

_COUNTS_AFTER_S: Final = 3
_CALLS_CAPPED: Final = 17
_BUDGETS: Final = (
    {"name": "All of us", "scope": "org", "limit": "5000 USD", "window": "month"},
    {"name": "Each person", "scope": "each user", "limit": "20 requests", "window": "day"},
    {"name": "The sandbox", "scope": "provider:sandbox", "limit": "18 requests", "window": "week"},
    {"name": "Claude, watched", "scope": "model:claude-*", "limit": "2M tokens", "mode": "observe"},
)

FEW: Final = frozenset(
    {
        *("overview-light-1440", "overview-dark-1440", "overview-light-360"),
        *("flows-light-1440", "why-light-1440", "savings-dark-1440"),
        *("budgets-light-1440", "models-light-1440"),
    }
)
"""The pictures of the demo that are kept with the code."""

_PAGES: Final = ("overview", "calls", "call", "budgets", "models", "keys")
_DEMO_PAGES: Final = (
    *("overview", "explore", "flows", "week", "why", "calls", "call", "budgets", "models"),
    *("savings", "adoption", "statements", "people", "alerts", "me"),
)
_ADDRESSES: Final = {
    **dict.fromkeys(("overview", "empty"), "/"),
    "flows": "/explore?group_by=team,tool,model&view=sankey",
    "week": "/explore?group_by=none&view=heat",
    "why": "/why?by=team",
}
"""Addresses of pages that are not called by their names."""


def main(arguments: list[str]) -> int:
    sys.path.insert(0, str(ROOT / "tests"))
    browsers, companies = import_module("browsers"), import_module("companies")
    demo_companies = import_module("demo_companies")
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = FEW if "--few" in arguments else None
    with tempfile.TemporaryDirectory() as folder, browsers.chromium() as browser:
        if kept is not None or "--demo" in arguments:
            with demo_companies.demo_company(Path(folder) / "demo", "--rate", "4") as demo:
                _look(browsers, browser, demo, _DEMO_PAGES, kept, "")
            return 0
        past = companies.demo_company_entries(CALLS)
        with companies.company(Path(folder) / "acme", past, **AS_USUAL) as acme:
            _cap(acme)
            _look(browsers, browser, acme, _PAGES)
        with companies.company(Path(folder) / "newcomer", **AS_USUAL) as newcomer:
            _look(browsers, browser, newcomer, ("empty",))
    return 0


def _cap(company: Any) -> None:
    """Make some budgets, as a company has them, and spend a little of them."""
    bootstrap, changes = (
        import_module(f"tollkeeper.{name}") for name in ("bootstrap", "services.budget_changes")
    )
    store, now_us = bootstrap.open_store(company.data), import_module("tollkeeper.clock").now_us()
    for words in _BUDGETS:
        changes.make(store, words, "Europe/Berlin", "olive@acme.com", now_us)
    store.close()
    sleep(_COUNTS_AFTER_S)
    for _ in range(_CALLS_CAPPED):
        company.call()


def _look(
    browsers: Any,
    browser: Any,
    company: Any,
    pages: tuple[str, ...],
    kept: frozenset[str] | None = None,
    email: str = "olive@acme.com",
) -> None:
    """Write the pictures of some pages of one deployment, only those of ``kept`` if it is given."""
    for width, height in SIZES:
        for theme in THEMES:
            names = {page: f"{page}-{theme}-{width}" for page in pages}
            if kept is not None:
                names = {page: name for page, name in names.items() if name in kept}
            if not names:
                continue
            visitor = browsers.Visitor(
                browser,
                company,
                viewport={"width": width, "height": height},
                color_scheme=theme,
                reduced_motion="reduce",
            )
            visitor.sign_in(email)
            for page, name in names.items():
                _show(browsers, visitor, page)
                _keep(visitor.page, FOLDER / f"{name}.png", width)
                print(f"docs/screenshots/{name}.png")
            visitor.context.close()


def _show(browsers: Any, visitor: Any, page: str) -> None:
    shown = visitor.page
    if page == "call":
        shown.goto(browsers.newest_call(shown, "outcome:ok,tool:claude-code"))
    elif page == "keys":
        shown.goto("/keys")
        shown.get_by_label("Name", exact=True).fill("laptop")
        shown.get_by_role("button", name="Issue key").click()
        browsers.expect(shown.locator("#issued")).to_be_visible()
    else:
        shown.goto(_ADDRESSES.get(page, f"/{page}"))
    if shown.locator("#live").count():
        browsers.expect(shown.locator("#live")).to_have_attribute("data-state", "on")


def _keep(page: Any, path: Path, width: int) -> None:
    height = page.evaluate("() => document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, HEIGHT_MAX)}
    page.screenshot(path=path, full_page=True, clip=clip)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
