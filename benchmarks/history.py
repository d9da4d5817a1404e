"""A generated history with what real ones have: heavy tails, outages, rate limits, gaps and a shift in speed.

    python -m benchmarks.history sqlite:///data/demo.db --days 30

For benchmarks and for pictures; nothing in it was measured.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Annotated

import typer

from benchmarks import market
from store import open_store
from store.schema import Budget, Endpoint, Model, Probe, Row, Run, Target

DAY_MS = 86_400_000
PROFILES = (
    # name, model, interval in seconds, typical TTFT in ms, tokens per second, outages a month, USD per million in, out
    ("Gemma 3 270M, this machine", "local/gemma-3-270m", 15, 88, 61, 1, "0", "0", 32_768),
    ("Gemma 3 1B (free)", "google/gemma-3-1b-it:free", 1_800, 412, 64, 4, "0", "0", 32_768),
    ("Gemma 3 4B, Provider A", "google/gemma-3-4b-it", 60, 365, 92, 3, "0.02", "0.04", 131_072),
    ("Gemma 3 4B, Provider B", "google/gemma-3-4b-it", 60, 512, 77, 14, "0.02", "0.04", 131_072),
    ("Gemma 3 27B", "google/gemma-3-27b-it", 60, 640, 41, 2, "0.08", "0.16", 131_072),
    ("Model behind our gateway", "acme/support-llm", 300, 233, 118, 3, None, None, 8_192),
)

ROUTED = ("google/gemma-3-1b-it:free", "google/gemma-3-27b-it")
"""Those that a router serves with any of its providers."""
DEARER = {4: ("0.1", "0.2")}
"""What a model cost, in and out, until its price fell when half of the time was over."""


def history(now: int, days: float, seed: int = 7, *, brief: Collection[str] = ()) -> Iterator[Row]:
    """Rows of six targets that end at `now` (milliseconds UTC): one down now, one rate limited, all with one gap.
    Those named in `brief` are probed for the last day alone.
    """
    chance = random.Random(seed)
    since = now - int(days * DAY_MS)
    gap = (since + int(0.38 * days * DAY_MS), since + int(0.42 * days * DAY_MS))
    for number, (name, model, every_s, ttft, speed, outages, usd_in, usd_out, context) in enumerate(PROFILES):
        url = "http://127.0.0.1:8095/v1" if number == 0 else "https://openrouter.ai/api/v1"
        yield Target(name, "demo", "active", model, url, every_s, "ping", now, 3_600.0)
        told = Model(
            name if number in (0, 5) else "openrouter",
            model,
            since,
            name=name.partition(",")[0],
            created_at=1_741_910_400_000,
            context_tokens=context,
            max_output_tokens=8_192,
            usd_per_million_input=usd_in,
            usd_per_million_output=usd_out,
            input_modalities="text",
            supported_parameters="structured_outputs,temperature,tools" if number else None,
            description="A small multilingual model for text. The numbers on this page are generated.",
            canonical_slug=model.partition(":")[0],
        )
        cheaper_at, dearer = (since + now) // 2, DEARER.get(number)
        if dearer is not None:
            yield replace(told, valid_to=cheaper_at, usd_per_million_input=dearer[0], usd_per_million_output=dearer[1])
            told = replace(told, valid_from=cheaper_at)
        yield told
        holes = [
            (at := chance.randint(since, now), at + chance.randint(2, 40) * 60_000)
            for _ in range(max(1, round(outages * days / 30)))
        ]
        if number == 3:
            holes.append((now - 12 * 60_000, now))
        price = (float(usd_in), float(usd_out)) if usd_in and usd_out else None
        earlier = (float(dearer[0]), float(dearer[1])) if dearer else price
        shift = since + int(0.6 * days * DAY_MS)
        for profile, step_s in (("ping", every_s), ("throughput", 3_600)):
            at = (now - DAY_MS if name in brief else since) + chance.randint(0, step_s * 1_000)
            while at < now - 4_000:
                if not gap[0] <= at < gap[1]:
                    slower = 1.28 if number == 1 and at >= shift else 1.0
                    limited = number == 5 and at > now - int(0.09 * days * DAY_MS)
                    down = any(a <= at < b for a, b in holes)
                    costs = price if at >= cheaper_at else earlier
                    yield _probe(chance, name, model, at, profile, step_s, ttft * slower, speed, costs, down, limited)
                at += step_s * 1_000
    hosted = [_hosted(since, number, model) for number in range(4) for model in ROUTED]
    yield from hosted
    yield from market.reports(now, hosted, min(int(days * 24), 240))
    yield from market.usage(now, [model.partition(":")[0] for model in ROUTED])
    yield from market.market(now, 340, 340)
    yield Budget("demo", now - now % DAY_MS, 0.0121, 0.25, 31, 48, now - 4_000)
    yield Run("probe", now - 5_000, "demo", now - 4_000, 6)


def _hosted(since: int, number: int, model: str) -> Endpoint:
    """A provider's endpoint of a model that is probed."""
    letter = "ABCD"[number]
    usd = 0.0 if model.endswith(":free") else (0.02, 0.03, 0.05, 0.02)[number]
    more: tuple[dict[str, object], ...] = (
        {"input_cache_read": "0.000000005"},
        {"discount": 0.2},
        {"overrides": [{"min_prompt_tokens": 64_000, "prompt": "0.0000001"}]},
        {},
    )
    return Endpoint(
        "openrouter",
        model,
        f"provider-{letter.lower()}/{('bf16', 'fp8', 'fp8', 'fp4')[number]}",
        since,
        None,
        f"Provider {letter}",
        ("bf16", "fp8", "fp8", "fp4")[number],
        (131_072, 131_072, 32_768, 8_192)[number],
        (16_384, 8_192, 8_192, 4_096)[number],
        None,
        f"{usd:g}",
        f"{usd * 2:g}",
        None,
        ("structured_outputs,temperature,tools", "temperature,tools", "temperature,tools", "temperature")[number],
        json.dumps(more[number]) if more[number] and usd else None,
        number != 1,
    )


def _route(chance: random.Random, model: str) -> tuple[str | None, str | None]:
    """Who was tried for a request to the router, as JSON, and who answered."""
    if model not in ROUTED:
        return None, None
    first = chance.choices(("Provider A", "Provider B", "Provider C"), (72, 20, 8))[0]
    steps = [{"provider": first, "model": model, "status": 200}]
    if chance.random() < {"Provider A": 0.02, "Provider B": 0.09, "Provider C": 0.05}[first]:
        steps[0]["status"] = chance.choice((429, 500, 503))
        steps.append({"provider": chance.choice(("Provider C", "Provider D")), "model": model, "status": 200})
    return json.dumps(steps), str(steps[-1]["provider"])


def _probe(
    chance: random.Random,
    name: str,
    model: str,
    at: int,
    profile: str,
    step_s: int,
    ttft: float,
    speed: float,
    price: tuple[float, float] | None,
    down: bool,
    limited: bool,
) -> Probe:
    if limited:
        return Probe(
            name, at, "demo", profile, step_s, "rate_limited", 429, 0.3, error="HTTP 429, slow down (retry after 30)"
        )
    if down:
        outcome, status, error = chance.choice(
            (
                ("server_error", 503, "HTTP 503, the model is overloaded"),
                ("timeout", None, "waiting for the response took more than 30 s"),
                ("stream_error", 200, "502: upstream provider failed"),
            )
        )
        return Probe(name, at, "demo", profile, step_s, outcome, status, 0.3, error=error)
    hour = (at % DAY_MS) / 3_600_000
    busy = 1 + 0.12 * (9 <= hour <= 18)
    first = ttft * busy * chance.lognormvariate(0, 0.16) * (1 + 2.5 * (chance.random() < 0.05))
    rate = speed / busy * chance.lognormvariate(0, 0.06)
    tokens = 128 if profile == "throughput" else chance.choice((2, 2, 3))
    prompt = 21 if profile == "ping" else 30
    route, provider = _route(chance, model)
    return Probe(
        name,
        at,
        "demo",
        profile,
        step_s,
        "ok",
        200,
        round(abs(chance.gauss(0.3, 0.2)), 3),
        None,
        round(first, 3),
        round(first + tokens / rate * 1_000, 3),
        round(rate, 2) if profile == "throughput" else None,
        prompt,
        tokens,
        None,
        0,
        "usage",
        None if price is None else (price[0] * prompt + price[1] * tokens) / 1e6,
        chance.random() < 0.97 if profile == "ping" else None,
        provider or ("Provider A" if "Provider A" in name else None),
        model,
        "stop",
        route,
    )


def main(
    url: Annotated[str, typer.Argument(metavar="URL", help="The store to fill, such as sqlite:///data/demo.db.")],
    days: Annotated[float, typer.Option(help="How many days the history is long.")] = 30,
    seed: Annotated[int, typer.Option(help="Another seed, another history.")] = 7,
) -> None:
    """Fill a store with a generated history that ends now."""
    import time

    store = open_store(url)
    count = store.write(history(time.time_ns() // 1_000_000, days, seed))
    store.close()
    typer.echo(f"{count:,} rows in {url}")


if __name__ == "__main__":
    typer.run(main)
