"""The lower parts of the model page: providers, history, sample code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from pages.shared import words
from pages.shared.samples import Callee
from stats.changes import Change
from stats.providers import Measured
from store.rows import Endpoint, EndpointStats, Model, Target

MOST_CHANGES = 20


def providers(
    endpoints: Iterable[Endpoint], reported: Mapping[str, EndpointStats], measured: Mapping[str, Measured]
) -> str:
    """One row an endpoint: what it is, what the router says of it, and what our probes met there."""
    heads = (
        "Provider",
        "Context",
        "Max output",
        "In / out per M",
        "Uptime 1 d, says",
        "TTFT p50, says",
        "measured",
        "tok/s p50, says",
        "measured",
    )
    head = "".join(f"<th>{text}</th>" for text in heads)
    rows = "".join(_provider(endpoint, reported.get(endpoint.tag), measured) for endpoint in endpoints)
    table = f'<table class="u-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="u u-scroll">{table}</div>'


def _provider(endpoint: Endpoint, said: EndpointStats | None, measured: Mapping[str, Measured]) -> str:
    met = measured.get(endpoint.provider or "")
    price = f"{words.price(endpoint.usd_per_million_input)} / {words.price(endpoint.usd_per_million_output)}"
    speed = met.speed.p50 if met is not None else None
    cells = [
        _tokens(endpoint.context_tokens),
        _tokens(endpoint.max_output_tokens),
        price,
        words.percent(said.uptime_1d) if said is not None else words.DASH,
        _ms(said.latency_p50_ms if said is not None else None),
        _ms(met.ttft.p50) + f' <span class="q">· {words.probes(met.answers)}</span>'
        if met is not None
        else _quiet("no probe met it"),
        words.rate(said.tokens_per_second_p50) if said is not None else words.DASH,
        words.rate(speed) if speed is not None else words.DASH,
    ]
    title = escape((endpoint.supported_parameters or "").replace(",", ", "), quote=True)
    name = f"<b>{escape(endpoint.provider or endpoint.tag)}</b> {_quiet(endpoint.quantization or '')}"
    return f'<tr title="{title}"><td>{name}</td>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _quiet(text: str) -> str:
    return f'<span class="q">{escape(text)}</span>'


def _tokens(value: int | None) -> str:
    return words.DASH if value is None else f"{value:,d}"


def _ms(value: float | None) -> str:
    return words.DASH if value is None else f"{words.milliseconds(value)} ms"


def versions_of(target: Target, known: Iterable[Model]) -> list[Model]:
    """The versions from one source: the target's own server before the router."""
    own = [model for model in known if model.source == target.name]
    return own or [model for model in known if model.source == "openrouter"]


def changes_list(found: list[Change], zone: str) -> str:
    """Each change in words, newest first."""
    if not found:
        return '<div class="u q">Nothing changed since it is known.</div>'
    lines = "".join(f"<div>{escape(_change(change, zone))}</div>" for change in found[:MOST_CHANGES])
    more = f"<div>and {len(found) - MOST_CHANGES} more</div>" if len(found) > MOST_CHANGES else ""
    return f'<div class="u q">{lines}{more}</div>'


def _change(change: Change, zone: str) -> str:
    when = words.clock(change.at, zone, 0)
    if change.what == "listed":
        return f"{when}: {'listed again' if change.after == 'yes' else 'no longer listed'}"
    if change.what in ("parameters", "other prices"):
        return f"{when}: {change.what} changed"
    return f"{when}: {change.what} from {change.before or 'not said'} to {change.after or 'not said'}"


def callee(target: Target, model: Model | None) -> Callee:
    """What the sample code calls."""
    takes_images = model is not None and "image" in (model.input_modalities or "").split(",")
    return Callee(target.model, target.base_url, target.api_key_env, takes_images, "openrouter" in target.base_url)
