"""A generated router's catalog: models, their providers' endpoints, what is reported of them, and usage by day.

For benchmarks and for pictures; no such provider or model exists, and nothing in it was measured.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence

from store.schema import Endpoint, EndpointStats, Model, Row, Usage

DAY_MS = 86_400_000
AUTHORS = ("aurora", "borealis", "cirrus", "delta", "ember", "fjord", "granite", "harbor", "indigo", "juniper")
FAMILIES = ("Nimbus", "Quartz", "Lumen", "Tundra", "Saffron", "Vector", "Meadow", "Cobalt")
SIZES = (1, 3, 4, 8, 12, 27, 32, 70, 120, 405)
PROVIDERS = tuple(f"Provider {letter}" for letter in "ABCDEFGHIJKLMNOPQRST")
PARAMETERS = ("max_tokens", "temperature", "top_p", "seed", "stop", "tools", "structured_outputs", "reasoning")
CONTEXTS = (8_192, 32_768, 65_536, 131_072, 262_144, 1_048_576)
APPS = ("Pocket Writer", "Terminal Mate", "Study Hall", "Codesmith", "Roleplay Inn", "Inbox Zero", "Deep Digest",
        "Lingua", "Slide Maker", "Home Chef", "Bug Hunter", "Plot Twist")  # fmt: skip


def models(now: int, count: int, seed: int = 11) -> list[Model]:
    """`count` models as a router's list would tell them, since some day of the last two years."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        author, family, size = AUTHORS[number % 10], FAMILIES[number // 10 % 8], chance.choice(SIZES)
        free = number % 9 == 4
        slug = f"{author}/{family.lower()}-{size}b-{number}"
        price = 0.0 if free else round(0.004 * size**0.9 * chance.lognormvariate(0, 0.6), 4)
        image = number % 4 == 0
        found.append(
            Model(
                "openrouter",
                slug + (":free" if free else ""),
                now - 3 * DAY_MS,
                None,
                f"{author.title()}: {family} {size}B{' (free)' if free else ''}",
                now - chance.randint(5, 700) * DAY_MS,
                f"A generated model of {size} billion parameters, for pictures and benchmarks.",
                chance.choice(CONTEXTS),
                chance.choice((4_096, 8_192, 16_384, None)),
                _text(price),
                _text(round(price * chance.choice((1, 2, 3, 4)), 4)),
                None,
                "image,text" if image else "text",
                "text",
                ",".join(sorted(chance.sample(PARAMETERS, chance.randint(4, 8)))),
                slug,
            )
        )
    return found


def endpoints(now: int, listed: Sequence[Model], count: int, seed: int = 12) -> list[Endpoint]:
    """`count` endpoints, spread over the models."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        model = listed[number % len(listed)]
        provider = PROVIDERS[(number // len(listed) * 7 + number) % len(PROVIDERS)]
        price = float(model.usd_per_million_input or 0) * chance.choice((0.8, 1, 1, 1.2, 1.6))
        more: dict[str, object] = {"input_cache_read": f"{price / 4e6:.12f}"} if number % 3 == 0 and price else {}
        if number % 11 == 5 and price:
            more |= {"discount": 0.25}
        if number % 13 == 6 and price:
            more |= {"overrides": [{"min_prompt_tokens": 128_000, "prompt": f"{price * 2 / 1e6:.12f}"}]}
        quantization = chance.choice(("bf16", "fp8", "fp4"))
        found.append(
            Endpoint(
                "openrouter",
                model.model,
                f"{provider.lower().replace(' ', '-')}/{quantization}",
                now - 3 * DAY_MS,
                None,
                provider,
                quantization,
                model.context_tokens if number % 5 else 32_768,
                chance.choice((4_096, 8_192, 16_384)),
                None,
                _text(round(price, 4)),
                _text(round(price * 2.5, 4)),
                None,
                model.supported_parameters if number % 4 else "max_tokens,temperature",
                json.dumps(more, sort_keys=True) if more else None,
                number % 3 != 1,
            )
        )
    return list({(row.model, row.tag): row for row in found}.values())


def reports(now: int, listed: Sequence[Endpoint], hours: int, seed: int = 13) -> Iterator[EndpointStats]:
    """What was reported of each endpoint, every half hour."""
    chance = random.Random(seed)
    for number, endpoint in enumerate(listed):
        ttft, speed = 250 * chance.lognormvariate(0, 0.4), 70 * chance.lognormvariate(0, 0.4)
        bad = chance.uniform(0.9, 0.999) if number % 3 else 0.9999
        for step in range(hours * 2):
            five = 1.0 if chance.random() < bad else chance.choice((0.8, 0.6, 0.0))
            yield EndpointStats(
                "openrouter",
                endpoint.model,
                endpoint.tag,
                now - step * 1_800_000 - 60_000,
                endpoint.provider,
                0,
                five,
                min(1.0, (five + 5) / 6),
                round(min(1.0, bad + 0.005), 4),
                round(ttft * chance.lognormvariate(0, 0.1), 1),
                round(ttft * 1.3, 1),
                round(ttft * 1.9, 1),
                round(ttft * 4, 1),
                round(speed * chance.lognormvariate(0, 0.05), 1),
                round(speed * 0.9, 1),
                round(speed * 0.8, 1),
                round(speed * 0.5, 1),
            )


def usage(now: int, canonical: Sequence[str], days: int = 30, seed: int = 14) -> Iterator[Usage]:
    """The public figures of these models and of apps, and an account's own, by day."""
    chance = random.Random(seed)
    today = now - now % DAY_MS
    for back in range(1, days + 1):
        day = today - back * DAY_MS
        week = 0.75 if (day // DAY_MS + 4) % 7 in (0, 6) else 1.0
        for number, name in enumerate(canonical):
            base = 4e8 / (number + 1) * week * (1 + 0.02 * (days - back))
            for variant, part in (("standard", 0.62), ("free", 0.31), ("batch", 0.07)):
                yield Usage(
                    "openrouter_models", day, name, variant, tokens=int(base * part * chance.uniform(0.85, 1.15))
                )
            for provider, part in (("Provider A", 3e5), ("Provider B", 1.2e5)):
                prompt = int(part / (number + 1) * week * chance.uniform(0.6, 1.4))
                yield Usage(
                    "openrouter_account", day, name, "standard", "all", provider, prompt + prompt // 3, prompt,
                    prompt // 3, 0, prompt // 5, max(1, prompt // 900), round(prompt * 0.06e-6, 6),
                )  # fmt: skip
        yield Usage("openrouter_models", day, "other", "all", tokens=int(9e10 * week))
        for number, app in enumerate(APPS):
            tokens = int(6e9 / (number + 1) ** 1.1 * week * chance.uniform(0.8, 1.2))
            yield Usage("openrouter_apps", day, app=app, tokens=tokens, requests=tokens // 2_100)


def market(now: int, count: int, endpoint_count: int, hours: int = 24) -> Iterator[Row]:
    """All of it; reports for the endpoints of the first ten models alone, as of those that are probed."""
    listed = models(now, count)
    hosted = endpoints(now, listed, endpoint_count)
    yield from listed
    yield from hosted
    probed = {model.model for model in listed[:10]}
    yield from reports(now, [endpoint for endpoint in hosted if endpoint.model in probed], hours)
    yield from usage(now, [str(model.canonical_slug) for model in listed[:5]])


def _text(price: float) -> str:
    return f"{price:.4f}".rstrip("0").rstrip(".") or "0"
