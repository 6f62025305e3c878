"""Named places where a test may kill the process, to prove that nothing is lost there.

In production no fail point is set and a place costs one comparison with None.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

FailPoint = Callable[[str], None]


def kill_at(setting: str) -> FailPoint | None:
    """Give a fail point for ``name`` or ``name:count`` ("journal.post.written:3").

    The process kills itself with SIGKILL when the named place is passed for the
    ``count``-th time, exactly as if the machine's OOM killer had come.
    """
    if not setting:
        return None
    name, _, count_text = setting.partition(":")
    left = int(count_text or "1")

    def pass_by(place: str) -> None:
        nonlocal left
        if place == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return pass_by
