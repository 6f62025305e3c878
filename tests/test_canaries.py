"""The search for secrets, searched itself: a leak anywhere fails the session, in its last step."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from canaries import LAST_STEP

TESTS = Path(__file__).parent
SECRET = "a-secret-of-this-very-test-0815"
PASSES = f"PASSED {LAST_STEP}"
FAILS = f"FAILED {LAST_STEP}"
PLANTS = f"""
from pathlib import Path
from canaries import PLANTED
SECRET = {SECRET!r}

def test_plants():
    PLANTED.plant("the secret", SECRET)
"""
LEAKS = {
    "a log": "(place / '0.log').write_text(f'key={SECRET} refused')",
    "a page": "(place / 'metrics.page').write_text('requests{key=\"' + SECRET + '\"} 1')",
    "base64": "(place / 'x').write_bytes(base64.b64encode(b'ab' + SECRET.encode() + b'c'))",
    "a large file": "(place / 'y').write_bytes(bytes(range(256)) * 4000 + SECRET.encode())",
    "base64 in a large file": "(place / 'z').write_bytes(bytes(range(256)) * 4000"
    " + base64.b64encode(b'ab' + SECRET.encode() + b'c'))",
    "a journal": "(place / 'a.00000001.journal').write_bytes(bytes(99) + SECRET.encode())",
    "a folder below": "(place / 'a').mkdir(); (place / 'a' / 'b').write_text(SECRET)",
    "the ledger": "with duckdb.connect(str(place / 'ledger.duckdb')) as ledger:\n"
    "        ledger.execute('CREATE TABLE entries AS SELECT ? AS tags FROM range(9000)', [SECRET])",
    "an archive": "pq.write_table(pa.table({'tags': [SECRET] * 900}), place / 'day.parquet',"
    " compression='zstd')",
    "the store": "store = sqlite3.connect(place / 'store.sqlite3')\n"
    "    store.execute('CREATE TABLE keys (note TEXT)')\n"
    "    store.execute('INSERT INTO keys VALUES (?)', ['x' * 9000 + SECRET])\n"
    "    store.commit()\n"
    "    store.close()",
}
LEAK = """
import base64, sqlite3
import duckdb, pyarrow as pa, pyarrow.parquet as pq
from canaries import PLANTED
SECRET = {secret!r}

def test_leaks(tmp_path):
    place = tmp_path / "data"
    place.mkdir()
    {leak}
    {kept}
"""
KEPT = "PLANTED.keep(place)"
LEFT = "(place / 'secret.key').write_text('a data folder')"


def session(folder: Path, *files: str, workers: int = 0) -> tuple[int, str]:
    """Run a session of its own on some test files; give its exit code and what it said."""
    for number, text in enumerate(files):
        (folder / f"test_{number}.py").write_text(text)
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS}\n")
    parallel = ["-n", str(workers), "--dist", "loadfile"] if workers else []
    plain = ["-p", "canaries", "-p", "no:cacheprovider", "-rA", "--basetemp", folder / "temp"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plain, *parallel, folder],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_secret_that_turned_up_anywhere_fails_the_session(tmp_path: Path) -> None:
    leaks = [LEAK.format(secret=SECRET, leak=leak, kept=KEPT) for leak in LEAKS.values()]
    code, said = session(tmp_path, PLANTS, *leaks)
    assert (code, FAILS in said) == (pytest.ExitCode.TESTS_FAILED, True), said
    assert f"1 failed, {len(LEAKS) + 1} passed" in said, "every test was well by itself"
    for number, what in enumerate(LEAKS):
        assert re.search(rf"the secret in .*/test_leaks{number}/data/", said), f"{what} went unseen"


@pytest.mark.parametrize("workers", [0, 2])
def test_what_one_worker_plants_is_searched_for_in_what_another_left(
    workers: int, tmp_path: Path
) -> None:
    """The folder was not even kept: that it is a data folder is enough."""
    leak = LEAK.format(secret=SECRET, leak=LEAKS["a log"], kept=LEFT)
    code, said = session(tmp_path, PLANTS, leak, workers=workers)
    assert (code, FAILS in said) == (pytest.ExitCode.TESTS_FAILED, True), said
    steps = re.findall(r"^(?:PASSED|FAILED) (\S+)", said, re.MULTILINE)
    assert steps.count(LAST_STEP) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_clean_session_says_that_it_searched(workers: int, tmp_path: Path) -> None:
    clean = LEAK.format(secret="nothing", leak="(place / 'a').write_text('x')", kept=KEPT)
    code, said = session(tmp_path, PLANTS, clean, workers=workers)
    assert (code, PASSES in said) == (pytest.ExitCode.OK, True), said
    assert "3 passed" in said


def test_many_places_are_shared_and_none_is_left_out(tmp_path: Path) -> None:
    places = 61
    each = "[(place / str(n)).mkdir() for n in range({0})]; "
    each += "[(place / str(n) / 'log').write_text(SECRET) for n in (0, {0} // 2, {0} - 1)]"
    kept = f"PLANTED.keep(*(place / str(n) for n in range({places})))"
    leak = LEAK.format(secret=SECRET, leak=each.format(places), kept=kept)
    code, said = session(tmp_path, PLANTS, leak)
    assert (code, FAILS in said) == (pytest.ExitCode.TESTS_FAILED, True), said
    for number in (0, places // 2, places - 1):
        assert re.search(rf"the secret in .*/data/{number}/log", said), said
