"""A checkpoint that dies in the middle of writing a block over costs nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ledgers import SMALL
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.failpoints import kill_at, nowhere
from tollkeeper.ports import Position
from tollkeeper.storage.duckdb.handle import Settings
from tollkeeper.storage.duckdb.kept_blocks import BlockGuard
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

BLOCK_AT, BLOCK_BYTES = 12_288, 262_144
TORN_AT = BLOCK_AT + 4_096
CALLS = 300


def calls(first: int) -> list[LedgerEntry]:
    return [
        LedgerEntry(entry_id=f"{number}", call_id=f"{number}", started_at_us=number, org="acme")
        for number in range(first, first + CALLS)
    ]


def dies_at(folder: Path, place: str) -> Path:
    """Load twice, with a checkpoint between, and die in the one that follows."""
    path = folder / "ledger.duckdb"
    child = os.fork()
    if child == 0:
        ledger = DuckDbLedger(path, SMALL, failpoint=kill_at(f"{place}:2") or nowhere)
        for number in (0, 1):
            ledger.append(calls(number * CALLS), Position("segment", number))
            ledger.maintain()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    return path


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that was left just before the engine writes over its bookkeeping."""
    return dies_at(tmp_path_factory.mktemp("kept"), "ledger.checkpoint.kept").parent


@pytest.fixture
def path(interrupted: Path, tmp_path: Path) -> Path:
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    return tmp_path / "ledger.duckdb"


def tear(path: Path, at: int = TORN_AT) -> None:
    """Write over a part of the first block, as a checkpoint that dies there does."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(8_192))


def count(path: Path, settings: Settings = SMALL) -> int:
    ledger = DuckDbLedger(path, settings)
    try:
        table = ledger.entries()
        found: int = ledger.run(table.agg(rows=table.entry_id.nunique()))[0]["rows"]
    finally:
        ledger.close()
    return found


def kept(path: Path) -> Path:
    return path.with_name("ledger.duckdb.kept")


def test_a_block_that_was_written_in_part_is_put_back(path: Path) -> None:
    tear(path)
    assert count(path) == 2 * CALLS
    assert count(path) == 2 * CALLS


def test_without_what_was_kept_such_a_file_is_lost(path: Path) -> None:
    tear(path)
    kept(path).unlink()
    with pytest.raises(LedgerUnavailable, match="checksum"):
        count(path)


def cut_short(data: bytes) -> bytes:
    return data[:-100]


def changed(data: bytes) -> bytes:
    return data[:50_000] + b"?" + data[50_001:]


@pytest.mark.parametrize("spoil", [cut_short, changed, lambda _: b""])
def test_what_was_not_kept_whole_is_not_put_back(
    path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    kept(path).write_bytes(spoil(kept(path).read_bytes()))
    assert count(path) == 2 * CALLS  # nothing was torn: the checkpoint had not begun


def test_what_was_kept_before_a_checkpoint_that_ended_stays_away(tmp_path: Path) -> None:
    path = dies_at(tmp_path, "ledger.checkpoint.after")
    before = path.read_bytes()
    assert not BlockGuard(path).give_back()
    assert path.read_bytes() == before
    assert count(path) == 2 * CALLS


def test_a_reader_alone_changes_nothing(path: Path) -> None:
    tear(path)
    before = path.read_bytes()
    with pytest.raises(LedgerUnavailable, match="checksum"):
        count(path, Settings(read_only=True))
    assert path.read_bytes() == before


HOLDS = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_that_another_process_has_is_left_alone(path: Path) -> None:
    tear(path)
    before = path.read_bytes()
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdin and other.stdout
    try:
        assert other.stdout.readline() == b"held\n"
        assert not BlockGuard(path).give_back()
        assert path.read_bytes() == before
    finally:
        other.stdin.close()
        other.wait()
        other.stdout.close()
    assert BlockGuard(path).give_back()
    assert count(path) == 2 * CALLS


def test_keeping_blocks_does_not_let_another_process_in(tmp_path: Path) -> None:
    """The lock of a file goes with the first descriptor of it that its process closes."""
    path = tmp_path / "ledger.duckdb"
    ledger = DuckDbLedger(path, SMALL)
    ledger.append(calls(0), Position("segment", 1))
    ledger.maintain()
    assert kept(path).exists()
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    ledger.close()
    assert "Could not set lock" in done.stderr
