"""Writing what a run saw: kept in memory while the store cannot be written, and beside the store for the next run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from collectors.scheduler.claims import Claim
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.shared_state import SharedState
from collectors.scheduler.spool import Spool
from store import Store, StoreError
from store.formats import iso
from store.schema import Endpoint, Model, Probe, Row, Run, Target

MOST_UNSAVED_ROWS = 100_000


class Recorder:
    """The rows of one run on their way into the store. Used by the scheduler's thread alone."""

    def __init__(
        self, store: Store, shared: SharedState, report: ConsoleReport, catalog_changed: Callable[[], None]
    ) -> None:
        """`catalog_changed` is called when models or endpoints were written: prices may have changed."""
        self._store = store
        self._shared = shared
        self._report = report
        self._catalog_changed = catalog_changed
        self._rows: list[Row] = []
        self._claims: list[Claim] = []
        self._dropped = 0
        self._spool = Spool(shared.spool_path, report.say) if shared.spool_path is not None else None
        self.is_broken = False
        """Uptoken itself failed while probing, or the store refused probes."""

    @property
    def has_rows(self) -> bool:
        """Whether rows wait to be written."""
        return bool(self._rows)

    def add(self, rows: Iterable[Row], claims: Iterable[Claim] = ()) -> None:
        """Take rows to be written, and the claims that they decide."""
        new = list(rows)
        self._rows += new
        self._claims += claims
        self.is_broken = self.is_broken or any(isinstance(r, Probe) and r.outcome == "internal_error" for r in new)

    def replace_targets(self, targets: Iterable[Target]) -> None:
        """Take the targets of another configuration, instead of those of one in between."""
        self._rows = [row for row in self._rows if not isinstance(row, Target)]
        self._rows += targets

    def save(self) -> None:
        """Write everything in one transaction. Raises StoreError."""
        if not self._rows:
            return
        self._store.write(self._rows)
        self._report_refused()
        if any(isinstance(row, Model | Endpoint) for row in self._rows):
            self._catalog_changed()
        self._mark_recorded()

    def try_to_save(self) -> None:
        """As `save`; when the store cannot be written the rows stay in memory, which is reported."""
        try:
            self.save()
        except StoreError as problem:
            self._dropped += max(0, len(self._rows) - MOST_UNSAVED_ROWS)
            del self._rows[:-MOST_UNSAVED_ROWS]
            dropped = f"; {self._dropped} older rows had to be dropped" if self._dropped else ""
            self._report.say(f"{problem}. {len(self._rows)} rows are kept in memory and will be written later{dropped}")

    def import_spooled(self, for_s: float) -> None:
        """Write what earlier runs could not, for about so long."""
        if self._spool is not None:
            self._spool.import_rows(self._store, for_s)

    def close(self) -> None:
        """Leave what could not be written to the next run: its probes were paid for."""
        if self._spool is None:
            return
        self._spool.close()
        if self._rows and self._spool.save(self._rows):
            self._mark_recorded()

    def _mark_recorded(self) -> None:
        for claim in self._claims:
            claim.state = "recorded"
        for run in (row for row in self._rows if isinstance(row, Run)):
            known = self._shared.collector_runs.get(run.collector)
            if known is not None and known.run == self._shared.run:
                known.recorded = True
        self._claims.clear()
        self._rows.clear()

    def _report_refused(self) -> None:
        since = self._store.kept_since()
        count = sum(isinstance(row, Probe) and row.started_at < since for row in self._rows)
        if count:
            self.is_broken = True
            self._report.say(
                f"{count:,} probes were refused: the store prunes what is older than {iso(since)}. This clock is "
                "behind, or one that was ahead pruned: `python -m collectors remove-future` undoes that"
            )
