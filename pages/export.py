"""Take the rows away: choose a table, targets and time, look at them, download them."""

import streamlit as st

from pages.shared import code, export_parts, loader, looks, screens, source, window, words
from pages.shared.numbers import Metric, metrics
from pages.shared.routes import link
from store import Selection
from store.rows import TABLES

screens.unless_store()
url = source.store_url()
st.html(
    looks.head(
        "Export",
        "CSV with a header, ISO 8601 times, units in the names, an empty field for what is not known; the same file "
        "as the command below writes",
    )
)
left, right = st.columns([1, 2])
with left:
    name = st.selectbox("Table", list(TABLES), key="table", bind="query-params", help=export_parts.TABLE_HELP)
chosen = window.current()
with right:
    known = export_parts.names(url, name)
    picked = st.multiselect(
        export_parts.CHOSEN_BY.get(TABLES[name].owner, "Targets"),
        known,
        key="only",
        bind="query-params",
        placeholder="all",
    )
    whole = st.toggle(
        "All that was ever kept, not only the time range above", key="all_time", bind="query-params", value=False
    )
selection = Selection(
    None if whole else loader.rounded(chosen.since, 60_000),
    None if whole or chosen.is_live else chosen.until,
    tuple(picked),
)
count = export_parts.count(url, name, selection)
size = export_parts.size_words(url, name, selection, count)
when = "ever" if whole else chosen.words
metrics([Metric("Rows", words.count(count), "", f"{when}, {size}")])
with st.container(horizontal=True, vertical_alignment="center"):
    st.html(export_parts.download(link(name, selection) if count else None))
    st.caption("It streams: memory stays flat, whatever the number of rows.")
code.show(export_parts.command(name, selection), "bash")
if count:
    st.html(looks.title("Preview", f"the newest {min(count, export_parts.PREVIEW)} rows"))
    st.dataframe(
        export_parts.preview(url, name, selection),
        hide_index=True,
        height="auto",
        placeholder=words.DASH,
        column_config={"outcome": st.column_config.TextColumn(width=110)},
        alt=f"The newest rows of {name}",
    )
else:
    st.info("No row matches. Choose a longer time range above, or other targets.", icon=":material/search_off:")
