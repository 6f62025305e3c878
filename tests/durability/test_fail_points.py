"""The list of fail points is the list of places in the source, and a wrong name is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import tollkeeper
from tollkeeper.domain.errors import ConfigError
from tollkeeper.failpoints import CONSOLE_POINTS, GATEWAY_POINTS, POINTS, SUMS_POINTS, kill_at

SOURCE = Path(tollkeeper.__file__).parent
PLACE = re.compile(r'(?:failpoint|_pass)\(\s*"([a-z.]+)"\s*\)')
# Each of these is one more boundary at which a process can die; whoever writes one in a
# module of the money path names the place before and the place after it.
BOUNDARY = re.compile(
    r"os\.(?:pwrite|write|fsync|fdatasync|ftruncate|replace|link)\(|\.rename\(|\.unlink\("
    r'|execute\("(?:COMMIT|CHECKPOINT)'
)


def test_the_ledger_in_sqlite_has_the_places_of_the_other_engine() -> None:
    wanted = [
        *CONSOLE_POINTS,
        *(name for name in SUMS_POINTS if ".times." not in name and ".several." not in name),
    ]
    found = places(SOURCE / "storage" / "sqlite", [])
    wanted.remove("ledger.checkpoint.kept")  # its checkpoints write nothing over
    assert sorted(found) == sorted(name for name in wanted if name.startswith("ledger."))


def places(folder: Path, leaving: Sequence[str] = ("sqlite",)) -> list[str]:
    """List the places in a folder's source, but for some of its folders."""
    return [
        place
        for path in folder.rglob("*.py")
        if path.name != "failpoints.py" and path.parent.name not in leaving
        for place in PLACE.findall(path.read_text())
    ]


def test_every_place_is_listed_and_every_listed_place_is_there_once() -> None:
    assert sorted(places(SOURCE)) == sorted(POINTS)
    assert not GATEWAY_POINTS.keys() & CONSOLE_POINTS.keys()


def test_every_boundary_of_the_journal_and_the_ledger_has_a_place_on_both_sides() -> None:
    boundaries = {}
    for folder in ("storage/journal", "storage/duckdb"):
        for path in (SOURCE / folder).glob("*.py"):
            found = BOUNDARY.findall(path.read_text())
            if found:
                boundaries[path.name] = len(found)
    assert boundaries == {
        # fdatasync of the copy, fsync of the folder, removal of one that is no longer of use;
        # and putting it back (a write and fdatasync), which is done again by the next who opens
        "kept_blocks.py": 5,
        # a checkpoint as the file is closed: what is not moved stays in the log; and the commit of
        # whatever the ledger writes, whose places are in ledger.py
        "handle.py": 2,
        "recovery.py": 2,  # fsync of a closing segment, removal of a leftover
        # pwrite of zeros (allocation), rename, removal after a failed creation, cut, fsync
        # of a full segment, two writes of one record, fdatasync, removal of the probe (which
        # holds no money), fsync of the folder, removal of a lock
        "schema.py": 1,  # the commit of a migration, which money is not part of
        "segments.py": 11,
        "spent_files.py": 3,  # fsync and rename of one file, its removal
        "tail.py": 1,  # removal of a loaded segment
    }


def test_a_name_that_is_no_fail_point_is_refused() -> None:
    assert kill_at("") is None
    with pytest.raises(ConfigError, match=r"no fail point 'journal\.wrote'"):
        kill_at("journal.wrote:3")


def test_the_process_dies_at_the_count_and_not_before() -> None:
    code = (
        "from tollkeeper.failpoints import kill_at\n"
        "passed = kill_at('journal.write.after:3')\n"
        "for number in range(1, 5):\n"
        "    passed('journal.write.before')\n"
        "    print(number, flush=True)\n"
        "    passed('journal.write.after')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-9, "1\n2\n3\n")
