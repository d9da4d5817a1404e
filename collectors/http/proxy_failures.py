"""What a failure between here and a proxy, or a proxy's own response, is recorded as.

| what happened | outcome |
| --- | --- |
| the variable names no usable proxy; the proxy cannot be reached, is no proxy, or hangs up on `CONNECT` | `offline` |
| the proxy requires a login (407, 401), or refuses (any other 4xx) | `caller_error` |
| the proxy says that it cannot reach the target (5xx, 408) | `connection_error` |
| the proxy does not answer `CONNECT` in time: it is waiting for the target | `timeout` |

Whatever comes after the way is open is judged as without a proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from collectors.http.connection import Timings
from collectors.http.proxies import Proxy


@dataclass(frozen=True)
class ProxyFailure:
    """An exchange that ended at the proxy. `status` is the proxy's, where it sent one."""

    outcome: str
    error: str
    status: int | None = None


def failed_before_target(timings: Timings, words: str, late_s: float | None) -> ProxyFailure | None:
    """The failure of a request that no response came for, when it failed on this side of the target; else null.

    `words` are the reason; `late_s` is the time-out where that is the reason.
    """
    proxy = timings.proxy
    if proxy is None or timings.connected is not None or timings.sent is not None or timings.tunnel == "open":
        return None
    if proxy.problem is not None:
        return ProxyFailure("offline", proxy.problem)
    named = f"the proxy {proxy.name} ({proxy.variable})"
    if timings.tunnel is None:
        reason = words if late_s is None else f"connecting took more than {late_s:g} s"
        return ProxyFailure("offline", f"{named} cannot be reached: {reason}")
    if timings.tunnel_refusal is not None:
        status, reason = timings.tunnel_refusal
        return _refusal(proxy, status, reason)
    if late_s is not None:
        return ProxyFailure("timeout", f"{named} did not connect to the target within {late_s:g} s")
    return ProxyFailure("offline", f"{named} did not connect to the target: {words}")


def own_response(timings: Timings, status: int, reason: str, headers: Mapping[str, str]) -> ProxyFailure | None:
    """The failure that a response is when the proxy made it and not the target; else null.

    Without a tunnel both come the same way. A 407 is always the proxy's; otherwise it is where squid, tinyproxy or RFC
    9209's `Proxy-Status` says so.
    """
    if timings.proxy is None or not timings.forwarded:
        return None
    squid = headers.get("X-Squid-Error", "")
    own = squid or headers.get("Server", "").startswith("tinyproxy/") or "error=" in headers.get("Proxy-Status", "")
    if status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and not own:
        return None
    return _refusal(timings.proxy, status, " ".join(filter(None, (reason, squid))))


def keeps_connection(headers: Mapping[str, str]) -> bool:
    """Whether a proxy that forwards says that it takes another request on the connection, as squid does.

    tinyproxy only looks at the first one: the second would go to the target as it is, the proxy's password with it.
    """
    return "keep-alive" in f"{headers.get('Connection', '')},{headers.get('Proxy-Connection', '')}".lower()


def _refusal(proxy: Proxy, status: int, reason: str) -> ProxyFailure:
    named, response = f"the proxy {proxy.name} ({proxy.variable})", f"HTTP {status} {reason}".strip()
    if status in (HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, HTTPStatus.UNAUTHORIZED):  # 401 is tinyproxy's
        if proxy.user is None:
            advice = f"requires a login ({response}): write it into {proxy.variable} as http://user:secret@{proxy.name}"
        else:
            advice = f"rejected the login ({response}): correct it in {proxy.variable}"
        return ProxyFailure("caller_error", f"{named} {advice}", status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return ProxyFailure("connection_error", f"{named} cannot reach the target: {response}", status)
    advice = "have its administrator allow the target, or list the host in NO_PROXY if it can be reached directly"
    return ProxyFailure("caller_error", f"{named} refuses the request ({response}): {advice}", status)
