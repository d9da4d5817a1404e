"""The lower parts of the model page: providers, history, sample code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape

from pages.components import formatting
from pages.components.sample_code import DIALECTS, SampleRequest
from routing.prices import conditions_of, discount_of
from routing.selection import PARAMETERS
from stats.catalog_changes import Change
from stats.change_points import Shift
from stats.providers import ProviderMeasurement
from store.schema import Endpoint, EndpointStats, Model, Target

MOST_CHANGES = 20


def providers(
    endpoints: Iterable[Endpoint], reported: Mapping[str, EndpointStats], measured: Mapping[str, ProviderMeasurement]
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


def _provider(endpoint: Endpoint, said: EndpointStats | None, measured: Mapping[str, ProviderMeasurement]) -> str:
    met = measured.get(endpoint.provider or "")
    price = f"{formatting.price(endpoint.usd_per_million_input)} / {formatting.price(endpoint.usd_per_million_output)}"
    price += "".join(f'<span class="more">{escape(line)}</span>' for line in other_prices(endpoint))
    speed = met.speed.p50 if met is not None else None
    cells = [
        _tokens(endpoint.context_tokens),
        _tokens(endpoint.max_output_tokens),
        price,
        formatting.percent(said.uptime_1d) if said is not None else formatting.DASH,
        _ms(said.latency_p50_ms if said is not None else None),
        _ms(met.ttft.p50) + f' <span class="q">· {formatting.probes(met.answers)}</span>'
        if met is not None
        else _quiet("no probe met it"),
        formatting.rate(said.tokens_per_second_p50) if said is not None else formatting.DASH,
        formatting.rate(speed) if speed is not None else formatting.DASH,
    ]
    name = (
        f"<b>{escape(endpoint.provider or endpoint.tag)}</b> {_quiet(endpoint.quantization or '')}{_supports(endpoint)}"
    )
    return f"<tr><td>{name}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _supports(endpoint: Endpoint) -> str:
    """The parameters that decide who may serve a request, by name; all of them on hover."""
    known = (endpoint.supported_parameters or "").split(",")
    shown = [word for word, name in PARAMETERS.items() if name in known]
    others = sum(bool(name) for name in known) - len(shown)
    parts = shown + ([formatting.plural(others, "more parameter" if shown else "parameter")] if others else [])
    parts += ["keeps nothing of a prompt"] if endpoint.zero_retention else []
    title = escape(", ".join(known).replace("_", " "), quote=True)
    return f'<span class="more" title="{title}">{escape(", ".join(parts))}</span>' if parts else ""


def other_prices(row: Endpoint | Model) -> list[str]:
    """The rest of a price in words: a fee for each request, a discount, prices that hold only sometimes."""
    lines = [f"{formatting.price(row.usd_per_request)} per request"] if row.usd_per_request not in (None, "0") else []
    lines += [f"{discount:.0%} off" for discount in [discount_of(row)] if discount]
    for condition in conditions_of(row):
        known = [f"${price.normalize():f}" for price in (condition.input, condition.output) if price is not None]
        lines.append(f"{condition.when}: {' / '.join(known)}" if known else f"{condition.when}: other prices")
    return lines


def _quiet(text: str) -> str:
    return f'<span class="q">{escape(text)}</span>'


def _tokens(value: int | None) -> str:
    return formatting.DASH if value is None else f"{value:,d}"


def _ms(value: float | None) -> str:
    return formatting.DASH if value is None else f"{formatting.milliseconds(value)} ms"


def versions_of(target: Target, known: Iterable[Model]) -> list[Model]:
    """The versions from one source: the target's own server before the router."""
    own = [model for model in known if model.source == target.name]
    return own or [model for model in known if model.source == "openrouter"]


def changes_list(found: list[Change], zone: str) -> str:
    """Each change in words, newest first."""
    lines = "".join(f"<div>{escape(_change(change, zone))}</div>" for change in found[:MOST_CHANGES])
    more = f"<div>and {len(found) - MOST_CHANGES} more</div>" if len(found) > MOST_CHANGES else ""
    return f'<div class="u q">{lines}{more}</div>'


def _change(change: Change, zone: str) -> str:
    when = formatting.clock(change.at, zone, 0)
    if change.what == "listed":
        return f"{when}: {'listed again' if change.after == 'yes' else 'no longer listed'}"
    if change.what in ("parameters", "other prices"):
        return f"{when}: {change.what} changed"
    before, after = (
        formatting.price(said) if said and change.what.startswith("price") else said or "not said"
        for said in (change.before, change.after)
    )
    return f"{when}: {change.what} from {before} to {after}"


def callee(target: Target, model: Model | None) -> SampleRequest:
    """What the sample code calls."""
    takes_images = model is not None and "image" in (model.input_modalities or "").split(",")
    return SampleRequest(
        target.model,
        target.base_url,
        target.api_key_env,
        takes_images,
        "openrouter" in target.base_url,
        target.api if target.api in DIALECTS else "chat",  # of a newer Uptoken, or an import
        target.api_key_header,
        _params(target.params),
    )


def _params(said: str | None) -> dict[str, str]:
    """The query parameters that a row holds as JSON; none where it is no object: an imported row may say anything."""
    try:
        value = json.loads(said or "{}")
    except ValueError:
        return {}
    return {str(name): str(inner) for name, inner in value.items()} if isinstance(value, dict) else {}


def shifts_list(what: str, unit: str, found: Iterable[Shift], zone: str) -> str:
    """Each change point in words, newest first."""
    lines = "".join(
        f"<div><b>{escape(what)} went from {formatting.milliseconds(shift.before)} to "
        f"{formatting.milliseconds(shift.after)} {escape(unit)}</b> on {formatting.clock(shift.at, zone, 0)}</div>"
        for shift in sorted(found, key=lambda shift: -shift.at)
    )
    note = "A rank test: of a hundred series that do not change, about one would be said to."
    return f'<div class="u u-card">{lines}<div class="q">{note}</div></div>'
