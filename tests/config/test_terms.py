"""Price rules and flat-rate plans in the file: what is read, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.price_rules import ALWAYS_US, PriceRule
from tollkeeper.domain.rate_card import instant_us
from tollkeeper.domain.seat_plans import SeatPlan


def _read(tmp_path: Path, text: str) -> config.Configuration:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(text)
    return config.load(file, {})


def test_rules_keep_their_order(tmp_path: Path) -> None:
    read = _read(
        tmp_path,
        "prices:\n"
        "  - {provider: openai, discount: 12.5%, since: 2026-01-01, until: 2027-01-01}\n"
        "  - {name: deal, team: search, model: 'gpt-*', usd: {input: 1.5, output: '3'}}\n"
        "  - {discount_bp: -500, since: '2026-08-16T16:00:00+08:00', reason: reseller}\n",
    )
    since_us, until_us = instant_us("2026-01-01"), instant_us("2027-01-01")
    assert read.price_rules == (
        PriceRule("rule 1", "openai", discount_bp=1250, since_us=since_us, until_us=until_us),
        PriceRule("deal", model="gpt-*", team="search", usd={"input": "1.5", "output": "3"}),
        PriceRule(
            "rule 3",
            discount_bp=-500,
            since_us=instant_us("2026-08-16T08:00:00"),
            until_us=ALWAYS_US,
            reason="reseller",
        ),
    )


def test_plans_are_exact_money(tmp_path: Path) -> None:
    read = _read(
        tmp_path,
        "plans:\n"
        "  - {name: Claude Team, provider: anthropic, seats: 40, seat_usd: 19.99}\n"
        "  - {name: reserved, provider: vertex, seat_usd: '9000', covers: all, team: 's*'}\n",
    )
    team, reserved = read.seat_plans
    assert team == SeatPlan("Claude Team", "anthropic", 40, 19_990_000_000)
    assert team.month_nanos == 799_600_000_000
    assert reserved == SeatPlan("reserved", "vertex", 1, 9_000_000_000_000, "s*", covers_keys=True)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("prices:\n  - {modle: x, discount_bp: 4}", "prices.0.modle: no such option"),
        ("prices:\n  - {model: x}", "set prices (usd) or a discount"),
        ("prices:\n  - {model: x, discount_bp: 4, usd: {input: 1}}", "not both"),
        ("prices:\n  - {discount_bp: four}", "prices.0.discount_bp: expected `int`"),
        ("prices:\n  - {discount_bp: 10001}", "basis points"),
        ("prices:\n  - {discount: 101%}", "basis points"),
        ("prices:\n  - {discount: 12.345%}", "prices.0.discount: is per cent"),
        ("prices:\n  - {discount: some}", "prices.0.discount: is per cent"),
        ("prices:\n  - {discount: 5%, discount_bp: 500}", "prices.0.discount: is per cent"),
        ("prices:\n  - {usd: {inptu: 1}}", "no such quantity: 'inptu'"),
        ("prices:\n  - {usd: {input: -1}}", "prices.0.usd.input: is a price"),
        ("prices:\n  - {usd: {input: .nan}}", "prices.0.usd.input: is a price"),
        ("prices:\n  - {usd: {input: .inf}}", "prices.0.usd.input: is a price"),
        ("prices:\n  - {usd: {input: yes}}", "prices.0.usd.input: is a price"),
        ("prices:\n  - {usd: {input: [1]}}", "prices.0.usd.input: is a price"),
        ("prices:\n  - {discount: 5%, since: soon}", "prices.0.since: is a day or a time"),
        ("prices:\n  - {discount: 5%, until: 2026}", "prices.0.until: is a day or a time"),
        ("prices:\n  - {discount: 5%, since: 2026-02-01, until: 2026-02-01}", "ends before"),
        ("plans:\n  - {name: x, provider: y}", "required field `seat_usd`"),
        ("plans:\n  - {name: x, provider: y, seat_usd: free}", "plans.0.seat_usd: is the price"),
        ("plans:\n  - {name: x, provider: y, seat_usd: -1}", "plans.0.seat_usd: is the price"),
        ("plans:\n  - {name: x, provider: y, seat_usd: 1, seats: 0}", "plans.0.seats"),
        ("plans:\n  - {name: x, provider: y, seat_usd: 1, covers: some}", "plans.0.covers"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, entry: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=r"tollkeeper.yaml:3: ") as found:
        _read(tmp_path, f"org: acme\n{entry}\n")
    assert says in str(found.value)


def test_two_plans_of_one_name_are_refused(tmp_path: Path) -> None:
    plan = "{name: x, provider: y, seat_usd: 1}"
    with pytest.raises(ConfigError, match=r"yaml:3: plans\.1\.name: there are two plans 'x'"):
        _read(tmp_path, f"plans:\n  - {plan}\n  - {plan}\n")
