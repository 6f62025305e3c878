"""What somebody is told whose call a budget refused: which one, how it stands, what to do.

The caller learns the name and the figures of the one budget that refused the call, and whose
it is as far as that is the caller's own (the team, the key, the tag of this very call). Nothing
of other people or other budgets is in it. Texts are one line of plain ASCII but for the names
that people gave, because some tools show no more than a header of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from tollkeeper.domain import errors
from tollkeeper.domain.budget_windows import LATEST_US, WindowKind, zone_of
from tollkeeper.domain.budgets import ANY, Budget, BudgetScope, Unit
from tollkeeper.domain.holds import UNPRICED
from tollkeeper.domain.key_tokens import without_keys
from tollkeeper.domain.money import NANOS_PER_USD
from tollkeeper.services.budget_gate import EXCEEDED, UNREACHABLE, Refused

ASK_PATH: Final = "/budgets/ask"
"""The page where more is asked for."""
UNREACHABLE_RETRY_S: Final = 5

_NAME_CHARS_MAX: Final = 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US: Final = 60_000_000
_HOUR_MINUTES: Final = 60
_DAY_MINUTES: Final = 24 * _HOUR_MINUTES
_CENT_DIGITS: Final = 2
_NANO_DIGITS: Final = 9
_SIGNIFICANT: Final = 3
_OWN: Final = {
    BudgetScope.USER: "yours",
    BudgetScope.KEY: "this key",
    BudgetScope.SESSION: "this session",
}
_ALL: Final = {
    BudgetScope.ORG: "the whole organisation",
    BudgetScope.TEAM: "all teams",
    BudgetScope.USER: "all people",
    BudgetScope.KEY: "all keys",
    BudgetScope.MODEL: "all models",
    BudgetScope.PROVIDER: "all providers",
    BudgetScope.ENDPOINT: "all endpoints",
    BudgetScope.TOOL: "all tools",
    BudgetScope.END_CUSTOMER: "all customers",
    BudgetScope.SESSION: "all sessions",
}


def refusal_error(
    refused: Refused, now_us: int, ask_url: str = "", *, model: str = "", reason: str = ""
) -> errors.Refused:
    """Give the error that tells a caller about a refusal.

    ``ask_url`` is where more can be asked for (``ask_link``), "" where nobody can. ``model``
    is the one that was asked for, and ``reason`` says why its hold is unknown
    (``domain.holds.Size``); both matter for ``budget_unpriced`` only.
    """
    if refused.code == UNREACHABLE:
        return errors.Overloaded(
            f"{_title(refused)} cannot be checked at the moment, so nothing may be spent from "
            "it: where budgets are kept does not answer. Try again in a few seconds.",
            code=UNREACHABLE,
            retry_after_s=UNREACHABLE_RETRY_S,
        )
    if refused.code == UNPRICED:
        said = f"{_title(refused)} caps spending, and {_unknown_cost(model, reason)}"
        return errors.OverBudget(said, code=UNPRICED)
    said = f"{_title(refused)} {_standing(refused)} {_way_out(refused, now_us, ask_url)}"
    return errors.OverBudget(said, code=EXCEEDED, resets_at_us=refused.opens_at_us)


def ask_link(public_url: str, refused: Refused) -> str:
    """Give the address of the page that asks for more of the budget that refused.

    It names the budget and whom it counts there, and nothing that opens anything: the page
    wants a sign-in, and looks for itself at what that person may ask.
    """
    if not public_url:
        return ""
    asked = {"budget": refused.key.budget_id}
    if refused.key.entity:
        asked["for"] = refused.key.entity
    return f"{public_url.rstrip('/')}{ASK_PATH}?{urlencode(asked)}"


def whose(budget: Budget, entity: str) -> str:
    """Say whom a row of balances counts, to somebody whose own call it counts."""
    value = entity or ("" if budget.match == ANY else budget.match)
    if not value:
        return _ALL.get(budget.scope, f"all values of {_clean(budget.tag)}")
    if budget.scope in _OWN:
        return _OWN[budget.scope]
    if budget.scope is BudgetScope.TAG:
        return f"{_clean(budget.tag)}={_clean(value)}"
    kind = "customer" if budget.scope is BudgetScope.END_CUSTOMER else str(budget.scope)
    return f"{kind} {_clean(value)}"


def amount_text(amount: int, unit: Unit) -> str:
    """Write an amount in the digits that say something: ``$12.40``, ``$0.00052``, ``1 request``.

    USD are whole nano-dollars; from one dollar on they are rounded to cents, half to even.
    """
    if unit is not Unit.USD:
        return f"{amount:,} {str(unit).removesuffix('s') if abs(amount) == 1 else unit}"
    sign, size = "-" if amount < 0 else "", abs(amount)
    digits = _CENT_DIGITS
    if 0 < size < NANOS_PER_USD:
        digits = min(max(_NANO_DIGITS - len(str(size)) + _SIGNIFICANT, digits), _NANO_DIGITS)
    step = 10 ** (_NANO_DIGITS - digits)
    shown, rest = divmod(size, step)
    shown += rest * 2 > step or (rest * 2 == step and shown & 1)
    whole, cents = divmod(shown, 10**digits)
    decimals = f"{cents:0{digits}d}".rstrip("0")
    return f"{sign}${whole:,}.{decimals:0<2}"


# ------------------------------------------------------------------ sentences


def _title(refused: Refused) -> str:
    budget = refused.budget
    return f'Budget "{_clean(budget.name)}" ({whose(budget, refused.key.entity)})'


def _standing(refused: Refused) -> str:
    """Say how the budget stands, as far as that is known."""
    spent, held, limit = refused.spent, refused.held, refused.limit
    if spent is None or held is None or limit is None:
        return "has too little left for this call."
    unit = refused.budget.unit
    if limit <= 0:
        return f"allows nothing: its limit is {amount_text(limit, unit)}."
    used = f"{amount_text(spent, unit)} spent"
    if held:
        used += f" and {amount_text(held, unit)} held for calls under way"
    used += f", of {amount_text(limit, unit)}"
    left = limit - spent - held
    if left <= 0:
        return f"is used up: {used}."
    return f"has {amount_text(left, unit)} left, too little for this call: {used}."


def _way_out(refused: Refused, now_us: int, ask_url: str) -> str:
    """Say where to ask, and when it opens again. The address is followed by a space."""
    ask = f"Ask for more at {ask_url} " if ask_url else "Ask whoever keeps your budgets "
    if refused.soon:
        return f"{ask}or try again in a moment: others hold what is left and may give it back."
    if refused.opens_at_us is None or refused.opens_at_us >= LATEST_US:
        if refused.budget.window.kind is WindowKind.PREPAID:
            return f"{ask}(it is prepaid: it opens again when more is paid in)."
        return f"{ask}(it does not open again by itself)."
    return f"{ask}or wait until {_moment(refused, refused.opens_at_us, now_us)}."


def _moment(refused: Refused, at_us: int, now_us: int) -> str:
    """Write a moment in the budget's own zone, and how far away it is."""
    zone = refused.budget.window.zone
    local = (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone_of(zone))
    text = f"{local:%Y-%m-%d %H:%M} {zone}"
    minutes = -(-(at_us - now_us) // _MINUTE_US)
    return f"{text} (in {_length(minutes)})" if minutes > 0 else text


def _length(minutes: int) -> str:
    if minutes < _HOUR_MINUTES:
        return f"{minutes} min"
    if minutes < _DAY_MINUTES:
        return f"{minutes // _HOUR_MINUTES} h {minutes % _HOUR_MINUTES} min"
    days, rest = divmod(minutes, _DAY_MINUTES)
    return f"{days} d {rest // _HOUR_MINUTES} h"


def _unknown_cost(model: str, reason: str) -> str:
    """Say why nobody knows what a call can cost, and who can do what about it."""
    kind, _, what = reason.partition(":")
    named = f'model "{_clean(model)}"' if model else "this model"
    if kind != "unbounded":
        lacking = f" for its {_clean(what).replace('_', ' ')}" if what else ""
        return (
            f"{named} has no price{lacking}. An administrator or finance can set one on the page "
            "Models or with `tollkeeper prices set`."
        )
    if what == "output":
        return (
            f"it is not known how long the reply of {named} can be. Say so in the request "
            "(max_tokens or its like)."
        )
    if what == "prompt":
        return (
            "this request brings in content that is kept elsewhere (files, pictures, stored "
            "conversations, tools of the provider), so it has no bound. Send it as text, or ask "
            "an administrator for a budget that holds what is usual (sizing: balanced)."
        )
    piece = _clean(what).replace("_", " ")
    cause = "the call is larger than any" if what == "size" else f"nothing bounds its {piece}"
    return f"{cause}, so nobody can say what {named} will cost at most."


def _clean(name: str) -> str:
    """Give a name that people or callers chose as it may stand in a sentence."""
    shown = without_keys("".join(char for char in name if char.isprintable()))
    return shown if len(shown) <= _NAME_CHARS_MAX else f"{shown[:_NAME_CHARS_MAX]}..."
