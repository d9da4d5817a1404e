"""Which proxy a URL is reached through: the variables, `NO_PROXY` in its forms, and what is this machine."""

from __future__ import annotations

import pytest

from collectors.http.proxies import parse_proxy, proxy_for
from settings.addresses import is_loopback

PROXY = "http://proxy.test:3128"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "api.localhost",
        "127.0.0.1",
        "127.255.0.3",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "0",
        "0x7f.1",
        "::1",
        "[::1]",
        "::",
        "[::]",
        "::ffff:127.0.0.1",
        "[::ffff:127.0.0.1]",
        "0:0:0:0:0:0:0:1",
        "::1%lo",
    ],
)
def test_this_machine_is_known_however_it_is_written(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "127.example.com",
        "localhost.example.com",
        "notlocalhost",
        "128.0.0.1",
        "10.0.0.1",
        "::2",
        "::ffff:10.0.0.1",
        "",
        "1270",
    ],
)
def test_what_only_looks_like_this_machine_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "environment", "variable"),
    [
        ("http://a.test/v1", {"http_proxy": PROXY}, "http_proxy"),
        ("http://a.test/v1", {"HTTP_PROXY": PROXY}, "HTTP_PROXY"),
        ("https://a.test/v1", {"https_proxy": PROXY}, "https_proxy"),
        ("https://a.test/v1", {"HTTPS_PROXY": PROXY, "https_proxy": "http://other.test:1"}, "https_proxy"),
        ("https://a.test/v1", {"ALL_PROXY": PROXY}, "ALL_PROXY"),
        ("http://a.test/v1", {"all_proxy": PROXY}, "all_proxy"),
        ("http://a.test/v1", {"HTTP_PROXY": PROXY, "ALL_PROXY": "http://other.test:1"}, "HTTP_PROXY"),
        ("http://a.test/v1", {"HTTPS_PROXY": PROXY}, None),
        ("http://a.test/v1", {"HTTP_PROXY": ""}, None),
        ("http://a.test/v1", {"HTTP_PROXY": "  "}, None),
        ("http://a.test/v1", {"http_proxy": "", "HTTP_PROXY": PROXY}, None),
        ("http://127.example.com/v1", {"HTTP_PROXY": PROXY}, "HTTP_PROXY"),
        ("http://a.test/v1", {}, None),
        ("http://a.test:99999/v1", {"HTTP_PROXY": PROXY}, None),  # who sends the request says what is wrong with it
        ("http://[::1/v1", {"HTTP_PROXY": PROXY}, None),
    ],
)
def test_the_variables_are_read_as_curl_and_requests_read_them(
    url: str, environment: dict[str, str], variable: str | None
) -> None:
    proxy = proxy_for(url, environment)
    assert (proxy.variable if proxy else None) == variable


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "x.localhost"]
)
def test_this_machine_is_never_reached_through_a_proxy(host: str) -> None:
    everything = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"), PROXY)
    assert proxy_for(f"http://{host}:8080/v1", everything) is None
    assert proxy_for(f"https://{host}/v1", everything) is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", "https://a.test/v1", True),
        ("b.test,*", "https://a.test/v1", True),
        ("a.test", "https://a.test/v1", True),
        ("A.Test", "https://a.TEST/v1", True),
        ("a.test", "https://a.test./v1", True),
        ("a.test.", "https://a.test/v1", True),
        ("a.test", "https://x.y.a.test/v1", True),
        (".a.test", "https://x.a.test/v1", True),
        (".a.test", "https://a.test/v1", True),
        ("*.a.test", "https://x.a.test/v1", True),
        ("a.test", "https://nota.test/v1", False),
        (".a.test", "https://nota.test/v1", False),
        ("a.test", "https://a.test.evil.example/v1", False),
        ("b.test, a.test", "https://a.test/v1", True),
        ("b.test a.test", "https://a.test/v1", True),
        ("b.test,,\ta.test ", "https://a.test/v1", True),
        ("a.test:443", "https://a.test/v1", True),
        ("a.test:80", "https://a.test/v1", False),
        ("a.test:8443", "https://a.test:8443/v1", True),
        (".a.test:8443", "https://x.a.test:8443/v1", True),
        ("a.test:8443", "https://a.test/v1", False),
        ("10.1.2.3", "http://10.1.2.3/v1", True),
        ("10.1.2.3", "http://10.1.2.30/v1", False),
        ("10.1.2.3:8000", "http://10.1.2.3:8000/v1", True),
        ("10.1.2.3:8000", "http://10.1.2.3/v1", False),
        ("10.0.0.0/8", "http://10.200.0.9/v1", True),
        ("10.1.2.3/8", "http://10.200.0.9/v1", True),
        ("10.0.0.0/255.0.0.0", "http://10.200.0.9/v1", True),
        ("10.0.0.0/8", "http://11.0.0.1/v1", False),
        ("10.0.0.0/8", "http://10.example.com/v1", False),
        ("10.0.0.0/99", "http://10.0.0.1/v1", False),
        ("192.168.0.0/16,10.0.0.0/8", "http://[::ffff:10.0.0.1]/v1", True),
        ("fd00::/8", "http://[fd12::1]/v1", True),
        ("[fd00::]/8", "http://[fd12::1]/v1", True),
        ("fd00::/8", "http://[fe80::1]/v1", False),
        ("fd00::1", "http://[fd00::1]/v1", True),
        ("[fd00::1]", "http://[fd00:0::1]/v1", True),
        ("[fd00::1]:8000", "http://[fd00::1]:8000/v1", True),
        ("[fd00::1]:8000", "http://[fd00::1]/v1", False),
        ("localhost,127.0.0.1,0.0.0.0,[::1]", "https://a.test/v1", False),
        (".", "https://a.test/v1", False),
        ("", "https://a.test/v1", False),
    ],
)
def test_no_proxy_in_all_its_forms(no_proxy: str, url: str, direct: bool) -> None:
    proxies = {"http_proxy": PROXY, "https_proxy": PROXY}
    for name in ("no_proxy", "NO_PROXY"):
        assert (proxy_for(url, proxies | {name: no_proxy}) is None) == direct


@pytest.mark.parametrize(
    ("value", "url", "name", "login"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128", "proxy.test:3128", None),
        ("proxy.test:3128", "http://proxy.test:3128", "proxy.test:3128", None),
        ("proxy.test", "http://proxy.test:80", "proxy.test:80", None),
        ("10.0.0.1:8080/", "http://10.0.0.1:8080", "10.0.0.1:8080", None),
        ("HTTP://Proxy.test:3128/path", "http://proxy.test:3128", "proxy.test:3128", None),
        ("https://proxy.test", "https://proxy.test:443", "proxy.test:443", None),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128", "[fd00::1]:3128", None),
        ("http://ada:s%40fe%3A@proxy.test:3128", "http://proxy.test:3128", "proxy.test:3128", ("ada", "s@fe:")),
        ("ada:s@fe@proxy.test:3128", "http://proxy.test:3128", "proxy.test:3128", ("ada", "s@fe")),
        ("http://ada@proxy.test:3128", "http://proxy.test:3128", "proxy.test:3128", ("ada", "")),
        ("http://bücher.test:1", "http://xn--bcher-kva.test:1", "xn--bcher-kva.test:1", None),
    ],
)
def test_a_proxy_is_read_with_or_without_a_scheme_and_its_credentials_are_in_no_url(
    value: str, url: str, name: str, login: tuple[str, str] | None
) -> None:
    proxy = parse_proxy("HTTP_PROXY", value)
    assert (proxy.problem, proxy.url, proxy.name) == (None, url, name)
    assert (proxy.user, proxy.password) == (login or (None, ""))
    assert "fe" not in repr(proxy).replace("ffff", "")


@pytest.mark.parametrize(
    "value",
    [
        "socks5://proxy.test:1080",
        "socks5h://ada:canary-secret@proxy.test",
        "http://",
        "http://:3128",
        "http://proxy.test:0",
        "http://proxy.test:99999",
        "http://proxy.test:port",
        "http://ada:canary#secret@proxy.test:3128",
        "http://[::1",
        "::",
        "http://pro xy.test",
        "http://a..b:1/\u2028",
        "ftp://proxy.test",
        "http://" + "a" * 80 + "ü.test",
        "\x00",
        "http://<>",
    ],
)
def test_a_value_that_cannot_be_used_says_so_and_shows_nothing_of_itself(value: str) -> None:
    proxy = proxy_for("https://a.test/v1", {"HTTPS_PROXY": value})
    assert proxy is not None
    assert proxy.problem is not None
    assert proxy.problem.startswith("HTTPS_PROXY does not name a usable proxy: ")
    assert "canary" not in proxy.problem
    assert proxy.host == ""
