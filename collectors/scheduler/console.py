"""What a run prints: a progress bar on a terminal, a plain line per probe otherwise, and a table at the end."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import Counter, defaultdict
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING, TextIO

from collectors.contract import Result
from settings.secrecy import hidden, redacted
from store.outcomes import DOWN, UP
from store.schema import Model, Probe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

WORD = {True: "up", False: "DOWN", None: "----"}


def verdict(outcome: str) -> bool | None:
    """True for up, false for down, null for what is not counted."""
    return True if outcome in UP else False if outcome in DOWN else None


def format_probe(probe: Probe) -> str:
    """A probe in one line, for a log."""
    clock = time.strftime("%H:%M:%S", time.localtime(probe.started_at / 1_000))
    parts = [clock, f"{WORD[verdict(probe.outcome)]:4}", probe.target]
    if probe.outcome not in UP:
        return "  ".join([*parts, f"{probe.outcome}: {probe.error}"])
    parts += [f"first token {probe.ttft_ms:.0f} ms"] if probe.ttft_ms is not None else []
    parts += [f"all {probe.total_ms:.0f} ms"] if probe.total_ms is not None else []
    parts += [f"{probe.tokens_per_second:.0f} tokens/s"] if probe.tokens_per_second is not None else []
    return "  ".join(
        [*parts, f"{probe.completion_tokens} tokens" if probe.completion_tokens is not None else ""]
    ).strip()


def console_for(stream: TextIO) -> Console:
    """A console on `stream`; a file or a pipe has no width, so it gets one in which nothing is broken into pieces."""
    from rich.console import Console

    return Console(file=stream, width=None if stream.isatty() else 160)


def report_bug(name: str, problem: BaseException) -> None:
    """A traceback on standard error, without keys: requests puts headers into its messages."""
    text = hidden(redacted("".join(traceback.format_exception(problem))))
    with suppress(OSError):
        print(f"{name}: Uptoken itself failed; please report this:\n{text}", file=sys.stderr, flush=True)


class ConsoleReport:
    """Prints probes as they end; safe to call from any thread."""

    def __init__(self, stream: TextIO | None = None, *, bar: bool = False) -> None:
        """`bar`: show a progress bar instead of lines, for a terminal that waits for one tick."""
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._wants_bar = bar
        self.probes: list[Probe] = []
        self.skipped: list[tuple[str, str]] = []

    def show_plan(self, count: int, skipped: list[tuple[str, str]]) -> None:
        """Print what is skipped (name and reason), and let the bar expect so many jobs more."""
        with self._lock:
            for name, reason in dict.fromkeys(skipped):
                if (name, reason) not in self.skipped:
                    self._print(f"not probed: {name}: {reason}")
            self.skipped = (self.skipped + skipped)[-1_000:]
            if self._wants_bar and count:
                self._grow_bar(count)

    def show_results(self, name: str, results: list[Result]) -> None:
        """Print the results of a job."""
        with self._lock:
            for result in results:
                if isinstance(result.row, Probe):
                    self.probes.append(result.row)
                    if self._bar is None:
                        self._print(format_probe(result.row))
                elif isinstance(result.row, Model) and self._bar is None and result.row.context_tokens:
                    self._print(f"{name}: context size {result.row.context_tokens:,} tokens")
            del self.probes[:-10_000]
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, advance=1, description=name)

    def say(self, text: str) -> None:
        """A line about the run itself."""
        with self._lock:
            self._print(text)

    def print_summary(self) -> None:
        """The table at the end: one row a target."""
        if self._bar is not None:
            self._bar.stop()
        if not self.probes:
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading, justify in (("target", "left"), ("probes", "right"), ("up", "right"), ("first token", "right")):
            table.add_column(heading, justify="right" if justify == "right" else "left")
        table.add_column("outcomes")
        by_target: dict[str, list[Probe]] = defaultdict(list)
        for probe in self.probes:
            by_target[probe.target].append(probe)
        for name, probes in by_target.items():
            outcomes = Counter(probe.outcome for probe in probes)
            times = [p.ttft_ms for p in probes if p.ttft_ms is not None and p.outcome in UP]
            typical = f"{median(times):.0f} ms" if times else "-"
            up = str(sum(outcomes[outcome] for outcome in UP))
            how = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
            # Text, not str: a name from the configuration is no markup
            table.add_row(Text(name), str(len(probes)), up, typical, how)
        with suppress(OSError, ValueError):
            console_for(self._stream).print(table)

    def _grow_bar(self, count: int) -> None:
        if self._bar is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            name = TextColumn("{task.description}", markup=False)
            self._bar = Progress(*columns, name, console=console_for(self._stream), transient=True)
            self._task = self._bar.add_task("", total=0)
            self._bar.start()
        task = self._bar.tasks[0]
        self._bar.update(task.id, total=(task.total or 0) + count)

    def _print(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a log that cannot be written is no reason to stop
            if self._bar is not None:
                self._bar.console.print(text, markup=False, highlight=False)
            else:
                print(text, file=self._stream, flush=True)
