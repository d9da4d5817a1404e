"""A chart takes statistics and returns a figure, also for none."""

from __future__ import annotations

import pytest

from charts import identity, median_lines, percentile_bands, price_scatter, prompt_sizes, step_lines, tokens
from charts.axes import log_ticks
from charts.palette import PALETTES
from stats.catalog import catalog, group_points
from stats.change_points import Shift
from stats.downsampling import marks
from stats.identity_history import ScoreBand, TokenChance
from stats.latency import bands
from stats.tokens import tokens_per_day
from stats.usage import by_day, shares
from stats.workloads import ladder
from store.rollups import Grid
from store.workload_tables import WorkloadRequest
from tests.factories import DAY, HOUR, MINUTE, NOON, model, probe, usage
from tests.stats.samples import told

LIGHT = PALETTES["light"]


def _chart(probes: list, failures: object = (), **more: object):  # type: ignore[no-untyped-def, type-arg]
    table = bands(told(probes, Grid(NOON, 3_000, 3_000)), "ttft_ms", NOON, NOON + HOUR)
    return percentile_bands.bands(table, failures, NOON, NOON + HOUR, LIGHT, unit="ms", **more)  # type: ignore[arg-type]


def test_bands_break_at_a_gap_instead_of_closing_over_it() -> None:
    probes = [probe(NOON + n * MINUTE, ttft_ms=100.0 + n) for n in range(60) if not 20 <= n < 40]
    chart = _chart(probes)
    fills = [trace for trace in chart.data if trace.fill == "toself"]
    assert [trace.name for trace in fills] == ["p5 to p95"] * 2 + ["p25 to p75"] * 2
    [median] = [trace for trace in chart.data if trace.name == "median"]
    assert not median.connectgaps
    assert len(median.x) == 5


def test_failures_are_marks_on_the_floor_at_their_moment_in_the_viewers_zone() -> None:
    failures = marks([(NOON + MINUTE, "timeout", 1)], NOON, NOON + HOUR)
    chart = _chart([probe(NOON)], failures, zone="Europe/Berlin")
    [floor] = [trace for trace in chart.data if trace.name == "failure"]
    assert (str(floor.x[0]), list(floor.y), list(floor.text)) == ("2026-11-24 13:01:00", [0], ["timeout"])
    assert [str(edge) for edge in chart.layout.xaxis.range] == ["2026-11-24 13:00:00", "2026-11-24 14:00:00"]


def test_a_mark_of_many_failures_says_how_many_of_which() -> None:
    failed = [(NOON + n, "timeout" if n % 3 else "server_error", 1) for n in range(9)]
    chart = _chart([probe(NOON)], marks(failed, NOON, NOON + HOUR))
    [floor] = [trace for trace in chart.data if trace.name == "failure"]
    assert floor.text[0] == "9 failures: 6 timeout, 3 server error"


def test_one_slow_reply_of_a_thousand_is_a_mark_at_the_ceiling_and_leaves_the_bands_their_room() -> None:
    probes = [probe(NOON + n * 3_000, ttft_ms=30_000.0 if n == 700 else 100.0 + n % 7) for n in range(1_000)]
    chart = _chart(probes)
    [slowest] = [trace for trace in chart.data if trace.name == "slowest"]
    at = list(slowest.customdata).index(30_000.0)
    assert slowest.marker.symbol[at] == "triangle-up"
    assert slowest.y[at] == pytest.approx(chart.layout.yaxis.range[1] / 1.03, abs=0.1)
    assert slowest.y[at] < 200


def test_where_every_stretch_has_a_tail_beyond_the_scale_only_what_stands_out_is_marked() -> None:
    # one reply in fifty takes four times as long, in every stretch; one of them a hundred times as long
    values = [400.0 if n % 50 == 0 else 100.0 + n % 5 for n in range(9_600)]
    values[4_800] = 10_000.0
    chart = _chart([probe(NOON + n * 375, ttft_ms=value) for n, value in enumerate(values)])
    [slowest] = [trace for trace in chart.data if trace.name == "slowest"]
    assert list(slowest.customdata) == [pytest.approx(10_000, rel=0.01)]


def test_no_chart_gets_more_points_than_it_has_pixels_however_many_probes_there_were() -> None:
    probes = [probe(NOON + n * 36, "timeout" if n % 10 == 0 else "ok", ttft_ms=100.0 + n % 700) for n in range(100_000)]
    failed = ((p.started_at, p.outcome, 1) for p in probes)
    chart = _chart(probes, marks(failed, NOON, NOON + HOUR))
    assert max(len(trace.x) for trace in chart.data) <= 800
    lines = step_lines.step_lines({"in": [(NOON + n, n % 90 + 0.5) for n in range(50_000)]}, LIGHT, unit="USD")
    assert len(lines.data[0].x) <= 800


def test_a_change_point_is_a_line_at_its_moment_with_both_medians_in_words() -> None:
    chart = _chart(
        [probe(NOON + n * MINUTE) for n in range(60)], shifts=[Shift(NOON + 30 * MINUTE, 410.4, 690.1, 0.001)]
    )
    [line] = chart.layout.shapes
    assert str(line.x0) == "2026-11-24 12:30:00"
    assert chart.layout.annotations[0].text == "410 → 690 ms"


def test_an_empty_chart_says_why() -> None:
    assert _chart([]).layout.annotations[0].text == "no sample in this window"
    empty = tokens.per_day(tokens_per_day([]), LIGHT)
    assert empty.layout.annotations[0].text == "no tokens in this window"


def test_tokens_are_stacked_prompt_first() -> None:
    chart = tokens.per_day(tokens_per_day(told([probe(NOON)])), LIGHT)
    assert chart.layout.barmode == "stack"
    assert [(bar.name, list(bar.y)) for bar in chart.data] == [("prompt", [30]), ("completion", [16])]


def test_days_have_few_labels_and_the_month_where_it_changes() -> None:
    probes = [probe(NOON + n * 24 * HOUR) for n in range(0, 20, 2)]
    chart = tokens.per_day(tokens_per_day(told(probes)), LIGHT)
    assert len(chart.data[0].x) == 19  # a day without a probe has its place
    assert list(chart.data[0].y)[:3] == [30, 0, 30]
    assert list(chart.layout.xaxis.ticktext) == ["24 Nov", "27", "30", "3 Dec", "6", "9", "12"]


def test_a_step_line_jumps_and_breaks() -> None:
    lines = {"in": [(NOON, 1.0), (NOON + HOUR, 1.0), (NOON + HOUR, None)], "out": [(NOON, None)]}
    chart = step_lines.step_lines(lines, LIGHT, unit="USD")
    assert [(trace.name, trace.line.shape, list(trace.y)) for trace in chart.data] == [
        ("in", "hv", [1.0, 1.0, None]),
        ("out", "hv", [None]),
    ]
    assert step_lines.step_lines({"in": [(NOON, None)]}, LIGHT, unit="USD").layout.annotations[0].text == "not known"


def test_versions_are_stacked_as_tokens_or_as_shares_and_a_missing_day_has_no_bar() -> None:
    day = NOON - NOON % DAY
    rows = [usage("m", day, variant="standard", tokens=3), usage("m", day, variant="free", tokens=1)]
    rows.append(usage("m", day + 2 * DAY, variant="free", tokens=5))
    table = by_day(rows, "variant")
    chart = tokens.by_part(table, LIGHT)
    assert [(bar.name, len(bar.x)) for bar in chart.data] == [("free", 3), ("standard", 3)]
    assert [str(tokens) for tokens in chart.data[0].y] == ["1", "None", "5"]
    share = tokens.by_part(shares(table), LIGHT, as_share=True)
    assert (share.layout.yaxis.tickformat, list(share.layout.yaxis.range)) == (".0%", [0, 1])
    assert next(iter(share.data[0].y)) == 0.25
    assert tokens.by_part(by_day([], "variant"), LIGHT).layout.annotations[0].text == "no data for this period"


def test_what_is_free_stands_left_of_the_prices_and_unknown_prices_nowhere() -> None:
    models = [
        model(model="a", usd_per_million_input="0.1", usd_per_million_output="0.1"),
        model(model="b", name="<b>B</b>", usd_per_million_input="10", usd_per_million_output="10"),
        model(model="c"),
        model(model="d", usd_per_million_input="varies"),
    ]
    chart = price_scatter.scatter(
        group_points((row, row.context_tokens) for row in catalog(models, {}, NOON)), LIGHT, label="tokens"
    )
    paid, free = chart.data
    assert [round(x, 3) for x in paid.x] == [0.1, 10]
    assert paid.text[1] == "<b>&lt;b>B&lt;/b></b>"
    assert len(free.x) == 1 and free.x[0] < 0.1
    assert chart.layout.xaxis.ticktext == ("free", "$0.1", "$1", "$10")
    empty = price_scatter.scatter(group_points([]), LIGHT, label="tokens")
    assert empty.layout.annotations[0].text == "no model here has both numbers"


def test_ticks_between_are_added_where_powers_of_ten_are_few() -> None:
    assert log_ticks(0.05, 0.5) == pytest.approx([0.05, 0.1, 0.2, 0.5])
    assert log_ticks(0.01, 100) == pytest.approx([0.01, 0.1, 1, 10, 100])


def test_each_target_has_its_line_in_a_comparison() -> None:
    def table(ttft_ms: float):  # type: ignore[no-untyped-def]
        probes = told([probe(NOON + n * MINUTE, ttft_ms=ttft_ms) for n in range(60)])
        return bands(probes, "ttft_ms", NOON, NOON + HOUR)

    tables, numbers = {"<a>": table(100), "b": table(200), "c": table(300)}, {"<a>": 3, "b": 4, "c": 13}
    chart = median_lines.medians(tables, NOON, NOON + HOUR, LIGHT, numbers, unit="ms")
    assert [(line.name, max(line.y)) for line in chart.data] == [("&lt;a>", 100), ("b", 200), ("c", 300)]
    # a target's colour is its own; the eleventh has the first's, and is told apart by its dashes
    assert [line.line.color for line in chart.data] == [LIGHT.series[3], LIGHT.series[4], LIGHT.series[3]]
    assert [line.line.dash for line in chart.data] == ["solid", "solid", "dash"]
    assert (
        median_lines.medians({}, NOON, NOON + HOUR, LIGHT, {}, unit="ms").layout.annotations[0].text
        == "no sample in this window"
    )


def test_scores_have_a_band_for_each_epoch_and_a_lane_for_each_thing_that_changed() -> None:
    epochs = [ScoreBand(NOON, NOON + HOUR, 0.1), ScoreBand(NOON + HOUR, NOON + DAY, None)]
    chart = identity.scores_over_time(
        [(NOON + MINUTE, 0.05), (NOON + 2 * HOUR, 0.6)],
        epochs,
        {"price": [(NOON + HOUR, "price in from 1 to 2")], "TTFT": []},
        NOON,
        NOON + DAY,
        LIGHT,
        unit="nat",
    )
    assert [trace.name for trace in chart.data] == ["usual", "distance", "steps"]
    assert list(chart.data[2].text) == ["price in from 1 to 2"]
    assert list(chart.layout.yaxis2.ticktext) == ["price", "TTFT"]
    assert len(chart.layout.shapes) == 1  # where the second epoch began
    empty = identity.scores_over_time([], [], {}, NOON, NOON + DAY, LIGHT, unit="nat")
    assert empty.layout.annotations[0].text == "no check in this range"


def test_first_tokens_are_pairs_of_bars_and_white_space_can_be_seen() -> None:
    chart = identity.token_chances([TokenChance(" the", 0.5, 0.25), TokenChance("\n<b>", None, 0.1)], LIGHT)
    before, after = chart.data
    assert (list(before.x), list(before.y), list(after.y)) == (["␣the", "⏎&lt;b>"], [50, None], [25, 10])
    assert identity.token_chances([], LIGHT).layout.annotations[0].text == "no first tokens to compare"


def test_the_ladder_is_logarithmic_with_a_tick_at_each_size_and_a_line_up_to_p95() -> None:
    steps = ladder(
        WorkloadRequest("t", NOON + n, "here", "ladder", "size", size, "ok", ttft_ms=float(size + n * 10))
        for size in (100, 10_000)
        for n in range(11)
    )
    chart = prompt_sizes.ttft_by_size({"ladder": steps}, LIGHT, {"ladder": 0})
    [medians] = chart.data
    assert (list(medians.x), list(medians.y)) == ([100, 10_000], [150, 10_050])
    assert list(medians.error_y.array) == [pytest.approx(45), pytest.approx(45)]
    assert (chart.layout.xaxis.type, list(chart.layout.xaxis.ticktext)) == ("log", ["100", "10,000"])
    assert not prompt_sizes.ttft_by_size({}, LIGHT, {}).data
