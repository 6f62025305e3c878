"""Numbers as people read them: money, counts, shares, changes, lengths of time.

Used by pages and by the command line. Files and the API carry full values instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final, Literal, NamedTuple

UNKNOWN: Final = "—"
_CENT: Final = Decimal("0.01")
_NANO: Final = Decimal("0.000000001")
_EXACT: Final = Context(prec=60)  # rounds half to even
_THOUSAND: Final = Decimal(1_000)
_MILLION: Final = Decimal(1_000_000)
_SUFFIXES: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
_DASH: Final = "\N{EN DASH}"
_MONTHS: Final = (  # the same in any locale
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


# ----------------------------------------------------------------------------- money


def money(amount: Decimal | None) -> str:
    """Write an amount that sums something up: ``$12,216``, ``$184.27``, ``$0.042``, ``<$0.01``.

    No cents from 1,000 on, three decimals under 1, ``$0.00`` only for nothing at all.
    """
    if amount is None:
        return UNKNOWN
    size = abs(amount)
    if 0 < size < _CENT:
        return f"{_sign(amount)}<$0.01"
    return _dollars(amount, _decimals(size))


def money_tile(amount: Decimal | None) -> str:
    """Write an amount for a large figure: like ``money``, but ``$1.24M`` from a million."""
    if amount is None or _rounded(abs(amount), 0) < _MILLION:
        return money(amount)
    return f"{_sign(amount)}${_short(abs(amount))}"


def money_axis(amount: Decimal) -> str:
    """Write an amount beside an axis, as short as it can be: ``$1.2K``, ``$800``, ``$0.5``.

    However small it is, two digits of it remain, down to one nano-dollar.
    """
    size = abs(amount)
    if size >= _THOUSAND:
        return f"{_sign(amount)}${_trimmed(_short(size))}"
    decimals = 2 if size >= 1 or not size else min(9, max(4, 1 - size.adjusted()))
    return f"{_sign(amount)}${_trimmed(f'{_rounded(size, decimals):f}')}"


def money_exact(amount: Decimal | None) -> str:
    """Write the amount of one call, small as it may be: ``$0.000052``, ``$0.0123``, ``$12.40``.

    At least two decimals; under one dollar three significant digits, down to one nano-dollar.
    """
    if amount is None:
        return UNKNOWN
    size = abs(amount)
    if size >= 1 or not size:
        return _dollars(amount, 2)
    decimals = min(9, 2 - size.adjusted())
    text = f"{_rounded(size, decimals):f}".rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"{_sign(amount)}${whole}.{fraction:0<2}"


def money_full(amount: Decimal | None) -> str:
    """Write all that is known of an amount: ``$12,216.483910274``; at least two decimals."""
    if amount is None:
        return UNKNOWN
    whole, _, fraction = f"{amount.copy_abs().quantize(_NANO, context=_EXACT):f}".partition(".")
    return f"{_sign(amount)}${int(whole):,}.{fraction.rstrip('0'):0<2}"


def known_money(amount: Decimal | None, unpriced: int) -> Decimal | None:
    """Give a sum as it may be shown: nothing known beside unpriced calls is unknown, not $0."""
    return None if unpriced and not amount else amount


def money_column(amounts: Iterable[Decimal | None], *, cents: bool = False) -> list[str]:
    """Write the amounts of a table's column with one precision, chosen by the largest.

    With ``cents`` it has them from 1,000 on, too.
    """
    found = list(amounts)
    largest = max((abs(amount) for amount in found if amount is not None), default=Decimal(0))
    decimals = max(_decimals(largest), 2 if cents else 0)
    if 0 < largest < _CENT:
        decimals = min(9, 2 - largest.adjusted())
    return _column(found, decimals)


def money_column_exact(amounts: Iterable[Decimal | None]) -> list[str]:
    """Write amounts of single calls or sessions with one precision, chosen by the middle one.

    It has three significant digits where it is under one dollar, down to one nano-dollar.
    """
    found = list(amounts)
    sizes = sorted(abs(amount) for amount in found if amount)
    middle = sizes[len(sizes) // 2] if sizes else Decimal(1)
    return _column(found, min(9, max(2, 2 - middle.adjusted())) if middle < 1 else 2)


def _column(found: Iterable[Decimal | None], decimals: int) -> list[str]:
    smallest = Decimal(1).scaleb(-decimals)
    return [
        UNKNOWN
        if amount is None
        else f"{_sign(amount)}<${smallest:f}"
        if 0 < abs(amount) < smallest
        else _dollars(amount, decimals)
        for amount in found
    ]


def _decimals(size: Decimal) -> int:
    """Tell how many decimals an amount of this size is written with."""
    if _rounded(size, 2) >= _THOUSAND:
        return 0
    return 2 if _rounded(size, 3) >= 1 or not size else 3


def _dollars(amount: Decimal, decimals: int) -> str:
    return f"{_sign(amount)}${_rounded(abs(amount), decimals):,f}"


def _sign(amount: Decimal) -> str:
    return "-" if amount < 0 else ""


def _rounded(size: Decimal, decimals: int) -> Decimal:
    return size.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)


# ----------------------------------------------------------------------------- counts


def count(number: int | None) -> str:
    """Write a count in short: ``982``, ``76.7K``, ``4.18M``."""
    if number is None:
        return UNKNOWN
    return f"{'-' if number < 0 else ''}{_short(Decimal(abs(number)))}"


def count_full(number: int | None) -> str:
    """Write a count in full: ``4,183,027``."""
    return UNKNOWN if number is None else f"{number:,}"


def _short(size: Decimal) -> str:
    """Write a size with three significant digits and a letter, from a thousand on."""
    for divisor, letter in _SUFFIXES:
        scaled = size / divisor
        if scaled >= Decimal("0.9995"):
            digits = 2 if scaled < Decimal("9.995") else 1 if scaled < Decimal("99.95") else 0
            return f"{_rounded(scaled, digits):,f}{letter}"
    return f"{_rounded(size, 0):f}"


def _trimmed(text: str) -> str:
    """Drop zeros at the end of the decimals, before a letter if there is one."""
    letter = text[-1] if text[-1:].isalpha() else ""
    number = text.removesuffix(letter)
    return (number.rstrip("0").rstrip(".") if "." in number else number) + letter


# ----------------------------------------------------------------------------- shares, changes


def share(part: Decimal | None) -> str:
    """Write a part of a whole: ``26%``, ``<1%``, ``0%``, ``>99%`` when it is not all."""
    if part is None:
        return UNKNOWN
    percent = part * 100
    if 0 < percent < 1:
        return "<1%"
    if 99 < percent < 100:
        return ">99%"
    return f"{_rounded(percent, 0):f}%"


class ChangeText(NamedTuple):
    """How a change is shown: its direction decides arrow and colour, ``words`` are for ears."""

    direction: Literal["up", "down", "flat", "new", "unknown"]
    text: str
    words: str


def change(ratio: Decimal | None, *, now: Decimal | None, before: Decimal | None) -> ChangeText:
    """Describe a change: ``17%`` up, ``8%`` down, ``0%`` under half a percent, ``new``.

    From 1,000% up it says how many times as much it is now: ``50x``.
    """
    if now is None or before is None:
        return ChangeText("unknown", UNKNOWN, "cannot be compared")
    if not before:
        return ChangeText("new", "new", "new") if now else ChangeText("flat", "0%", "no change")
    if ratio is None or abs(ratio) < Decimal("0.005"):
        return ChangeText("flat", "0%", "no change")
    percent = abs(ratio) * 100
    whole = percent.quantize(Decimal(1), ROUND_HALF_UP)  # half a percent is shown as one
    direction: Literal["up", "down"] = "up" if ratio > 0 else "down"
    if ratio > 0 and whole >= _THOUSAND:
        times = _short(ratio + 1)
        return ChangeText(direction, f"{times}x", f"up, {times} times as much")
    text = f"{_short(percent)}%" if whole >= _THOUSAND else f"{whole:f}%"
    return ChangeText(direction, text, f"{direction} {text}")


# ----------------------------------------------------------------------------- time


def duration(duration_ms: int | None) -> str:
    """Write a length of time: ``340 ms``, ``2.41 s``, ``4 min 12 s``, ``3 h 05 min``."""
    if duration_ms is None:
        return UNKNOWN
    if duration_ms < 1_000:
        return f"{duration_ms} ms"
    if duration_ms < 59_950:
        digits = 2 if duration_ms < 9_995 else 1
        return f"{_rounded(Decimal(duration_ms) / 1_000, digits):f} s"
    if duration_ms < _HOUR_MS - 500:
        minutes, seconds = divmod(_nearest(duration_ms, 1_000), 60)
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(_nearest(duration_ms, _MINUTE_MS), 60)
    return f"{hours} h {minutes:02d} min"


def _nearest(duration_ms: int, unit_ms: int) -> int:
    return (duration_ms + unit_ms // 2) // unit_ms


def day(when: date) -> str:
    """Write a day: ``Nov 7``."""
    return f"{_MONTHS[when.month - 1]} {when.day}"


def days(first: date, last: date) -> str:
    """Write a stretch of days, with a dash: ``Oct 23 - Nov 21, 2026``, ``Nov 1 - 21, 2026``."""
    if first == last:
        return f"{day(first)}, {first.year}"
    if first.year != last.year:
        return f"{day(first)}, {first.year} {_DASH} {day(last)}, {last.year}"
    end = str(last.day) if first.month == last.month else day(last)
    return f"{day(first)} {_DASH} {end}, {last.year}"
