"""Times and money as LiteLLM writes them: ``30d``, ``1mo``, ``12.5``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.money import NANOS_PER_USD, nanos_of_usd

_SPAN: Final = re.compile(r"([0-9]{1,6})(s|mo|m|h|d|w|y)")
_SECONDS: Final[Mapping[str, int]] = {
    "s": 1,
    "m": 60,
    "h": 3_600,
    "d": 86_400,
    "w": 7 * 86_400,
    "mo": 30 * 86_400,
    "y": 365 * 86_400,
}
_WINDOWS: Final[Mapping[str, WindowKind]] = {
    **dict.fromkeys(("3600s", "60m", "1h"), WindowKind.HOUR),
    **dict.fromkeys(("86400s", "1440m", "24h", "1d"), WindowKind.DAY),
    **dict.fromkeys(("168h", "7d", "1w"), WindowKind.WEEK),
    **dict.fromkeys(("720h", "30d", "1mo"), WindowKind.MONTH),
    **dict.fromkeys(("90d", "3mo"), WindowKind.QUARTER),
    **dict.fromkeys(("365d", "12mo", "1y"), WindowKind.YEAR),
}
_WORDS: Final[Mapping[WindowKind, str]] = {
    WindowKind.HOUR: "1h",
    WindowKind.DAY: "1d",
    WindowKind.WEEK: "7d",
    WindowKind.MONTH: "30d",
    WindowKind.QUARTER: "90d",
    WindowKind.YEAR: "365d",
}
_EXAMPLES: Final = "1h, 1d, 7d, 30d, 90d or 365d"


def window_of(duration: str, zone: str) -> WindowRule:
    """Give the calendar's window for a ``budget_duration``; "" is one that never ends.

    As LiteLLM does it, a day begins at midnight, a week on Monday, a month on its first day.
    Raises BadRequest for a duration that is no hour, day, week, month, quarter or year.
    """
    if not duration:
        return WindowRule(WindowKind.LIFETIME, zone)
    kind = _WINDOWS.get(duration.strip().lower())
    if kind is None:
        raise BadRequest(
            f"budget_duration {duration[:40]!r}: budgets begin anew with the hour, day, week, "
            f"month, quarter or year here; write {_EXAMPLES}",
            code="bad_budget_duration",
        )
    return WindowRule(kind, zone)


def duration_of(rule: WindowRule) -> str | None:
    """Write a window as a ``budget_duration``, None for one that never ends."""
    return _WORDS.get(rule.kind)


def span_us(duration: str, field: str) -> int:
    """Read how long something lasts, in microseconds. Raises BadRequest."""
    found = _SPAN.fullmatch(duration.strip().lower())
    if found is None or int(found[1]) == 0:
        raise BadRequest(
            f"{field} {duration[:40]!r} is no duration; write 30s, 30m, 30h, 30d or 1mo",
            code="bad_duration",
        )
    return int(found[1]) * _SECONDS[found[2]] * 1_000_000


def nanos_of(number: object, field: str) -> int:
    """Read an amount of USD that came as a JSON number. Raises BadRequest."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise BadRequest(f"{field} is a number of USD", code="bad_amount")
    try:
        # What a number is written as is what was meant: 0.1 is ten cents, to the last digit.
        nanos = nanos_of_usd(repr(number))
    except ValueError:
        raise BadRequest(
            f"{field} is a whole number of nano-dollars: at most 9 decimals", code="bad_amount"
        ) from None
    if nanos < 0:
        raise BadRequest(f"{field} is 0 or more", code="bad_amount")
    return nanos


def usd_number(nanos: int) -> float:
    """Give an amount as the JSON number that LiteLLM's clients read."""
    return nanos / NANOS_PER_USD
