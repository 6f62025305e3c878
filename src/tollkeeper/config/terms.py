"""An operator's terms in tollkeeper.yaml: price rules and flat-rate plans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tollkeeper.config import yaml_file
from tollkeeper.config.settings import PlanOptions, PriceRuleOptions
from tollkeeper.domain.money import NANOS_PER_USD, plain_price
from tollkeeper.domain.price_rules import ALWAYS_US, PriceRule, basis_points_of
from tollkeeper.domain.seat_plans import SeatPlan

_SEAT_USD_MAX: Final = 10**6
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def price_rules(
    document: yaml_file.Document, listed: Sequence[PriceRuleOptions]
) -> tuple[PriceRule, ...]:
    """Read the ``prices`` section, in order. Raises ConfigError, which names the line."""
    return tuple(
        _rule(document, ("prices", number), options) for number, options in enumerate(listed)
    )


def seat_plans(document: yaml_file.Document, listed: Sequence[PlanOptions]) -> tuple[SeatPlan, ...]:
    """Read the ``plans`` section. Raises ConfigError, which names the line."""
    names: set[str] = set()
    plans = []
    for number, options in enumerate(listed):
        path: yaml_file.Path = ("plans", number)
        if options.name in names:
            raise document.error((*path, "name"), f"there are two plans {options.name!r}")
        names.add(options.name)
        plain = plain_price(options.seat_usd)
        seat = Decimal(plain or 0)
        if plain is None or seat > _SEAT_USD_MAX or seat * NANOS_PER_USD % 1:
            raise document.error(
                (*path, "seat_usd"), "is the price of a seat a month in USD", "seat_usd: 100"
            )
        plans.append(
            SeatPlan(
                options.name,
                options.provider,
                options.seats,
                int(seat * NANOS_PER_USD),
                options.team,
                options.covers == "all",
            )
        )
    return tuple(plans)


def _rule(
    document: yaml_file.Document, path: yaml_file.Path, options: PriceRuleOptions
) -> PriceRule:
    rule = PriceRule(
        options.name or f"rule {int(path[-1]) + 1}",
        options.provider,
        options.model,
        options.team,
        {name: _price(document, (*path, "usd", name), usd) for name, usd in options.usd.items()},
        _basis_points(document, (*path, "discount"), options),
        _moment_us(document, (*path, "since"), options.since, -ALWAYS_US),
        _moment_us(document, (*path, "until"), options.until, ALWAYS_US),
        options.reason,
    )
    problem = rule.problem()
    if problem:
        raise document.error(path, problem, "prices: [{model: gpt-4.1*, discount_bp: 1250}]")
    return rule


def _basis_points(
    document: yaml_file.Document, path: yaml_file.Path, options: PriceRuleOptions
) -> int:
    if not options.discount:
        return options.discount_bp
    points = basis_points_of(options.discount) if "%" in options.discount else None
    if points is None or options.discount_bp:
        raise document.error(
            path, "is per cent with at most two decimals, beside no discount_bp", "discount: 12.5%"
        )
    return points


def _price(document: yaml_file.Document, path: yaml_file.Path, price: Any) -> str:
    plain = plain_price(price)
    if plain is None:
        raise document.error(path, "is a price in USD, zero or more")
    return plain


def _moment_us(
    document: yaml_file.Document, path: yaml_file.Path, value: Any, absent_us: int
) -> int:
    """Read a day (its beginning) or a time; without a zone it is UTC. Epoch microseconds."""
    if value in {None, ""}:
        return absent_us
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return int((moment - _EPOCH) / timedelta(microseconds=1))
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise document.error(path, "is a day or a time", "since: 2026-10-01") from None
