"""The words, each explained in one place: as a tooltip wherever it heads a number, and as a list on the overview."""

from __future__ import annotations

from html import escape

WORDS = {
    "target": "One thing that is probed: a base URL, a model, and perhaps one pinned provider.",
    "probe": "One small request to a target, and the row that it leaves.",
    "uptime": "The share of decided time in which the target was up, from its regular probes. Rate limits and errors "
    "of the caller or of Uptoken count neither way. Below half of the time covered there is no number.",
    "interval": "Where the true uptime lies with a chance of 95% (Wilson), from as many probes as were made.",
    "coverage": "The share of the time that any probe decided. A stopped collector lowers it, and nothing fills it in.",
    "TTFT": "Time to first token: from the request's last byte to the first chunk with text, reasoning or a tool call.",
    "first answer": "Time to first answer token: the same, to the first visible answer text. Later than TTFT where a "
    "model reasons first.",
    "inter-token latency": "The gap between two chunks of a stream: the medians of the p50 and p99 of each throughput "
    "probe.",
    "total time": "From the request's last byte to the last token.",
    "output speed": "Tokens per second after the first token, from probes of 128 tokens. A router's own figure may "
    "include the time to the first.",
    "p50, p95": "Percentiles: half of all good replies were as fast as p50, 95 of 100 as fast as p95.",
    "success rate": "Of all requests that count, those that succeeded, confirmations of failures too. It is about "
    "requests, uptime is about time.",
    "answers right": "Whether the answer was right: a fresh sum, or a fresh number to repeat, as the target's `check` "
    "says. It says something of the model, nothing of its uptime.",
    "not counted": "A rate limit, a used-up quota, a wrong key, a model that is gone, or an error in Uptoken itself: "
    "shown, neither up nor down.",
    "no data": "No probe was made: neither up nor down. Nothing is carried forward.",
    "incident": "Two failures in a row, the second ten seconds after the first. It began with the first, and the next "
    "success ends it.",
    "context": "How many tokens a request and its reply may have together, as the provider says.",
    "price": "USD per million tokens, in and out, as the provider says.",
    "spent": "What the probes themselves cost, at the provider's own figure or at its listed price.",
    "lag": "How late the collector's own machine woke while a probe ran. Above 20 ms the times are not believed.",
    "left out": "What was due and was not done: for the budget, a quota, a rest that the server asked for, a probe "
    "still under way, or a process that was held up.",
    "change": "A rank test found that later values differ from earlier ones; of a hundred series that do not change, "
    "about one would be said to.",
}


def term(word: str, text: str | None = None) -> str:
    """`text` (the word itself, if none) as HTML that explains the word on hover, on touch and on focus."""
    return explained(text or word, WORDS[word])


def explained(text: str, explanation: str) -> str:
    """`text` as HTML that shows `explanation` on hover, on touch and on focus."""
    tip = escape(explanation, quote=True)
    return f'<button type="button" class="u-term" aria-description="{tip}" data-tip="{tip}">{escape(text)}</button>'


def listed() -> str:
    """All words and what they mean, as HTML."""
    rows = "".join(f"<dt>{escape(word)}</dt><dd>{escape(said)}</dd>" for word, said in WORDS.items())
    return f'<div class="u"><dl class="u-words">{rows}</dl></div>'
