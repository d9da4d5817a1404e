"""The dashboard behind Debian's nginx and Caddy as `deploy/` has them: HTTPS, the WebSocket, the sign-in, a sub-path."""

from __future__ import annotations

import gzip
import http.client
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest

from benchmarks.browser import free_port
from settings.password import hash_password
from store import open_store
from tests.collectors.cli_fixture import until
from tests.middlebox import program, served

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
NAME = "uptoken.example.com"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@contextmanager
def dashboard(folder: Path, base: str) -> Iterator[int]:
    """A dashboard with a password, below a path; its port."""
    open_store(f"sqlite:///{folder}/a.db").close()
    (folder / "password").write_text(hash_password("correct horse battery").line())
    (folder / "password").chmod(0o600)
    port = free_port()
    settings = {"server.port": port, "server.allowedHosts": NAME, "server.baseUrlPath": base}
    words = ["streamlit", "run", str(ROOT / "app.py"), *(f"--{name}={value}" for name, value in settings.items())]
    variables = {"UPTOKEN_STORE": f"sqlite:///{folder}/a.db", "UPTOKEN_PASSWORD_FILE": str(folder / "password")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for name, value in variables.items():
            patch.setenv(name, value)
        with served([sys.executable, "-m", *words], port, folder / "log", start_s=60):
            yield port


@contextmanager
def nginx(folder: Path, back: int, base: str) -> Iterator[tuple[int, int]]:
    """The file of `deploy/`, with a certificate of openssl's; the ports for HTTP and HTTPS."""
    plain, secure = free_port(), free_port()
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    site = (DEPLOY / "nginx.conf").read_text()
    for written, here in (
        (f"/etc/letsencrypt/live/{NAME}", str(folder)),
        ("127.0.0.1:8501", f"127.0.0.1:{back}"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{secure} ssl"),
        ("location / {", f"location /{base}/ {{" if base else "location / {"),
    ):
        assert written in site
        site = site.replace(written, here)
    temporary = "".join(
        f"{kind}_temp_path {folder};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/nginx.log; events {{}}\n"
        f"http {{ access_log off; {temporary} {site} }}\n"
    )
    command = [program("nginx", "nginx-light"), "-e", str(folder / "nginx.log"), "-c", str(folder / "nginx.conf")]
    with served(command, secure, folder / "nginx.log"):
        yield plain, secure


@contextmanager
def caddy(folder: Path, back: int, _base: str) -> Iterator[tuple[int, int]]:
    """The file of `deploy/`, with a certificate of Caddy's own authority."""
    plain, secure = free_port(), free_port()
    (folder / "Caddyfile").write_text(
        f"{{\n admin off\n skip_install_trust\n local_certs\n http_port {plain}\n https_port {secure}\n}}\n"
        f"import {DEPLOY}/Caddyfile\n"
    )
    variables = {"UPTOKEN_HOST": NAME, "UPTOKEN_DASHBOARD": f"127.0.0.1:{back}", "HOME": str(folder)}
    variables |= {"XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        command = [program("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
        with served(command, secure, folder / "caddy.log"):
            until(lambda: _has_certificate(secure))  # it listens before its authority has signed one
            yield plain, secure


def _has_certificate(port: int) -> bool:
    try:
        secured(port).close()
    except OSError:
        return False
    return True


def secured(port: int) -> ssl.SSLSocket:
    """A connection over TLS for the name of the dashboard, whose certificate is not checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 30), server_hostname=NAME)


class Browser:
    """Requests over HTTPS to one port, as `secured`."""

    def __init__(self, port: int) -> None:
        self._port, self.cookie = port, ""

    def ask(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=30)
        connection.sock = secured(self._port)
        host = f"{NAME}:{self._port}"
        connection.request(
            method, path, body, {"Host": host, "Origin": f"https://{host}", "Cookie": self.cookie} | (headers or {})
        )
        answer = connection.getresponse()
        return answer, b"" if answer.status == 101 else answer.read()


@pytest.mark.process
@pytest.mark.parametrize(("proxy", "base"), [(nginx, ""), (nginx, "uptoken"), (caddy, "")])
def test_behind_a_proxy_with_https_one_signs_in_and_everything_passes(proxy: object, base: str, tmp_path: Path) -> None:
    top = f"/{base}" if base else ""
    with dashboard(tmp_path, base) as back, proxy(tmp_path, back, base) as (plain, secure):  # type: ignore[operator]
        redirect = http.client.HTTPConnection("127.0.0.1", plain, timeout=30)
        redirect.request("GET", f"{top}/model", headers={"Host": NAME})
        moved = redirect.getresponse()
        assert moved.status == 308 and moved.headers["location"].startswith(f"https://{NAME}")
        browser = Browser(secure)
        answer, _ = browser.ask("GET", f"{top}/model?target=a")
        assert (answer.status, answer.headers["location"]) == (303, "login?next=model%3Ftarget%3Da")
        assert browser.ask("GET", f"{top}/_stcore/stream", headers=UPGRADE)[0].status == 401
        form = urlencode({"password": "correct horse battery", "next": "model?target=a"})
        answer, _ = browser.ask("POST", f"{top}/login", form)
        assert (answer.status, answer.headers["location"]) == (303, "model?target=a")
        assert "Secure" in answer.headers["set-cookie"]
        cookie = SimpleCookie(answer.headers["set-cookie"])["uptoken_session"]
        browser.cookie = f"uptoken_session={cookie.value}"
        answer, page = browser.ask("GET", f"{top}/model?target=a", headers={"Accept-Encoding": "gzip"})
        script = re.search(r"static/js/index\.[\w-]+\.js", gzip.decompress(page).decode())
        assert answer.headers["content-encoding"] == "gzip" and script is not None
        answer, _ = browser.ask("GET", f"{top}/{script[0]}", headers={"Accept-Encoding": "gzip, br"})
        assert answer.status == 200 and "Accept-Encoding" in answer.headers["vary"]
        assert browser.ask("GET", f"{top}/_stcore/stream", headers=UPGRADE)[0].status == 101
        evil = UPGRADE | {"Origin": "https://evil.example"}
        assert browser.ask("GET", f"{top}/_stcore/stream", headers=evil)[0].status == 421
        assert browser.ask("GET", f"{top}/api/v1/targets")[0].status == 200
        answer, rows = browser.ask("GET", f"{top}/api/export.csv?table=runs")
        assert answer.status == 200 and rows.startswith(b"collector,")
        browser.cookie = ""
        assert browser.ask("GET", f"{top}/api/v1/targets")[0].status == 401
