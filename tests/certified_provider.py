"""A certified OpenID provider in a process of its own, and somebody who signs in at it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from loopback import HOST
from node_packages import INSTALLED, node, why_not

CLIENT_ID = "tollkeeper"
CLIENT_SECRET = "of-the-certified-one"
SERVER = "server.mjs"
STEPS_MAX = 20

People = Mapping[str, Mapping[str, Any]]


@contextmanager
def certified_provider(redirect_uri: str, people: People, **client: Any) -> Iterator[str]:
    """Start the provider; give its issuer. Skips the test where it cannot be started."""
    fault = why_not()
    if fault:
        pytest.skip(f"no OpenID provider: {fault}")
    registered = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [redirect_uri],
        "post_logout_redirect_uris": [f"{redirect_uri.partition('/login')[0]}/login"],
        **client,
    }
    words = json.dumps({"client": registered, "people": people})
    process = subprocess.Popen(
        [node(), str(INSTALLED / SERVER), words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = json.loads(process.stdout.readline())["port"]
        yield f"http://{HOST}:{port}"
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


class Person:
    """A browser without scripts: follows redirects, keeps cookies by host, fills forms in."""

    def __init__(self) -> None:
        self._cookies: dict[str, dict[str, str]] = {}

    def sign_in(self, address: str, login: str, *, until: str) -> str:
        """Go to the provider as somebody, and give the address that it leads to in the end."""
        form: dict[str, str] | None = None
        for _ in range(STEPS_MAX):
            if address.startswith(until):
                return address
            status, location, text = self._ask(address, form)
            form = None
            if location:
                address = urljoin(address, location)
                continue
            assert status == 200, text
            action, fields = _form(text)
            address = urljoin(address, action)
            form = fields | ({"login": login, "password": "x"} if "login" in fields else {})
        raise AssertionError(f"did not come back: {address}")

    def _ask(self, address: str, form: Mapping[str, str] | None) -> tuple[int, str, str]:
        parts = urlsplit(address)
        kept = self._cookies.setdefault(parts.netloc, {})
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in kept.items())}
        body = None
        if form is not None:
            body = urlencode(form)
            headers["content-type"] = "application/x-www-form-urlencoded"
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request("POST" if body else "GET", target, body, headers)
            reply = connection.getresponse()
            for cookie in reply.msg.get_all("set-cookie") or []:
                name, _, value = cookie.partition(";")[0].partition("=")
                kept[name] = value
            return reply.status, reply.headers.get("location", ""), reply.read().decode()
        finally:
            connection.close()


def _form(text: str) -> tuple[str, dict[str, str]]:
    """Give the address and the fields of a page's form."""
    action = re.search(r'<form[^>]*action="([^"]*)"', text)
    assert action, text
    fields = {}
    for tag in re.findall(r"<input[^>]*>", text):
        name, value = (re.search(rf'{word}="([^"]*)"', tag) for word in ("name", "value"))
        if name:
            fields[unescape(name[1])] = unescape(value[1]) if value else ""
    return unescape(action[1]), fields
