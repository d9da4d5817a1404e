"""Targets: what is probed, and forms to add, change, pause, rename and remove targets."""

import streamlit as st

from pages.components import code_block, formatting, theme
from pages.queries import cache, configured_targets, source
from pages.sections import target_editor, target_form, target_notice
from pages.shell import editing
from store import StoreError

url = source.store_url()
st.html(theme.head("Targets", "What is probed. A running collector applies changes within seconds."))
configuration = configured_targets.configuration()
paused = configured_targets.pauses(url)
target_notice.show_notice()
if not configuration.is_there:
    st.info(
        f"There is no `{configuration.path}` where the dashboard runs. Where the collector runs, add targets with:",
        title="The targets are configured elsewhere",
        icon=":material/dns:",
    )
    code_block.show("python -m collectors add", "bash")
    st.stop()
if configuration.error is not None:
    st.error(formatting.as_markdown(configuration.error), title="targets.toml is wrong", icon=":material/error:")
if (refused := editing.refusal()) is not None:
    st.info(refused, icon=":material/lock:")
elif configuration.error is None:
    target_form.add_card()
with theme.card("targets", "Targets", configuration.path):
    st.html(target_editor.targets_table(configuration.targets, paused))
if refused is None and configuration.targets:
    try:
        cache.store(url)
        has_store = True
    except StoreError:
        has_store = False
    target_editor.change_card(configuration.targets, paused, has_store=has_store)
st.caption(
    "In a terminal: `python -m collectors add`, or with `--from litellm.yaml`, `openrouter` or `ollama`. "
    "`docs/configuration.md` describes every key of the file."
)
