"""The prices that are kept of a list come to what the list's own package computes, for every model that it has."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, Usage

from collectors.sources.known_prices import KEYS, KnownPrice, find_model, prices_of
from routing.prices import BilledTokens, Price, listed_price
from store.schema import Model
from tests.factories import NOON

HOURS = (2, 8, 20)
"""In the first of DeepSeek's peak windows, in the second, and outside both."""
TODAY = datetime(2026, 11, 25, tzinfo=UTC)
SMALL = BilledTokens(60, 20)
MIXED = BilledTokens(1_000, 400, cached=300, cache_write=200, cache_write_1h=50, reasoning=150)
SIZES = (1, 32_000, 32_001, 128_001, 200_000, 200_001, 272_001, 1_000_001)
LONG = [BilledTokens(size, 1_000, cached=size // 3, cache_write=size // 5, reasoning=10) for size in SIZES]
IGNORED = {
    "audio_hours", "cache_audio_read_mtok", "cache_image_read_mtok", "input_annotated_document_kpages",
    "input_audio_hours", "input_audio_mtok", "input_document_kpages", "input_image_mtok", "input_mchars",
    "input_text_messages_kcount", "input_video_mtok", "output_audio_mtok", "output_citation_mtok", "output_image_mtok",
    "output_video_mtok", "storage_searches_kcount", "web_searches_kcount",
}  # fmt: skip
"""Parts that no probe uses: sounds, images, documents, searches, citations."""
NOT_FOR_TEXT = {
    ("groq", "canopylabs/orpheus-arabic-saudi"),  # by the character
    ("groq", "canopylabs/orpheus-v1-english"),
    ("openai", "tts-1"),
    ("openai", "tts-1-hd"),
    ("groq", "whisper-large-v3"),  # by the hour of sound
    ("groq", "whisper-large-v3-turbo"),
    ("mistral", "voxtral-mini-2602"),
    ("mistral", "voxtral-mini-transcribe-3-0"),
    ("mistral", "voxtral-mini-transcribe-realtime-2602"),
    ("mistral", "voxtral-mini-transcribe-realtime-3-0"),
    ("mistral", "voxtral-small-transcribe-3-0"),
    ("openai", "gpt-live-1"),
    ("openai", "gpt-live-transcribe"),
    ("openai", "gpt-realtime-translate"),
    ("openai", "gpt-realtime-whisper"),
    ("openai", "gpt-transcribe"),
    ("openai", "whisper-1"),
    ("x-ai", "grok-voice-latest"),  # and by the message
    ("x-ai", "grok-voice-think-fast-1.0"),
    ("x-ai", "grok-voice-think-fast-2.0"),
    ("mistral", "mistral-ocr-2503"),  # by the page
    ("mistral", "mistral-ocr-2505"),
    ("mistral", "mistral-ocr-2512"),
    ("mistral", "mistral-ocr-4-0"),
    ("mistral", "mistral-ocr-4-1"),
    ("mistral", "mistral-ocr-latest"),
}
"""Models without a price for tokens: to a probe they have no known price, where the package computes 0."""


def every_model() -> Iterator[tuple[Any, Any]]:
    for provider in get_snapshot().providers:
        for model in provider.models:
            yield provider, model


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


USD: dict[tuple[str, str, BilledTokens, datetime | None], Decimal] = {}


def package_usd(provider: Any, model: Any, tokens: BilledTokens, moment: datetime) -> Decimal:
    """A price that is no list of prices with conditions is asked for once: the package looks at no clock for it."""
    key = provider.id, model.id, tokens, moment if isinstance(model.prices, list) else None
    if key not in USD:
        USD[key] = computed_usd(provider, model, tokens, moment)
    return USD[key]


def computed_usd(provider: Any, model: Any, tokens: BilledTokens, moment: datetime) -> Decimal:
    usage = Usage(
        input_tokens=tokens.prompt,
        output_tokens=tokens.completion,
        cache_read_tokens=tokens.cached,
        cache_write_tokens=tokens.cache_write,
        cache_write_1h_tokens=tokens.cache_write_1h,
        output_reasoning_tokens=tokens.reasoning,
    )
    return Decimal(model.calc_price(usage, provider, genai_request_timestamp=moment).total_price)


def our_usd(known: list[KnownPrice], tokens: BilledTokens, moment: datetime) -> Decimal:
    """What a row of the catalog, made of one of these prices, says that it costs."""
    at = milliseconds(moment)
    held = [k for k in known if (k.valid_from or 0) <= at and (k.valid_to is None or at < k.valid_to)]
    assert len(held) == 1
    return price_of_row(held[0]).cost(tokens, at)


@functools.cache
def price_of_row(known: KnownPrice) -> Price:
    row = Model(
        "t",
        "m",
        NOON,
        usd_per_million_input=known.usd_per_million_input,
        usd_per_million_output=known.usd_per_million_output,
        usd_per_request=known.usd_per_request,
        more_prices=known.more_prices,
    )
    price = listed_price(row)
    assert price is not None
    return price


def differences(known_at: datetime, moments: list[datetime]) -> tuple[list[str], set[tuple[str, str]], int]:
    """Where we and the package differ, the models that have no price here, and how many prices were compared."""
    wrong, unpriced, compared = [], set(), 0
    for provider, model in every_model():
        known = prices_of(model, milliseconds(known_at))
        if not known:
            unpriced.add((provider.id, model.id))
            continue
        for moment in moments:
            for tokens in (SMALL, MIXED, *LONG):
                compared += 1
                ours, theirs = our_usd(known, tokens, moment), package_usd(provider, model, tokens, moment)
                if ours != theirs:
                    wrong.append(f"{provider.id} {model.id} {moment:%Y-%m-%d %H}h {tokens}: {ours} is not {theirs}")
    return wrong, unpriced, compared


@pytest.mark.thorough
def test_every_model_of_the_list_costs_what_the_package_computes_at_three_hours_of_the_day() -> None:
    wrong, unpriced, compared = differences(TODAY, [TODAY + timedelta(hours=hour) for hour in HOURS])
    assert wrong == []
    assert unpriced == NOT_FOR_TEXT
    assert compared > 2_000 * len(HOURS) * 10


@pytest.mark.thorough
def test_what_it_cost_in_the_past_is_what_the_package_computes_for_then() -> None:
    wrong, _, _ = differences(TODAY, [datetime(2025, 3, 1, 2, tzinfo=UTC), datetime(2026, 9, 1, 20, tzinfo=UTC)])
    assert wrong == []


@pytest.mark.thorough
def test_a_price_that_was_read_before_it_changed_changes_on_the_day_that_the_list_names() -> None:
    moments = [TODAY - timedelta(days=ago) + timedelta(hours=8) for ago in (0, 30, 60, 90)]
    wrong, _, _ = differences(datetime(2025, 1, 1, tzinfo=UTC), moments)
    assert wrong == []


def test_every_part_of_a_price_in_the_list_is_computed_or_known_to_be_none_of_a_probes() -> None:
    parts = set()
    for _, model in every_model():
        prices = [model.prices] if isinstance(model.prices, ModelPrice) else [one.prices for one in model.prices]
        parts |= {name for one in prices for name, value in vars(one).items() if value is not None}
    assert parts <= set(KEYS.values()) | IGNORED


def test_hours_of_the_list_are_whole_minutes() -> None:
    constraints = [
        one.constraint for _, model in every_model() if isinstance(model.prices, list) for one in model.prices
    ]
    hours = [
        moment for one in constraints for name in ("start_time", "end_time") if (moment := getattr(one, name, None))
    ]
    assert hours
    assert all((moment.second, moment.microsecond) == (0, 0) for moment in hours)


@pytest.mark.parametrize(
    ("base_url", "model", "listed"),
    [
        ("https://api.openai.com/v1", "openai/gpt-4o", "gpt-4o"),
        ("https://api.openai.com/v1", "gpt-4o-2024-08-06", "gpt-4o"),
        ("https://eu.api.openai.com/v1", "gpt-4o", "gpt-4o"),
        ("https://api.openai.com/v1", "openai/gpt-oss-120b", "gpt-oss-120b"),
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            "regional.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        (
            "https://bedrock-mantle.eu-west-1.api.aws/v1",
            "us.anthropic.claude-3-5-sonnet-20241022-v2:0",
            "regional.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        (
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-opus-4-5-v1:0",
            "global.anthropic.claude-opus-4-5-v1:0",
        ),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "models/gemma-3-27b-it", "gemma-3"),
        (
            "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi",
            "projects/p/locations/l/publishers/google/models/gemini-2.5-pro",
            "gemini-2.5-pro",
        ),
        (
            "https://us-east5-aiplatform.googleapis.com/v1",
            "publishers/anthropic/models/claude-sonnet-4@20250514",
            "claude-4-sonnet",
        ),
        (
            "https://api.fireworks.ai/inference/v1",
            "accounts/fireworks/models/llama-v3p1-8b-instruct",
            "llama-v3p1-8b-instruct",
        ),
        ("https://foo.openai.azure.com/openai/deployments/gpt-35-turbo", "gpt-35-turbo", "gpt-3.5-turbo"),
        ("https://foo.openai.azure.com/openai/v1", "azure/gpt-4o", "gpt-4o"),
        ("https://foo.services.ai.azure.com/models", "DeepSeek-R1", "deepseek-reasoner"),
        ("https://api.x.ai/v1", "xai/grok-4", "grok-4-0709"),
        ("https://openrouter.ai/api/v1", "openai/gpt-4o:nitro", "openai/gpt-4o"),
        ("https://router.huggingface.co/v1", "openai/gpt-oss-120b:groq", "openai/gpt-oss-120b"),
        ("http://llm.lan:4000/v1", "openai/gpt-4o", "gpt-4o"),
        ("http://llm.lan:4000/v1", "gemini/gemini-2.5-flash", "gemini-2.5-flash"),
        (
            "http://llm.lan:4000/v1",
            "bedrock/us.anthropic.claude-3-5-sonnet-20241022-v2:0",
            "regional.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        ("http://llm.lan:4000/v1", "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
         "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ],
)  # fmt: skip
def test_a_model_is_found_by_every_name_that_servers_use(base_url: str, model: str, listed: str) -> None:
    found = find_model(base_url, model)
    assert found is not None
    assert found.id == listed


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        ("http://gpu.lan:8000/v1", "google/gemma-3-27b-it"),  # open weights on the user's own server
        ("http://gpu.lan:8000/v1", "openai/gpt-oss-120b"),
        ("http://gpu.lan:8000/v1", "gpt-4o"),
        ("https://openrouter.ai/api/v1", "openai/gpt-4o:free"),  # not at the price of what is paid for
        ("https://foo.openai.azure.com/openai/v1", "my-deployment"),
        ("https://router.huggingface.co/v1", "openai/gpt-oss-120b"),  # Hugging Face picks the provider
    ],
)
def test_a_name_that_says_nothing_of_a_price_has_none(base_url: str, model: str) -> None:
    assert find_model(base_url, model) is None


def test_a_model_without_any_price_in_its_providers_list_is_free() -> None:
    found = find_model("https://generativelanguage.googleapis.com/v1beta/openai", "gemma-3-27b-it")
    [known] = prices_of(found, NOON)
    assert (known.usd_per_million_input, known.usd_per_million_output) == ("0", "0")


def test_a_price_by_the_hour_is_a_condition_in_the_routers_shape() -> None:
    found = find_model("https://api.deepseek.com", "deepseek-chat")
    [known] = prices_of(found, NOON)
    night = datetime(2026, 11, 25, 20, tzinfo=UTC)
    # 0.135 a million tokens at night; 0.27 from 0:30 to 16:30 UTC
    assert our_usd([known], BilledTokens(1_000_000, 0), night) == Decimal("0.135")
    assert our_usd([known], BilledTokens(1_000_000, 0), night.replace(hour=16, minute=29)) == Decimal("0.27")
    assert our_usd([known], BilledTokens(1_000_000, 0), night.replace(hour=16, minute=30)) == Decimal("0.135")


def test_a_fee_for_each_request_is_kept() -> None:
    [known] = prices_of(find_model("https://api.perplexity.ai", "sonar"), NOON)
    assert known.usd_per_request == "0.012"  # $12 for a thousand


def test_a_price_from_a_later_day_on_says_so() -> None:
    [known] = prices_of(find_model("https://api.mistral.ai/v1", "mistral-large-4"), milliseconds(
        datetime(2026, 10, 1, tzinfo=UTC)))  # fmt: skip
    price = price_of_row(known)
    assert [condition.from_day for condition in price.conditions] == [date(2026, 10, 20), date(2026, 10, 29)]
    assert price.conditions[0].when == "from 20 Oct 2026"


@pytest.mark.thorough
def test_what_the_budget_reserves_covers_every_way_in_which_a_probe_can_be_billed() -> None:
    ways = [
        BilledTokens(64, 16),
        BilledTokens(64, 16, cached=64, reasoning=16),
        BilledTokens(64, 16, cache_write=64, cache_write_1h=64),
        BilledTokens(64, 1, cache_write=64),
        BilledTokens(1, 16, reasoning=8),
    ]
    for _, model in every_model():
        for known in prices_of(model, milliseconds(TODAY))[-1:]:
            most = price_of_row(known).highest(64, 16)
            for hour in range(24):
                at = milliseconds(TODAY + timedelta(hours=hour))
                assert all(price_of_row(known).cost(tokens, at) <= most for tokens in ways), model.id
