"""The whole product with its ledger in SQLite: calls, pages, API, and commands beside and without
the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import invoke
from consoles import until
from served import served

LEDGER = "sqlite:///tollkeeper-data/ledger.sqlite3"


def test_everything_works_with_the_ledger_in_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, TOLLKEEPER_LEDGER=LEDGER) as product:
        for number in range(3):
            assert product.call(f"Hello {number}").status == 200
        product.sign_in()
        until(lambda: len(product.calls()) == 3, 20)
        assert "echo" in product.get("/?period=7d").text
        assert "SQLite, tollkeeper-data/ledger.sqlite3" in product.get("/settings").text
        assert product.get("/explore?metric=duration_p95_ms&group_by=user").status == 200
        for name, value in product.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        beside = invoke("spend", "--json")
        assert beside.json()["totals"]["requests"] == 3
    assert not (tmp_path / "tollkeeper-data" / "ledger.duckdb").exists()
    assert invoke("spend", "--json").json()["totals"] == beside.json()["totals"]
    assert "SQLite, 3 entries" in invoke("doctor").out
