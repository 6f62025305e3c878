"""Logs and background tasks: one JSON object a line, no secret, and never a blocked loop.

Log lines are handed to a thread through a bounded queue. A full queue (a blocked pipe
behind stderr) drops lines and counts them; it never delays a call.
"""

from __future__ import annotations

import asyncio
import json
import logging
import logging.handlers
import queue
import re
import sys
import time
from collections.abc import Coroutine
from typing import Any, TextIO

logger = logging.getLogger("tollkeeper")

_QUEUE_LINES_MAX = 10_000
_TEXT_CHARS_MAX = 4_000
_SECRET = re.compile(
    r"tk_(?:live|admin|scim)_[0-9A-Za-z_]+"  # our keys and tokens
    r"|\bsk-[0-9A-Za-z_-]{8,}|\bAIza[0-9A-Za-z_-]{8,}|\bgsk_[0-9A-Za-z]{8,}"  # vendors' keys
    r"|(?i:bearer\s+)[0-9A-Za-z._~+/=-]{8,}"
    r"|(?<=[?&]key=)[^&\s\"']+"
)
_UNSAFE = re.compile("[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Hide anything that looks like a credential, and make control characters visible."""
    text = _SECRET.sub("[redacted]", text)
    text = _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    return text if len(text) <= _TEXT_CHARS_MAX else text[:_TEXT_CHARS_MAX] + "…"


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object; extra fields become keys, all text is redacted."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Give the line for one record."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "event": redact(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in _RESERVED:
                line[name] = value if isinstance(value, int | float) else redact(str(value))
        if record.exc_info:
            # The chain of a traceback can quote data; types and places are enough to find a bug.
            line["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str)


class _DroppingHandler(logging.handlers.QueueHandler):
    """Counts what it cannot queue instead of waiting."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class LogSink:
    """Owns the thread that writes log lines."""

    def __init__(self, process: str, stream: TextIO | None = None, level: str = "INFO") -> None:
        lines: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE_LINES_MAX)
        writer = logging.StreamHandler(stream or sys.stderr)
        formatter = JsonFormatter(process)
        formatter.converter = time.gmtime
        writer.setFormatter(formatter)
        self._handler = _DroppingHandler(lines)
        self._listener = logging.handlers.QueueListener(lines, writer)
        self._listener.start()
        logger.handlers[:] = [self._handler]
        logger.setLevel(level)
        logger.propagate = False

    @property
    def dropped(self) -> int:
        """Count the lines that were lost because nobody took them."""
        return self._handler.dropped

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._listener.stop()
        logger.handlers[:] = []


_running: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
    """Start a background task, keep it alive, and log it if it fails."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        logger.error("task failed", extra={"task": task.get_name()}, exc_info=task.exception())
