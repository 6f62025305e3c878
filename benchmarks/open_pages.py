"""Pages that stand open, as a browser holds them: they hear of calls and ask for themselves again.

What ``console/static/app.js`` does is done here: one connection for the events, and after calls
the page once more, at most every five seconds and for no more than a twentieth of the time.
"""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from benchmarks.processes import CouldNotRun
from benchmarks.targets import HOST

ZONE: Final = "UTC"
_FOLLOW_S: Final = 5.0
_SHARE: Final = 20
_LEAST_S: Final = 0.15
_ANSWER_S: Final = 30.0
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class Heard(NamedTuple):
    """One event of calls: when it came, and the ids of the calls in it."""

    at_s: float
    call_ids: tuple[str, ...]
    omitted: int


class Told(NamedTuple):
    """One event of figures: when it came, and how many requests of today it counts."""

    at_s: float
    requests: int


def sign_in(port: int, path: str) -> str:
    """Sign in with a one-time link's path; give the cookie. Raises CouldNotRun."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_ANSWER_S)
    try:
        body = urlsplit(path).query
        connection.request("POST", "/login", body, _FORM)
        reply = connection.getresponse()
        reply.read()
        cookie = reply.getheader("set-cookie", "").partition(";")[0]
    finally:
        connection.close()
    if reply.status != 303 or not cookie:
        raise CouldNotRun(f"nobody could sign in: {reply.status}")
    return cookie


class OpenPage:
    """One open Overview, until it is closed. ``fault`` says what went wrong, "" if nothing did.

    Times are those of the monotonic clock, which all processes of a machine share.
    """

    def __init__(self, port: int, cookie: str) -> None:
        self.heard: list[Heard] = []
        self.told: list[Told] = []
        self.refreshes_s: list[float] = []
        self.fault = ""
        self._port, self._headers = port, {"Cookie": cookie}
        self._closed = False
        self._hint = threading.Event()
        self._stream = http.client.HTTPConnection(HOST, port, timeout=_ANSWER_S)
        self._threads = [
            threading.Thread(target=self._kept, args=(work,), daemon=True)
            for work in (self._listen, self._follow)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Leave the page."""
        self._closed = True
        self._hint.set()
        for thread in self._threads:
            thread.join(_ANSWER_S)

    def _kept(self, work: Any) -> None:
        try:
            work()
        except (OSError, http.client.HTTPException, CouldNotRun, ValueError, KeyError) as error:
            self.fault = self.fault or f"{type(error).__name__}: {error}"

    # ------------------------------------------------------------------ events

    def _listen(self) -> None:
        try:
            self._stream.request("GET", f"/events?{urlencode({'tz': ZONE})}", headers=self._headers)
            reply = self._stream.getresponse()
            if reply.status != 200:
                raise CouldNotRun(f"the events answered {reply.status}")
            name = ""
            while not self._closed:
                line = reply.readline().decode().rstrip("\n")
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self._take(name, json.loads(line[6:]), time.monotonic())
        finally:
            self._stream.close()

    def _take(self, name: str, data: Mapping[str, Any], at_s: float) -> None:
        if name == "call":
            ids = tuple(row["call_id"] for row in data["calls"])
            self.heard.append(Heard(at_s, ids, data["omitted"]))
            self._hint.set()
        elif name == "figures":
            self.told.append(Told(at_s, data["today"]["requests"]))
        elif name == "end":
            raise CouldNotRun(f"the events ended: {data}")

    # ------------------------------------------------------------------ the page itself

    def _follow(self) -> None:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=_ANSWER_S)
        headers = {**self._headers, "X-Swap": "main", "Accept-Encoding": "gzip"}
        took_s, refreshed_s = 0.0, float("-inf")
        try:
            while self._hint.wait():
                self._hint.clear()
                least_s = max(_FOLLOW_S, took_s * _SHARE)
                self._rest(max(_LEAST_S, refreshed_s + least_s - time.monotonic()))
                if self._closed:
                    return
                began_s = time.monotonic()
                connection.request("GET", "/", headers=headers)
                reply = connection.getresponse()
                page = reply.read()
                refreshed_s = time.monotonic()
                took_s = refreshed_s - began_s
                if reply.status != 200:
                    raise CouldNotRun(f"the page answered {reply.status}")
                if b"data-tick" not in gzip.decompress(page):
                    raise CouldNotRun("the page has no figures")
                self.refreshes_s.append(took_s)
        finally:
            connection.close()

    def _rest(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while not self._closed and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.1))
