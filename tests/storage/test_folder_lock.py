"""One server on a data folder: the second is refused, a crash leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage import folder_lock

_HOLD = """
import sys
from pathlib import Path
from tollkeeper.storage import folder_lock
held = folder_lock.hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_server_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "run" / "serve.lock"
    first = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    assert first.stdout.readline() == b"held\n"
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"process {first.pid}") as refused:
            folder_lock.hold(path)
        assert str(path.parent) in str(refused.value)
    first.kill()
    first.communicate(timeout=60)
    held = folder_lock.hold(path)
    assert path.read_text() == f"{os.getpid()}\n"
    held.release()
    folder_lock.hold(path).release()


def test_whoever_holds_it_is_named_without_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "data" / "run" / "serve.lock"
    assert folder_lock.holder(path) is None
    assert not path.parent.exists()
    held = folder_lock.hold(path)
    assert folder_lock.holder(path) == os.getpid()
    held.release()
    assert folder_lock.holder(path) is None


def test_folders_that_are_made_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder_lock.hold(tmp_path / "deep" / "data" / "run" / "serve.lock").release()
    for folder in ("deep", "deep/data", "deep/data/run"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=str(tmp_path / "file" / "run")):
        folder_lock.hold(tmp_path / "file" / "run" / "serve.lock")
