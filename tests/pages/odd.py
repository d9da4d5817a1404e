"""A generated history with what real ones have and tidy ones lack, for comparing what two stores say of it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from benchmarks.history import history
from store.alert_tables import Alert, Silence
from store.capability_tables import CapabilityTest
from store.identity_tables import IdentityCheck, IdentityEpoch
from store.outcomes import Outcome
from store.schema import (
    Adaptation,
    Budget,
    Certificate,
    Endpoint,
    EndpointStats,
    Exclusion,
    Model,
    Pause,
    Probe,
    RateLimit,
    Row,
    Run,
    Usage,
)
from store.workload_tables import WorkloadRequest
from tests.factories import DAY, HOUR, MINUTE, SECOND, attempt, model, probe, target

DAYS = 2.2
PROVIDERS = ("Alpha", "Beta", None)
ROUTE = '[{"provider": "Alpha", "model": "m", "status": 503}, {"provider": "Beta", "model": "m", "status": 200}]'
ODD_NAME = 'It\'s \\ "odd" {name:String} 100% \t?'
HOSTILE = "<b>=cmd|'/C calc'!A0</b> \"quoted\", 100% ☃"


def odd_history(now: int, seed: int = 11) -> Iterator[Row]:
    """Six generated targets as in the pictures, and these besides, which end at `now` (milliseconds UTC)."""
    yield from history(now, DAYS, seed)
    yield from _two_places(now, random.Random(seed))
    yield from _throughput_only(now)
    yield from _unpriced(now)
    yield from _troubled(now, random.Random(seed + 1))
    yield from _of_one_moment(now)
    yield from _relayed(now, random.Random(seed + 2))
    yield from _checked(now)
    yield from _catalog(now)
    yield from _around(now)


def _two_places(now: int, chance: random.Random) -> Iterator[Row]:
    """One target from two places, one of which has a long outage, and whose interval changed."""
    for place, every_s in (("Oslo", 120.0), ("Perth", 60.0)):
        yield target("Both places", location=place, every_s=every_s, updated_at=now, model="acme/both")
        at = now - 2 * DAY + chance.randrange(MINUTE)
        while at < now:
            is_out = place == "Perth" and 20 * HOUR < now - at < 27 * HOUR
            step_s = every_s if at > now - DAY else every_s / 2
            outcome = "server_error" if is_out or chance.random() < 0.01 else "ok"
            more = {"provider": chance.choice(PROVIDERS), "route": ROUTE if chance.random() < 0.2 else None}
            yield probe(
                at, outcome, target="Both places", location=place, stands_for_s=step_s,
                ttft_ms=chance.lognormvariate(5, 0.6) if outcome == "ok" else None, cost_usd=1e-7 / 3, **more,
            )  # fmt: skip
            at += int(step_s * 1_000) + chance.randrange(-500, 500)


def _throughput_only(now: int) -> Iterator[Row]:
    """A target that is only measured for speed."""
    yield target("Speed alone", profile="throughput", every_s=900.0, updated_at=now, model="acme/speed", tags="a,b")
    for n in range(200):
        outcome = "timeout" if n in (3, 4, 5, 90) else "ok"
        yield probe(
            now - n * 15 * MINUTE - 7, outcome, target="Speed alone", profile="throughput", stands_for_s=900.0,
            tokens_per_second=40.0 + n % 13 if n % 7 else None, completion_tokens=128 if outcome == "ok" else None,
        )  # fmt: skip


def _unpriced(now: int) -> Iterator[Row]:
    """Requests whose price nobody knows, some of them cut; and some before midnight, UTC."""
    yield target("No price", updated_at=now, every_s=300.0, model="acme/unpriced", provider="Pinned")
    for n in range(300):
        outcome = ("ok", "ok", "stream_error", "empty", "invalid_response")[n % 5 if n % 40 == 0 else 0]
        yield probe(now - n * 5 * MINUTE - 31, outcome, target="No price", stands_for_s=300.0, cost_usd=None)


def _troubled(now: int, chance: random.Random) -> Iterator[Row]:
    """Every outcome there is, confirmations that stand for no time, an overloaded machine, and a gap; down at the end."""
    yield target("Troubled", updated_at=now, model="acme/troubled", every_s=60.0, throughput_every_s=3_600.0)
    for n in range(40 * 60):
        at = now - n * MINUTE - 11 * SECOND
        if 300 < n < 420:
            continue
        outcome = "connection_error" if n < 3 or 700 < n < 760 else "ok"
        if outcome == "ok" and chance.random() < 0.15:
            outcome = chance.choice(get_args(Outcome))
        yield probe(
            at, outcome, target="Troubled", lag_ms=chance.choice((0.1, 0.5, 19.999, 20.0, 20.001, 80.0)),
            ttft_ms=chance.choice((0.0001, 0.4, 88.8, 1_234.5, 29_999.9)) if outcome == "ok" else None,
            total_ms=chance.uniform(1, 30_000) if outcome == "ok" else None,
            cost_usd=chance.choice((0.0, 1e-12, 0.000123, None)), answer_ok=chance.choice((True, False, None)),
            reasoning_tokens=chance.choice((None, 0, 70_000)), error=None if outcome == "ok" else f"{outcome} {HOSTILE}",
            first_answer_ms=chance.choice((None, 1_500.0)) if outcome == "ok" else None, system_fingerprint=HOSTILE,
        )  # fmt: skip
        if outcome != "ok":
            yield probe(at + 10 * SECOND, chance.choice(("ok", outcome)), target="Troubled", stands_for_s=0.0)
    for n in range(30):
        yield probe(now - n * HOUR, target="Troubled", profile="throughput", stands_for_s=3_600.0)


def _of_one_moment(now: int) -> Iterator[Row]:
    """Probes of several targets, profiles and places that began in the same millisecond; and targets without one."""
    for name in ("Same b", "Same a", ODD_NAME):
        yield target(name, updated_at=now, model="acme/same", every_s=600.0)
        for n in range(150):
            yield probe(now - n * 10 * MINUTE, target=name, stands_for_s=600.0, ttft_ms=100.0 + n)
            if n % 6 == 0:
                yield probe(now - n * 10 * MINUTE, target=name, profile="throughput", stands_for_s=3_600.0)
    yield target("Keyless", state="waiting_for_key", api_key_env="SOME_KEY", updated_at=now, model="acme/keyless")
    yield target("New", updated_at=now, model="acme/new")
    yield target("Was here", state="removed", updated_at=now - DAY, model="acme/removed")
    yield target("Silent", updated_at=now - DAY, model="acme/silent")
    yield from (probe(now - DAY - n * MINUTE, target=name) for n in range(200) for name in ("Was here", "Silent"))


def _relayed(now: int, chance: random.Random) -> Iterator[Row]:
    """Requests through relays at two places: busy minutes, fallbacks, clients that went, and apps without a name."""
    apps = ("https://shop.example", None, HOSTILE)
    for n in range(1_200):
        at, name = now - n * 9 * SECOND - chance.randrange(4 * SECOND), f"gen-{n}"
        place = chance.choice(("Oslo", "Perth"))
        outcomes = [chance.choice(("ok", "ok", "ok", *get_args(Outcome))), "ok"]
        targets = chance.sample(("Both places", "Troubled"), 2)
        for number, (outcome, tried) in enumerate(zip(outcomes, targets, strict=True), 1):
            goes = chance.random() < 0.03
            yield attempt(
                at + number, outcome, target=tried, request_id=name, attempt=number, location=place, cancelled=goes,
                model="acme/both" if tried == "Both places" else None, provider=chance.choice(PROVIDERS),
                app=chance.choice(apps), served_model=chance.choice((None, "acme/both-2", HOSTILE)),
                ttft_ms=chance.lognormvariate(5, 0.5) if outcome == "ok" else None, cost_usd=chance.choice((None, 0.0, 0.25)),
                prompt_tokens=chance.choice((None, 0, 900)), cached_tokens=chance.choice((None, 128)),
                http_status=chance.choice((None, 200, 503)), error=None if outcome == "ok" else "code",
                added_ms=chance.uniform(0.1, 4) if outcome == "ok" else None,
            )  # fmt: skip
            if outcome == "ok" or goes:
                break
    yield Run("relay", now - HOUR, "Oslo", now - HOUR + MINUTE, 900, 3, HOSTILE, queued=250)
    yield Run("relay", now - 2 * HOUR, "Perth", now - 2 * HOUR + MINUTE, 300, 0, queued=9)


def _checked(now: int) -> Iterator[Row]:
    """Checks of what is served: a change, a return from two places, one that failed, and one that was not scored."""
    first = [[{"cached": 0, "logprobs": {"yes": -0.1, HOSTILE: -2.5}}]] * 24
    learned = {"frozen_at": now - 36 * HOUR, "reference": json.dumps(first), "calibration": json.dumps([0.001] * 96)}
    for place, at in (("Oslo", now - 40 * HOUR), ("Perth", now - 41 * HOUR)):
        ends = now - 20 * HOUR
        yield IdentityEpoch("Both places", place, at, "logprobs", at, ended_at=ends, **learned)
        yield IdentityEpoch("Both places", place, ends, "logprobs", ends + HOUR, now - HOUR, distance=0.62)
        yield IdentityEpoch("Both places", place, now - HOUR, "logprobs", now - MINUTE, same_as=at, **learned)
        for n in range(40):
            outcome = "timeout" if n == 7 else "ok"
            observed = json.dumps(first[0]) if n % 9 else None
            yield IdentityCheck(
                "Both places", now - n * HOUR - 13, place, "logprobs", outcome, 2, 20, observed,
                at, 0.01 * n if n % 5 and outcome == "ok" else None, 200, 14, 2, 1e-7, "Beta", HOSTILE, HOSTILE,
                None if outcome == "ok" else HOSTILE,
            )  # fmt: skip
    words = (None, "refused with HTTP 400", HOSTILE)
    for n in range(60):
        what, verdict = ("tools", "seed", "context")[n % 3], ("holds", "fails", "not_tested")[(n // 9) % 3]
        yield CapabilityTest(
            "Both places", now - n * HOUR - 17, ("Oslo", "Perth")[n % 2], what, verdict, "ok", n % 4,
            (None, True, False)[n % 5 % 3], None if verdict == "holds" else words[n % 3], PROVIDERS[n % 3],
            200, 40 + n, None if n % 7 else 8, None if n % 4 else 1e-6, HOSTILE if n % 11 == 0 else None,
        )  # fmt: skip
        kind, size = (("size", 100), ("size", 10_000), ("first", 5_000), ("again", 5_000))[n % 4]
        outcome = ("ok", "ok", "timeout", "ok", "skipped")[n % 5]
        yield WorkloadRequest(
            "Both places", now - n // 4 * HOUR - 19, ("Oslo", "Perth")[n // 4 % 2], ("ladder", HOSTILE)[n // 8 % 2], kind, size,
            outcome, 80, size + n, None if n % 3 else n, 128, 200, 40.0 * size, 50.0 * size, None if n % 7 == 0 else 31.5,
            2.5, None if n % 6 else 10.0, None if n % 9 == 0 else 1e-5 * n, PROVIDERS[n % 3], HOSTILE,
            None if outcome == "ok" else HOSTILE,
        )  # fmt: skip


def _catalog(now: int) -> Iterator[Row]:
    """Prices and sizes that changed, a model that went and came back, endpoints, and what is reported of them."""
    versions = (("1", 8_192), ("0.5", 8_192), ("0.50000000000000000001", 32_768), ("varies", 32_768))
    for n, (usd, context) in enumerate(versions):
        yield Model(
            "openrouter", "acme/both", now - (len(versions) - n) * 9 * HOUR, None, "Acme: Both", now - 90 * DAY,
            f"A text that is long. {HOSTILE}", context, usd_per_million_input=usd, usd_per_million_output=usd,
            input_modalities="image,text", output_modalities="text", supported_parameters="seed,tools",
            canonical_slug="acme/both",
        )  # fmt: skip
    gone = model(now - 2 * DAY, model="acme/troubled", canonical_slug="acme/troubled", description=HOSTILE)
    yield gone
    yield replace(gone, valid_to=now - DAY)
    yield replace(gone, valid_from=now - HOUR, context_tokens=None)
    for n, tag in enumerate(("alpha/bf16", "beta/fp8", "gamma")):
        yield Endpoint(
            "openrouter", "acme/both", tag, now - DAY, None, PROVIDERS[n], "fp8" if n else None, 32_768, None, None,
            str(n), "0.25", "0.001" if n else None, "seed,tools" if n != 1 else None,
            '{"discount": 0.5, "overrides": [{"min_prompt_tokens": 32000, "prompt": "0.000004"}]}', bool(n) if n else None,
        )  # fmt: skip
        for back in range(40):
            five = (1.0, 0.8, None)[back % 3]
            yield EndpointStats(
                "openrouter", "acme/both", tag, now - back * 30 * MINUTE, PROVIDERS[n], (0, -2, None)[n], five, 0.99,
                0.97 if n else None, 400.0 + back, tokens_per_second_p50=50.5 if n else None,
            )  # fmt: skip


def _around(now: int) -> Iterator[Row]:
    """Usage, runs with errors, budgets of two places, and what servers refuse."""
    today = now - now % DAY
    for back in range(12):
        day = today - back * DAY
        for variant, tokens in (("standard", 10**12 + back), ("free", None)):
            yield Usage("openrouter_models", day, "acme/both", variant, tokens=tokens)
        yield Usage(
            "openrouter_account",
            day,
            "acme/both",
            "standard",
            provider="Beta",
            tokens=7,
            requests=3,
            cost_usd=0.1 + 0.2,
        )
    for n in range(90):
        error = f"GET /models: {HOSTILE}" if n % 17 == 0 else None
        for collector in ("probe", "catalog"):
            yield Run(collector, now - n * 20 * MINUTE, "Oslo", now - n * 20 * MINUTE + n * 37, n, n % 5, error)
    yield Budget("Oslo", today, 0.1 + 0.2, 0.25, 48, 48, now - MINUTE)
    yield Budget("Perth", today, 0.0, 0.25, 0, 48, now)
    yield Budget("Perth", today - DAY, 0.25, 0.25, 7, 48, today - 1)
    yield Adaptation("Troubled", "http://h/v1", "m", "temperature", None, now - DAY)
    yield Adaptation("Troubled", "http://h/v1", "m", "max_tokens", '"max_completion_tokens"', now)
    yield RateLimit("Troubled", "Oslo", now - MINUTE, now + HOUR, f"HTTP 429: {HOSTILE}", 50, 0, now + HOUR)
    yield RateLimit("Both places", "Perth", now, None, None, 50, 49, now + MINUTE, 10**6, 999_936, now + SECOND)
    yield from _decided(now)


def _decided(now: int) -> Iterator[Row]:
    """What people and alerts left; none of it concerns a probe."""
    yield Pause("Troubled", now - 9 * DAY, now - 8 * DAY, HOSTILE)
    yield Pause("Both places", now - 9 * DAY, now - 9 * DAY + MINUTE)
    yield Exclusion("Troubled", now - 9 * DAY, "1f0c9a3b", now - 8 * DAY, now - DAY, HOSTILE, now - HOUR)
    yield Exclusion("Troubled", now - 9 * DAY, "2f0c9a3b", now - 8 * DAY, now - DAY)
    yield Certificate("h.example:8443", "Oslo", now - MINUTE, now + 5 * DAY, HOSTILE)
    yield Certificate("h.example:8443", "Perth", now, now + 90 * DAY)
    yield Alert("Troubled", "down", "Oslo", "ops", now - HOUR, now - HOUR - MINUTE, cause="timeout", detail=HOSTILE)
    yield Alert("*", "budget", "Perth", "ops", now - DAY, now - DAY, now - HOUR, now - HOUR, sent_at=now - DAY + 1)
    yield Silence("Both *", "Perth", now - DAY, now - HOUR)


def late(now: int) -> list[Probe]:
    """Probes that reach the store after newer ones: one ends an incident early, one makes an outage longer."""
    return [
        probe(now - 730 * MINUTE - 5 * SECOND, target="Troubled"),
        probe(now - 10 * HOUR - 5 * SECOND, "timeout", target="No price"),
        probe(now - 10 * HOUR - 4 * SECOND, "timeout", target="No price"),
    ]
