"""What stands between a collector and a server in real networks, as real processes on loopback: tinyproxy, squid, nginx."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.browser import free_port

LOGIN = ("svc-uptoken", "pa$$word/with:signs")


def program(name: str, package: str = "") -> str:
    """The path of a program of Debian's; the test is skipped without it, and in CI it fails instead. `package`: the one
    that has it, where that is not its name.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        told = f"there is no {name}: apt-get install {package or name}"
        if os.environ.get("CI"):
            pytest.fail(f"{told}. CI must not skip this test")
        pytest.skip(told)
    return path


@contextlib.contextmanager
def served(
    command: list[str], port: int, log: Path, ends_by: signal.Signals = signal.SIGTERM, start_s: float = 15
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens on a port, until the end of the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + start_s
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{command[0]} did not start: {log.read_text(errors='replace')[-2_000:]}")
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(ends_by)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Middle:
    """A proxy that runs: its port, and its process for whoever wants to end it."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.process = process
        self.name = f"127.0.0.1:{port}"
        self.url = f"http://{self.name}"


@contextlib.contextmanager
def tinyproxy(folder: Path, *, login: tuple[str, str] | None = None, more: str = "") -> Iterator[Middle]:
    path, port, config = program("tinyproxy"), free_port(), folder / "tinyproxy.conf"
    auth = f"BasicAuth {login[0]} {login[1]}\n" if login else ""
    config.write_text(f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 200\n{auth}{more}\n")
    with served([path, "-d", "-c", str(config)], port, folder / "tinyproxy.log") as process:
        yield Middle(port, process)


@contextlib.contextmanager
def squid(*, login: tuple[str, str] | None = None, listen: str = "http_port", more: str = "") -> Iterator[Middle]:
    """Squid; `model.test` is this machine to it. It refuses to be root, so that it has a folder that others may enter."""
    path, port = program("squid"), free_port()
    with tempfile.TemporaryDirectory(prefix="squid") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "hosts").write_text("127.0.0.1 model.test localhost\n")
        access = "http_access allow all"
        if login:
            helper = folder / "login"
            helper.write_text(
                "#!/bin/sh\nwhile IFS= read -r pair; do\n"
                f"if [ \"$pair\" = '{login[0]} {login[1]}' ]; then echo OK; else echo ERR; fi\ndone\n"
            )
            helper.chmod(0o755)
            access = (
                f"auth_param basic program {helper}\nauth_param basic realm test\nacl known proxy_auth REQUIRED\n"
                "http_access allow known\nhttp_access deny all"
            )
        kind, _, options = listen.partition(" ")
        (folder / "squid.conf").write_text(
            f"""{kind} 127.0.0.1:{port} {options}
{more}
{access}
hosts_file {folder}/hosts
visible_hostname proxy.test
cache deny all
cache_mem 8 MB
max_filedescriptors 1024
access_log none
cache_log /dev/null
pid_filename none
netdb_filename none
pinger_enable off
coredump_dir /
{"" if os.geteuid() else "cache_effective_user proxy"}
shutdown_lifetime 0 seconds
"""
        )
        command = [path, "-N", "-n", f"test{port}", "-d", "1", "-f", str(folder / "squid.conf")]
        try:
            # it takes two seconds to end by itself, and nothing of it is wanted
            with served(command, port, folder / "log", signal.SIGKILL) as process:
                yield Middle(port, process)
        finally:
            for left in Path("/dev/shm").glob(f"test{port}-*"):
                left.unlink(missing_ok=True)


@contextlib.contextmanager
def nginx(folder: Path, upstream_port: int, *, server: str = "", location: str = "", tls: str = "") -> Iterator[Middle]:
    """A reverse proxy in front of a port; `tls` is a file with a certificate and its key."""
    path, port, config = program("nginx", "nginx-light"), free_port(), folder / "nginx.conf"
    user = "" if os.geteuid() else f"user {getpass.getuser()};"
    secure = f"ssl_certificate {tls}; ssl_certificate_key {tls};" if tls else ""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(
        f"""daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{ access_log off; {temporary}
    server {{ listen 127.0.0.1:{port}{" ssl" if tls else ""}; {secure} {server}
        location / {{ proxy_pass http://127.0.0.1:{upstream_port}; proxy_http_version 1.1;
            proxy_set_header Connection ""; {location} }} }} }}
"""
    )
    with served([path, "-p", str(folder), "-c", str(config)], port, folder / "nginx.log") as process:
        yield Middle(port, process)
