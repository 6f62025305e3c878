"""Several processes on one store: the command line beside the server, two servers by mistake."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import stores
from stores import NOW, Folder
from tollkeeper.services import audit
from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.store import open_sql_store

_WRITER = """
import sys
from pathlib import Path
from tollkeeper.storage.store.store import open_sql_store

store = open_sql_store(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    with store.together():
        before = store.revision()
        store.add_team(f"{sys.argv[2]} {number}", 1)
        assert store.revision() == before  # `together` has raised it
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = stores.open_folder(tmp_path / "data")
    yield opened
    opened.store.close()


def test_processes_that_write_at_once_lose_nothing(folder: Folder) -> None:
    before = folder.store.revision()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(folder.data.store), f"writer {name}", "60"],
            stderr=subprocess.PIPE,
        )
        for name in range(3)
    ]
    for number in range(60):
        folder.store.add_team(f"ours {number}", NOW)
    for child in children:
        _, complaint = child.communicate(timeout=120)
        assert (child.returncode, complaint) == (0, b"")
    assert len(folder.store.teams()) == 240
    # Each transaction raises the revision once, however much is written in it.
    assert folder.store.revision() == before + 60 + 3 * 60
    verdict = audit.verify(folder.store)
    assert (verdict.head.seq, verdict.bad_seq) == (240, None)
    entries = list(audit.entries(folder.store))
    assert [entry.seq for entry in entries] == list(range(1, 241))
    assert {entry.target_id for entry in entries} == {each.team_id for each in folder.store.teams()}


def test_a_writer_that_waits_too_long_is_told_why(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_S", 0.2)
    second = open_sql_store(folder.data.store)
    with folder.store.together():
        folder.store.add_team("core", NOW)
        with pytest.raises(OSError, match="busy") as raised:
            second.add_team("search", NOW)
        assert str(folder.data.store) in str(raised.value)
        assert second.teams() == []
    second.add_team("search", NOW)
    second.close()


def test_a_write_is_there_after_the_process_is_killed(folder: Folder) -> None:
    script = _WRITER + "\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    killed = subprocess.run(
        [sys.executable, "-c", script, str(folder.data.store), "theirs", "5"], timeout=60
    )
    assert killed.returncode == -9
    assert len(folder.store.teams()) == 5


def test_a_write_that_is_killed_halfway_leaves_nothing(folder: Folder) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from tollkeeper.storage.store.store import open_sql_store

store = open_sql_store(Path(sys.argv[1]))
with store.together():
    store.add_team("half", 1)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script, str(folder.data.store)], timeout=60)
    assert killed.returncode == -9
    assert folder.store.teams() == []
    folder.store.add_team("whole", NOW)


def test_a_full_disk_is_an_error_in_words_and_the_store_goes_on(folder: Folder) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
from tollkeeper.storage.store.store import open_sql_store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
store = open_sql_store(path)
store.add_team("before", 1)
log = path.with_name(path.name + "-wal")
resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))
try:
    store.add_team("refused", 1)
    store.probe()
except OSError as error:
    print(error)
else:
    sys.exit("no error")
assert [team.name for team in store.teams()] == ["before"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.add_team("after", 1)
store.probe()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder.data.store)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert str(folder.data.store) in done.stdout
    assert [team.name for team in folder.store.teams()] == ["after", "before"]


def test_threads_of_two_stores_in_one_process_take_turns(folder: Folder) -> None:
    second = open_sql_store(folder.data.store)
    failures: list[BaseException] = []

    def write(store: object, name: str) -> None:
        try:
            for number in range(50):
                store.add_team(f"{name} {number}", NOW)  # type: ignore[attr-defined]
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [
        threading.Thread(target=write, args=(store, f"{number}"))
        for number, store in enumerate((folder.store, second, folder.store, second))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(second.teams()) == 200
    second.close()
