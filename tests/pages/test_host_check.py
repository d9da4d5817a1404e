"""A request that is for another host, or comes from another host's page, gets nothing: no page, no row, no WebSocket."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from benchmarks.browser import dashboard_process, free_port
from benchmarks.tools import ROOT
from pages.shell.host_check import Authority, is_listed, parse_authority, refusal
from store import open_store
from tests.middlebox import program, served
from tests.pages.conftest import now_ms, rows

LISTED = ["localhost", "127.0.0.1", "::1", "uptoken.example.com", "*.lan.example"]
STATIC = "static file"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8501", Authority("127.0.0.1", 8501)),
        ("LocalHost", Authority("localhost", None)),
        ("uptoken.example.com.:443", Authority("uptoken.example.com", 443)),
        ("localhost:", Authority("localhost", None)),
        ("[::1]:8501", Authority("::1", 8501)),
        ("[::1]", Authority("::1", None)),
        ("::1", None),
        ("", None),
        (".", None),
        ("localhost:65536", None),
        ("localhost:port", None),
        ("user@localhost", None),
        ("localhost/path", None),
        ("localhost, evil.example", None),
        ("local host", None),
        ("localhost\x1b[31m", None),
    ],
)
def test_a_host_is_read_with_its_port(text: str, expected: Authority | None) -> None:
    assert parse_authority(text) == expected


@pytest.mark.parametrize(
    ("hosts", "accepted"),
    [
        (["127.0.0.1:8501"], True),
        (["localhost"], True),
        (["LOCALHOST:9000"], True),
        (["[::1]:8501"], True),
        (["uptoken.example.com."], True),
        (["a.lan.example"], True),
        (["lan.example"], False),
        (["evil.example"], False),
        (["evil.example:8501"], False),
        (["127.0.0.1.evil.example"], False),
        (["evillocalhost"], False),
        (["127.0.0.1@evil.example"], False),
        ([""], False),
        ([], False),
        (["localhost", "localhost"], False),
        (["localhost", "evil.example"], False),
    ],
)
def test_only_a_single_listed_host_is_served(hosts: list[str], accepted: bool) -> None:
    assert (refusal(hosts, [], LISTED, []) is None) is accepted


@pytest.mark.parametrize(
    ("host", "origin", "accepted"),
    [
        ("127.0.0.1:8501", "http://127.0.0.1:8501", True),
        ("127.0.0.1:8501", "http://localhost:8501", True),  # both names are listed, the port is the same
        ("127.0.0.1:8501", "http://127.0.0.1:9999", False),  # another program on this machine
        ("127.0.0.1:8501", "http://127.0.0.1", False),
        ("127.0.0.1:8501", "http://evil.example:8501", False),
        ("127.0.0.1:8501", "http://evil.example", False),
        ("127.0.0.1:8501", "null", False),  # a sandboxed frame, a file
        ("127.0.0.1:8501", "", False),
        ("127.0.0.1:8501", "chrome-extension://abc", False),
        ("127.0.0.1:8501", "http://127.0.0.1:8501/path", False),
        ("[::1]:8501", "http://[::1]:8501", True),
        ("LocalHost:8501", "http://localhost:8501", True),
        ("uptoken.example.com", "https://uptoken.example.com", True),  # a proxy in front ends TLS
        ("uptoken.example.com:443", "https://uptoken.example.com", True),
        ("uptoken.example.com:8443", "https://uptoken.example.com:8443", True),
        ("uptoken.example.com", "https://uptoken.example.com:8443", False),
        ("uptoken.example.com", "https://evil.example", False),
        ("uptoken.example.com", "https://trusted.example:1234", True),  # in server.corsAllowedOrigins
        ("127.0.0.1:8501", "https://uptoken.example.com", False),  # a proxy that rewrote Host
    ],
)
def test_a_page_is_accepted_from_the_dashboards_own_names_at_the_same_port(
    host: str, origin: str, accepted: bool
) -> None:
    assert (refusal([host], [origin], LISTED, ["https://trusted.example:1234"]) is None) is accepted


@pytest.mark.parametrize("any_host", [[], ["*"], ["localhost", " * "]])
def test_where_any_host_is_allowed_a_page_must_still_be_of_the_host_it_asks(any_host: list[str]) -> None:
    assert refusal(["uptoken.lan:8501"], ["http://uptoken.lan:8501"], any_host, []) is None
    assert refusal(["uptoken.lan:8501"], ["http://evil.example:8501"], any_host, []) is not None
    assert refusal(["uptoken.lan:8501"], ["http://a", "http://b"], any_host, []) is not None
    assert refusal([], [], any_host, []) is not None


def test_a_refusal_says_what_to_set() -> None:
    assert refusal(["Evil.example:80"], [], LISTED, []) == (
        "The dashboard does not serve the host evil.example: to allow it, add that name to server.allowedHosts in "
        ".streamlit/config.toml and restart the dashboard."
    )
    assert refusal(["localhost:8501"], ["https://a.example"], LISTED, []) == (
        "A page of 'https://a.example' may not use the dashboard at localhost:8501: let a reverse proxy pass the Host "
        "header on unchanged, or add that origin to server.corsAllowedOrigins in .streamlit/config.toml."
    )
    assert refusal([], [], LISTED, []) == (
        "The request must have one Host header, with a name from server.allowedHosts in .streamlit/config.toml."
    )


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8501", "LOCALHOST", "[::1]:1", "a.lan.example", "lan.example", "evil.example", "uptoken.example.com."],
)
def test_hosts_are_the_ones_that_streamlits_own_check_of_its_websocket_accepts(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = ["LocalHost.", "127.0.0.1", "::1", "uptoken.example.com", " *.lan.example"]
    before = st.get_option("server.allowedHosts")
    st.config.set_option("server.allowedHosts", listed)
    try:
        authority = parse_authority(host)
        assert authority is not None
        assert is_listed(authority.name, listed) is is_host_allowed(host)
    finally:
        st.config.set_option("server.allowedHosts", before)


# -- a real server


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    url = f"sqlite:///{tmp_path_factory.mktemp('host')}/a.db"
    store = open_store(url)
    store.write(rows(now_ms()))
    store.close()
    with dashboard_process(url) as (address, _):
        yield int(address.rpartition(":")[2])


def ask(port: int, path: str, headers: list[tuple[str, str]], method: str = "GET") -> tuple[int, str]:
    """The status and the first 2,000 characters of a response to exactly these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    text = "" if response.status == 101 else response.read(2_000).decode()
    connection.close()
    return response.status, text


def handshake(port: int, host: str, origin: str | None) -> tuple[int, str]:
    """The response to a browser's opening of Streamlit's WebSocket."""
    headers = [
        ("Host", host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "streamlit"),
    ]
    return ask(port, "/_stcore/stream", headers + ([("Origin", origin)] if origin is not None else []))


@pytest.mark.parametrize(
    "path",
    ["/", "/model", "/status/", "/api/export.csv?table=probes", STATIC, "/_stcore/health", "/_stcore/host-config"],
)
def test_every_route_refuses_a_strangers_host_and_a_strangers_page(port: int, path: str) -> None:
    own = f"127.0.0.1:{port}"
    if path == STATIC:
        page = ask(port, "/", [("Host", own)])[1]
        path = page.partition('src="./')[2].partition('"')[0].join(("/", ""))
        assert path.startswith("/static/js/")
    assert ask(port, path, [("Host", own)])[0] == 200
    assert ask(port, path, [("Host", f"localhost:{port}"), ("Origin", f"http://localhost:{port}")])[0] == 200
    for headers in (
        [("Host", "evil.example")],
        [("Host", f"evil.example:{port}")],
        [("Host", f"evil.example:{port}"), ("Origin", f"http://evil.example:{port}")],
        [("Host", own), ("Origin", "http://evil.example")],
        [("Host", own), ("Origin", "null")],
    ):
        for method in ("GET", "POST", "OPTIONS"):
            status, said = ask(port, path, headers, method)
            assert (status, said.count("\n")) == (421, 1), (method, headers)
            assert ".streamlit/config.toml" in said
        assert ask(port, path, headers, "HEAD") == (421, "")


def test_a_request_without_a_host_or_with_two_is_refused(port: int) -> None:
    both = [("Host", f"127.0.0.1:{port}"), ("Host", "evil.example")]
    assert ask(port, "/_stcore/health", both)[0] in (
        400,
        421,
    )  # by h11 itself, or by the check where uvicorn parses with httptools
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET /_stcore/health HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 421 ")


def test_the_websocket_opens_only_for_the_dashboards_own_page(port: int) -> None:
    own = f"127.0.0.1:{port}"
    assert handshake(port, own, f"http://{own}")[0] == 101
    assert handshake(port, own, None)[0] == 101  # a program, not a page
    for host, origin in (
        ("evil.example", "http://evil.example"),
        ("evil.example", None),
        (own, "http://evil.example"),
        (own, "http://127.0.0.1:1"),  # another program on this machine
        (own, "null"),
    ):
        status, said = handshake(port, host, origin)
        assert status == 421, (host, origin)
        assert ".streamlit/config.toml" in said


@pytest.mark.process
def test_behind_nginx_as_documented_the_proxys_name_is_served(tmp_path: Path) -> None:
    location = re.search(r"^location / \{.*?^\}", (ROOT / "docs" / "security.md").read_text(), re.M | re.S)
    assert location is not None
    url, front, back = f"sqlite:///{tmp_path}/a.db", free_port(), free_port()
    open_store(url).close()
    temporary = "".join(
        f"{kind}_temp_path {tmp_path};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
        f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{front};\n"
        f"{location[0].replace('8501', str(back))}\n}} }}\n"
    )
    listed = [word for name in ("uptoken.example.com", "127.0.0.1") for word in ("--server.allowedHosts", name)]
    command = [program("nginx", "nginx-light"), "-e", str(tmp_path / "log"), "-c", str(tmp_path / "nginx.conf")]
    with dashboard_process(url, *listed, port=back), served(command, front, tmp_path / "log"):
        name = "uptoken.example.com"
        for authority in (name, f"{name}:8443"):
            assert ask(front, "/", [("Host", authority)])[0] == 200
            assert handshake(front, authority, f"https://{authority}")[0] == 101
        assert handshake(front, name, "https://evil.example")[0] == 421
        assert ask(front, "/", [("Host", "evil.example")])[0] == 421
