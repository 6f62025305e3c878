"""A disk that is soon full: a small tmpfs, where the tests run as root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """Make a folder the root of a disk of some size ("6m")."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small file system that this fills")
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode=0700"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True
    )
    if done.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def resize(folder: Path, size: str) -> None:
    """Give the disk more space."""
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
