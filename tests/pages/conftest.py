"""Stores for the pages' tests: with data, with a target that is down, empty, none at all."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test, local_script_runner

from store import open_store
from store.schema import Endpoint, EndpointStats, Model, Row, Run, Usage
from tests.factories import DAY, HOUR, MINUTE, probe, target

FRONT = str(Path(__file__).resolve().parents[2] / "pages" / "shell" / "main.py")
COMPILED = ScriptCache()
for module in (app_test, local_script_runner):  # each run of a page would compile it again (0.03 s)
    pytest.MonkeyPatch().setattr(module, "ScriptCache", lambda: COMPILED)
COPIED_FOR_MS = 5_000

DIRECT = '[{"provider": "Beta", "model": "acme/broken", "status": 200}]'
FELL_BACK = (
    '[{"provider": "Alpha", "model": "acme/broken", "status": 503},'
    ' {"provider": "Beta", "model": "acme/broken", "status": 200}]'
)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def rows(now: int, *, last_at: int | None = None) -> list[Row]:
    """Three targets: one up with a gap and a cleared failure, one down for ten minutes, one that waits for its key."""
    last_at = last_at if last_at is not None else now - 20_000
    found: list[Row] = [
        target("Steady", updated_at=now),
        target("Broken", updated_at=now, model="acme/broken"),
        target("Keyless", updated_at=now, state="waiting_for_key", api_key_env="SOME_KEY"),
        Model(
            "Steady",
            "gemma-3-270m",
            now - DAY,
            name="Steady",
            context_tokens=32_768,
            description="A <b>small</b> one.",
            created_at=1_741_910_400_000,
            usd_per_million_input="0",
            usd_per_million_output="0",
            input_modalities="text",
        ),
    ]
    for n in range(20 * 60):
        at = last_at - n * MINUTE
        if not 5 * HOUR < n * MINUTE < 6 * HOUR:
            found.append(probe(at, target="Steady", ttft_ms=100.0 + n % 50, cost_usd=0.0))
        if n >= 10:
            found.append(probe(at, target="Broken", provider="Beta", route=FELL_BACK if n % 4 == 0 else DIRECT))
        else:
            found.append(probe(at, "server_error", target="Broken"))
        if n % 60 == 0:
            found.append(
                probe(at + 1, target="Steady", profile="throughput", completion_tokens=128, stands_for_s=3_600.0)
            )
    found.append(
        Endpoint(
            "openrouter",
            "gemma-3-270m",
            "a/bf16",
            now - DAY,
            None,
            "Provider A",
            "bf16",
            32_768,
            8_192,
            usd_per_million_input="0.02",
            usd_per_million_output="0.04",
        )
    )
    found.append(
        EndpointStats(
            "openrouter", "gemma-3-270m", "a/bf16", now, "Provider A", 0, uptime_1d=0.9725, latency_p50_ms=380.0
        )
    )
    found += market(now)
    found.append(Run("probe", last_at, "here", last_at + 500, 3))
    return found


def market(now: int) -> list[Row]:
    """What the router tells: three models, two endpoints of the broken one, and usage of ten days."""
    today = now - now % DAY
    made: list[Row] = [
        _listed(now, "acme/broken", "Acme: Broken", 65_536, "1", "2", "image,text", "tools,temperature"),
        _listed(now, "acme/cheap:free", "Acme: Cheap (free)", 8_192, "0", "0", "text", "temperature"),
        _listed(now, "acme/routed", "Acme: Routed", 131_072, "varies", "varies", "text", "tools"),
    ]
    for tag, price, parameters in (("alpha/bf16", "1", "tools,temperature"), ("beta/fp8", "3", "temperature")):
        made.append(
            Endpoint(
                "openrouter",
                "acme/broken",
                tag,
                now - DAY,
                None,
                tag.partition("/")[0].title(),
                tag.partition("/")[2],
                65_536,
                8_192,
                None,
                price,
                price,
                None,
                parameters,
                '{"discount": 0.5, "overrides": [{"min_prompt_tokens": 32000, "prompt": "0.000004"}]}',
                tag == "alpha/bf16",
            )
        )
        made += [
            EndpointStats(
                "openrouter", "acme/broken", tag, now - n * HOUR, None, 0, 1.0 if n else 0.8, 0.99, 0.95, 400.0
            )
            for n in range(3)
        ]
    for back in range(1, 11):
        day = today - back * DAY
        made += [
            Usage("openrouter_models", day, "acme/broken", "standard", tokens=3_000_000),
            Usage("openrouter_models", day, "acme/broken", "free", tokens=1_000_000),
            Usage("openrouter_apps", day, app="<b>Chat</b>", tokens=5_000_000_000, requests=9),
            Usage("openrouter_account", day, "acme/broken", "standard", "all", "Beta", 700, requests=3, cost_usd=0.25),
        ]
    return made


def _listed(now: int, model: str, name: str, context: int, usd_in: str, usd_out: str, takes: str, can: str) -> Model:
    return Model(
        "openrouter",
        model,
        now - DAY,
        name=name,
        created_at=now - 100 * DAY,
        context_tokens=context,
        usd_per_million_input=usd_in,
        usd_per_million_output=usd_out,
        input_modalities=takes,
        output_modalities="text",
        supported_parameters=can,
        canonical_slug=model.partition(":")[0],
    )


def write_steady(store_at: Path) -> int:
    """A store with one target, `Steady`, that was probed a minute ago; returns the present (milliseconds UTC)."""
    moment = now_ms()
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("Steady", updated_at=moment), probe(moment - 60_000, target="Steady")])
    store.write([Run("probe", moment, "here", moment, 1)])
    store.close()
    return moment


@pytest.fixture
def store_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the dashboard under test looks for its store; nothing is there yet."""
    st.cache_data.clear()
    st.cache_resource.clear()
    path = tmp_path / "pages.db"
    monkeypatch.setenv("UPTOKEN_STORE", f"sqlite:///{path}")
    yield path
    st.cache_resource.clear()


@dataclass
class Written:
    """A store that has the rows of a moment (milliseconds UTC)."""

    content: bytes = b""
    at: int = 0


_written = Written()


@pytest.fixture
def filled(store_at: Path) -> Path:
    """With `rows` of just now: a copy, where they were written in these seconds (0.1 s)."""
    now = now_ms()
    if not 0 <= now - _written.at < COPIED_FOR_MS:
        store = open_store(f"sqlite:///{store_at}")
        store.write(rows(now))
        store.close()
        _written.content, _written.at = store_at.read_bytes(), now
    store_at.write_bytes(_written.content)
    return store_at


@functools.cache
def components() -> BidiComponentManager:
    """The components of all installed packages, which AppTest looks for in its first run: once is enough (0.12 s)."""
    manager = BidiComponentManager()
    manager.discover_and_register_components(start_file_watching=False)
    return manager


def open_page(page: str = "", **query: str) -> AppTest:
    """The dashboard at a page (`model.py`), opened by a link with this query: no other page is drawn before it."""
    app = AppTest.from_file(FRONT, default_timeout=60)
    app._bidi_component_manager = components()
    for name, value in query.items():
        app.query_params[name] = value
    if page == "public_status.py":  # its address is not its file's name: AppTest learns that from a page
        app.switch_page("../glossary.py").run()
    return app.switch_page(f"../{page}").run() if page else app.run()


def metric(app: AppTest, label: str) -> str:
    """A metric's number with its unit, and the quieter line below it."""
    card = html(app).partition(f'data-label="{escape(label, quote=True)}">')[2].partition('<div class="u-metric')[0]
    number, _, note = card.partition('<div class="number">')[2].partition('<div class="q">')
    return f"{text(number)} | {text(note.partition('</div>')[0])}"


def text(markup: str) -> str:
    """HTML without its tags."""
    return unescape(re.sub("<[^>]*>", "", markup)).strip()


def code(app: AppTest, place: int = 0) -> str:
    """A piece of code on the page, as somebody would copy it."""
    return text(re.findall("<pre[^>]*>(.*?)</pre>", html(app), re.S)[place])


def frame(app: AppTest) -> str:
    """The HTML of the frame on a page."""
    return str(app.get("iframe")[0].proto.srcdoc)


def html(app: AppTest) -> str:
    """All HTML of a page, in order."""
    return "\n".join(element.proto.body for element in app.get("html"))
