"""Looks at the pages as people do, and keeps the pictures in docs/screenshots.

A deployment with the made-up company's past is started with ``tollkeeper serve``, and one that
nobody has called yet. `make screenshots` writes every page in both themes and at two widths;
`make screenshots ARGS=--few` writes the ones that the README shows, and `ARGS=--demo` those of the
company of ``tollkeeper demo``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
        *("call-light-1440", "budgets-light-1440", "models-light-1440", "keys-light-1440"),
    }
)
_PAGES: Final = ("overview", "calls", "call", "budgets", "models", "keys")


def main(arguments: list[str]) -> int:
    sys.path.insert(0, str(ROOT / "tests"))
    browsers, companies = import_module("browsers"), import_module("companies")
    FOLDER.mkdir(parents=True, exist_ok=True)
    few = "--few" in arguments
    with tempfile.TemporaryDirectory() as folder, browsers.chromium() as browser:
        if "--demo" in arguments:
            with _demo(Path(folder) / "demo") as demo:
                _look(browsers, browser, demo, _PAGES, few=few)
            return 0
        past = companies.demo_company_entries(CALLS)
        with companies.company(Path(folder) / "acme", past, **AS_USUAL) as acme:
            _cap(acme)
            _look(browsers, browser, acme, _PAGES, few=few)
        with companies.company(Path(folder) / "newcomer", **AS_USUAL) as newcomer:
            _look(browsers, browser, newcomer, ("empty",), few=few)
    return 0


class _Demo:
    """The company of the demo as a visitor needs it: an address, and links that sign in."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder

    def link(self, _email: str) -> str:
        """Make a one-time link of the demo's own admin."""
        demo, ports = import_module("tollkeeper.demo.people"), import_module("tollkeeper.ports")
        bootstrap, clock = import_module("tollkeeper.bootstrap"), import_module("tollkeeper.clock")
        company = import_module("tollkeeper.demo.history").demo_company(clock.now_us())
        data = ports.DataFolder(self._folder)
        store = bootstrap.open_store(data)
        try:
            user = store.user_with_email(demo.admin_of(company).email)
            make = import_module("tollkeeper.services.sign_in").make_link
            path: str = make(store, bootstrap.open_vault(data), user, clock.now_us()).path
            return self.url + path
        finally:
            store.close()


@contextmanager
def _demo(folder: Path) -> Iterator[_Demo]:
    """Run the demo, with live traffic, until its pages are looked at."""
    port = import_module("loopback").free_port()
    command = [sys.executable, "-u", "-m", "tollkeeper", "demo", "--data", str(folder)]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--rate", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        if process.stdout is None or not any("Sign in" in line for line in process.stdout):
            raise RuntimeError("the demo did not start")
        yield _Demo(folder, port)
    finally:
        process.terminate()
        process.communicate()


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


def _look(browsers: Any, browser: Any, company: Any, pages: tuple[str, ...], *, few: bool) -> None:
    """Write the pictures of some pages of one deployment."""
    for width, height in SIZES:
        for theme in THEMES:
            names = {page: f"{page}-{theme}-{width}" for page in pages}
            if few:
                names = {page: name for page, name in names.items() if name in FEW}
            if not names:
                continue
            visitor = browsers.Visitor(
                browser,
                company,
                viewport={"width": width, "height": height},
                color_scheme=theme,
                reduced_motion="reduce",
            )
            visitor.sign_in()
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
        shown.goto("/" if page in {"overview", "empty"} else f"/{page}")
    if shown.locator("#live").count():
        browsers.expect(shown.locator("#live")).to_have_attribute("data-state", "on")


def _keep(page: Any, path: Path, width: int) -> None:
    height = page.evaluate("() => document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, HEIGHT_MAX)}
    page.screenshot(path=path, full_page=True, clip=clip)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
