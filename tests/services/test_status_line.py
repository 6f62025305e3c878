"""The status line's script, run by sh as Claude Code runs it, against a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import free_port
from tollkeeper.services import connect

SESSION = json.dumps({"session_id": "s-1", "model": {"id": "x", "display_name": "X"}, "cost": {}})
KEY = "tk_live_abcdefgh_notasecretofanybody"
ANSWERER = """
import http.server, pathlib, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.headers["authorization"] == "Bearer " + sys.argv[2]
        good = good and self.path == "/me?format=line"
        asked = pathlib.Path("asked")
        asked.write_text(str(int(asked.read_text() or 0) + 1 if asked.exists() else 1))
        body = pathlib.Path("line").read_bytes() if good else b"no"
        self.send_response(200 if good else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer)
print("ready", flush=True)
server.serve_forever()
"""


class Line:
    """The script in a home of its own, and a server that it may ask."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.script = folder / "statusline.sh"
        self.script.write_text(connect.status_script().text + "\n")

    def run(self, **changes: str) -> str:
        variables = {
            "PATH": os.environ["PATH"],  # noqa: TID251 - the child needs a PATH
            "HOME": str(self.folder),
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_AUTH_TOKEN": KEY,
            **changes,
        }
        done = subprocess.run(
            ["sh", str(self.script)],
            input=SESSION,
            env=variables,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @property
    def asked(self) -> int:
        return int((self.folder / "asked").read_text())

    def say(self, text: str) -> None:
        (self.folder / "line").write_text(text + "\n")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    port = free_port()
    command = ["python3", "-c", ANSWERER, str(port), KEY]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield Line(tmp_path, port)
        finally:
            server.kill()


def test_it_prints_the_line_and_does_not_ask_again_at_once(line: Line) -> None:
    line.say("$1.42 today · 38 calls · $3.58 of $5.00 left until Dec 1")
    first = line.run()
    assert first == "$1.42 today · 38 calls · $3.58 of $5.00 left until Dec 1\n"
    line.say("$2.00 today · 39 calls")
    assert line.run() == first
    assert line.asked == 1
    assert line.run(TOLLKEEPER_STATUS_EVERY="0") == "$2.00 today · 39 calls\n"
    assert line.asked == 2


def test_while_nothing_answers_the_last_line_stays(line: Line) -> None:
    line.say("$1.42 today")
    line.run()
    (line.folder / "line").unlink()  # the server fails from now on
    assert line.run(TOLLKEEPER_STATUS_EVERY="0") == "$1.42 today (not asked now)\n"
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert line.run(TOLLKEEPER_URL=nowhere) == f"tollkeeper: no answer from {nowhere}\n"


def test_a_wrong_key_shows_nothing_of_another(line: Line) -> None:
    line.say("$1.42 today")
    line.run()
    shown = line.run(TOLLKEEPER_KEY="tk_live_another_key")
    assert shown == f"tollkeeper: no answer from {line.url}\n"


def test_what_is_not_set_is_said(line: Line) -> None:
    shown = line.run(ANTHROPIC_BASE_URL="")
    assert shown == "tollkeeper: set TOLLKEEPER_URL and TOLLKEEPER_KEY\n"


def test_the_kept_line_is_for_its_owner_only_and_holds_no_key(line: Line) -> None:
    line.say("$1.42 today")
    line.run()
    (kept,) = (line.folder / ".cache" / "tollkeeper").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    assert KEY not in kept.name + kept.read_text()


def test_claude_codes_setting_runs_the_script() -> None:
    setting = json.loads(connect.claude_status_line().text)["statusLine"]
    assert setting["type"] == "command"
    assert setting["command"].endswith(connect.status_script().where)
