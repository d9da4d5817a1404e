"""The export: what can be chosen, how large the file will be, and the command that writes the same file."""

from __future__ import annotations

import shlex

import pandas as pd
import streamlit as st
from markupsafe import Markup

from pages.components import formatting
from pages.queries import cache
from store import Selection
from store.formats import csv_chunks, iso
from store.schema import TABLES

PREVIEW = 100
SAMPLE = 500
TABLE_HELP = " ".join(f"{table.name}: {table.help}." for table in TABLES.values()) + " All columns: data/README.md."
CHOSEN_BY = {"model": "Models", "collector": "Collectors", "location": "Locations"}
"""What a table's rows are chosen by, where it is not a target."""


@st.cache_data(ttl=30, max_entries=16, show_spinner=False)
def choices(url: str, name: str) -> list[str]:
    """What the table's rows can be chosen by: targets, models, collectors or locations."""
    table = TABLES[name]
    if table.owner == "target" or table.name == "targets":
        return sorted({target.name for target in cache.targets(url)} | set(cache.first_at(url)))
    return sorted({row[0] for row in cache.store(url).read(table, columns=(table.owner,))})


@st.cache_data(ttl=10, max_entries=32, show_spinner="Counting…")
def count(url: str, name: str, selection: Selection) -> int:
    """How many rows the file will have."""
    return cache.store(url).count(TABLES[name], selection)


@st.cache_data(ttl=60, max_entries=32, show_spinner=False)
def estimate_size(url: str, name: str, selection: Selection, rows: int) -> str:
    """The approximate size of the file, from a sample of its rows."""
    if not rows:
        return "nothing to download"
    table = TABLES[name]
    sample = list(cache.store(url).read(table, selection, limit=SAMPLE))
    size = sum(len(text.encode()) for text, _ in csv_chunks(table, sample)) / len(sample) * rows
    return f"about {formatting.size(round(size))}"


_DTYPES = {"text": "str", "integer": "Int64", "real": "float64", "flag": "boolean", "moment": "Int64"}


def preview(url: str, name: str, selection: Selection) -> pd.DataFrame:
    """The newest rows as they will be in the file: times in ISO 8601."""
    table = TABLES[name]
    rows = cache.store(url).read(table, selection, newest_first=True, limit=PREVIEW)
    data = pd.DataFrame.from_records(list(rows), columns=list(table.names))
    data = data.astype({column.name: _DTYPES[column.kind] for column in table.columns})
    for column in table.columns:
        if column.kind == "moment":
            data[column.name] = [None if pd.isna(value) else iso(int(value)) for value in data[column.name]]
    return data


def command(name: str, selection: Selection, *, has_mark: bool = False) -> str:
    """The command line that writes the same rows."""
    arguments = ["python", "-m", "collectors", "export", name]
    arguments += ["--since", iso(selection.since)] if selection.since is not None else []
    arguments += ["--until", iso(selection.until)] if selection.until is not None else []
    for target in selection.targets:
        arguments += ["--target", target]
    arguments += ["--bom"] if has_mark else []
    return shlex.join([*arguments, "--output", f"{name}.csv"])


def download(link: str | None) -> Markup:
    """The button: a plain link, so that the browser streams the file and the page does not run again."""
    if link is None:
        return Markup('<div class="u"><span class="u-button off" aria-disabled="true">Download CSV</span></div>')
    return Markup('<div class="u"><a class="u-button" href="{}" download>Download CSV</a></div>').format(link)
