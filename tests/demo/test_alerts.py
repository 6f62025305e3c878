"""What the demo's company was told of: at the time of the cause, and mostly seen by somebody."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ledgers import open_duckdb
from tollkeeper import bootstrap
from tollkeeper.demo.alerts import live_through
from tollkeeper.demo.budgets import set_budgets
from tollkeeper.demo.company import ORG, company_of
from tollkeeper.demo.history import demo_entries
from tollkeeper.demo.people import settle_in
from tollkeeper.demo.stories import DAY_US
from tollkeeper.domain.alerts import AlertState
from tollkeeper.ports import DataFolder
from tollkeeper.reports.usual_figures import LedgerUsualFigures
from tollkeeper.services.alerts import BudgetAlerts
from tollkeeper.services.anomalies import Anomalies, Limits

_NOW = int(datetime(2026, 11, 26, 15, 20, tzinfo=UTC).timestamp()) * 1_000_000


def test_alerts_are_of_the_time_of_their_cause_and_were_seen(tmp_path: Path) -> None:
    """Who starts the demo finds a page of alerts with a past, and nothing old is told anew."""
    data, company = DataFolder(tmp_path / "data"), company_of(_NOW)
    with (
        closing(bootstrap.open_store(data)) as store,
        closing(open_duckdb(tmp_path)) as ledger,
        closing(bootstrap.open_budget_authority(data)) as authority,
    ):
        settle_in(store, bootstrap.open_vault(data), company)
        ledger.append(list(demo_entries(_NOW, 4_000)), None)
        set_budgets(store, ledger, company, _NOW)
        live_through(store, authority, ledger, company, _NOW)
        told = store.alerts(1_000)
        states = [alert.state for alert in told]
        assert len(told) > 5
        assert len({alert.fired_at_us // DAY_US for alert in told}) > 3
        assert all(alert.fired_at_us <= alert.changed_at_us < _NOW for alert in told)
        assert states.count(AlertState.FIRED) <= 2
        assert AlertState.ENDED in states
        assert AlertState.ACKNOWLEDGED in states
        assert all(alert.by for alert in told if alert.state is AlertState.ACKNOWLEDGED)
        assert BudgetAlerts(store, lambda: _NOW).look() == 0
        figures = LedgerUsualFigures(ledger, ORG, "UTC")
        assert Anomalies(store, figures, Limits, lambda: _NOW).look() == 0
