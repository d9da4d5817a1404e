"""The providers of a model: what the router reports of each endpoint, beside what the probes measured there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from pages.components import formatting
from pages.components.table import below, provider, quiet, table
from routing.prices import conditions_of, discount_of
from routing.selection import PARAMETERS
from stats.providers import ProviderMeasurement
from store.schema import Endpoint, EndpointStats, Model

COLUMNS = (
    "Provider",
    "Context",
    "Max output",
    "In / out per M",
    "Uptime, 1 d (reported)",
    "TTFT p50 (reported)",
    "measured",
    "tok/s p50 (reported)",
    "measured",
)


def providers(
    endpoints: Iterable[Endpoint], reported: Mapping[str, EndpointStats], measured: Mapping[str, ProviderMeasurement]
) -> Markup:
    """One row an endpoint."""

    def cells(endpoint: Endpoint) -> list[str]:
        report, own = reported.get(endpoint.tag), measured.get(endpoint.provider or "")
        prices = Markup().join(below(line) for line in other_prices(endpoint))
        return [
            provider(endpoint) + _supports(endpoint),
            formatting.count(endpoint.context_tokens),
            formatting.count(endpoint.max_output_tokens),
            formatting.prices(endpoint) + prices,
            formatting.percent(report.uptime_1d if report is not None else None),
            formatting.latency(report.latency_p50_ms if report is not None else None),
            formatting.latency(own.ttft.p50) + quiet(f" · {formatting.probes(own.answers)}")
            if own is not None
            else quiet("not probed"),
            formatting.rate(report.tokens_per_second_p50 if report is not None else None),
            formatting.rate(own.speed.p50 if own is not None else None),
        ]

    return table(COLUMNS, map(cells, endpoints), region="Providers", most_px=360)


def _supports(endpoint: Endpoint) -> Markup:
    """The parameters that decide which endpoints can serve a request, by name; all of them on hover."""
    known = (endpoint.supported_parameters or "").split(",")
    shown = [word for word, name in PARAMETERS.items() if name in known]
    others = sum(bool(name) for name in known) - len(shown)
    parts = shown + ([formatting.plural(others, "more parameter" if shown else "parameter")] if others else [])
    parts += ["zero data retention"] if endpoint.zero_retention else []
    title = ", ".join(known).replace("_", " ")
    return Markup('<span class="more" title="{}">{}</span>').format(title, ", ".join(parts)) if parts else Markup()


def other_prices(row: Endpoint | Model) -> list[str]:
    """The rest of a price in words: a fee per request, a discount, prices under conditions."""
    lines = [f"{formatting.price(row.usd_per_request)} per request"] if row.usd_per_request not in (None, "0") else []
    lines += [f"{discount:.0%} off" for discount in [discount_of(row)] if discount]
    for condition in conditions_of(row):
        known = [f"${price.normalize():f}" for price in (condition.input, condition.output) if price is not None]
        lines.append(f"{condition.when}: {' / '.join(known) or 'other prices'}")
    return lines


def versions_of(target_name: str, versions: Iterable[Model]) -> list[Model]:
    """The versions from one source: the target's own server before the router."""
    own = [model for model in versions if model.source == target_name]
    return own or [model for model in versions if model.source == "openrouter"]
