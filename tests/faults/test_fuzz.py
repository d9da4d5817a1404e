"""Invented words of a server, by hypothesis: `make fuzz` goes on for longer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.catalog import models_of
from collectors.sources.openrouter import SentModel, entries, validate
from store import open_store
from store.schema import MODELS
from tests.faults.fuzzing import body, catalog, stream

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
SAID = (
    "id",
    "name",
    "created",
    "description",
    "context_length",
    "pricing",
    "top_provider",
    "architecture",
    "supported_parameters",
)
KEYS = st.sampled_from(
    ["choices", "delta", "message", "content", "usage", "error", "provider", "model", "finish_reason"]
)
CHUNKS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)


@settings(max_examples=300)
@given(st.binary(max_size=2_000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    stream(data)
    body(data)
    catalog(data)


@settings(max_examples=300)
@given(st.lists(CHUNKS, max_size=4))
def test_any_json_is_read_or_refused(chunks: list[Any]) -> None:
    for chunk in chunks:
        body(json.dumps(chunk).encode())
    stream(b"\xff" + b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks))


@settings(max_examples=100)
@given(
    st.lists(st.fixed_dictionaries({"id": st.text(min_size=1)}, optional=dict.fromkeys(SAID[1:], VALUES)), max_size=4)
)
def test_whatever_a_catalog_says_is_left_out_or_can_be_kept(
    tmp_path_factory: pytest.TempPathFactory, sent: list[Any]
) -> None:
    told = json.loads(json.dumps({"data": sent}))
    models, bad = validate(SentModel, entries(told, "data"))
    assert len(models) + bad == len(sent)
    folder: Path = tmp_path_factory.mktemp("catalog")
    store = open_store(f"sqlite:///{folder}/c.db")
    store.write(models_of(models, 1))
    assert store.count(MODELS) == len({model.model for model in models_of(models, 1)})
    store.close()
