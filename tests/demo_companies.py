"""The made-up company of ``tollkeeper demo``, started as people start it, for browsers.

What its pages say is compared with what its ledger holds, read by SQL from a copy of the file,
and with the stories that were planted.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import duckdb

from loopback import free_port
from tollkeeper import bootstrap, clock
from tollkeeper.demo.company import Company, company_of
from tollkeeper.demo.folder import mark_of
from tollkeeper.demo.people import admin_of
from tollkeeper.ports import DataFolder
from tollkeeper.services.sign_in import make_link

_STOP_S: Final = 60.0
_VIEWS: Final = """
CREATE MACRO now_utc() AS now() AT TIME ZONE 'UTC';
CREATE MACRO month_utc(back) AS date_trunc('month', now_utc()) - to_months(back);
CREATE VIEW this_month AS FROM entries WHERE started_at >= month_utc(0);
CREATE VIEW last_month AS FROM entries
  WHERE started_at >= month_utc(1) AND started_at < month_utc(0);
CREATE VIEW last_30_days AS FROM entries
  WHERE started_at >= date_trunc('day', now_utc()) - INTERVAL 29 DAY;
CREATE VIEW thirty_days_before AS FROM entries
  WHERE started_at >= date_trunc('day', now_utc()) - INTERVAL 59 DAY
    AND started_at < now_utc() - INTERVAL 30 DAY
    AND started_at < date_trunc('day', now_utc()) - INTERVAL 29 DAY;
"""


class DemoCompany:
    """One running demo. ``told`` is who is who in it, and what was planted when."""

    def __init__(self, folder: Path, port: int) -> None:
        mark = mark_of(folder)
        assert mark is not None
        self.url = f"http://127.0.0.1:{port}"
        self.entries, self.now_us = mark.entries, mark.now_us
        self.told: Company = company_of(mark.now_us, mark.seed)
        self._folder = folder

    def link(self, email: str = "") -> str:
        """Make a one-time link, of the demo's own admin where nobody is named."""
        data = DataFolder(self._folder)
        with closing(bootstrap.open_store(data)) as store:
            user = store.user_with_email(email or admin_of(self.told).email)
            assert user is not None
            path = make_link(store, bootstrap.open_vault(data), user, clock.now_us()).path
            return self.url + path

    @cached_property
    def _ledger(self) -> Path:
        """A copy of the ledger, with views of usual periods: the file itself is open elsewhere."""
        copy = self._folder / "run" / "copy.duckdb"
        shutil.copyfile(self._folder / "ledger.duckdb", copy)
        log = self._folder / "ledger.duckdb.wal"
        if log.exists():
            shutil.copyfile(log, copy.with_name("copy.duckdb.wal"))
        with duckdb.connect(str(copy)) as ledger:
            ledger.execute(_VIEWS)
        return copy

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the ledger, as it was when it was asked first."""
        with duckdb.connect(str(self._ledger)) as ledger:
            found: list[tuple[Any, ...]] = ledger.execute(sql, values).fetchall()
        return found


@contextmanager
def demo_company(folder: Path, *options: str) -> Iterator[DemoCompany]:
    """Run ``tollkeeper demo`` with some options until the block ends."""
    port = free_port()
    command = [sys.executable, "-u", "-m", "tollkeeper", "demo", "--data", str(folder)]
    process = subprocess.Popen(
        [*command, "--port", str(port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        if not any("Sign in" in line for line in process.stdout):
            raise RuntimeError("the demo did not start")
        yield DemoCompany(folder, port)
    finally:
        process.terminate()
        process.communicate(timeout=_STOP_S)
