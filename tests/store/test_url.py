"""A store's URL, and what it is taken apart into."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import StoreUrlError
from store.url import StoreUrl, configured_url, parse_store_url


def test_the_url_of_a_file_has_its_path_from_here_or_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_store_url("sqlite:///data/u.db").file == tmp_path / "data" / "u.db"
    assert parse_store_url("sqlite:////srv/u%20.db?x").file == Path("/srv/u%20.db?x")  # a name, and nothing is decoded


def test_the_url_of_a_server_has_its_parts_and_no_file() -> None:
    text = "clickhouse://me:p%2Fw%40@host:9000/fleet?secure&retention_days=90&cluster=main"
    parsed = parse_store_url(text)
    assert parsed == StoreUrl(text, "clickhouse", None, "host", 9000, "me", "p/w@", "fleet", True, "main", 90)
    assert parsed.file is None
    assert (
        "p/w@" not in repr(parsed) and "p%2Fw" not in repr(parsed) and str(parsed).startswith("clickhouse://me:…@host")
    )


def test_the_port_and_the_database_of_a_server_have_defaults() -> None:
    plain, tls = parse_store_url("clickhouse://host"), parse_store_url("clickhouse://host/?secure")
    assert (plain.username, plain.password, plain.port, plain.database, plain.secure) == (
        "default",
        "",
        8123,
        "uptoken",
        False,
    )
    assert (tls.port, tls.secure) == (8443, True)
    assert not parse_store_url("clickhouse://host/?secure=false").secure


def test_the_engine_in_this_process_has_a_folder() -> None:
    parsed = parse_store_url("chdb:////data/an%20engine")
    assert (parsed.engine, parsed.path, parsed.database, parsed.file) == (
        "chdb",
        Path("//data/an engine"),
        "uptoken",
        None,
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///", "no store is known by the URL"),
        ("sqlite://u.db", "no store is known by the URL"),
        ("postgres://host/u", "no store is known by the URL"),
        ("u.db", "no store is known by the URL"),
        ("clickhouse://host:port/u", "cannot be read"),
        ("clickhouse://me:a/b@host/u", "cannot be read"),
        ("clickhouse://host/u?retention_days=a-year", "retention_days='a-year'.*a number of days"),
        ("clickhouse://host/u?retention_days=0", "a number of days"),
        ("sqlite:///data/sk-or-v1-0123456789abcdef0123456789abcdef.db", "looks like a key"),
    ],
)
def test_a_url_that_no_store_can_have_is_refused_with_what_to_write(url: str, message: str) -> None:
    with pytest.raises(StoreUrlError, match=message):
        parse_store_url(url)


def test_an_option_goes_before_the_variable_and_that_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPTOKEN_STORE", raising=False)
    assert configured_url() == "sqlite:///data/uptoken.db"
    monkeypatch.setenv("UPTOKEN_STORE", "sqlite:///other.db")
    assert (configured_url(), configured_url("sqlite:///named.db")) == ("sqlite:///other.db", "sqlite:///named.db")
