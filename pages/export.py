"""Export: choose a table, targets and a range, preview the rows, download them."""

import streamlit as st

from api.downloads import link
from pages.components import code_block, formatting, theme
from pages.components.metric import Metric, metrics
from pages.queries import cache, source
from pages.sections import export_form
from pages.shell import empty_states, time_range
from store import Selection
from store.schema import TABLES

empty_states.unless_store()
url = source.store_url()
st.html(
    theme.head(
        "Export",
        "CSV with a header, units in the column names, ISO 8601 times, and an empty field for null; the same file that "
        "the command below writes",
    )
)
left, right = st.columns([1, 2])
with left:
    name = st.selectbox("Table", list(TABLES), key="table", bind="query-params", help=export_form.TABLE_HELP)
chosen = time_range.current()
with right:
    known = export_form.choices(url, name)
    picked = st.multiselect(
        export_form.CHOSEN_BY.get(TABLES[name].owner, "Targets"),
        known,
        key="only",
        bind="query-params",
        placeholder="All",
    )
    all_time = st.toggle(
        "All rows, not only those in the time range above", key="all_time", bind="query-params", value=False
    )
    has_mark = st.toggle(
        "For spreadsheets",
        key="bom",
        bind="query-params",
        value=False,
        help="The file begins with a byte order mark, so that Excel reads it as UTF-8. `import` also accepts files "
        "that a spreadsheet saved, with semicolons and decimal commas.",
    )
selection = Selection(
    None if all_time else cache.rounded(chosen.since, 60_000),
    None if all_time or chosen.is_live else chosen.until,
    tuple(picked),
)
count = export_form.count(url, name, selection)
size = export_form.estimate_size(url, name, selection, count)
when = "since the beginning" if all_time else chosen.words
metrics([Metric("Rows", formatting.count(count), "", f"{when}, {size}")])
with st.container(horizontal=True, vertical_alignment="center"):
    st.html(export_form.download(link(name, selection, has_mark=has_mark) if count else None))
    st.caption("The download is streamed, whatever its size.")
code_block.show(export_form.command(name, selection, has_mark=has_mark), "bash")
if count:
    st.html(theme.title("Preview", f"the newest {min(count, export_form.PREVIEW)} rows"))
    st.dataframe(
        export_form.preview(url, name, selection),
        hide_index=True,
        height="auto",
        placeholder=formatting.DASH,
        column_config={"outcome": st.column_config.TextColumn(width=110)},
        alt=f"The newest rows of {name}",
    )
else:
    st.info("No rows match. Choose a longer time range above, or other targets.", icon=":material/search_off:")
