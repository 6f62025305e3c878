"""Texts that were made to do harm, and the look for harm that a page does."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from tollkeeper.console.static_files import style_sheet

SCRIPTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "{{7*7}}{% raw %}${7*7}",
    '<a hx-get="/keys" hx-on:click="alert(1)" data-hx-post="/logout">x</a>',
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<!--<script>-->",
    "\u202egpj.exe",
    "&lt;script&gt;",
    "]]><script>alert(1)</script>",
)
FORMULAS = (
    "=cmd|'/c calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
)


class Page(HTMLParser):
    """Collects what a browser would run or fetch.

    A page may bring our own style sheet, once and word for word, for browsers without its file.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.harm: list[str] = []
        self.texts: list[str] = []
        self._script = False
        self._sheet: list[str] | None = None
        self.feed(text)
        self.close()
        if text.count("<style") > 1 or self._sheet is not None:
            self.harm.append("style")

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag in {"iframe", "object", "embed", "base", "meta"} and "http-equiv" in found:
            self.harm.append(tag)
        if tag in {"iframe", "object", "embed", "base"}:
            self.harm.append(tag)
        if tag == "style":
            self._sheet = []
            if found.keys() != {"id", "data-file"} or found["id"] != "style":
                self.harm.append(tag)
        if tag == "script" and not (found.get("src") or "").startswith("/static/"):
            self.harm.append("inline script")
        self._script = tag == "script"
        for name, value in attributes:
            if name.startswith(("on", "hx-", "data-hx")) or name in {"style", "srcdoc"}:
                self.harm.append(f"{tag} {name}={value}")
            if name in {"href", "src", "action", "formaction"}:
                self._address(tag, value or "")

    def _address(self, tag: str, value: str) -> None:
        if not re.match(r"/(?!/)|#|https?://localhost:4000|\?|$", value):
            self.harm.append(f"{tag} leads to {value}")

    def handle_data(self, data: str) -> None:
        if self._sheet is not None:
            self._sheet.append(data)
            return
        self.texts.append(data)
        if self._script and data.strip():
            self.harm.append("script text")

    def handle_endtag(self, tag: str) -> None:
        self._script = False
        if tag == "style":
            if self._sheet is None or "".join(self._sheet) != style_sheet():
                self.harm.append(tag)
            self._sheet = None
