"""Looks at the weekly digest as a mail program shows it, and keeps the picture for docs/digest.md.

    .venv/bin/python tools/digest_picture.py

A ledger in memory with the made-up company's past, budgets and an alert; the mail is put together
by the product itself, and opened in Chromium with its pictures in it, in the light and the dark.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs" / "screenshots"
CALLS: Final = 40_000
WIDTH: Final = 680
HEIGHT_MAX: Final = 1_560
_BUDGETS: Final = (
    ("Search, by month", "team:Search", 92),
    ("All of us", "org", 64),
    ("Claude, watched", "model:claude-*", 97),
)


def main() -> int:
    sys.path.insert(0, str(ROOT / "tests"))
    demo, desks = import_module("demo_entries"), import_module("digest_desks")
    browsers = import_module("browsers")
    documents = import_module("tollkeeper.console.digests.document")
    wiring = import_module("tollkeeper.bootstrap.digests")
    entries = [it._replace(org=desks.ORG) for it in demo.demo_entries(desks.NOW_US, CALLS)]
    with tempfile.TemporaryDirectory() as folder:
        desk = desks.DigestDesk(Path(folder), entries)
        _fill(desk, demo.PEOPLE)
        page = wiring.page_in(documents.digest_document(desk.digest()))
        desk.close()
        file = Path(folder) / "digest.html"
        file.write_text(page, "utf-8")
        with browsers.chromium() as browser:
            for theme in ("light", "dark"):
                _keep(browser, file, theme)
    return 0


def _fill(desk: Any, people: Any) -> None:
    """Add the people, budgets that are nearly spent, and an alert of the week."""
    desks = import_module("digest_desks")
    roles, rows = import_module("tollkeeper.domain.access"), import_module("budget_desks")
    alerts = import_module("tollkeeper.domain.alerts")
    for each in people:
        if each.email:
            desk.add(each.email, roles.Role.MEMBER, each.team)
    month = rows.WindowRule(rows.WindowKind.MONTH)
    for number, (name, scope, percent) in enumerate(_BUDGETS):
        kind, _, match = scope.partition(":")
        made = rows.budget(f"b{number}", 400 * rows.DOLLAR)._replace(
            name=name, scope=kind, match=match or "*", window=month
        )
        desk.store.add_budget(made, desks.MONDAY_US, "demo")
        desks.spend(desk, made, percent * 4 * rows.DOLLAR)
        key = alerts.AlertKey("budget", f"b{number}", "", desks.MONDAY_US, 8_000)
        at_us = desks.MONDAY_US + (number + 2) * desks.DAY_US
        if percent > 80:
            fired = alerts.AlertState.FIRED
            told = f"{name}: 80 % spent"
            desk.store.add_alert(
                alerts.Alert(
                    *(f"a{number}", key, fired, desks.END_US, 8, 10, name, told, at_us, at_us)
                )
            )


def _keep(browser: Any, file: Path, theme: str) -> None:
    shown = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme=theme)
    shown.goto(file.as_uri())
    height = shown.evaluate("() => document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": min(height, HEIGHT_MAX)}
    path = FOLDER / f"digest-{theme}-{WIDTH}.png"
    shown.screenshot(path=path, full_page=True, clip=clip)
    print(path.relative_to(ROOT))
    shown.close()


if __name__ == "__main__":
    raise SystemExit(main())
