"""The forecast as the document of the JSON API, and in words."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from tollkeeper.domain.forecast import COVERED, State
from tollkeeper.reports import formatting
from tollkeeper.reports.answers import time_text
from tollkeeper.reports.export import amount_text
from tollkeeper.reports.forecast import MonthForecast

OUTSIDE_EACH: Final = (1 - Decimal(str(COVERED))) / 2


def forecast_document(found: MonthForecast) -> dict[str, Any]:
    """Give the document of ``GET /api/v1/forecast``."""
    month = found.period
    missed = found.missed_share
    return {
        "as_of": time_text(found.now_us),
        "month": {
            "from": time_text(month.start_us),
            "to": time_text(month.end_us),
            "tz": month.zone,
        },
        "state": found.state.value,
        "so_far_usd": _amount(found.so_far_usd),
        "end_usd": _amount(found.end_usd),
        "low_usd": _amount(found.low_usd),
        "high_usd": _amount(found.high_usd),
        "covered": COVERED,
        "days_left": found.days_left,
        "history_days": found.history_days,
        "needed_days": found.needed_days,
        "origins": found.origins,
        "missed_share": None if missed is None else float(missed),
        "estimated_usd": _amount(found.estimated_usd),
        "unpriced": found.unpriced,
        "unpriced_before": found.unpriced_before,
        "how": list(how(found)),
    }


def headline(found: MonthForecast) -> str:
    """Say the forecast in one line: ``about $4,210 by Nov 30 ($3,960 to $4,480)``."""
    end = formatting.day(found.period.last_day)
    match found.state:
        case State.KNOWN:
            low, about, high = formatting.money_column(
                [found.low_usd, found.end_usd, found.high_usd]
            )
            return f"about {about} by {end} ({low} to {high})"
        case State.NO_BAND:
            return f"about {formatting.money(found.end_usd)} by {end}"
        case State.NOTHING_SPENT:
            return "no forecast: nothing was spent lately"
        case _:
            return "no forecast: not enough history"


def how(found: MonthForecast) -> Iterator[str]:
    """Say in sentences how the forecast came about, and what is missing in it."""
    if found.state is State.NOT_ENOUGH_HISTORY:
        yield (
            f"{found.needed_days} full days with calls are needed before a forecast; "
            f"{found.history_days} {'is' if found.history_days == 1 else 'are'} there."
        )
    elif found.state is State.NOTHING_SPENT:
        yield "Nothing that has a cost was called in the last weeks."
    else:
        yield (
            "What was spent so far, and for each day that is left what its day of the week "
            "usually costs at the level of the last weeks, with half of their trend."
        )
    if found.state is State.KNOWN:
        text = (
            f"The range is what the same method missed by in {found.origins} tries on past days, "
            f"without the outermost {formatting.share(OUTSIDE_EACH)} on either side."
        )
        if found.missed_share is not None:
            text += f" What is left was usually off by {formatting.share(found.missed_share)}."
        yield text
    elif found.state is State.NO_BAND:
        yield "There is too little history yet to say how far off it may be."
    if found.estimated_usd:
        yield f"{formatting.money(found.estimated_usd)} of this month so far was estimated."
    if found.unpriced or found.unpriced_before:
        yield (
            f"{found.unpriced:,} entries of this month and {found.unpriced_before:,} of the weeks "
            "before have no price: what they cost is in no number."
        )


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)
