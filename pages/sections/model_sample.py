"""Sample code for a target."""

from __future__ import annotations

import json

import streamlit as st

from pages.components import code_block, theme
from pages.components.sample_code import DIALECTS, SAMPLES, SampleRequest, label
from pages.shell import sign_in
from store.schema import Model, Target


@sign_in.fragment()
def sample_card(target: Target, model: Model | None) -> None:
    """The code; another language draws this card alone."""
    with theme.card("api", "API", "sample code for this model"):
        request = _sample_request(target, model)
        chosen = st.segmented_control(
            "Language",
            list(SAMPLES),
            default=next(iter(SAMPLES)),
            format_func=lambda sample: label(sample, request.api),
            required=True,
            key="sample",
            bind="query-params",
            label_visibility="collapsed",
        )
        language, write = SAMPLES[chosen or next(iter(SAMPLES))]
        code_block.show(write(request), language)


def _sample_request(target: Target, model: Model | None) -> SampleRequest:
    takes_images = model is not None and "image" in (model.input_modalities or "").split(",")
    return SampleRequest(
        target.model,
        target.base_url,
        target.api_key_env,
        takes_images,
        "openrouter" in target.base_url,
        target.api if target.api in DIALECTS else "chat",  # of a newer Uptoken, or an import
        target.api_key_header,
        _query_parameters(target.params),
    )


def _query_parameters(text: str | None) -> dict[str, str]:
    """The query parameters that a row holds as JSON; none where it is no object: an imported row may hold anything."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return {str(name): str(inner) for name, inner in value.items()} if isinstance(value, dict) else {}
