"""The pages over HTTP: who is answered, with what, and what a stranger's request or store cannot do."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import BadInput
from lab.report.pages.folder import report_store
from lab.report.serve import listening
from unit.stored import store_of_every_kind, stored


class Client:
    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": f"127.0.0.1:{self.port}", **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body, dict(answer.getheaders())

    def raw(self, request: bytes) -> bytes:
        """What comes back for bytes that need not be HTTP."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Of a server for the store in `tmp_path`."""
    with listening(tmp_path, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Client(server.server_port)
        server.shutdown()
        thread.join()


def test_pages_are_those_of_the_folder(tmp_path: Path, client: Client) -> None:
    store_of_every_kind(tmp_path)
    report_store(tmp_path)
    served = 0
    for path in filter(Path.is_file, (tmp_path / "report").rglob("*")):
        status, body, headers = client(f"/{path.relative_to(tmp_path / 'report')}")
        assert status == 200, path
        assert headers["Content-Type"].startswith("text/css" if path.suffix == ".css" else "text/html")
        served += 1
        if 'http-equiv="refresh"' not in body:
            assert body == path.read_text(), path
    assert served > 10
    assert client("/") == client("/index.html")


def test_every_answer_forbids_scripts_frames_and_guessing(tmp_path: Path, client: Client) -> None:
    stored(tmp_path)
    for path, method in (("/", "GET"), ("/nowhere", "GET"), ("/", "HEAD"), ("/", "POST"), ("/report.css", "GET")):
        _, _, headers = client(path, method)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example:{port}", ""])
def test_other_host_names_are_refused(tmp_path: Path, client: Client, host: str) -> None:
    stored(tmp_path)
    status, body, _ = client(Host=host.format(port=client.port))
    assert (status, "Promise" in body) == (421, False)


def test_two_hosts_or_none_are_refused(tmp_path: Path, client: Client) -> None:
    stored(tmp_path)
    own = f"Host: 127.0.0.1:{client.port}\r\n"
    for hosts in (own + "Host: evil.example\r\n", ""):
        assert client.raw(f"GET / HTTP/1.1\r\n{hosts}\r\n".encode()).startswith(b"HTTP/1.1 421")


def test_own_names_are_answered(tmp_path: Path, client: Client) -> None:
    stored(tmp_path)
    assert client(Host=f"localhost:{client.port}")[0] == 200
    assert client(Origin=f"http://127.0.0.1:{client.port}")[0] == 200
    assert client(Sec_Fetch_Site="same-origin")[0] == 200
    assert client(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200, "a link may lead here"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
    ],
)
def test_other_origins_are_refused(tmp_path: Path, client: Client, headers: dict[str, str]) -> None:
    stored(tmp_path)
    status, body, _ = client(**headers)
    assert (status, "Promise" in body) == (403, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_nothing_but_reading_is_served(tmp_path: Path, client: Client, method: str) -> None:
    stored(tmp_path)
    assert client("/", method)[0] == 501
    before = sorted(tmp_path.rglob("*"))
    client("/")
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


@pytest.mark.parametrize(
    "path",
    [
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/mine/../x",
        "/mine",
        "/\0",
        "*",
        "/mine/replays/x",
    ],
)
def test_paths_lead_nowhere_else(tmp_path: Path, client: Client, path: str) -> None:
    store_of_every_kind(tmp_path)
    reply = client.raw(f"GET {path} HTTP/1.1\r\nHost: localhost:{client.port}\r\n\r\n".encode())
    assert reply.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert b"root:" not in reply


def test_what_is_no_request_is_refused_without_being_quoted(client: Client) -> None:
    for request in (b"<script>\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9<script>\r\n\r\n", b"\xff\xfe\r\n\r\n", b""):
        reply = client.raw(request)
        assert b"<script>" not in reply
        assert not reply or b" 400 " in reply or b" 505 " in reply or b"no request" in reply


def test_check_in_progress_is_looked_at_again_and_again(tmp_path: Path, client: Client) -> None:
    assert "Nothing yet" in client()[1]
    folder = stored(tmp_path, over=False)
    _, body, _ = client()
    assert 'http-equiv="refresh"' in body
    assert "It is running" in body
    page = f"/mine/{folder.path.name}/index.html"
    assert 'http-equiv="refresh"' in client(page)[1]
    folder.finish((stored(tmp_path).path / "verdicts.json").read_bytes())
    assert 'http-equiv="refresh"' not in client(page)[1]
    assert 'http-equiv="refresh"' not in client()[1]


def test_port_that_is_taken_is_one_line(tmp_path: Path, client: Client) -> None:
    with pytest.raises(BadInput, match="is taken; choose another with --port"), listening(tmp_path, client.port):
        pass


def test_store_that_vanishes_or_breaks_costs_no_server(tmp_path: Path, client: Client) -> None:
    folder = stored(tmp_path)
    (folder.path / "verdicts.json").write_text("{")
    (folder.path / "cases/0001-recovers/history.jsonl").write_text("{")
    assert client(f"/mine/{folder.path.name}/0001-recovers.html")[0] == 200
    assert "cannot be read" in client()[1]
    folder.path.parent.rename(tmp_path / ".hidden")
    assert "Nothing yet" in client()[1]
