"""Zones and engines: what this version cannot obey is refused, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("timezone: Mars", "no time zone"),
        ("timezone: ../etc", "no time zone"),
        ("store: postgresql://db/x", "this version keeps it in sqlite:///d/store.sqlite3"),
        ("ledger: clickhouse://db/x", "this version keeps it in duckdb:///d/ledger.duckdb"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(f"data: d\n{text}\n")
    with pytest.raises(
        ConfigError, match=f"tollkeeper.yaml:2: {text.partition(':')[0]}: "
    ) as found:
        config.load(file, {})
    assert says in str(found.value)


def test_what_is_so_anyway_may_be_said(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(
        "data: d\ntimezone: Europe/Berlin\n"
        "store: sqlite:///d/store.sqlite3\nledger: duckdb:///d/ledger.duckdb\n"
    )
    assert config.load(file, {}).settings.timezone == "Europe/Berlin"
