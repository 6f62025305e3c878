"""Reads figures off pages: what stands in titles is everything that is known of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, localcontext
from html import unescape


def amount(text: str) -> Decimal:
    """Read an amount or a count; what is unknown is nothing."""
    return Decimal(0) if text == "—" else Decimal(re.sub(r"[$,]|\. .*", "", text))


def written(money: Decimal | None) -> str:
    """Write an amount as the title of a figure does."""
    if money is None:
        return "—"
    whole, _, fraction = f"{abs(money):.9f}".partition(".")
    return f"{'-' * (money < 0)}${int(whole):,}.{fraction.rstrip('0'):0<2}"


def total(values: Iterable[str | int | Decimal | None]) -> Decimal:
    """Add up amounts, to their last digit; what is unknown adds nothing."""
    with localcontext(prec=80):
        return sum((Decimal(value) for value in values if value not in {None, ""}), Decimal(0))


def section(page: str, identifier: str, tag: str = "section") -> str:
    """Give the part of a page that has an id."""
    found = re.search(rf'<{tag}[^>]*id="{identifier}".*?</{tag}>', page, re.S)
    assert found, identifier
    return found[0]


def tiles(page: str, identifier: str) -> dict[str, str]:
    """Give the full values of figures by their names."""
    found = re.findall(
        r'<dt>([^<]*)</dt><dd class="v num" title="([^"]*)"', section(page, identifier, "dl")
    )
    return {name: unescape(title) for name, title in found}


def cells(table: str) -> list[list[str]]:
    """Give the cells of each row but the head, by their titles where they have one."""
    rows = [re.findall(r"<td[ >].*?</td>", row, re.S) for row in re.findall(_ROW, table, re.S)]
    return [[_full(cell) for cell in row] for row in rows if row]


def last_cells(table: str) -> tuple[Decimal, Decimal]:
    """Give what the last cells of all rows add up to, and what the row of totals says."""
    *lines, last = cells(table)
    return total(amount(line[-1]) for line in lines), amount(last[-1])


_ROW = r"<tr[ >].*?</tr>"


def _full(cell: str) -> str:
    titles = re.findall(r'title="([^"]*)"', cell)
    return unescape(titles[0] if titles else re.sub("<[^>]*>", "", cell).strip())
