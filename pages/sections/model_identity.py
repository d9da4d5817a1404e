"""Whether a target still serves the same model: a sentence, a chart, and the first tokens before and after a change."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from charts import identity as charts
from pages.components import formatting, glossary, theme
from pages.components.table import NOTHING
from pages.queries import cache
from pages.queries.identity import IdentityView, identity_view
from pages.shell import sign_in, time_range
from stats.identity import LEARNING_CHECKS
from stats.identity_history import CurrentEpoch
from store.schema import Target

HOW = (
    'Not checked. With identity = "1h" in its [[target]] section, two requests of one token an hour show whether it '
    "still serves the same model."
)


@sign_in.fragment(run_every="60s")
def identity_card(url: str, target: Target) -> None:
    """The card; for a target without checks, how to turn them on."""
    chosen, zone = time_range.steady(cache.first_at(url).get(target.name, 0)), time_range.zone()
    view = identity_view(url, target, chosen)
    with theme.card("identity", "Identity", "is it still the same model?", charts=["identity_chart"]):
        if view is None:
            st.html(NOTHING.format(HOW))
            return
        st.html(_sentences(view, zone))
        palette, unit = theme.palette(), "nat" if view.current.is_logprobs else "new texts"
        if view.scores:
            lanes = {name: steps for name, steps in view.lanes.items() if steps}
            figure = charts.scores_over_time(
                view.scores, view.bands, lanes, chosen.since, chosen.until, palette, unit=unit, zone=zone
            )
            alt = f"Distance of each check of {target.name} from its reference, {chosen.words}, in {unit}"
            theme.chart(figure, key="identity_chart", alt=alt)
        if view.tokens:
            st.html(Markup('<div class="u q">{}</div>').format(_TOKENS))
            for number, (column, pairs) in enumerate(zip(st.columns(len(view.tokens)), view.tokens, strict=True)):
                with column:
                    alt = (
                        f"Probabilities of the first tokens of {target.name} after prompt {number + 1}, before and now"
                    )
                    theme.chart(charts.token_chances(pairs, palette), key=f"identity_tokens_{number}", alt=alt)


_TOKENS = "The likeliest first tokens after each of the two prompts, before the last change and now."
_LIMITS = (
    "“Changed” is not “worse”, and “same” is not “genuine”: a provider that recognizes the prompts can answer them "
    "with another model."
)


def _sentences(view: IdentityView, zone: str) -> Markup:
    lines = [Markup("<div><b>{}</b> {}</div>").format(*_state(view.current, zone))]
    lines += [
        Markup("<div>{} <b>changed</b>: {}.</div>").format(formatting.clock(change.at, zone), change.text)
        for change in reversed(view.changes[-3:])
    ]
    lines.append(Markup('<div class="q">{} {}</div>').format(_rate(view.current), _LIMITS))
    return Markup('<div class="u">{}</div>').format(Markup().join(lines))


def _state(current: CurrentEpoch, zone: str) -> tuple[str, str]:
    since, checks = formatting.clock(current.since, zone), formatting.plural(current.checks, "check")
    if current.status == "declared":
        return "Not compared:", "it reasons before it answers, so its first tokens are random."
    if current.status == "learning":
        left = f"{checks} of the {LEARNING_CHECKS} that a reference takes, since {since}."
        return "Learning:", left
    if current.status == "unstable":
        return "Unstable, not judged:", (
            f"without a change, its own checks would have given an alarm in {current.splits.alarms:,d} of "
            f"{current.splits.count:,d} rolling splits, and none is allowed."
        )
    unscored = f"; {current.unscored:,d} could not be compared" if current.unscored else ""
    return "Same", f"since {since}, by {checks}{unscored}."


def _rate(current: CurrentEpoch) -> Markup:
    if current.status in ("learning", "declared"):
        return Markup()
    splits = f"{current.splits.alarms:,d} of {current.splits.count:,d}"
    return Markup("{} at most 0.65% a year; in rolling splits of its own checks {}.").format(
        glossary.term("identity check", "False alarms:"), splits
    )
