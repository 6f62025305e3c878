"""The gateway keeps a little of the memory that it frees."""

from __future__ import annotations

import platform
import resource

from tollkeeper.bootstrap.allocator import keep_freed_memory


def test_memory_that_was_freed_is_not_asked_for_again_and_again() -> None:
    chosen = keep_freed_memory()
    assert chosen == (platform.libc_ver()[0] == "glibc")
    if not chosen:
        return
    bodies = [bytes(100_000) for _ in range(30)]
    del bodies  # from now on the process has what it needs

    def faults() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    before = faults()
    for _ in range(20):
        bodies = [b"x" * 100_000 for _ in range(30)]
        del bodies
    assert faults() - before < 20 * 30  # it would be 24 for each body
