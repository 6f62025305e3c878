"""Real browsers for tests: one Chromium, pages that note what goes wrong on them, and looks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from companies import ADMIN

WAIT_MS: Final = 20_000
"""How long something may take to show up; tests share the machine with each other."""

FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WIDE: Final = {"width": 1440, "height": 900}
NARROW: Final = {"width": 360, "height": 740}

_WATCH: Final = """
window.watched = {shift: 0, moved: [], violations: []};
addEventListener('securitypolicyviolation', (event) => {
  if (event.blockedURI !== 'eval' || event.sourceFile) watched.violations.push(
    `${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) {
    watched.shift += entry.value;
    watched.moved.push(...entry.sources.map(({node, previousRect: a, currentRect: b}) =>
      `${node?.nodeName} ${node?.className} ${a.x},${a.y} to ${b.x},${b.y}`));
  }
}).observe({type: 'layout-shift', buffered: true});
"""

_CONTRAST: Final = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => {
    const part = top[3] / 255;
    return [0, 1, 2].map((i) => top[i] * part + below[i] * (1 - part)).concat(255);
  };
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3]) layers.push(color);
      if (color[3] === 255) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 255]);
  };
  const bright = ([r, g, b]) => {
    const part = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    return .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
  };
  const found = {};
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement, style = getComputedStyle(node);
    if (!walk.currentNode.textContent.trim() || !node.checkVisibility({visibilityProperty: true})
        || node.closest('script,style,.vh,.skip,option')) continue;
    const below = ground(node);
    const color = node instanceof SVGElement ? style.fill : style.color;
    const text = over(rgba(color), below);
    const pair = [bright(text), bright(below)].sort((a, b) => b - a);
    const ratio = (pair[0] + .05) / (pair[1] + .05);
    const size = parseFloat(style.fontSize), bold = style.fontWeight >= 700;
    const least = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    if (ratio < least) found[`${node.tagName}.${node.getAttribute('class')}`] =
      `${ratio.toFixed(2)} ${color} on ${below.slice(0, 3)}: ${node.textContent.trim()}`;
  }
  return found;
}
"""


class Place(Protocol):
    """A deployment that can be visited."""

    url: str

    def link(self, email: str = ..., /) -> str:
        """Make a one-time link that signs somebody in."""


class Visitor:
    """One browser profile at one deployment. Faults of its pages are kept, and none may be."""

    def __init__(self, browser: Browser, company: Place, **options: Any) -> None:
        options.setdefault("viewport", WIDE)
        self.company = company
        self.context: BrowserContext = browser.new_context(base_url=company.url, **options)
        self.context.set_default_timeout(WAIT_MS)
        self.context.add_init_script(_WATCH)
        self.faults: list[str] = []
        self.page = self.new_page()

    def new_page(self) -> Page:
        """Open a further tab."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("console", self._note)
        return page

    def _note(self, told: ConsoleMessage) -> None:
        """Keep what the browser itself complains about."""
        if told.type in {"error", "warning"}:
            self.faults.append(told.text)

    def sign_in(self, email: str = ADMIN) -> Visitor:
        """Sign in with a one-time link."""
        self.page.goto(self.company.link(email))
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("navigation", name="Main")).to_be_visible()
        self.page.wait_for_load_state()  # the navigation may be there before the page itself
        return self

    def shown(self) -> dict[str, Any]:
        """Give what the page noted about itself since it was loaded, once it is painted."""
        found: dict[str, Any] = self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => "
            "done({...watched, over: document.documentElement.scrollWidth - innerWidth}))))"
        )
        return found

    def require_calm(self) -> None:
        """Nothing was reported, nothing moved after the first paint, nothing sticks out."""
        shown = self.shown()
        assert shown["violations"] == []
        assert shown["shift"] <= 0.01, shown["moved"]
        assert shown["over"] <= 0
        assert self.faults == []

    def faint_texts(self) -> dict[str, str]:
        """Give the texts with less contrast than WCAG 2.2 AA asks for."""
        found: dict[str, str] = self.page.evaluate(_CONTRAST)
        return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed (package chromium)")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def newest_call(page: Page, filters: str = "outcome:ok") -> str:
    """Give the address of the newest call that passes the filters; the list is shown."""
    page.goto(f"/calls?filter={filters}")
    found = page.locator("#rows a.cover").first.get_attribute("href")
    assert found is not None
    return found


__all__ = ["Page", "expect"]
