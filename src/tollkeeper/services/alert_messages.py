"""What is told when a budget passes a threshold, or has come back from it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from tollkeeper.domain.alerts import Alert, AlertState, Reading, Step
from tollkeeper.domain.budget_windows import LATEST_US
from tollkeeper.domain.budget_words import percent_words, scope_words, window_words
from tollkeeper.domain.budgets import BASIS_POINTS, Balance, BalanceKey, Budget, Mode, Unit
from tollkeeper.domain.deliveries import Message, Severity
from tollkeeper.domain.money import NANOS_PER_USD, usd_text
from tollkeeper.domain.runway import Runway
from tollkeeper.services.outbox import message_of
from tollkeeper.services.runway import runway_of
from tollkeeper.services.times import moment_words, utc_text

THRESHOLD: Final = "budget.threshold"
RECOVERED: Final = "budget.recovered"
PATH: Final = "/alerts"

_CENT: Final = Decimal("0.01")
_BELOW_CENTS: Final = NANOS_PER_USD // 100


def amount_text(amount: int, unit: Unit) -> str:
    """Write an amount as people say it: ``$1,204.50``, ``$0.0042``, ``1,200 tokens``."""
    if unit is not Unit.USD:
        return f"{amount:,} {unit}"
    exact = Decimal(amount).scaleb(-9)
    if amount and abs(amount) < _BELOW_CENTS:
        return f"${exact.normalize():f}"
    return f"${exact.quantize(_CENT, ROUND_HALF_UP):,}"


def title_of(step: Step, budget: Budget, who: str) -> str:
    """Give the title of what is told of a budget; ``who`` names the row, "" for the only one."""
    whose = f"{budget.name} ({who})" if who else budget.name
    percent = percent_words(step.key.threshold_bp)
    if step.state is AlertState.RECOVERED:
        return f"{whose}: below {percent}% again"
    if step.key.threshold_bp >= BASIS_POINTS and budget.mode is Mode.HARD:
        return f"{whose}: {percent}% spent, calls are refused"
    return f"{whose}: {percent}% spent"


def budget_message(
    alert: Alert, step: Step, reading: Reading, budget: Budget, who: str, now_us: int
) -> Message:
    """Make the message of one step. The same step always gives the same id."""
    is_over = step.state is AlertState.RECOVERED
    runway = _runway(reading, budget, now_us)
    severity = Severity.WARNING
    if is_over:
        severity = Severity.GOOD
    elif step.key.threshold_bp >= BASIS_POINTS:
        severity = Severity.CRITICAL
    made = message_of(
        RECOVERED if is_over else THRESHOLD,
        title_of(step, budget, who),
        _text(reading, budget, runway),
        now_us,
        severity=severity,
        data=_data(alert, step, reading, budget, runway, who),
        path=PATH,
        message_id=f"msg_{alert.alert_id}_{'recovered' if is_over else 'fired'}",
    )
    return made._replace(alert_id=alert.alert_id)


def _text(reading: Reading, budget: Budget, runway: Runway) -> str:
    spent = amount_text(reading.value, budget.unit)
    limit = amount_text(reading.limit, budget.unit)
    lines = [f"Spent {spent} of {limit} ({_share(reading)})."]
    if reading.window_end_us < LATEST_US:
        end = moment_words(reading.window_end_us, budget.window.zone)
        lines.append(f"This {budget.window.kind} ends {end}.")
    if runway.spent_at_us is not None:
        when = moment_words(runway.spent_at_us, budget.window.zone)
        lines.append(f"At this pace it is spent {when}.")
    elif reading.value < reading.limit:
        lines.append(f"When it will be spent: {runway.reason}.")
    if budget.mode is not Mode.HARD:
        lines.append("It only observes: nothing is refused.")
    return "\n".join(lines)


def _data(
    alert: Alert, step: Step, reading: Reading, budget: Budget, runway: Runway, who: str
) -> dict[str, Any]:
    ends = reading.window_end_us < LATEST_US
    return {
        "alert_id": alert.alert_id,
        "rule": reading.rule,
        "state": str(step.state),
        "threshold_percent": percent_words(step.key.threshold_bp),
        "budget": {
            "id": budget.budget_id,
            "name": budget.name,
            "scope": scope_words(budget),
            "entity": reading.entity,
            "entity_name": who,
            "mode": str(budget.mode),
            "unit": str(budget.unit),
        },
        "window": {
            "kind": window_words(budget.window),
            "timezone": budget.window.zone,
            "start": utc_text(reading.window_start_us),
            "end": utc_text(reading.window_end_us) if ends else None,
        },
        "spent": _amount(reading.value, budget.unit),
        "limit": _amount(reading.limit, budget.unit),
        "spent_at": None if runway.spent_at_us is None else utc_text(runway.spent_at_us),
        "spent_at_reason": str(runway.reason),
    }


def _amount(amount: int, unit: Unit) -> str:
    return usd_text(amount) if unit is Unit.USD else str(amount)


def _share(reading: Reading) -> str:
    if not reading.limit:
        return "the limit is nothing"
    return f"{reading.value * 100 // reading.limit}%"


def _runway(reading: Reading, budget: Budget, now_us: int) -> Runway:
    key = BalanceKey(budget.budget_id, reading.entity, reading.window_start_us)
    row = Balance(key, reading.window_end_us, reading.value, 0, 0, reading.limit)
    return runway_of(budget, row, now_us)
