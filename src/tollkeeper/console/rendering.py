"""Pages as HTML: one Jinja environment, and what every template may use.

A page's template begins ``{% extends layout %}`` and fills the blocks ``title`` and ``main``
(the content of ``<main>``). ``layout`` is ``layout.html`` for a whole page and ``part.html``
for a swap, which is asked for with the header ``X-Swap: main``.

Besides ``page`` a template sees ``viewer`` (None before signing in), ``path``, ``query``,
``zone`` (IANA name), ``theme`` (light, dark or auto), ``form_token`` (every form that posts
carries it in a field of this name), ``notice`` (what is wrong with the ledger, "" if nothing
is), ``version``, ``org``, the function ``static("app.css")`` for the address of a file,
``has_style`` (whether the browser has the style sheet, which is included otherwise), the
function ``here(period="7d")`` for the address of this page with other parameters (None drops
one), and ``formatting``'s functions as filters.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, quote_plus

from jinja2 import ChoiceLoader, DictLoader, Environment, FileSystemLoader, StrictUndefined

from tollkeeper import __version__
from tollkeeper.console.static_files import STYLE, style_sheet
from tollkeeper.domain.access import Viewer
from tollkeeper.reports import formatting

TEMPLATES: Final = Path(__file__).parent / "templates"
LAYOUT: Final = "layout.html"
PART: Final = "part.html"
_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        formatting.money,
        formatting.money_tile,
        formatting.money_axis,
        formatting.money_exact,
        formatting.money_full,
        formatting.count,
        formatting.count_full,
        formatting.share,
        formatting.duration,
        formatting.day,
    )
}


class Piece(enum.StrEnum):
    """How much of a page is rendered: all, or what stands above ``<main>``, or what is left.

    What stands above knows nothing of the page but its template and title.
    """

    WHOLE = "whole"
    TOP = "top"
    REST = "rest"


class View(NamedTuple):
    """How one request wants its page, and who asks."""

    viewer: Viewer | None
    path: str
    query: Mapping[str, str]
    zone: str
    theme: str
    form_token: str
    notice: str
    org: str
    swap: bool
    unmasking: Mapping[str, str] = {}
    has_style: bool = False


def environment(static: Callable[[str], str]) -> Environment:
    """Make the environment. ``static`` gives the address of a static file."""
    sheet = f"{{% raw %}}{style_sheet()}{{% endraw %}}"  # a template that says just this
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(TEMPLATES), DictLoader({STYLE: sheet})]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(_FILTERS)
    made.globals.update(static=static, version=__version__)
    return made


def render(
    templates: Environment,
    template: str,
    page: object,
    view: View,
    piece: Piece = Piece.WHOLE,
    title: str = "",
) -> str:
    """Give a page, a piece of it, or the part that a swap needs, as HTML.

    ``title`` is that of the page, where its template cannot tell without it.
    """
    return templates.get_template(template).render(
        **view._asdict(),
        page=page,
        piece=piece,
        title=title,
        layout=PART if view.swap else LAYOUT,
        here=lambda **changes: address(view.path, {**view.query, **changes}),
    )


def address(path: str, query: Mapping[str, object]) -> str:
    """Write the address of a page of ours; parameters that are None or "" are left out."""
    kept = [
        f"{_escaped(name)}={_escaped(str(value))}"
        for name, value in query.items()
        if value is not None and value != ""
    ]
    return quote(path) + (f"?{'&'.join(kept)}" if kept else "")


@lru_cache(1_024)
def _escaped(text: str) -> str:
    """Escape a name or a value: hundreds of addresses on one page have most of them in common."""
    return quote_plus(text)
