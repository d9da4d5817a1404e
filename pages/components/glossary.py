"""The terms, each defined in one place: as a tooltip wherever it heads a number, and on the Glossary page."""

from __future__ import annotations

from markupsafe import Markup

from pages.components import formatting
from pages.components.states import explained
from pages.components.table import Column, bold, table
from stats.why import REASONS, classify_probe

DEFINITIONS = {
    "target": "One thing that is probed: a base URL, a model and optionally one pinned provider.",
    "probe": "One small request to a target, and the row that records it.",
    "uptime": "The share of decided time in which the target was up, from its regular probes. Rate limits, caller "
    "errors and errors in Uptoken do not count. Below 50% coverage no number is shown.",
    "confidence interval": "95% confidence interval of the uptime (Wilson score), from the number of probes.",
    "coverage": "The share of the time that was decided by a probe. It falls while the collector is stopped; gaps are "
    "never filled in.",
    "TTFT": "Time to first token: from the request's last byte to the first chunk with text, reasoning or a tool call.",
    "time to first answer token": "From the request's last byte to the first visible answer text. Later than TTFT for "
    "models that reason first.",
    "inter-token latency": "The gap between two chunks of a stream: medians of each throughput probe's p50 and p99.",
    "total time": "From the request's last byte to the last token.",
    "output speed": "Tokens per second after the first token, from probes of 128 tokens. A router's own figure may "
    "include the time to the first token.",
    "p50, p95": "Percentiles: 50% of successful responses were at least as fast as p50, 95% as fast as p95.",
    "success rate": "The share of counted requests that succeeded, including confirmations of failures. It is about "
    "requests; uptime is about time.",
    "correct answers": "The share of checked answers that were correct: a fresh sum, or a fresh number to repeat, as "
    "the target's check setting says. It says something about the model and nothing about its uptime.",
    "degraded": "Up, but slow: two responses in a row began later than the target's limit (ttft_max), or the p95 TTFT "
    "of the last 15 minutes, of at least 10 probes, is above 3 times the median of the same hour (UTC) over the last 7 "
    "days. Uptime is not affected.",
    "error budget": "The time that a target may be down by its objective (slo) in the last 30 days, as a share of the "
    "time in which it was seen up or down: of 99.5%, 0.5% of it. Below 0 it is overspent.",
    "not counted": "A rate limit, an exhausted quota, a wrong key, a removed model, or an error in Uptoken: shown, but "
    "neither up nor down.",
    "paused": "A maintenance window, a pause, or a range that was excluded afterwards: shown, but neither up nor down, "
    "and in no percentile.",
    "no data": "No probe was made: neither up nor down. Nothing is carried forward.",
    "incident": "Two failures in a row, the second ten seconds after the first. It begins with the first failure and "
    "ends with the next success.",
    "context": "The maximum number of tokens of a request and its response together, as the provider states it.",
    "price": "USD per million tokens, input and output, as the provider states it.",
    "spent": "What probes and checks cost: the amount the provider billed, or its list price.",
    "lag": "How late the collector's own machine woke while a probe ran. Above 20 ms the probe's times are excluded.",
    "skipped": "Probes that were due and were not made: the budget or a quota was used up, the server asked for a "
    "pause, the previous probe was still running, or the process was suspended.",
    "identity check": "A fixed prompt, and the probabilities of the first token after it. A change is four checks in a "
    "row that are all farther from the reference than 96 checks of the same model were, or 24 that a rank test finds "
    "higher. If nothing changed, each has a probability of 5 in 10 million.",
    "change point": "A rank test found that later values differ from earlier ones. False-alarm rate: about 1% per "
    "series.",
}


def term(name: str, text: str | None = None) -> Markup:
    """`text` (the term itself, if none) that shows the definition on hover, touch and focus."""
    return explained(text or name, DEFINITIONS[name])


def definitions() -> Markup:
    """All terms and their definitions."""
    entry = Markup("<dt>{}</dt><dd>{}</dd>")
    entries = Markup().join(entry.format(name, definition) for name, definition in DEFINITIONS.items())
    return Markup('<div class="u"><dl class="u-words">{}</dl></div>').format(entries)


def outcomes() -> Markup:
    """The outcomes of a probe, and what each counts as."""
    rows = [
        (bold(formatting.outcome(outcome)), formatting.outcome(classify_probe(outcome, 1.0).kind), reason)
        for outcome, reason in REASONS.items()
    ]
    return table([Column("Outcome"), Column("Counts as", "left"), Column("When", "left wrap")], rows)
