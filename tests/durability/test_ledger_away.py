"""Console down, ledger locked, broken or without space: calls go on, and all arrives later."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from call_load import CallLoad, load_on, wait_until
from memory import grows_by_less_than, resident_bytes
from money_trail import load_all, require_nothing_lost_or_doubled
from running import Deployment, Process, deployment, usual_configuration
from small_disk import mounted
from tollkeeper.storage.journal.tail import FolderTail

MB = 1 << 20
SEGMENT = {"journal": {"segment_mb": 1}}
WAIT_S = 60.0
HOLD_OPEN = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def console_of(made: Deployment) -> Iterator[Process]:
    arguments = ["--config", str(made.config_file), "--data", str(made.folder.root), "--alone"]
    console = Process("tollkeeper.bootstrap.console", arguments, {})
    made.watch(console)
    try:
        yield console
    finally:
        console.end()


def says(console: Process, text: str) -> Callable[[], bool]:
    return lambda: any(text in line for line in list(console.log))


def require_unaffected(made: Deployment, calls: int) -> CallLoad:
    """Every call is answered as ever, and the gateway does not grow by what waits."""
    with grows_by_less_than(made, 20 * MB), load_on(made, callers=3) as load:
        load.wait_for(calls, WAIT_S)
    assert load.whole == load.tried
    return load


def waiting(made: Deployment) -> int:
    """Count the entries that the journal still holds."""
    return len(made.entries()) if FolderTail(made.folder.journal).segments() else 0


def require_all_arrived(made: Deployment, *loads: CallLoad) -> None:
    """Stop the gateway; the console, which was stopped before, has left nothing to load."""
    made.stop()
    load_all(made.folder)
    require_nothing_lost_or_doubled(made, *loads)


def test_a_console_that_is_down(sandbox: str, tmp_path: Path) -> None:
    with deployment(tmp_path, sandbox) as made:
        first = require_unaffected(made, 200)
        assert waiting(made) == len(first.whole)
        with console_of(made) as console:
            wait_until(says(console, "ledger open"), WAIT_S, "the ledger")
            second = require_unaffected(made, 50)
        assert load_all(made.folder) == 0, "a console that ends has loaded what was there"
        third = require_unaffected(made, 50)
        require_all_arrived(made, first, second, third)


def test_a_ledger_that_another_process_has(sandbox: str, tmp_path: Path) -> None:
    with deployment(tmp_path, sandbox) as made:
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_OPEN, made.folder.ledger],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"open\n"
            with console_of(made) as console:
                wait_until(says(console, f"in use by process {holder.pid}"), WAIT_S, "the fault")
                before = resident_bytes(console.process.pid)
                first = require_unaffected(made, 300)
                assert waiting(made) == len(first.whole)
                assert resident_bytes(console.process.pid) - before < 30 * MB
                holder.communicate()
                wait_until(says(console, "ledger open"), WAIT_S, "the ledger")
                second = require_unaffected(made, 50)
        require_all_arrived(made, first, second)


def test_a_ledger_file_that_is_broken(sandbox: str, tmp_path: Path) -> None:
    with deployment(tmp_path, sandbox) as made:
        made.folder.ledger.write_bytes(b"no ledger at all" * 1_000)
        with console_of(made) as console:
            wait_until(says(console, "cannot open the ledger"), WAIT_S, "the fault")
            load = require_unaffected(made, 100)
            assert made.folder.ledger.read_bytes() == b"no ledger at all" * 1_000
            made.folder.ledger.rename(tmp_path / "broken.duckdb")
            wait_until(says(console, "ledger open"), WAIT_S, "the ledger")
        require_all_arrived(made, load)


def fill_up(folder: Path) -> Path:
    """Leave no space on a disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4_096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return filler


def test_no_space_for_the_ledger_and_the_store(sandbox: str, tmp_path: Path) -> None:
    """The journal has a disk of its own here, and takes everything meanwhile."""
    with (
        mounted(tmp_path / "disk", "16m") as disk,
        deployment(disk, sandbox, usual_configuration(sandbox) | SEGMENT) as made,
    ):
        made.stop()
        with mounted(made.folder.journal, "80m"):
            made.start()
            with console_of(made) as console:
                wait_until(says(console, "ledger open"), WAIT_S, "the ledger")
                first = require_unaffected(made, 50)
                filler = fill_up(disk)
                second = require_unaffected(made, 300)
                wait_until(says(console, "loading failed"), WAIT_S, "the full disk")
                filler.unlink()
                third = require_unaffected(made, 50)
            require_all_arrived(made, first, second, third)


def test_a_second_gateway_on_a_folder_is_refused(sandbox: str, tmp_path: Path) -> None:
    with deployment(tmp_path, sandbox) as made:
        first = made.gateway
        with pytest.raises(AssertionError, match="another server uses this data folder"):
            made.start()
        made.gateway = first
        load = require_unaffected(made, 10)
        require_all_arrived(made, load)
