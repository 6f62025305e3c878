"""A full disk, an unwritable folder, a disk that errs: refused clearly, and nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from call_load import CallLoad, load_on, wait_until
from money_trail import entries_in, load_all, require_nothing_lost_or_doubled
from protocols import ALL, MESSAGES, OPENAI, Protocol
from raw_http import ask, get
from rough_upstream import Conversation, RoughUpstream
from running import Deployment, Process, usual_configuration
from small_disk import mounted, resize
from tollkeeper.domain.ledger import Outcome

LAB_STREAM = {"model": "lab/qwen3", "messages": MESSAGES, "stream": True}
TESTS = Path(__file__).parent.parent


@contextmanager
def prepared(
    folder: Path, sandbox: str, lab: str = "", fsync: str = "group"
) -> Iterator[Deployment]:
    """A deployment whose gateway is not started yet."""
    configuration = usual_configuration(sandbox)
    configuration["journal"] = {"segment_mb": 1, "fsync": fsync}
    if lab:
        configuration["providers"]["lab"]["base_url"] = f"{lab}/v1"
    made = Deployment(folder, sandbox, configuration)
    try:
        yield made
    finally:
        made.finish()


def start_failing(made: Deployment, fault: str) -> Process:
    """Start a gateway whose system calls fail as ``fault`` says."""
    arguments = ["--config", str(made.config_file), "--data", str(made.folder.root), "--alone"]
    environment = {
        "TOLLKEEPER_LISTEN__PORT": str(made.port),
        "TEST_FAULT": fault,
        "PYTHONPATH": str(TESTS),
    }
    made.gateway = Process("failing_calls", arguments, environment)
    return made.gateway


def fill(made: Deployment) -> tuple[CallLoad, int]:
    """Call until the journal takes not even a small call; say how many were refused."""
    with load_on(made, padded=True) as load:
        wait_until(lambda: len(load.refusals) >= 12, 60, "the disk to be full")
    refused, in_a_row = len(load.refusals), 0
    while in_a_row < 2 * len(ALL):
        for protocol in ALL:
            full = ask(made.port, protocol.call(made.key)).status == 503
            refused += full
            in_a_row = in_a_row + 1 if full else 0
    return load, refused


def require_refused(made: Deployment, protocol: Protocol) -> None:
    answer = ask(made.port, protocol.call(made.key))
    fault = protocol.fault(answer)
    assert fault.status == 503, answer
    assert "is its disk full?" in fault.message
    assert int(answer.headers["retry-after"]) > 0


class HeldStream:
    """A provider that streams the beginning of a reply, and the rest when it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.rest = threading.Event()

    def __call__(self, conversation: Conversation) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        conversation.answer(head + _event(choices=[{"index": 0, "delta": {"content": "a"}}]))
        self.begun.set()
        assert self.rest.wait(60)
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        conversation.answer(_event(choices=[], usage=usage) + b"data: [DONE]\n\n")
        conversation.close()


def _event(**members: Any) -> bytes:
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "qwen3"}
    return b"data: " + json.dumps(chunk | members).encode() + b"\n\n"


def test_a_full_disk_refuses_new_calls_ends_running_ones_and_recovers(
    sandbox: str, tmp_path: Path
) -> None:
    held = HeldStream()
    with (
        RoughUpstream(held) as lab,
        prepared(tmp_path, sandbox, lab.url) as made,
        mounted(made.folder.journal, "3m"),
        ThreadPoolExecutor(1) as pool,
    ):
        made.start()
        call = OPENAI.with_nonce(made.key, "held", stream=True, body=LAB_STREAM)
        streamed = pool.submit(ask, made.port, call, 60)
        assert held.begun.wait(30)
        load, refusals = fill(made)
        for protocol in ALL:
            require_refused(made, protocol)
        assert get(made.port, "/readyz").status == 503
        held.rest.set()
        answer = streamed.result(60)
        assert (answer.status, answer.ended) == (200, True)
        assert answer.body.endswith(b"data: [DONE]\n\n")
        resize(made.folder.journal, "30m")
        assert get(made.port, "/readyz").status == 200
        assert ask(made.port, OPENAI.call(made.key)).status == 200
        made.stop()
        load_all(made.folder)
        require_nothing_lost_or_doubled(made, load)
        rows = entries_in(made.folder)
        (row,) = [row for row in rows if row["tags"].get("nonce") == "held"]
        assert (row["outcome"], row["input_tokens"], row["output_tokens"]) == (Outcome.OK, 5, 2)
        refused = [row for row in rows if row["error_code"] == "storage_full"]
        assert len(refused) == refusals + len(ALL), "refusals are in the ledger, too"
        assert {row["outcome"] for row in refused} == {Outcome.REFUSED}


def test_loading_makes_room_on_a_full_disk(sandbox: str, tmp_path: Path) -> None:
    """Nobody has to make space by hand: what is loaded is removed, and calls go on."""
    with prepared(tmp_path, sandbox) as made, mounted(made.folder.journal, "3m"):
        made.start()
        load, _ = fill(made)
        load_all(made.folder)
        assert get(made.port, "/readyz").status == 200
        assert ask(made.port, OPENAI.call(made.key)).status == 200
        made.stop()
        load_all(made.folder)
        require_nothing_lost_or_doubled(made, load)


@pytest.mark.parametrize(
    ("number", "error"),
    [(1, errno.ENOSPC), (2, errno.ENOSPC), (3, errno.EIO), (4, errno.ENOSPC), (9, errno.EIO)],
)
def test_writes_that_fail_refuse_the_call_and_life_goes_on(
    sandbox: str, tmp_path: Path, number: int, error: int
) -> None:
    """The n-th write and the one after it fail, the first of them torn in its middle."""
    with prepared(tmp_path, sandbox) as made:
        try:
            start_failing(made, f"pwrite:{number}:{error}:2")
        except AssertionError as failed:
            assert number == 1, "only the very first write keeps a gateway from starting"
            assert os.strerror(error) in str(failed)
            made.start()
        with load_on(made, callers=2) as load:
            load.wait_for(20)
        assert all(status == 503 for status, _ in load.refusals)
        made.stop()
        load_all(made.folder)
        require_nothing_lost_or_doubled(made, load)


@pytest.mark.parametrize("number", [1, 3])
def test_a_sync_that_fails_stops_the_gateway(sandbox: str, tmp_path: Path, number: int) -> None:
    with prepared(tmp_path, sandbox) as made:
        gateway = start_failing(made, f"fdatasync:{number}:{errno.EIO}:1000")
        with load_on(made, callers=3) as load:
            assert gateway.wait() == 74
            assert "the journal's disk failed, the gateway stops" in "".join(gateway.log)
            made.start()
            load.wait_for(10)
        made.stop()
        load_all(made.folder)
        require_nothing_lost_or_doubled(made, load)


def test_with_sync_always_nothing_is_acknowledged_that_is_not_on_the_disk(
    sandbox: str, tmp_path: Path
) -> None:
    with prepared(tmp_path, sandbox, fsync="always") as made:
        gateway = start_failing(made, f"fdatasync:4:{errno.EIO}:1000")
        with load_on(made, callers=1) as load:
            assert gateway.wait() == 74
        # The hold and the outcome of each call are one sync each, where nothing is shared.
        assert len(load.whole) <= 2
        made.start()
        made.stop()
        load_all(made.folder)
        require_nothing_lost_or_doubled(made, load)


def test_a_folder_that_cannot_be_written_is_named_at_the_start(
    sandbox: str, tmp_path: Path
) -> None:
    with prepared(tmp_path, sandbox) as made:
        made.folder.journal.mkdir()
        made.folder.journal.chmod(stat.S_IRUSR | stat.S_IXUSR)
        nobody = ("setpriv", "--reuid", "65534", "--clear-groups")
        before = nobody if os.geteuid() == 0 else ()
        if before:
            _give_away(made.folder.root, 65534)
        with pytest.raises(AssertionError, match=r"Permission denied|cannot be written"):
            made.start(before=before)
        made.folder.journal.chmod(stat.S_IRWXU)
        made.gateway = None


def _give_away(folder: Path, owner: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, -1)
