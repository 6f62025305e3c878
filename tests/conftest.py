"""What every test may use. The network is off: only loopback and unix sockets connect."""

from __future__ import annotations

import atexit
import gc
import ipaddress
import os
import sys
from collections.abc import Generator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["canaries", "postgres_cluster"]

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def pytest_configure() -> None:
    """Let no property fail for the time it takes: the machine may be busy with other tests.
    Where ``CI`` is set, Hypothesis does so by itself."""
    if find_spec("hypothesis") is None or os.environ.get("CI"):  # noqa: TID251
        return  # `make check` runs without the packages of the tests
    hypothesis = import_module("hypothesis")
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("patient")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Do not let the garbage collector walk again and again through the thousands of tests
    that stay until the end: they are none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # else DuckDB's library complains of what was left


_BEGIN_WITH = (
    "tests/durability/",
    "tests/clients/",
    "tests/services/test_repricing_kill.py",
    "tests/metering/test_recorded_holds.py",
    "tests/gateway/test_stated_usage.py",
    "tests/browser/test_journey.py",
    "tests/console/test_postgres_deployment.py",
    "tests/cli/test_demo.py",
)
"""Tests that take a quarter of a minute or more: most wait for one process after the other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first: workers that are done take from the others' ends, and one
    long test that begins last would keep everybody waiting."""
    items.sort(key=lambda item: not item.nodeid.startswith(_BEGIN_WITH))


def _only_loopback(event: str, args: tuple[Any, ...]) -> None:
    if event not in {"socket.connect", "socket.sendto"}:
        return
    address = args[1]
    if not isinstance(address, tuple):
        return
    try:
        if ipaddress.ip_address(address[0]).is_loopback:
            return
    except ValueError:
        if address[0] == "localhost":
            return
    raise RuntimeError(f"tests may not open connections to {address!r}")


sys.addaudithook(_only_loopback)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded provider replies and agent requests that stands beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"recorded traffic is not here ({SHARED.name}/ beside the checkout)")
    return SHARED
