"""Real delivery: a webhook server, a mail server, apprise, whole processes, and what goes wrong with each."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from alerts.channels.contract import SendError
from alerts.dispatcher import Dispatcher, deliver
from alerts.messages import Message
from settings.alerts import Channel
from store import open_store
from store.alert_tables import ALERTS, Alert
from store.schema import PROBES, RUNS, Probe, Run
from tests.alerts.histories import probe_of
from tests.collectors.cli_fixture import STARTED, until
from tests.factories import MINUTE
from tests.fault_server import GOOD, FaultServer, chunked
from tests.forked import Forked

MESSAGE = Message("a is down", ({"kind": "down", "target": "a", "url": "https://stats.example/model?target=a"},))


class Webhook:
    """A server that keeps what it is sent; `status` is what it responds, after `wait_s`."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.status, self.wait_s, self.more = 204, 0.0, {}
        self.arrived = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                outer.headers.append(dict(self.headers.items()))
                outer.arrived.set()
                time.sleep(outer.wait_s)
                self.send_response(outer.status)
                for name, value in outer.more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/TOKEN12345678"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def told(self) -> list[str]:
        return [event["id"] for body in self.bodies for event in json.loads(body)["events"]]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    yield server
    server.close()


# -- one message


def test_a_webhook_gets_json_that_its_secret_signs(webhook: Webhook) -> None:
    deliver(Channel("ops", "webhook", webhook.url, secret="a-shared-secret"), MESSAGE)
    [body], [headers] = webhook.bodies, webhook.headers
    assert json.loads(body) == {"version": 1, "text": "a is down", "events": list(MESSAGE.events)}
    signed = hmac.new(b"a-shared-secret", body, hashlib.sha256).hexdigest()
    assert headers["X-Uptoken-Signature"] == f"sha256={signed}"
    assert headers["Content-Type"] == "application/json"


def test_a_webhook_without_a_secret_is_not_signed(webhook: Webhook) -> None:
    deliver(Channel("ops", "webhook", webhook.url), MESSAGE)
    assert "X-Uptoken-Signature" not in webhook.headers[0]


@pytest.mark.parametrize("status", [301, 400, 401, 500])
def test_anything_but_a_2xx_is_a_failure_that_does_not_show_the_url(webhook: Webhook, status: int) -> None:
    webhook.status = status
    with pytest.raises(SendError) as caught:
        deliver(Channel("ops", "webhook", webhook.url), MESSAGE)
    assert str(caught.value) == f"it responded with HTTP {status}"


def test_a_webhook_says_how_long_it_wants_to_be_left_alone(webhook: Webhook) -> None:
    webhook.status, webhook.more = 429, {"Retry-After": "120"}
    with pytest.raises(SendError) as caught:
        deliver(Channel("ops", "webhook", webhook.url), MESSAGE)
    assert caught.value.wait_s == 120.0


def test_a_webhook_that_is_not_there_is_named_without_its_token() -> None:
    with pytest.raises(SendError) as caught:
        deliver(Channel("ops", "webhook", "http://127.0.0.1:9/hook/TOKEN12345678"), MESSAGE)
    assert "could not be reached" in str(caught.value) and "TOKEN" not in str(caught.value)


def test_a_webhook_is_reached_through_the_proxy_that_the_environment_names(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", webhook.url.rsplit("/hook", 1)[0])
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    deliver(Channel("ops", "webhook", "http://hooks.example/x"), MESSAGE)
    assert webhook.headers[0]["Host"] == "hooks.example"


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(envelope)
        return "250 OK"


def test_a_mail_goes_to_all_recipients() -> None:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        channel = Channel(
            "mail",
            "smtp",
            f"smtp://127.0.0.1:{server.port}",
            sender="uptoken@example.com",
            recipients=("ops@example.com", "me@example.com"),
        )
        deliver(channel, Message("acme.com: 4 of 45 targets down\nb recovered", MESSAGE.events))
    finally:
        server.stop()
    [mail] = box.mails
    text = mail.content.decode()
    assert mail.rcpt_tos == ["ops@example.com", "me@example.com"]
    assert "Subject: Uptoken: acme.com: 4 of 45 targets down (and 1 more)" in text
    assert ("b recovered" in text and "https://stats.example/model?target=3Da" in text.replace("=\r\n", "")) or (
        "https://stats.example/model?target=a" in text
    )


def test_a_mail_server_that_refuses_is_a_failure() -> None:
    class Refusing:
        async def handle_DATA(self, *_: Any) -> str:
            return "554 no"

    server = Controller(Refusing(), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        channel = Channel("mail", "smtp", f"smtp://127.0.0.1:{server.port}", sender="u@x.org", recipients=("o@x.org",))
        with pytest.raises(SendError, match="refused the mail with 554"):
            deliver(channel, MESSAGE)
    finally:
        server.stop()


def test_apprise_reaches_what_its_url_names(webhook: Webhook) -> None:
    pytest.importorskip("apprise")
    deliver(Channel("any", "apprise", webhook.url.replace("http://", "json://")), MESSAGE)
    [body] = webhook.bodies
    assert json.loads(body)["message"] == "a is down" and json.loads(body)["title"] == "Uptoken: a is down"


def test_apprise_says_that_a_service_did_not_take_it(webhook: Webhook) -> None:
    pytest.importorskip("apprise")
    webhook.status = 500
    with pytest.raises(SendError, match="did not take it"):
        deliver(Channel("any", "apprise", webhook.url.replace("http://", "json://")), MESSAGE)


def test_a_url_that_apprise_does_not_know_is_not_shown() -> None:
    pytest.importorskip("apprise")
    with pytest.raises(SendError) as caught:
        deliver(Channel("any", "apprise", "nosuch://TOKEN12345678"), MESSAGE)
    assert "does not know" in str(caught.value) and "TOKEN" not in str(caught.value)


def test_a_channel_without_its_url_says_where_it_belongs() -> None:
    with pytest.raises(SendError, match="it has no URL: set OPS_WEBHOOK"):
        deliver(Channel("ops", "webhook", None, "set OPS_WEBHOOK"), MESSAGE)


def test_a_channel_that_hangs_delays_no_other(webhook: Webhook) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    dispatcher = Dispatcher()
    dispatcher.start(Channel("hangs", "webhook", f"http://127.0.0.1:{listener.getsockname()[1]}/x"), MESSAGE)
    dispatcher.start(Channel("ops", "webhook", webhook.url), MESSAGE)
    ended: list[Any] = []
    until(lambda: ended.extend(dispatcher.take_ended()) or ended, 5)
    listener.close()
    assert [(one.channel, one.error) for one in ended] == [("ops", None)]
    assert dispatcher.under_way == {"hangs"}


# -- whole processes


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def collecting(folder: Path, webhook: Webhook, *more: str, channels: str = "") -> Iterator[subprocess.Popen[str]]:
    process = start(folder, webhook, *more, channels=channels)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def start(folder: Path, webhook: Webhook, *more: str, channels: str = "") -> subprocess.Popen[str]:
    """`run` over one target that refuses every connection, with a webhook."""
    file = folder / "targets.toml"
    file.write_text(
        '[collector]\nevery = "1s"\nconfirm_after = "50ms"\nthroughput_every = "off"\n'
        'local_servers_every = "1h"\n'
        f'[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://127.0.0.1:{free_port()}/v1"\n'
        '[[channel]]\nname = "ops"\ntype = "webhook"\nurl_env = "OPS_WEBHOOK"\n'
        f"{channels}"
    )
    command = [sys.executable, "-m", "collectors", "run", "--config", str(file), "--store", url_of(folder), *more]
    environment = os.environ | {"OPS_WEBHOOK": webhook.url, "UPTOKEN_LOCATION": "here", "PYTHONPATH": str(Path.cwd())}
    process = Forked(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path.cwd()
    )
    STARTED.append(process)
    return process


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/alerts.db"


def rows(folder: Path) -> tuple[list[Alert], list[Run]]:
    store = open_store(url_of(folder), read_only=True)
    try:
        return [Alert(*row) for row in store.read(ALERTS)], [Run(*row) for row in store.read(RUNS)]
    finally:
        store.close()


def run_to_its_end(folder: Path, webhook: Webhook, times: int, *more: str, channels: str = "") -> list[int]:
    codes = []
    for _ in range(times):
        with collecting(folder, webhook, *more, channels=channels) as process:
            process.wait(timeout=60)
            codes.append(process.returncode)
        time.sleep(1.0)
    return codes


@pytest.mark.waits
def test_runs_of_a_timer_tell_once(tmp_path: Path, webhook: Webhook) -> None:
    assert run_to_its_end(tmp_path, webhook, 4, "--only", "probe") == [0, 0, 0, 0]
    assert [one.split(":")[:2] for one in webhook.told] == [["down", "opening"]]
    [alert], _ = rows(tmp_path)
    assert alert.sent_at is not None


@pytest.mark.waits
def test_a_failed_delivery_leaves_the_exit_code_0_and_is_an_error_of_a_run(tmp_path: Path, webhook: Webhook) -> None:
    webhook.status = 500
    assert run_to_its_end(tmp_path, webhook, 2, "--only", "probe") == [0, 0]
    [alert], runs = rows(tmp_path)
    assert alert.sent_at is None
    errors = {run.error for run in runs if run.collector == "alerts"}
    assert errors == {"channel ops: it responded with HTTP 500"}


@pytest.mark.waits
def test_a_loop_that_is_killed_between_sending_and_recording_tells_at_most_twice_and_never_not_at_all(
    tmp_path: Path, webhook: Webhook
) -> None:
    webhook.wait_s = 3.0  # it has the message, and has not said so
    with collecting(tmp_path, webhook, "--only", "probe", "--every", "1") as process:
        assert webhook.arrived.wait(30), "nothing was sent"
        process.send_signal(signal.SIGKILL)
        process.wait()
    [alert], _ = rows(tmp_path)
    assert alert.sent_at is None
    webhook.wait_s = 0.0
    with collecting(tmp_path, webhook, "--only", "probe", "--every", "1") as process:
        until(lambda: len(webhook.told) >= 2)
        time.sleep(3)  # for a third one
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    assert len(webhook.told) == 2 and len(set(webhook.told)) == 1  # one duplicate, with the same id
    [alert], _ = rows(tmp_path)
    assert alert.sent_at is not None


@pytest.mark.waits
def test_a_channel_that_hangs_delays_no_probe(tmp_path: Path, webhook: Webhook) -> None:
    webhook.wait_s = 60.0
    with collecting(tmp_path, webhook, "--only", "probe", "--every", "1") as process:
        time.sleep(12)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    store = open_store(url_of(tmp_path), read_only=True)
    probes = [Probe(*row) for row in store.read(PROBES)]
    store.close()
    assert len(webhook.bodies) == 1
    assert sum(probe.stands_for_s for probe in probes) >= 10
    gaps = [later.started_at - earlier.started_at for earlier, later in pairwise(probes)]
    assert max(gaps) < 2_000


@pytest.mark.waits
def test_a_loop_follows_its_channels_and_a_recovery_still_goes_to_who_got_the_alert(
    tmp_path: Path, webhook: Webhook
) -> None:
    other, file = Webhook(), tmp_path / "targets.toml"

    def wait(server: Webhook, count: int) -> None:
        until(lambda: len(server.told) >= count, 60)

    with FaultServer(chunked(*GOOD)) as server, collecting(tmp_path, webhook, "--only", "probe", "--every", "1"):
        wait(webhook, 1)
        text = file.read_text().replace('"http://127.0.0.1:', f'"{server.url}" # "', 1)
        text += f'[[target]]\nname = "b"\nmodel = "m"\nbase_url = "http://127.0.0.1:{free_port()}/v1"\n'
        text += f'[[channel]]\nname = "new"\ntype = "webhook"\nurl = "{other.url}"\n'
        part = tmp_path / "part"
        part.write_text(text + '[[alert]]\non = ["down", "recovered"]\ntargets = ["b"]\nto = ["new"]\n')
        part.replace(file)
        wait(other, 1)
        wait(webhook, 2)
    other.close()
    assert [one.split(":")[:4] for one in webhook.told] == [
        ["down", "opening", "here", "a"],
        ["down", "recovery", "here", "a"],
    ]
    assert [one.split(":")[:4] for one in other.told] == [["down", "opening", "here", "b"]]


@pytest.mark.waits
def test_two_single_runs_at_once_tell_once(tmp_path: Path, webhook: Webhook) -> None:
    run_to_its_end(tmp_path, webhook, 1, "--only", "probe")
    first, second = start(tmp_path, webhook, "--only", "probe"), start(tmp_path, webhook, "--only", "probe")
    for process in (first, second):
        process.communicate(timeout=60)
    assert len(webhook.told) == len(set(webhook.told)) <= 1


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "collectors", "alerts", *arguments]
    own = os.environ | {"UPTOKEN_LOCATION": "here", "PYTHONPATH": str(Path.cwd())}
    process = Forked(words, env=own | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, errors)


@pytest.mark.process
def test_the_commands_try_a_channel_and_silence_a_target(tmp_path: Path, webhook: Webhook) -> None:
    process = start(tmp_path, webhook)
    process.communicate(timeout=60)
    where = ["--config", str(tmp_path / "targets.toml")]
    done = command("test", "ops", *where, OPS_WEBHOOK=webhook.url)
    assert (done.returncode, done.stdout) == (0, "ops: the channel took the message\n"), done.stderr
    assert json.loads(webhook.bodies[-1])["events"] == []
    webhook.status = 403
    done = command("test", *where, OPS_WEBHOOK=webhook.url)
    assert (done.returncode, done.stderr) == (1, "ops: not sent: it responded with HTTP 403\n")
    done = command("test", *where)
    assert done.stderr == "ops: not sent: it has no URL: set OPS_WEBHOOK\n"
    done = command("test", "nobody", *where)
    assert done.returncode == 2 and "there is no channel 'nobody'; there are ops" in done.stderr
    store = ["--store", url_of(tmp_path)]
    done = command("silence", "a", "--for", "2h", *where, *store)
    assert (done.returncode, done.stdout) == (0, "a is silenced for 2 h; it is still probed\n"), done.stderr
    assert "silenced  a  (here)  until " in command("list", *store).stdout
    done = command("silence", "a", "--for", "0s", *where, *store)
    assert done.stdout == "a is no longer silenced; it is still probed\n"
    assert "silenced" not in command("list", *store).stdout
    done = command("silence", "zz", "--for", "2h", *where, *store)
    assert done.returncode == 2 and "no target is named 'zz'" in done.stderr


def test_an_alert_that_is_open_is_listed(tmp_path: Path) -> None:
    store = open_store(url_of(tmp_path))
    at = probe_of("a", "D", 1_795_521_600_000).started_at
    store.write([Alert("a", "down", "here", "ops", at, at - MINUTE, host="h", cause="timeout")])
    store.close()
    done = command("list", "--store", url_of(tmp_path))
    assert done.stdout == "2026-11-24T12:00:00.000+00:00  down  a  (here)  to ops, not sent yet, open: timeout\n"
