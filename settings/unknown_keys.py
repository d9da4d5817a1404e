"""The key that was meant by one that targets.toml does not know: common names from other tools, then the nearest.

The names are those of LiteLLM, LangChain, the OpenAI and Anthropic SDKs, Prometheus and its blackbox exporter, Gatus,
Uptime Kuma, Healthchecks and curl.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from settings.sections import SEVERAL

_DURATION = 'A duration includes its unit, as in "30s"'
_PER_MILLION = "It is in USD per million tokens"

_GUESSES: dict[str, dict[str, str]] = {
    "": {
        "target": "targets model models endpoint endpoints server servers provider providers model_list monitor "
        "monitors check checks probe probes job jobs scrape_configs services deployment deployments",
        "collector": "collect settings global general default defaults config main app scheduler uptoken options",
        "openrouter": "router open_router catalog",
        "relay": "gateway",
        "maintenance": "maintenances maintenance_window maintenance_windows downtime downtimes silence silences",
        "workload": "workloads load loads scenario scenarios load_test benchmark benchmarks ladder",
        "route": "routes routing alias aliases model_alias model_aliases model_group model_groups router_settings",
        "channel": "channels notification notifications notify notifier notifiers receiver receivers alerting webhook "
        "webhooks integrations contacts",
        "alert": "alerts rule rules alert_rules alertmanager",
    },
    "collector": {
        "every": "interval period frequency scrape_interval poll_interval check_interval interval_s interval_seconds "
        "cron schedule refresh",
        "timeout": "timeout_s timeout_sec timeout_secs timeout_seconds timeout_ms request_timeout scrape_timeout "
        "max_time deadline",
        "confirm_after": "retry retries max_retries num_retries retry_after retry_interval retry_delay confirm "
        "confirmation recheck",
        "throughput_every": "throughput throughput_interval speed_every",
        "usd_per_day": "budget max_budget daily_budget budget_usd budget_per_day max_usd max_usd_per_day usd_budget "
        "usd_limit cost_limit max_cost spend_limit usd daily_usd",
        "free_requests_per_day": "free_quota free_limit free_requests rpd",
        "retention_days": "retention retention_time keep_days days keep history max_age ttl",
        "max_parallel": "concurrency concurrent max_concurrent max_concurrency parallel parallelism parallel_requests "
        "max_parallel_requests workers threads",
        "dashboard_url": "public_url external_url base_external_url link dashboard",
        "heartbeat_url": "heartbeat ping_url healthcheck_url healthchecks_url push_url dead_mans_switch",
        "heartbeat_token_env": "heartbeat_token push_token",  # nosec B105  no password
    },
    "openrouter": {
        "base_url": "url uri endpoint api_base api_url host openrouter_base_url",
        "watch": "models model watched watch_models watchlist extra_models",
        "management_key_env": "api_key apikey key token api_key_env key_env management_key provisioning_key "
        "management_api_key openrouter_api_key",
    },
    "target": {
        "name": "title label id alias display_name description",
        "model": "deployment deployment_id deployment_name azure_deployment model_name model_id models engine slug",
        "base_url": "url uri endpoint api_base api_url host hostname server server_url address base target targets "
        "endpoint_url api_endpoint azure_endpoint openai_api_base openai_base_url anthropic_base_url api_host",
        "api_key_env": "api_key apikey key token bearer bearer_token auth auth_token authorization authorisation "
        "access_token api_token credentials credential secret password key_env env_key env token_env api_key_env_var "
        "api_key_variable api_key_var openai_api_key anthropic_api_key azure_api_key azure_ad_token",
        "api_key_file": "key_file keyfile api_key_path credentials_file bearer_token_file token_file secret_file",
        "api_key_header": "auth_header key_header header_name api_key_name auth_header_name api_key_prefix",
        "every": "interval period frequency scrape_interval poll_interval check_interval interval_s interval_seconds "
        "cron schedule refresh",
        "timeout": "timeout_s timeout_sec timeout_secs timeout_seconds timeout_ms request_timeout scrape_timeout "
        "max_time deadline",
        "throughput_every": "throughput throughput_interval speed_every",
        "profile": "mode kind",
        "provider": "provider_order only upstream route",
        "requests_per_day": "rpd max_requests daily_limit daily_requests requests_limit request_limit quota "
        "max_requests_per_day",
        "max_parallel": "concurrency concurrent max_concurrent max_concurrency parallel parallelism parallel_requests "
        "max_parallel_requests workers threads slots",
        "usd_per_million_input": "input_price price_in price_input prompt_price input_cost cost_in input_usd "
        "price_per_million_input input_cost_per_million input_cost_per_token input_price_per_token price_per_token "
        "prompt_cost input_cost_per_1k_tokens price_per_1k_tokens usd_in usd_input usd_per_input price",
        "usd_per_million_output": "output_price price_out price_output completion_price output_cost cost_out "
        "output_usd price_per_million_output output_cost_per_million output_cost_per_token output_price_per_token "
        "completion_cost output_cost_per_1k_tokens usd_out usd_output usd_per_output",
        "usd_per_million_cached": "cached_price price_cached cache_price cached_input_price cache_read_price cached "
        "cache_read_input_token_cost cached_cost cache_read_cost usd_cached input_cache_read cached_cost_per_token",
        "usd_per_request": "request_price price_per_request cost_per_request input_cost_per_request fee request_fee "
        "request_cost per_request",
        "headers": "extra_headers default_headers header http_headers custom_headers request_headers",
        "tags": "labels tag groups group categories category",
        "enabled": "disabled disable enable active paused pause skip off inactive",
        "api": "type dialect api_type provider_type format protocol api_format custom_llm_provider llm_provider flavor "
        "flavour style schema interface wire_api endpoint_type",
        "params": "query extra_query default_query query_params query_parameters url_params querystring query_string "
        "api_version parameters search_params",
        "extra_body": "body extra extra_params model_kwargs litellm_params request_body payload data options "
        "extra_fields json temperature top_p seed stop chat_template_kwargs enable_thinking additional_kwargs",
        "stream": "streaming use_streaming sse disable_streaming",
        "max_tokens": "max_output_tokens max_completion_tokens max_new_tokens max_tokens_to_sample num_predict "
        "n_predict max_length output_tokens max_gen_toks token_limit output_limit",
        "reasoning_effort": "thinking reasoning effort think thinking_budget reasoning_level thinking_level",
        "check": "prompt messages question test answer expect assert assertions conditions validate verify expected "
        "keyword fail_if_body_not_matches_regexp",
        "ttft_max": "max_ttft max_latency latency_threshold ttft_limit slow_after degraded_after max_response_time",
        "identity": "identity_every identity_interval fingerprint same_model",
        "capabilities": "capability features supports supported_parameters capabilities_every capability_tests",
        "capabilities_context": "context_test context_every needle needle_test test_context context_check",
        "slo": "sla objective target_uptime uptime_target availability error_budget",
    },
    "relay": {
        "keys_file": "keys key_file keyfile api_keys_file api_keys api_key key master_key virtual_keys tokens",
        "keys_env": "key_env env_key api_keys_env api_key_env env",
        "usd_per_day": "budget max_budget daily_budget budget_usd budget_per_day max_usd usd usd_limit cost_limit",
    },
    "route": {
        "model": "name alias id title model_name model_group slug",
        "targets": "target endpoints upstreams backends deployments servers providers models fallbacks order",
        "strategy": "routing routing_strategy policy mode sort balance load_balancing",
        "capabilities": "capability require requires features supports supported_parameters",
        "connect_timeout": "connection_timeout dial_timeout",
        "first_token_timeout": "ttft_timeout stream_timeout first_byte_timeout",  # nosec B105  no password
        "idle_timeout": "read_timeout chunk_timeout inactivity_timeout",
        "total_timeout": "timeout request_timeout deadline max_time timeout_s",
    },
    "maintenance": {
        "name": "title label description text reason comment",
        "targets": "target names monitors services",
        "tags": "tag labels groups",
        "from": "start starts begin begins since start_at starts_at start_time",
        "to": "end ends until end_at ends_at end_time",
        "day": "days weekday weekdays day_of_week dow every",
        "at": "time hour start_of_day clock",
        "for": "duration length lasts minutes hours",
        "time_zone": "timezone tz zone",
    },
    "workload": {
        "name": "title id",
        "targets": "target models model endpoints names",
        "tags": "tag labels label groups group",
        "input_tokens": "input inputs prompt prompts prompt_tokens context contexts context_tokens sizes size "
        "input_sizes prompt_sizes input_length input_lengths isl num_input_tokens",
        "output_tokens": "output completion_tokens max_tokens max_completion_tokens output_length osl "
        "num_output_tokens max_new_tokens",
        "every": "interval period frequency schedule cron refresh",
        "prompt_cache": "cache caching prompt_caching prefix_cache prefix_caching cached cache_prompt",
    },
    "channel": {
        "name": "title label id",
        "type": "kind provider service",
        "url": "uri webhook_url address endpoint host server smtp_url apprise_url",
        "url_env": "env env_url webhook_env",
        "secret_env": "secret hmac hmac_secret signing_secret token key secret_key webhook_secret",  # nosec B105
        "sender": "from mail_from from_address email_from username",
        "recipients": "recipient mail_to to email to_address receivers",
    },
    "alert": {
        "on": "kind kinds event events type types when trigger triggers alert",
        "targets": "target names name models model monitors",
        "tags": "tag labels label groups group",
        "to": "channel channels notify receivers receiver notifications via send_to",
        "after": "failure_threshold threshold failures for max_retries retries attempts",
        "clear_after": "success_threshold recover_after recovery_threshold successes",
        "remind_every": "repeat_interval resend_interval reminder remind repeat renotify_interval "
        "minimum_reminder_interval resend",
    },
}
"""By section and right key, the wrong names that people come with, in snake case."""

_NOTES = {
    "api_key_env": "It names the environment variable that holds the key; the key itself does not belong in this file",
    "management_key_env": "It names the environment variable that holds the key; the key itself does not belong in "
    "this file",
    "enabled": "enabled = false turns probing off",
    "usd_per_million_input": _PER_MILLION,
    "usd_per_million_output": _PER_MILLION,
    "usd_per_million_cached": _PER_MILLION,
    "max_tokens": "It limits the output tokens that a probe may request",
    "params": 'It is a table, such as {api-version = "2024-10-21"}',
    "extra_body": "It is a table of fields of the request's body",
    "check": 'The prompt is Uptoken\'s own: "sum", "echo" or "off"',
    "confirm_after": "A failed probe is repeated once, this long after it",
    "target": "Each one starts with a line [[target]]",
    "route": "Each one starts with a line [[route]]",
    "workload": "Each one starts with a line [[workload]]",
    "channel": "Each one starts with a line [[channel]]",
    "alert": "Each one starts with a line [[alert]]",
    "url_env": "It names the environment variable that holds the URL",
    "secret_env": "It names the environment variable that holds the secret; "  # nosec B105
    "the secret itself does not belong in this file",
    "slo": "It is the uptime in percent that the target is to have, as in 99.5",
    "keys_file": "It names a file with a line name=key for each client; the keys do not belong in this file",
}
"""What a right key means, where the wrong name says that something else was expected."""

_NEGATED = {"disabled", "disable", "paused", "pause", "skip", "off", "inactive", "disable_streaming"}

_ELSEWHERE = {
    "proxy": "a proxy is set by the environment variable HTTPS_PROXY",
    "http_proxy": "a proxy is set by the environment variable HTTP_PROXY",
    "https_proxy": "a proxy is set by the environment variable HTTPS_PROXY",
    "no_proxy": "hosts that need no proxy are set by the environment variable NO_PROXY",
    "insecure": "certificates are always verified: name your own authority's in the environment variable SSL_CERT_FILE",
    "location": "the location is set by the environment variable UPTOKEN_LOCATION",
    "store": "the store is set by the environment variable UPTOKEN_STORE or by --store",
}
_ELSEWHERE |= dict.fromkeys(
    ("verify_ssl", "ssl_verify", "tls_verify", "insecure_skip_verify", "skip_tls_verify", "tls_config", "ca_cert"),
    _ELSEWHERE["insecure"],
)
_ELSEWHERE |= dict.fromkeys(("database", "db", "database_url", "storage"), _ELSEWHERE["store"])

VALUES: dict[str, dict[str, str]] = {
    "api": {
        "chat": "openai openai_chat chat/completions chat_completions completions completion openai_compatible "
        "openai_like openrouter litellm vllm llama.cpp llamacpp ollama lm_studio lmstudio groq together mistral "
        "deepseek fireworks xai perplexity cohere huggingface text-completion-openai",
        "responses": "response openai_responses openai-response",
        "anthropic": "claude messages anthropic_messages message",
        "gemini": "google vertex vertex_ai google_ai googleai genai google_genai google_gemini generative_ai "
        "generate_content palm google-ai-studio",
        "azure": "azure_openai azureopenai azure_ai open_ai_azure azure-open-ai azure_ad",
        "embeddings": "embedding embed embeds openai_embeddings vectors",
    },
    "check": {
        "sum": "math arithmetic addition add true on yes default",
        "echo": "repeat number copy parrot",
        "off": "none false no never disabled skip null",
    },
    "profile": {"ping": "uptime ttft latency health chat", "throughput": "speed tps rate tokens_per_second"},
}
"""By key and right value, the wrong values that people come with."""

NEAR = 0.5


def suggestion(section: str, wrong: str, sections: Mapping[str, list[str]]) -> str:
    """What was meant by the key `wrong` of a section ("" is the file itself), as the end of a sentence."""
    known, guesses = sections[section], _by_guess(_GUESSES.get(section, {}))
    plain = _snake(wrong)
    meant = plain if plain in known else guesses.get(plain)
    if meant is None and plain in _ELSEWHERE:
        return f"; {_ELSEWHERE[plain]}"
    if meant is None and (home := _home(plain, section, sections)) is not None:
        return f"; {home}"
    if meant is None:
        near = difflib.get_close_matches(plain, [*known, *guesses], 1, NEAR)
        plain = near[0] if near else plain
        meant = plain if plain in known else guesses.get(plain)
    if meant is None:
        return f"; it has {', '.join(known)}"
    note = "" if plain == meant else _note(plain, meant)
    return f"; did you mean {meant!r}?" + (f" {note}" if note else "")


def value_suggestion(key: str, wrong: object) -> str:
    """The right value of a key with a few of them, where a common name of another tool or a misspelling was given."""
    choices = VALUES.get(key, {})
    guesses = _by_guess(choices)
    plain = _snake(str(wrong))
    meant = plain if plain in choices else guesses.get(plain)
    if meant is None and key == "api":
        near = difflib.get_close_matches(plain, [*choices, *guesses], 1, 0.75)
        meant = near[0] if near and near[0] in choices else guesses.get(near[0]) if near else None
    return f"; did you mean {meant!r}?" if meant else ""


def _by_guess(table: Mapping[str, str]) -> dict[str, str]:
    return {_snake(guess): right for right, guesses in table.items() for guess in guesses.split()}


def _snake(name: str) -> str:
    """`baseURL`, `base-url` and `Base Url` as `base_url`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _home(plain: str, section: str, sections: Mapping[str, list[str]]) -> str | None:
    """Where a key belongs that another section has."""
    for name in ("collector", "target", *sections):  # the two that most keys belong to come first
        if name in ("", section):
            continue
        right = plain if plain in sections[name] else _by_guess(_GUESSES[name]).get(plain)
        if right is not None:
            return f"{right!r} is a key of {f'[[{name}]]' if name in SEVERAL else f'[{name}]'}"
    return None


def _note(wrong: str, meant: str) -> str:
    if meant.startswith("usd_per_million"):
        if wrong.endswith(("per_token", "token_cost")):
            return f"{_PER_MILLION}: 1,000,000 times the price of one"
        if "1k" in wrong:
            return f"{_PER_MILLION}: 1,000 times the price of a thousand"
    if meant == "stream" and wrong in _NEGATED:
        return "It means the opposite: stream = false"
    if meant == "enabled" and wrong in _NEGATED:
        return "It means the opposite: enabled = false"
    if meant == "enabled":
        return ""
    if re.search(r"_(?:ms|s|secs?|seconds)$", wrong) or wrong == "cron":
        return _DURATION
    return _NOTES.get(meant, "")
