"""Every page of the demo, in both themes, on a phone and on a laptop: nothing is wrong with it.

Each page is opened once, every fourth in one of the four ways, and its contrasts are measured by
our own means, which take less time; `make test-long` opens all pages in all ways and has axe
measure them too. What a page weighs is measured with an empty cache; how soon it is painted is
told, and not asserted: the machine does other things besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from browsers import Visitor
from demo_companies import DemoCompany
from node_packages import AXE, why_not
from page_list import SIGNED_OUT, every_page, paths

pytestmark = pytest.mark.browser

FIRST_VISIT_BYTES_MAX = 120_000
OTHER_FILES_MAX = 3
"""Style, script and icon."""

WAYS = tuple(product(("light", "dark"), (360, 1_280)))
GRAVE = {"serious", "critical"}

_AXE = """
async (rules) => (await axe.run(document, {resultTypes: ['violations'], rules})).violations.map(
  ({id, impact, nodes}) => ({id, impact, where: nodes.map((node) => node.html.slice(0, 120))}))
"""
_WITHOUT_CONTRAST = {"color-contrast": {"enabled": False}}
_WEIGHED = """
() => {
  const [page] = performance.getEntriesByType('navigation');
  const others = performance.getEntriesByType('resource');
  const [painted] = performance.getEntriesByName('first-contentful-paint');
  return [
    [page, ...others].reduce((sum, each) => sum + each.transferSize, 0),
    others.length,
    others.filter((each) => each.renderBlockingStatus === 'blocking').map((each) => each.name),
    painted?.startTime ?? 0,
  ];
}
"""


@dataclass(frozen=True)
class Looked:
    """What one page weighed in bytes, when something of it was seen, in ms, and what axe found."""

    address: str
    sent_bytes: int
    painted_ms: float
    grave: Sequence[Any]


@pytest.fixture(scope="module")
def pages(browser: Browser, meridian: DemoCompany) -> list[str]:
    """The addresses of all pages; some have to be made first."""
    visitor = Visitor(browser, meridian).sign_in("")
    found = every_page(visitor.page)
    assert visitor.faults == []
    visitor.context.close()
    return found


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe; it runs in pages by way of the browser, which the page cannot forbid."""
    fault = why_not()
    if fault:
        pytest.skip(f"no axe: {fault}")
    return AXE.read_text("utf-8")


Rules = Mapping[str, Mapping[str, bool]]
Look = Callable[[tuple[str, int], Sequence[str], Rules], list[Looked]]


@pytest.fixture
def look(browser: Browser, meridian: DemoCompany, axe: str) -> Iterator[Look]:
    """Open pages one way, and require of each what is required of all."""
    visitors: list[Visitor] = []

    def looked(way: tuple[str, int], addresses: Sequence[str], rules: Rules) -> list[Looked]:
        theme, width = way
        visitor = Visitor(
            browser, meridian, color_scheme=theme, viewport={"width": width, "height": 800}
        )
        visitors.append(visitor)
        session = visitor.context.new_cdp_session(visitor.page)

        def visit(some: Sequence[str]) -> list[Looked]:
            return [_look_at(visitor, session, each, (axe, rules)) for each in some]

        found = visit([each for each in addresses if each in SIGNED_OUT])
        visitor.sign_in("")
        return found + visit([each for each in addresses if each not in SIGNED_OUT])

    yield looked
    for visitor in visitors:
        visitor.context.close()


def _look_at(visitor: Visitor, session: Any, address: str, axe: tuple[str, Rules]) -> Looked:
    page = visitor.page
    session.send("Network.clearBrowserCache")
    reply = page.goto(address)
    assert reply is not None
    if reply.status == 404:
        assert address == "/nothing"
        visitor.faults.clear()  # the browser itself tells that what was asked for is not there
    else:
        assert reply.status == 200, address
    visitor.require_calm()
    sent_bytes, others, waited_for, painted_ms = page.evaluate(_WEIGHED)
    assert 2_000 < sent_bytes < FIRST_VISIT_BYTES_MAX, address
    assert others <= OTHER_FILES_MAX, address
    assert [name for name in waited_for if "/static/app." not in name] == [], address
    assert len(waited_for) <= 1, address  # the style sheet, where it is not in the page
    source, rules = axe
    page.evaluate(f"{source};0")
    grave = [each for each in page.evaluate(_AXE, rules) if each["impact"] in GRAVE]
    if rules:
        assert visitor.faint_texts() == {}, address
    return Looked(address, sent_bytes, painted_ms, grave)


def _require_usable(looked: Sequence[Looked]) -> None:
    """Nothing keeps people from using a page. Figures that depend on the machine are printed."""
    heaviest = max(looked, key=lambda each: each.sent_bytes)
    slowest = max(looked, key=lambda each: each.painted_ms)
    middle = median(each.painted_ms for each in looked)
    print(f"\n{len(looked)} pages, first paint after {middle:.0f} ms (median)")
    print(f"slowest {slowest.painted_ms:.0f} ms: {slowest.address}")
    print(f"heaviest {heaviest.sent_bytes:,} bytes: {heaviest.address}")
    assert {each.address: each.grave for each in looked if each.grave} == {}


def test_no_page_of_the_table_is_forgotten() -> None:
    assert len(paths()) == len(set(paths())) >= 25


def test_every_page_is_calm_light_and_usable(pages: list[str], look: Look) -> None:
    every = [*SIGNED_OUT, *pages]
    looked = [
        each
        for place, way in enumerate(WAYS)
        for each in look(way, every[place::4], _WITHOUT_CONTRAST)
    ]
    assert sorted(each.address for each in looked) == sorted(every)
    _require_usable(looked)


@pytest.mark.parametrize("width", [360, 1_280])
def test_what_comes_later_moves_nothing(
    browser: Browser, meridian: DemoCompany, width: int
) -> None:
    visitor = Visitor(browser, meridian, viewport={"width": width, "height": 800}).sign_in("")
    try:
        reply = visitor.page.goto("/savings")
        assert reply is not None
        assert reply.headers.get("x-accel-buffering") == "no"  # the page came in two pieces
        expect(visitor.page.locator("main h1")).to_be_visible()
        shown = visitor.shown()
        assert shown["shift"] == 0, shown["moved"]
        assert visitor.faults == []
    finally:
        visitor.context.close()


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]}-{way[1]}")
def test_every_page_in_every_way(pages: list[str], look: Look, way: tuple[str, int]) -> None:
    _require_usable(look(way, [*SIGNED_OUT, *pages], {}))
