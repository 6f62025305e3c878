"""One Chromium, a company with a past and one without; a fresh browser profile for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from browsers import Visitor, chromium
from companies import Company, company, demo_company_entries
from demo_companies import DemoCompany, demo_company

Visits = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium.

    Not for the whole session: while Playwright runs, its event loop counts as the running one
    of this process, and other tests could start none.
    """
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company that has used the product for ninety days."""
    with company(tmp_path_factory.mktemp("acme"), demo_company_entries(2_000)) as made:
        yield made


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A new installation that nobody has called yet."""
    with company(tmp_path_factory.mktemp("newcomer")) as made:
        yield made


@pytest.fixture(scope="session")
def meridian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoCompany]:
    """The company of the demo; nobody calls.

    So many calls are made within a few seconds, and its stories stand out: with less, one long
    session of somebody may cost more than a key that ran away.
    """
    folder = tmp_path_factory.mktemp("meridian") / "demo"
    with demo_company(folder, "--entries", "30000", "--rate", "0") as made:
        yield made


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visits]:
    """Open browser profiles: ``visit(company, viewport=…)``."""
    visitors: list[Visitor] = []

    def opened(where: Company, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, where, **options))
        return visitors[-1]

    yield opened
    for visitor in visitors:
        visitor.context.close()


@pytest.fixture
def olive(acme: Company, visit: Visits) -> Visitor:
    """The admin of the company with a past, signed in."""
    return visit(acme).sign_in()
