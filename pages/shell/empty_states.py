"""The screens for when there is nothing to show, or nothing can be shown: each says what to do."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.components import code_block, formatting
from pages.queries import cache, source
from pages.shell import help, sign_in
from store import NoStoreError, StoreError

START = "python -m collectors run --every 5"


def unless_store() -> None:
    """Go on when the store is there; else show what is wrong, look again every few seconds, and stop here."""
    try:
        cache.store(source.store_url())
    except StoreError as problem:
        _store_screen(problem)
        st.stop()


def _store_screen(problem: StoreError) -> None:
    if isinstance(problem, NoStoreError):
        st.header("Nothing was recorded yet")
        st.markdown(
            "The collector creates the store with its first probe. Start it in a terminal in the same folder, and this "
            "page fills by itself:"
        )
        code_block.show(START, "bash")
        st.caption("`make run` starts the collector, a local model and this dashboard together.")
        help.introduction(is_open=True)
    else:
        text = str(problem)
        st.header("The store cannot be opened")
        st.error(text[:1].upper() + text[1:] + ".", icon=":material/database_off:")
        st.caption("Nothing was changed. This page looks again every few seconds.")
    _look_again()


@sign_in.fragment(run_every="3s")
def _look_again() -> None:
    try:
        cache.store(source.store_url())
    except StoreError:
        return
    st.rerun()


def no_probe_yet(waiting: list[str]) -> None:
    """There are targets and no probe: say what is being waited for."""
    st.header("Waiting for the first probe")
    if waiting:
        keys = ", ".join(f"`{name}`" for name in sorted(set(waiting)))
        st.markdown(f"Some targets wait for a key: set {keys} where the collector runs, and start it again.")
    st.markdown("The collector probes each target within one of its intervals. This page fills by itself.")
    code_block.show(START, "bash")


def no_catalog() -> None:
    """The router's catalog was never read."""
    st.info(
        "The catalog is read as soon as a target with the router's base URL has its key, or a model is named to "
        "`watch` in `targets.toml`; `python -m collectors run --only catalog --all` reads it now.",
        title="The router's catalog is not known yet",
        icon=":material/menu_book:",
    )


def no_endpoints() -> None:
    """No model's endpoints are known: routing is a router's matter."""
    st.info(
        "Endpoints come from a router's catalog, for the models that are probed there. Add a target with the router's "
        "base URL and its key, or name models to `watch` in `targets.toml`; the next run of the catalog brings them.",
        title="No model with several endpoints is known yet",
        icon=":material/alt_route:",
    )
    code_block.show('[openrouter]\nwatch = ["google/gemma-3-27b-it"]', "toml")


def no_alert_yet() -> None:
    """Nothing was ever sent: how to begin."""
    st.info(
        "Add a channel to `targets.toml`, set its variable where the collector runs, and try it with `python -m "
        "collectors alerts test`. Without any `[[alert]]` it is told when a target goes down and recovers, when the "
        "collector stops, and when a model retires. Mail, apprise and finer rules are in `docs/alerts.md`.",
        title="No alert was sent yet",
        icon=":material/notifications:",
    )
    code_block.show('[[channel]]\nname = "ops"\ntype = "webhook"\nurl_env = "OPS_WEBHOOK"', "toml")


def empty() -> None:
    """No target is configured."""
    st.header("No target is configured yet")
    st.markdown(
        "Add one on the [Targets](targets) page, or write a name, a model and a base URL into `targets.toml`. It "
        "appears here once the collector has read it."
    )
    code_block.show(
        '[[target]]\nname = "My model"\nmodel = "gemma-3-270m"\nbase_url = "http://127.0.0.1:8095/v1"', "toml"
    )


def unknown_target(names: Sequence[str]) -> str | None:
    """The target that a link names and nobody knows (any more), until another one is chosen; else null."""
    asked = st.query_params.get("target")
    if asked is not None:  # the address loses what the control does not know as soon as it is drawn
        st.session_state[_UNKNOWN] = None if asked in names else asked
    if st.session_state.get("target") is not None:
        st.session_state[_UNKNOWN] = None
    unknown: str | None = st.session_state.get(_UNKNOWN)
    return unknown


def no_such_target(name: str, was_removed: bool) -> None:
    """Say that a link leads to a target that is not there, and what to do."""
    label = f"`{name.replace('`', '')[:100]}`"
    if was_removed:
        title, why = "Removed target", f"{label} is no longer probed. Its history can be exported on the Export page."
    else:
        title, why = "Unknown target", f"No target is named {label}. It was renamed, or the link has a typo."
    st.warning(f"{why} Choose another target above.", title=title, icon=":material/link_off:")


def unknown_location(name: str, asked: str | None, places: Sequence[str]) -> None:
    """Say that a link leads to a location that does not probe this target."""
    if asked and asked not in places:
        asked = asked.replace("`", "")[:100]
        label = formatting.as_markdown(name)
        st.warning(f"{label} is not probed from `{asked}`. Another location is shown.", icon=":material/link_off:")


_UNKNOWN = "unknown_target"
