"""The table of routes: a line that does not say everything keeps the console from starting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consoles import RunningConsole
from tollkeeper.console.access import Access, Auth
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.application import ConsoleApplication, Table
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.routes import (
    EVERYBODY,
    NOBODY,
    ROUTES,
    IncompleteRoute,
    Route,
    Tenant,
    require_complete,
)
from tollkeeper.console.shared import Console


def documented(console: Console, access: Access, question: Question) -> Answer:
    """Answer."""
    return Document({})


def undocumented(console: Console, access: Access, question: Question) -> Answer:
    return Document({})


GOOD = Route("GET", "/x", Kind.API, Auth.SESSION, EVERYBODY, Tenant.SCOPE, documented)


def test_the_table_is_complete() -> None:
    require_complete(ROUTES)
    require_complete([GOOD])


def test_a_line_must_say_everything() -> None:
    with pytest.raises(TypeError):
        Route("GET", "/x", Kind.API, Auth.SESSION, EVERYBODY)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PATCH"},
        {"method": "get"},
        {"method": "HEAD"},
        {"path": "x"},
        {"path": "/x/"},
        {"path": "//x"},
        {"path": "/{X}"},
        {"path": "/x{y}"},
        {"path": "/{x:path}/y"},
        {"roles": NOBODY},
        {"auth": Auth.PUBLIC},
        {"auth": Auth.DIRECT},
        {"handler": undocumented},
        {"method": "POST"},
        {"method": "DELETE"},
        {"method": "POST", "auth": Auth.MANAGEMENT},
        {"method": "POST", "auth": Auth.PUBLIC, "roles": NOBODY},
        {"method": "GET", "auth": Auth.MANAGEMENT_WRITE},
        {"method": "GET", "auth": Auth.SESSION_FORM, "kind": Kind.FORM},
        {"method": "POST", "auth": Auth.SESSION_FORM, "kind": Kind.API},
        {"method": "POST", "auth": Auth.MANAGEMENT_WRITE, "kind": Kind.FORM},
    ],
    ids=lambda changes: " ".join(
        f"{name}={getattr(value, '__name__', value)}" for name, value in changes.items()
    ),
)
def test_a_faulty_line_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(IncompleteRoute):
        require_complete([GOOD._replace(**changes)])


def test_a_path_stands_in_the_table_once(console: RunningConsole) -> None:
    with pytest.raises(IncompleteRoute, match="twice"):
        ConsoleApplication(console.console, [GOOD, GOOD])
    require_complete([GOOD, GOOD._replace(path="/y")])


def test_every_path_leads_to_its_own_route() -> None:
    table = Table(ROUTES)
    for route in ROUTES:
        path = route.path.replace("{name:path}", "a/b.css")
        for name in ("call_id", "key_id", "path_key", "budget_id"):
            path = path.replace(f"{{{name}}}", "x")
        found = [each.route for each in table.find(path) if each.route.method == route.method]
        assert found[0] == route, "a line before it takes its path"


@pytest.mark.parametrize(
    "path", ["/calls/a/b", "/calls/", "/calls/a\n/", "/callsx", "/keys//revoke"]
)
def test_a_parameter_is_one_segment(path: str) -> None:
    assert Table(ROUTES).find(path) == []


def test_a_parameter_may_hold_anything_but_a_slash() -> None:
    (found,) = Table(ROUTES).find("/calls/ä b\n?#%2F")
    assert found.parameters == {"call_id": "ä b\n?#%2F"}


def test_the_documents_of_the_project_name_no_route_that_there_is_not() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    paths = {route.path for route in ROUTES}
    for word in readme.replace("`", " ").split():
        if word.startswith("/api/v1/"):
            assert word.partition("?")[0].rstrip(".,)") in paths
