"""Zones and engines: what this version cannot obey is refused, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.errors import ConfigError
from tollkeeper.ports import DataFolder
from tollkeeper.storage.store.store_address import PostgresDatabase, parse_store_url


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("timezone: Mars", "no time zone"),
        ("timezone: ../etc", "no time zone"),
        ("store: mysql://db/x", "starts with sqlite:/// or postgresql://"),
        ("store: 'sqlite:///'", "names no file"),
        ("store: postgresql://db", "names no database after the server"),
        ("store: postgresql://db:99999/x", "has a port that is no number up to 65535"),
        ("store: postgresql://db/x?sslmod=require", "not known: did you mean sslmode?"),
        ("store: postgresql://db/x?password=pass-word", "write user:password@host"),
        ("ledger: 'sqlite:///'", "names no file"),
        (
            "ledger: clickhouse://db/x",
            "keeps it in duckdb:///d/ledger.duckdb or in a file of SQLite",
        ),
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
    assert "pass-word" not in str(found.value)


def test_what_is_so_anyway_may_be_said(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(
        "data: d\ntimezone: Europe/Berlin\n"
        "store: sqlite:///d/store.sqlite3\nledger: duckdb:///d/ledger.duckdb\n"
    )
    assert config.load(file, {}).settings.timezone == "Europe/Berlin"


def test_a_ledger_of_sqlite_is_where_the_configuration_says(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text("data: d\nledger: sqlite:///d/ledger.sqlite3\n")
    url = config.load_ledger_url(file, {})
    assert config.load(file, {}).settings.ledger == url
    assert DataFolder(Path("d"), "", url).ledger == Path("d/ledger.sqlite3")
    assert config.load_ledger_url(file, {"TOLLKEEPER_LEDGER": ""}) == ""
    assert DataFolder(Path("d")).ledger == Path("d/ledger.duckdb")


@pytest.mark.parametrize(
    ("url", "options", "shown"),
    [
        ("postgresql:///tk", {"dbname": "tk"}, "postgresql:///tk"),
        (
            "postgres://me@db.example.com/tk",
            {"user": "me", "host": "db.example.com", "dbname": "tk"},
            "postgresql://me@db.example.com/tk",
        ),
        (
            "postgresql://me:p@s:/?#%20%s@[::1]:5433/tk?sslmode=require&connect_timeout=9",
            {
                "user": "me",
                "password": "p@s:/?# %s",
                "host": "::1",
                "port": "5433",
                "dbname": "tk",
                "sslmode": "require",
                "connect_timeout": "9",
            },
            "postgresql://me@[::1]:5433/tk",
        ),
        (
            "postgresql://me@a:1,b/tk?target_session_attrs=read-write",
            {
                "user": "me",
                "host": "a,b",
                "port": "1,",
                "dbname": "tk",
                "target_session_attrs": "read-write",
            },
            "postgresql://me@a:1,b/tk",
        ),
        (
            "postgresql:///tk?host=/run/postgresql",
            {"host": "/run/postgresql", "dbname": "tk"},
            "postgresql:///run/postgresql/tk",
        ),
    ],
)
def test_an_address_is_read_and_shown_without_its_password(
    url: str, options: dict[str, str], shown: str
) -> None:
    found = parse_store_url(url)
    assert isinstance(found, PostgresDatabase)
    assert dict(found.options) == options
    assert str(found) == shown
    assert repr(found) == f"PostgresDatabase({shown})"


def test_a_password_from_the_environment_may_hold_anything(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(
        "store: postgresql://me:${PASSWORD}@db/tk\nproviders: {openai: {api_key: ${X}}}"
    )
    url = config.load_store_url(file, {"PASSWORD": "a@b/c:d?e#f"})  # X does not matter here
    found = parse_store_url(url)
    assert isinstance(found, PostgresDatabase)
    assert found.options["password"] == "a@b/c:d?e#f"
    assert found.options["host"] == "db"
    assert config.load_store_url(file, {"PASSWORD": "x", "TOLLKEEPER_STORE": ""}) == ""
    with pytest.raises(ConfigError, match="PASSWORD is not set"):
        config.load_store_url(file, {})


def test_what_is_shown_of_a_folder_does_not_show_its_stores_address() -> None:
    data = DataFolder(Path("d"), "postgresql://me:secret-word@db/tk")
    assert "secret-word" not in f"{data}{data!r}"
    assert DataFolder(Path("d"), "sqlite:////srv/tk.sqlite3").store == Path("/srv/tk.sqlite3")
