"""Budgets as people write them, in a configuration file, on the command line and on a page.

One reading for all of them: ``budget_of`` makes a budget of words, ``words_of`` gives the words
of a budget, which read as the same budget again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, Final, TypeVar

from tollkeeper.domain.budget_times import WrongTime, times_of
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import (
    ANY,
    BASIS_POINTS,
    LIMIT_MAX,
    NAME_CHARS_MAX,
    Budget,
    BudgetScope,
    Mode,
    Sizing,
    Unit,
)
from tollkeeper.domain.money import NANOS_PER_USD

OPTIONS: Final = (
    *("name", "scope", "match", "each", "tag", "limit", "window", "timezone", "rollover"),
    *("exempt_models", "mode", "sizing", "alert_at", "since", "until"),
)
"""What may be said of a budget. Only scope and limit must be."""
ALERT_AT_BP: Final = (8_000, 10_000)
"""When somebody is told, where nothing else is said: at 80 and 100 %. An empty list: never."""

FILE_PREFIX: Final = "file-"
"""With this begin the ids of budgets that stand in the configuration file, and no others."""

_TEXT_CHARS_MAX: Final = 100
_AMOUNT: Final = re.compile(
    r"(?P<before>us\$|\$|usd)?\s*(?P<sign>-)?\s*(?P<before_too>us\$|\$)?"
    r"(?P<number>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9][0-9_]*(?:\.[0-9]+)?|\.[0-9]+)"
    r"\s*(?P<times>k|m|b|thousand|million|billion)?"
    r"\s*(?P<after>us\$|\$|usd|dollars?|tokens?|requests?|calls?)?",
    re.ASCII,
)
_UNIT_PLACES: Final = ("before", "before_too", "after")
_TIMES: Final = {
    "": 1,
    "k": 10**3,
    "thousand": 10**3,
    "m": 10**6,
    "million": 10**6,
    "b": 10**9,
    "billion": 10**9,
}
_UNITS: Final = {
    **dict.fromkeys(("$", "us$", "usd", "dollar", "dollars"), Unit.USD),
    **dict.fromkeys(("token", "tokens"), Unit.TOKENS),
    **dict.fromkeys(("request", "requests", "call", "calls"), Unit.REQUESTS),
}
_AMOUNT_EXAMPLES: Final = "like 5000 USD, 2M tokens or 1000 requests"
_PERCENT: Final = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,2})?)\s*%?", re.ASCII)
_SCOPES: Final = {
    **{str(scope): scope for scope in BudgetScope},
    **dict.fromkeys(("organisation", "organization"), BudgetScope.ORG),
    **dict.fromkeys(("end-customer", "customer"), BudgetScope.END_CUSTOMER),
}
_KINDS: Final = {
    **{str(kind): kind for kind in WindowKind},
    "hourly": WindowKind.HOUR,
    "daily": WindowKind.DAY,
    "weekly": WindowKind.WEEK,
    "monthly": WindowKind.MONTH,
    "quarterly": WindowKind.QUARTER,
    "yearly": WindowKind.YEAR,
    "annual": WindowKind.YEAR,
}
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_ABBREVIATED: Final = 3
_Word = TypeVar("_Word", Mode, Sizing)
_BEGINS: Final = {
    WindowKind.WEEK: "week from Sunday",
    WindowKind.MONTH: "month from 15",
    WindowKind.QUARTER: "quarter from April",
    WindowKind.YEAR: "year from April 6",
}
"""How is said when a window begins that does not begin as the calendar does."""


class UnclearWords(ValueError):
    """Words that say no budget. ``option`` is the one at fault, ``reason`` what to write."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"{option}: {reason}" if option else reason)
        self.option = option
        self.reason = reason


def budget_of(words: Mapping[str, Any], zone: str = "UTC") -> Budget:
    """Read a budget; ``zone`` is where its windows are counted if nothing is said.

    Its id is empty, and it counts from ever on where nothing else is said: whoever keeps it
    gives it both. Raises UnclearWords for what is no budget.
    """
    for option in words:
        if option not in OPTIONS:
            near = get_close_matches(str(option), OPTIONS, 1)
            known = f"did you mean {near[0]}?" if near else f"known: {', '.join(OPTIONS)}"
            raise UnclearWords(str(option)[:_TEXT_CHARS_MAX], f"no such option; {known}")
    scope, match, each, tag = _whose(words)
    limit, unit = amount_of_words(words.get("limit"), "limit")
    budget = Budget(
        budget_id="",
        name="",
        scope=scope,
        unit=unit,
        limit=limit,
        window=window_of_words(
            _text(words, "window", str(WindowKind.MONTH)), _text(words, "timezone", zone)
        ),
        match=match,
        each=each,
        tag=tag,
        mode=_one_of(words, "mode", Mode, Mode.HARD),
        sizing=_one_of(words, "sizing", Sizing, Sizing.BALANCED),
        exempt_models=tuple(_listed(words, "exempt_models")),
        rollover_max=_rollover(words.get("rollover"), limit, unit),
        thresholds_bp=_thresholds(words),
    )
    try:
        since_us, until_us = times_of(words, budget.window.zone)
    except WrongTime as wrong:
        raise UnclearWords(wrong.option, wrong.reason) from None
    name = _text(words, "name", "").strip() or default_name(budget)
    budget = budget._replace(name=name, since_us=since_us, until_us=until_us)
    problem = budget.problem()
    if problem:
        raise UnclearWords("", problem)
    return budget


def words_of(budget: Budget) -> dict[str, Any]:
    """Give a budget as words; ``budget_of`` reads them as what it is, but for its time."""
    words: dict[str, Any] = {
        "name": budget.name,
        "scope": str(budget.scope),
        "match": budget.match,
        "each": budget.each,
        "limit": amount_words(budget.limit, budget.unit),
        "window": window_words(budget.window),
        "timezone": budget.window.zone,
        "rollover": amount_words(budget.rollover_max, budget.unit),
        "exempt_models": list(budget.exempt_models),
        "mode": str(budget.mode),
        "sizing": str(budget.sizing),
        "alert_at": [percent_words(bp) for bp in budget.thresholds_bp],
    }
    return words | ({"tag": budget.tag} if budget.tag else {})


def is_of_file(budget_id: str) -> bool:
    """Tell whether a budget stands in the configuration file, and is changed there only."""
    return budget_id.startswith(FILE_PREFIX)


# ------------------------------------------------------------------ amounts


def amount_of_words(typed: object, option: str = "limit") -> tuple[int, Unit]:
    """Read an amount and its unit: ``$5,000``, ``2M tokens``, ``1000 requests``.

    USD become nano-dollars. Raises UnclearWords, also for what is below zero, finer than
    the unit, or larger than any limit.
    """
    text = typed.strip() if isinstance(typed, str) else ""
    found = _AMOUNT.fullmatch(text.lower()) if len(text) <= _TEXT_CHARS_MAX else None
    named = [found[place] for place in _UNIT_PLACES if found[place]] if found else []
    if found is None or len(named) != 1:
        raise UnclearWords(option, f"is an amount and its unit, {_AMOUNT_EXAMPLES}")
    if found["sign"]:
        raise UnclearWords(option, "is 0 or more")
    unit = _UNITS[named[0]]
    number = Fraction(found["number"].replace(",", "").replace("_", ""))
    amount = number * _TIMES[found["times"] or ""]
    amount *= NANOS_PER_USD if unit is Unit.USD else 1
    if amount > LIMIT_MAX:
        raise UnclearWords(option, f"is at most {amount_words(LIMIT_MAX, unit)}")
    if amount.denominator != 1:
        finest = "a nano-dollar (9 decimals)" if unit is Unit.USD else f"one of the {unit}"
        raise UnclearWords(option, f"is nothing finer than {finest}")
    return amount.numerator, unit


def amount_words(amount: int, unit: Unit) -> str:
    """Write an amount with its unit, every digit: ``5,000 USD``, ``0.10 USD``, ``1 request``."""
    if unit is not Unit.USD:
        return f"{amount:,} {str(unit).removesuffix('s') if abs(amount) == 1 else unit}"
    sign, (whole, nanos) = "-" if amount < 0 else "", divmod(abs(amount), NANOS_PER_USD)
    cents = f"{nanos:09d}".rstrip("0")
    return f"{sign}{whole:,}{f'.{cents:0<2}' if cents else ''} USD"


def basis_points_of_words(typed: object, option: str = "alert_at") -> int:
    """Read a share in per cent, ``80``, ``99.5`` or ``80 %``. Raises UnclearWords."""
    text = str(typed).strip() if isinstance(typed, str | int | float) else ""
    found = None if isinstance(typed, bool) else _PERCENT.fullmatch(text)
    if found is None:
        raise UnclearWords(option, "is in per cent of the limit, like 80 or 99.5")
    return int(Fraction(found[1]) * 100)


def percent_words(basis_points: int) -> str:
    """Write basis points in per cent: ``80``, ``99.5``."""
    return f"{Decimal(basis_points).scaleb(-2).normalize():f}"


# ------------------------------------------------------------------ windows


def window_of_words(text: str, zone: str = "UTC") -> WindowRule:
    """Read a window: ``month``, ``week from Sunday``, ``quarter from April``, ``prepaid``.

    Raises UnclearWords for one that is unknown, and for a zone that is none.
    """
    kind_text, _, begins = " ".join(text.split()).partition(" from ")
    kind = _KINDS.get(kind_text.lower().removeprefix("per "))
    if kind is None:
        raise UnclearWords("window", f"is one of {', '.join(WindowKind)}")
    rule = WindowRule(kind, zone)
    try:
        rule = rule if not begins else _beginning(rule, begins)
    except ValueError:
        known = f"like {_BEGINS[kind]!r}" if kind in _BEGINS else f"a {kind} begins as it begins"
        raise UnclearWords("window", f"{known}, not 'from {begins[:30]}'") from None
    problem = rule.problem()
    if problem:
        at_fault = "window" if rule._replace(zone="UTC").problem() else "timezone"
        raise UnclearWords(at_fault, problem)
    return rule


def window_words(rule: WindowRule) -> str:
    """Write a window without its zone, as ``window_of_words`` reads it."""
    if rule.kind is WindowKind.WEEK and rule.first_weekday != 1:
        return f"week from {_WEEKDAYS[rule.first_weekday - 1]}"
    if rule.kind is WindowKind.MONTH and rule.first_day != 1:
        return f"month from {rule.first_day}"
    if rule.kind in {WindowKind.QUARTER, WindowKind.YEAR} and (
        rule.first_month != 1 or rule.first_day != 1
    ):
        day = f" {rule.first_day}" if rule.first_day != 1 else ""
        return f"{rule.kind} from {_MONTHS[rule.first_month - 1]}{day}"
    return str(rule.kind)


def _beginning(rule: WindowRule, begins: str) -> WindowRule:
    """Add when a window begins. Raises ValueError for what says no such thing."""
    if rule.kind is WindowKind.WEEK:
        return rule._replace(first_weekday=_place_of(begins, _WEEKDAYS))
    if rule.kind is WindowKind.MONTH:
        return rule._replace(first_day=_day(begins))
    if rule.kind in {WindowKind.QUARTER, WindowKind.YEAR}:
        first, _, last = begins.partition(" ")
        if last and first[0].isdigit():
            first, last = last, first
        month = _place_of(first, _MONTHS)
        return rule._replace(first_month=month, first_day=_day(last) if last else 1)
    raise ValueError(begins)


def _place_of(word: str, names: Sequence[str]) -> int:
    """Find a name by itself or by its first three letters; 1 is the first."""
    short = [name.lower()[: max(len(word), _ABBREVIATED)] for name in names]
    return short.index(word.lower()) + 1


def _day(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 2):
        raise ValueError(word)
    return int(word)


# ------------------------------------------------------------------ whose calls


def scope_words(budget: Budget) -> str:
    """Say whose calls a budget counts: ``org``, ``team:core``, ``each tag:feature``."""
    text = str(budget.scope)
    if budget.tag:
        text += f":{budget.tag}" + ("" if budget.match == ANY else f"={budget.match}")
    elif budget.match != ANY:
        text += f":{budget.match}"
    return f"each {text}" if budget.each else text


def default_name(budget: Budget) -> str:
    """Name a budget after what it counts: ``team:core 5,000 USD month``."""
    limit = amount_words(budget.limit, budget.unit)
    return f"{scope_words(budget)} {limit} {window_words(budget.window)}"[:NAME_CHARS_MAX]


def _whose(words: Mapping[str, Any]) -> tuple[BudgetScope, str, bool, str]:
    """Read scope, match, each and tag; a scope may say them all: ``each tag:feature``."""
    first, _, rest = _text(words, "scope", "").strip().partition(" ")
    is_each = first.lower() in {"each", "every"}
    phrase = rest.strip() if is_each else f"{first} {rest}".strip()
    name, _, value = phrase.partition(":") if ":" in phrase else phrase.partition(" ")
    scope = _SCOPES.get(name.strip().lower())
    if scope is None:
        said = f", not {name.strip()[:40]!r}" if name.strip() else ""
        raise UnclearWords("scope", f"is one of {', '.join(BudgetScope)}{said}")
    tag, match = "", value.strip()
    if scope is BudgetScope.TAG:
        tag, _, match = (part.strip() for part in value.partition("="))
    match = _agreed(words, "match", match) or ANY
    tag = _agreed(words, "tag", tag)
    each = words.get("each", is_each)
    if not isinstance(each, bool):
        raise UnclearWords("each", "is true or false")
    return scope, match, each or is_each, tag


def _agreed(words: Mapping[str, Any], option: str, in_scope: str) -> str:
    """Give what an option says, or the scope; they may not contradict each other."""
    said = _text(words, option, "")
    if said and in_scope and said != in_scope:
        raise UnclearWords(option, f"the scope says {in_scope[:40]!r}, and this {said[:40]!r}")
    return said or in_scope


# ------------------------------------------------------------------ the rest


def _rollover(typed: object, limit: int, unit: Unit) -> int:
    """Read how much rolls over: an amount of the same unit, a share of the limit, all, none."""
    text = typed.strip().lower() if isinstance(typed, str) else ""
    if typed is None or typed is False or text == "none" or typed == "":
        return 0
    if typed is True or text == "all":
        return limit
    if text.endswith("%"):
        share = basis_points_of_words(text, "rollover")
        if share > BASIS_POINTS:
            raise UnclearWords("rollover", "is at most 100% of the limit")
        return limit * share // BASIS_POINTS
    amount, unit_said = amount_of_words(text, "rollover")
    if unit_said is not unit:
        raise UnclearWords("rollover", f"is in {unit}, as the limit is")
    if amount > limit:
        raise UnclearWords("rollover", "is at most the limit itself")
    return amount


def _thresholds(words: Mapping[str, Any]) -> tuple[int, ...]:
    if words.get("alert_at") is None:
        return ALERT_AT_BP
    return tuple(sorted({basis_points_of_words(each) for each in _listed(words, "alert_at")}))


def _listed(words: Mapping[str, Any], option: str) -> list[Any]:
    """Give a list that is one, or a text with commas between."""
    said = words.get(option)
    if said is None:
        return []
    if isinstance(said, str):
        return [part.strip() for part in said.split(",") if part.strip()]
    if isinstance(said, int | float) and not isinstance(said, bool):
        said = [said]
    if not isinstance(said, list | tuple):
        raise UnclearWords(option, "is a list, or a text with commas")
    if option == "exempt_models" and not all(isinstance(each, str) for each in said):
        raise UnclearWords(option, "is a list of models or patterns")
    return list(said)


def _text(words: Mapping[str, Any], option: str, absent: str) -> str:
    said = words.get(option)
    if said is None or said == "":
        return absent
    if isinstance(said, bool) or not isinstance(said, str | int):
        raise UnclearWords(option, "is a text")
    return str(said)


def _one_of(
    words: Mapping[str, Any], option: str, kind: Callable[[str], _Word], absent: _Word
) -> _Word:
    try:
        return kind(_text(words, option, absent).lower())
    except ValueError:
        raise UnclearWords(option, f"is {' or '.join(type(absent))}") from None
