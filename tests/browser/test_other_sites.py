"""Pages of other sites, in a real browser: what they send changes nothing, and none frames ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page, Response

from browsers import Visitor
from companies import ADMIN, MEMBER, Company
from loopback import HOST
from tollkeeper import bootstrap
from tollkeeper.domain.audit import Head

pytestmark = pytest.mark.browser

SITES = {"same site, another origin": HOST, "another site": "localhost"}
"""Ports are no part of a site: the first gets the session's cookie, the second does not."""

FORMS = (
    ("/keys", {"name": "planted"}),
    ("/people/users", {"email": "mallory@evil.example", "role": "admin"}),
    ("/account/sessions/end", {}),
    ("/logout", {}),
    ("/theme", {"theme": "dark"}),
)
FETCHED = (
    ("POST", "/api/v1/keys", '{"name": "planted", "user": "olive@acme.com"}'),
    ("POST", "/api/v1/teams", '{"name": "planted"}'),
    ("POST", "/logout", ""),
    ("GET", "/keys?name=planted", None),
)
_SUBMIT = """
([to, fields]) => {
  const form = document.createElement('form');
  Object.assign(form, {method: 'post', action: to});
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement('input');
    Object.assign(field, {name, value});
    form.append(field);
  }
  document.body.append(form);
  HTMLFormElement.prototype.submit.call(form);
}
"""
_FETCH = """
([method, to, body]) => fetch(to, {
  method, body, mode: 'no-cors', credentials: 'include', headers: {'content-type': 'text/plain'},
}).then((reply) => reply.type, (error) => String(error))
"""
_FRAME = """
(to) => new Promise((done) => {
  const frame = document.createElement('iframe');
  frame.onload = () => done();
  frame.src = to;
  document.body.append(frame);
})
"""


class _Blank(BaseHTTPRequestHandler):
    """A page without any policy of its own."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title><body>")

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of a server of somebody else's."""
    server = ThreadingHTTPServer((HOST, 0), _Blank)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def head_of(where: Company) -> Head:
    """Give the end of the audit log: whatever changes anything moves it."""
    store = bootstrap.open_store(where.data)
    try:
        return store.audit_head()
    finally:
        store.close()


def first_answer(page: Page, to: str, act: Callable[[], object]) -> Response:
    """Do something, and give the answer to the request that it makes."""
    with page.expect_response(lambda reply: reply.url.partition("?")[0] == to) as found:
        act()
    return found.value


@pytest.mark.parametrize("site", SITES)
def test_what_another_site_sends_changes_nothing(
    acme: Company, visit: Callable[..., Visitor], elsewhere: int, site: str
) -> None:
    visitor = visit(acme).sign_in()
    page, evil = visitor.context.new_page(), f"http://{SITES[site]}:{elsewhere}/"
    token = acme.link(MEMBER).partition("token=")[2]  # a link of the attacker's own
    cookies, head = cookies_of(visitor, acme), head_of(acme)
    for path, fields in (*FORMS, ("/login", {"token": token})):
        page.goto(evil)
        to = acme.url + path
        reply = first_answer(page, to, lambda to=to, f=fields: page.evaluate(_SUBMIT, [to, f]))
        signed_out = reply.status == 303 and reply.headers["location"].startswith("/login")
        assert reply.status == 403 or (signed_out and site == "another site"), (path, reply.status)
        assert "set-cookie" not in reply.headers
        page.wait_for_url(lambda url: url.startswith(acme.url))
    page.goto(evil)
    for method, path, body in FETCHED:
        with page.expect_request(acme.url + path):
            learnt = page.evaluate(_FETCH, [method, acme.url + path, body])
        assert "Failed to fetch" in learnt, "not even that there was an answer"
    assert head_of(acme) == head
    assert cookies_of(visitor, acme) == cookies
    visitor.page.goto("/account")
    assert visitor.page.get_by_text(ADMIN).count()


def cookies_of(visitor: Visitor, company: Company) -> list[Any]:
    """Give the cookies but the one in which any page of ours says that it has the style sheet."""
    found = visitor.context.cookies(company.url)
    return [each for each in found if each["name"] != "style"]


def test_no_page_of_another_site_frames_ours(
    acme: Company, visit: Callable[..., Visitor], elsewhere: int
) -> None:
    visitor = visit(acme).sign_in()
    page = visitor.context.new_page()
    page.goto(f"http://{HOST}:{elsewhere}/")
    for path in ("/", "/login", "/api/v1/users"):
        page.evaluate(_FRAME, acme.url + path)
        frame = page.frames[-1]
        assert frame.url.startswith("chrome-error:"), frame.url
    visitor.page.goto("/")
    assert visitor.page.get_by_role("navigation", name="Main").count()
