"""Another endpoint takes over as long as the client has nothing; after that, none does."""

from __future__ import annotations

import socket
import time
from email.utils import formatdate

import pytest

from tests.fault_server import DONE, chunk, event
from tests.relay.running import config_of, outcomes, relay_to, route, running, target
from tests.relay.upstreams import ROLE, Exchange, Script, Upstream, completion, failing, good, good_stream


async def reset(exchange: Exchange) -> None:
    exchange.reset()


async def hang(exchange: Exchange) -> None:
    await exchange.gone()


async def html(exchange: Exchange) -> None:
    await exchange.json(b"<!doctype html><html><title>Welcome</title></html>", Content_Type="text/html")


async def broken_json(exchange: Exchange) -> None:
    await exchange.json(b'{"choices": [{"message"')


async def no_body(exchange: Exchange) -> None:
    await exchange.json(b"")


async def error_in_200(exchange: Exchange) -> None:
    await exchange.json({"error": {"message": "overloaded", "code": 503}})


async def cut_body(exchange: Exchange) -> None:
    await exchange.head(200, 1_000, Content_Type="application/json")
    await exchange.send(b'{"choices"')
    exchange.reset()


async def no_http(exchange: Exchange) -> None:
    await exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    exchange.closes = True


async def redirect(exchange: Exchange) -> None:
    await exchange.json({}, 302, Location="http://127.0.0.1:1/")


STATUSES = [401, 402, 403, 404, 408, 409, 429, 500, 501, 502, 503, 504, 520, 521, 522, 523, 524, 529]
ALWAYS = [reset, html, broken_json, no_body, error_in_200, cut_body, no_http, redirect]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_a_status_that_another_endpoint_may_not_have_is_tried_there(status: int, streamed: bool) -> None:
    with Upstream(failing(status)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        response = relay.chat(stream=streamed)

    assert response.status == 200
    assert (response.text if streamed else response.json["choices"][0]["message"]["content"]) == "42"
    assert (len(a.requests), len(b.requests)) == (1, 1)
    assert [(row.target, row.http_status, row.served, row.fallback_for) for row in relay.rows] == [
        ("A", status, False, None),
        ("B", 200, True, "A"),
    ]
    assert response.headers["x-uptoken-provider"] == "B"


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("script", ALWAYS, ids=lambda script: script.__name__)
def test_what_is_no_response_is_tried_elsewhere(script: Script, streamed: bool) -> None:
    with Upstream(script) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        response = relay.chat(stream=streamed)

    assert response.status == 200
    assert b"42" in response.body or response.text == "42"
    assert (len(a.requests), len(b.requests)) == (1, 1)
    assert relay.rows[0].outcome in ("connection_error", "invalid_response", "stream_error")


def test_a_port_where_nobody_listens_is_tried_elsewhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Upstream(good()) as b, relay_to(f"http://127.0.0.1:{port}/v1", b.url) as relay:
        assert relay.chat(stream=True).text == "42"
        assert outcomes(relay.rows) == [("A", "connection_error", False), ("B", "ok", True)]


def test_a_server_that_does_not_take_the_connection_is_tried_elsewhere() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        held = [socket.socket() for _ in range(8)]
        for one in held:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        with (
            Upstream(good()) as b,
            relay_to(f"http://127.0.0.1:{full.getsockname()[1]}/v1", b.url, connect_timeout="1s") as relay,
        ):
            began = time.monotonic()
            assert relay.chat(stream=True).text == "42"
            assert time.monotonic() - began < 8
            assert outcomes(relay.rows)[0] == ("A", "timeout", False)
        for one in held:
            one.close()


def test_a_certificate_that_nobody_vouches_for_is_tried_elsewhere() -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Upstream(good(), context) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        assert relay.chat(stream=True).text == "42"
        assert outcomes(relay.rows) == [("A", "connection_error", False), ("B", "ok", True)]
        assert not a.requests


async def _role_then_end(exchange: Exchange) -> None:
    await exchange.stream(ROLE, b": still here\n\n")


async def _role_then_error(exchange: Exchange) -> None:
    await exchange.stream(ROLE, event({"error": {"message": "overloaded", "code": 502}}), DONE)


async def _role_then_done(exchange: Exchange) -> None:
    await exchange.stream(ROLE, DONE)


async def _role_then_stop(exchange: Exchange) -> None:
    await exchange.stream(ROLE, chunk(finish="stop"), DONE)


async def _role_then_reset(exchange: Exchange) -> None:
    await exchange.head(200, Content_Type="text/event-stream")
    await exchange.piece(ROLE)
    exchange.reset()


async def _role_then_hang(exchange: Exchange) -> None:
    await exchange.stream(ROLE, ends=False)
    await exchange.gone()


async def _role_then_nonsense(exchange: Exchange) -> None:
    await exchange.stream(ROLE, b"data: {not json\n\n", *good_stream("7"))


async def _named_error(exchange: Exchange) -> None:
    await exchange.stream(b'event: error\ndata: {"message": "no capacity"}\n\n')


async def _html_stream(exchange: Exchange) -> None:
    await exchange.stream(b"<html><body>Bad gateway</body></html>")


BEFORE_CONTENT = [
    _role_then_end,
    _role_then_error,
    _role_then_done,
    _role_then_stop,
    _role_then_reset,
    _role_then_hang,
    _role_then_nonsense,
    _named_error,
    _html_stream,
]


@pytest.mark.parametrize("script", BEFORE_CONTENT, ids=lambda script: script.__name__.strip("_"))
def test_a_stream_without_content_is_served_by_the_second_endpoint(script: Script) -> None:
    with (
        Upstream(script) as a,
        Upstream(good("forty-two", "from-b")) as b,
        relay_to(a.url, b.url, first_token_timeout="500ms") as relay,
    ):
        response = relay.chat(stream=True)

    assert response.text == "forty-two"
    assert {event["id"] for event in response.events if event != "[DONE]"} == {"from-b"}
    assert [event for event in response.events if event == "[DONE]"] == ["[DONE]"]
    assert (len(a.requests), len(b.requests)) == (1, 1)
    assert [row.served for row in relay.rows] == [False, True]
    assert relay.rows[1].fallback_for == "A"


def test_the_first_content_may_be_reasoning_or_a_tool_call() -> None:
    for delta in ({"reasoning_content": "hm"}, {"tool_calls": [{"index": 0, "function": {"name": "f"}}]}):
        first = event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

        async def script(exchange: Exchange, first: bytes = first) -> None:
            await exchange.stream(ROLE, first, chunk(finish="stop"), DONE)

        with Upstream(script) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
            assert relay.chat(stream=True).body == ROLE + first + chunk(finish="stop") + DONE
            assert not b.requests


def test_a_filter_that_did_its_work_is_a_response() -> None:
    events = [ROLE, chunk(finish="content_filter"), DONE]

    async def script(exchange: Exchange) -> None:
        await exchange.stream(*events)

    with Upstream(script) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        assert relay.chat(stream=True).body == b"".join(events)
        assert (not b.requests, relay.rows[0].outcome) == (True, "ok")


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_wrong_with_the_request_itself_is_returned_at_once(status: int, streamed: bool) -> None:
    refusal = {"error": {"message": "max_tokens is too large", "type": "invalid_request_error"}}
    with Upstream(failing(status, refusal)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        response = relay.chat(stream=streamed)

    assert response.status == status
    assert "max_tokens is too large" in response.json["error"]["message"]
    assert (len(a.requests), len(b.requests)) == (1, 0)
    assert relay.rows[0].outcome == "caller_error"


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_target_whose_key_or_model_is_wrong_is_the_relays_fault_and_not_the_clients(status: int) -> None:
    with Upstream(failing(status)) as a, Upstream(failing(status)) as b, relay_to(a.url, b.url) as relay:
        response = relay.chat()

    assert response.status == 502
    assert (len(a.requests), len(b.requests)) == (1, 1)


def test_a_target_with_a_wrong_key_is_asked_last_for_a_while() -> None:
    with Upstream(failing(401)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        for _ in range(5):
            assert relay.chat().status == 200
        assert (len(a.requests), len(b.requests)) == (1, 5)


@pytest.mark.parametrize(
    ("headers", "at_least_s", "at_most_s"),
    [
        ({"Retry-After": "20"}, 19, 20),
        ({"retry-after-ms": "1500"}, 1, 2),
        (
            {"Retry-After": formatdate(time.time() + 7_200, usegmt=True)},
            3_600,
            7_201,
        ),  # the moment is that of the collection,
    ],
    ids=["seconds", "milliseconds", "date"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_an_endpoint_that_asks_for_a_rest_is_left_alone(
    status: int, headers: dict[str, str], at_least_s: float, at_most_s: float
) -> None:
    with Upstream(failing(status, **headers)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        for _ in range(3):
            assert relay.chat().status == 200
        assert (len(a.requests), len(b.requests)) == (1, 3)
        until = relay.relay.health.resting_until("A")
        assert until is not None
        assert at_least_s <= until / 1_000 - time.time() <= at_most_s


def test_a_rest_is_never_shortened_by_a_later_word() -> None:
    with Upstream(failing(429, Retry_After="100")) as a, relay_to(a.url) as relay:
        relay.chat()
        first = relay.relay.health.resting_until("A")
        a.script = failing(429, Retry_After="1")
        relay.chat()  # the only one there is
        assert relay.relay.health.resting_until("A") == first
        assert len(a.requests) == 2


def test_where_all_rest_the_one_that_returns_soonest_is_tried() -> None:
    with (
        Upstream(failing(429, Retry_After="100")) as a,
        Upstream(failing(429, Retry_After="50")) as b,
        relay_to(a.url, b.url) as relay,
    ):
        response = relay.chat()
        assert (response.status, response.headers["retry-after"]) == (429, "50")
        b.script = good()
        assert relay.chat().status == 200
        assert (len(a.requests), len(b.requests)) == (1, 2)


def test_if_all_fail_the_last_error_comes_with_the_earliest_time_at_which_one_returns() -> None:
    with Upstream(failing(429, Retry_After="7")) as a, Upstream(failing(500)) as b, relay_to(a.url, b.url) as relay:
        response = relay.chat()

    assert (response.status, response.headers["retry-after"]) == (500, "7")
    assert response.json["error"]["code"] == 500
    assert relay.rows[0].outcome == "rate_limited"
    assert relay.relay.health.performance("A").success is None


def test_each_endpoint_is_tried_at_most_once() -> None:
    with Upstream(failing(500)) as a, Upstream(failing(503)) as b, Upstream(reset) as c:
        with relay_to(a.url, b.url, c.url) as relay:
            assert relay.chat().status == 502
        assert [len(one.requests) for one in (a, b, c)] == [1, 1, 1]


def test_one_error_never_removes_an_endpoint() -> None:
    with Upstream(failing(500)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        relay.chat()
        a.script = good()
        for _ in range(3):
            assert relay.chat().headers["x-uptoken-target"] == "A"


def test_an_endpoint_of_which_too_much_fails_is_asked_last() -> None:
    with Upstream(failing(500)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        for _ in range(30):
            assert relay.chat().status == 200
        assert (len(a.requests), len(b.requests)) == (10, 30)


def test_the_total_time_holds_over_all_endpoints() -> None:
    with (
        Upstream(hang) as a,
        Upstream(hang) as b,
        relay_to(a.url, b.url, first_token_timeout="10s", total_timeout="1s") as relay,
    ):
        began = time.monotonic()
        response = relay.chat(stream=True)
        assert time.monotonic() - began < 5
    assert response.status == 504
    assert len(a.requests) == 1


def test_endpoints_share_the_time_for_a_response_in_one_piece() -> None:
    with Upstream(hang) as a, Upstream(good()) as b, relay_to(a.url, b.url, total_timeout="2s") as relay:
        began = time.monotonic()
        assert relay.chat().status == 200
        assert 0.9 < time.monotonic() - began < 1.9


def test_who_allows_no_fallback_gets_none() -> None:
    with Upstream(failing(500)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        assert relay.chat(provider={"allow_fallbacks": False}).status == 500
        assert not b.requests


def test_a_reset_on_a_connection_that_was_left_open_is_tried_once_more() -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.server.connections == 1 and len(exchange.server.requests) == 2:
            exchange.reset()  # the second request on the first connection
            return
        await exchange.json(completion())

    with Upstream(script) as a, relay_to(a.url) as relay:
        assert relay.chat().status == 200
        assert relay.chat().status == 200
        assert (a.connections, len(a.requests)) == (2, 3)
        assert outcomes(relay.rows) == [("A", "ok", True)] * 2


@pytest.mark.thorough
def test_a_thousand_requests_to_a_server_that_closes_idle_connections_are_all_served() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.json(completion())
        exchange.closes = len(exchange.server.requests) % 3 == 0  # without a word

    with Upstream(script) as a, relay_to(a.url) as relay:
        assert {relay.chat().status for _ in range(1_000)} == {200}


@pytest.mark.thorough
def test_where_one_of_three_fails_half_of_the_time_nearly_all_are_served_by_few_calls() -> None:
    import concurrent.futures

    count = 0

    async def flaky(exchange: Exchange) -> None:
        nonlocal count
        count += 1
        if count % 2:
            await [failing(500), reset, _role_then_end, _role_then_error][count // 2 % 4](exchange)
        else:
            await good(f"a{count}", f"id-a{count}")(exchange)

    def numbered(name: str) -> Script:
        async def script(exchange: Exchange) -> None:
            number = len(exchange.server.requests)
            await good(f"{name}{number}", f"id-{name}{number}")(exchange)

        return script

    with Upstream(flaky) as a, Upstream(numbered("b")) as b, Upstream(numbered("c")) as c:
        sections = [target("A", a.url), target("B", b.url), target("C", c.url)]
        with running(config_of(*sections, route("A", "B", "C", strategy="price"))) as relay:

            def one(_: int) -> bool:
                response = relay.chat(stream=True)
                if response.status != 200:
                    return False
                ids = {event["id"] for event in response.events if event != "[DONE]"}
                assert ids == {f"id-{response.text}"}  # neither mixed nor doubled
                return True

            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                served = list(pool.map(one, range(1_000)))
    calls = sum(len(one.requests) for one in (a, b, c))
    assert sum(served) >= 999
    assert calls <= 1_300


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_an_unknown_model_is_refused_without_a_call(api: str) -> None:
    path = "/v1/chat/completions" if api == "chat" else "/v1/completions"
    with Upstream(good()) as a, relay_to(a.url) as relay:
        response = relay.request("POST", path, {"model": "nobody", "messages": []})
        assert response.status == 404
        assert "GET /v1/models" in response.json["error"]["message"]
        assert not a.requests


def test_a_target_is_asked_for_by_its_own_name() -> None:
    with Upstream(good("a")) as a, Upstream(good("b")) as b, relay_to(a.url, b.url) as relay:
        assert relay.chat("B", stream=True).text == "b"
        assert (relay.rows[0].route, relay.rows[0].target) == ("B", "B")


def test_the_models_of_a_request_are_fallbacks_of_each_other() -> None:
    with Upstream(failing(500)) as a, Upstream(good("b")) as b:
        sections = [target("A", a.url), target("B", b.url), route("A", model="one"), route("B", model="two")]
        with running(config_of(*sections)) as relay:
            assert relay.chat("one", models=["two"], stream=True).text == "b"
            assert [row.route for row in relay.rows] == ["one", "two"]
