"""The schema's history: numbered functions, each run once, with its own record, all that are due in one transaction.

To change the schema, add a function at the end of `MIGRATIONS`; never edit one that was released.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from store.clock import now_ms
from store.first_migrations import (
    SUMS,
    m001_first_tables,
    m002_endpoints,
    m003_usage,
    m004_texts,
    m005_rollups,
)
from store.protocol import StoreError
from store.sqlite_derived import rebuild, rebuild_blocks


def m006_blocks(connection: apsw.Connection) -> None:
    """Roll-ups by 16 days, too: a year of many targets in few rows. `_fill_rollups` fills them."""
    connection.execute(f"CREATE TABLE blocks (id INTEGER PRIMARY KEY, {SUMS}) STRICT")


def m007_budgets(connection: apsw.Connection) -> None:
    """What a collector may still use of a day."""
    connection.execute(
        """
        CREATE TABLE budgets (
            location TEXT NOT NULL,
            day INTEGER NOT NULL,
            usd REAL NOT NULL,
            usd_per_day REAL NOT NULL,
            free_requests INTEGER NOT NULL,
            free_requests_per_day INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            PRIMARY KEY (location, day)
        ) STRICT, WITHOUT ROWID
        """
    )


def m008_internal_errors(connection: apsw.Connection) -> None:
    """A count of the probes in which Uptoken itself failed."""
    for table in ("hourly", "daily", "blocks"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN internal_error INTEGER NOT NULL DEFAULT 0")


def m009_merged_runs(connection: apsw.Connection) -> None:
    """How many runs a row stands for, once those of an hour are merged."""
    connection.execute("ALTER TABLE runs ADD COLUMN runs INTEGER")


def m010_answers_and_rate_limits(connection: apsw.Connection) -> None:
    """The first visible answer, the gaps between chunks, when a model goes, what servers say may still be sent, and how
    a target is called.
    """
    for column in ("first_answer_ms REAL", "itl_p50_ms REAL", "itl_p99_ms REAL", "system_fingerprint TEXT"):
        connection.execute(f"ALTER TABLE probes ADD COLUMN {column}")
    connection.execute("ALTER TABLE models ADD COLUMN expires_at INTEGER")
    for column in ("api TEXT", "api_key_header TEXT", "params TEXT", "answer_check TEXT"):
        connection.execute(f"ALTER TABLE targets ADD COLUMN {column}")
    connection.execute(
        """
        CREATE TABLE rate_limits (
            target TEXT NOT NULL,
            location TEXT NOT NULL,
            updated_at INTEGER NOT NULL,
            rests_until INTEGER,
            reason TEXT,
            requests_limit INTEGER,
            requests_remaining INTEGER,
            requests_reset_at INTEGER,
            tokens_limit INTEGER,
            tokens_remaining INTEGER,
            tokens_reset_at INTEGER,
            PRIMARY KEY (target, location)
        ) STRICT, WITHOUT ROWID
        """
    )


def m011_requests(connection: apsw.Connection) -> None:
    """What passes through the relay, one row an attempt, and how many of its rows waited to be written."""
    connection.execute(
        """
        CREATE TABLE requests (
            target TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            request_id TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            location TEXT NOT NULL,
            route TEXT NOT NULL,
            api TEXT NOT NULL,
            streamed INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            served INTEGER NOT NULL,
            cancelled INTEGER NOT NULL,
            model TEXT,
            provider TEXT,
            app TEXT,
            app_title TEXT,
            app_categories TEXT,
            key_name TEXT,
            connect_ms REAL,
            ttft_ms REAL,
            first_answer_ms REAL,
            total_ms REAL,
            tokens_per_second REAL,
            prompt_tokens INTEGER,
            completion_tokens INTEGER,
            reasoning_tokens INTEGER,
            cached_tokens INTEGER,
            tokens_source TEXT,
            cost_usd REAL,
            http_status INTEGER,
            error TEXT,
            finish_reason TEXT,
            served_model TEXT,
            fallback_for TEXT,
            added_ms REAL,
            PRIMARY KEY (target, started_at, request_id, attempt)
        ) STRICT, WITHOUT ROWID;

        ALTER TABLE runs ADD COLUMN queued INTEGER;
        """
    )


def m012_maintenance(connection: apsw.Connection) -> None:
    """Pauses, exclusions and planned maintenance, and when the certificates of hosts expire."""
    for table in ("hourly", "daily", "blocks"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN paused INTEGER NOT NULL DEFAULT 0")
        connection.execute(f"ALTER TABLE {table} ADD COLUMN excluded INTEGER NOT NULL DEFAULT 0")
    connection.execute(
        """
        ALTER TABLE probes ADD COLUMN measured_outcome TEXT;
        ALTER TABLE targets ADD COLUMN maintenance TEXT;

        CREATE TABLE pauses (
            target TEXT NOT NULL,
            began_at INTEGER NOT NULL,
            ends_at INTEGER,
            reason TEXT,
            PRIMARY KEY (target, began_at)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE exclusions (
            target TEXT NOT NULL,
            began_at INTEGER NOT NULL,
            exclusion_id TEXT NOT NULL,
            ends_at INTEGER NOT NULL,
            made_at INTEGER NOT NULL,
            reason TEXT,
            undone_at INTEGER,
            PRIMARY KEY (target, began_at, exclusion_id)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE certificates (
            host TEXT NOT NULL,
            location TEXT NOT NULL,
            seen_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            issuer TEXT,
            PRIMARY KEY (host, location)
        ) STRICT, WITHOUT ROWID;
        """
    )


def m013_alerts(connection: apsw.Connection) -> None:
    """What channels were told, which targets are silenced, and what is asked of a target."""
    connection.execute(
        """
        ALTER TABLE targets ADD COLUMN ttft_max_s REAL;
        ALTER TABLE targets ADD COLUMN slo REAL;

        CREATE TABLE alerts (
            target TEXT NOT NULL,
            kind TEXT NOT NULL,
            location TEXT NOT NULL,
            channel TEXT NOT NULL,
            opened_at INTEGER NOT NULL,
            since INTEGER NOT NULL,
            closed_at INTEGER,
            ended_at INTEGER,
            host TEXT,
            cause TEXT,
            detail TEXT,
            closed_by TEXT,
            held TEXT,
            sent_at INTEGER,
            reminded_at INTEGER,
            recovery_sent_at INTEGER,
            PRIMARY KEY (target, kind, location, channel, opened_at)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE silences (
            target TEXT NOT NULL,
            location TEXT NOT NULL,
            began_at INTEGER NOT NULL,
            ends_at INTEGER NOT NULL,
            PRIMARY KEY (target, location, began_at)
        ) STRICT, WITHOUT ROWID;
        """
    )


def m014_identity(connection: apsw.Connection) -> None:
    """Identity checks and epochs."""
    connection.execute(
        """
        CREATE TABLE identity_checks (
            target TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            location TEXT NOT NULL,
            method TEXT NOT NULL,
            outcome TEXT NOT NULL,
            requests INTEGER NOT NULL,
            alternatives INTEGER,
            observed TEXT,
            epoch_at INTEGER,
            score REAL,
            http_status INTEGER,
            prompt_tokens INTEGER,
            completion_tokens INTEGER,
            cost_usd REAL,
            provider TEXT,
            served_model TEXT,
            system_fingerprint TEXT,
            error TEXT,
            PRIMARY KEY (target, started_at, location)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE identity_epochs (
            target TEXT NOT NULL,
            location TEXT NOT NULL,
            began_at INTEGER NOT NULL,
            method TEXT NOT NULL,
            noticed_at INTEGER NOT NULL,
            ended_at INTEGER,
            frozen_at INTEGER,
            same_as INTEGER,
            distance REAL,
            reference TEXT,
            calibration TEXT,
            PRIMARY KEY (target, location, began_at)
        ) STRICT, WITHOUT ROWID;
        """
    )


def m015_capabilities(connection: apsw.Connection) -> None:
    """Whether endpoints do what their catalog entries promise."""
    connection.execute(
        """
        CREATE TABLE capabilities (
            target TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            location TEXT NOT NULL,
            capability TEXT NOT NULL,
            verdict TEXT NOT NULL,
            outcome TEXT NOT NULL,
            requests INTEGER NOT NULL,
            claimed INTEGER,
            reason TEXT,
            provider TEXT,
            http_status INTEGER,
            prompt_tokens INTEGER,
            completion_tokens INTEGER,
            cost_usd REAL,
            error TEXT,
            PRIMARY KEY (target, started_at, location, capability)
        ) STRICT, WITHOUT ROWID
        """
    )


def m016_workloads(connection: apsw.Connection) -> None:
    """Requests with prompts of several sizes."""
    connection.execute(
        """
        CREATE TABLE workloads (
            target TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            location TEXT NOT NULL,
            workload TEXT NOT NULL,
            kind TEXT NOT NULL,
            input_tokens INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            words INTEGER,
            prompt_tokens INTEGER,
            cached_tokens INTEGER,
            completion_tokens INTEGER,
            http_status INTEGER,
            ttft_ms REAL,
            total_ms REAL,
            tokens_per_second REAL,
            usd_per_million_input REAL,
            usd_per_million_output REAL,
            cost_usd REAL,
            provider TEXT,
            served_model TEXT,
            error TEXT,
            PRIMARY KEY (target, started_at, location, workload, kind, input_tokens)
        ) STRICT, WITHOUT ROWID
        """
    )


MIGRATIONS: tuple[Callable[[apsw.Connection], None], ...] = (
    m001_first_tables,
    m002_endpoints,
    m003_usage,
    m004_texts,
    m005_rollups,
    m006_blocks,
    m007_budgets,
    m008_internal_errors,
    m009_merged_runs,
    m010_answers_and_rate_limits,
    m011_requests,
    m012_maintenance,
    m013_alerts,
    m014_identity,
    m015_capabilities,
    m016_workloads,
)
FIRST_WITH_BLOCKS = 6


def _fill_rollups(connection: apsw.Connection) -> None:
    """Derive the roll-ups that an older schema lacked: from its days where it had them, else from its probes.

    After the last migration, since roll-ups are written with the columns of today.
    """
    if connection.execute("SELECT 1 FROM daily LIMIT 1").fetchone():
        rebuild_blocks(connection)
    else:
        rebuild(connection)


def version_of(connection: apsw.Connection) -> int:
    """The number of the newest migration that this database has seen; 0 for a new file."""
    known = connection.execute("SELECT 1 FROM sqlite_schema WHERE type='table' AND name='migrations'").fetchone()
    if known is None:
        return 0
    return int(connection.execute("SELECT coalesce(max(version), 0) FROM migrations").get)


UNFINISHED = 0x68616C66
"""`PRAGMA user_version` of a file that `repair` has not yet written all of."""
INCREMENTAL = 2
"""`PRAGMA auto_vacuum` of a file whose free pages can be given back to the disk in steps."""


def mark_unfinished(connection: apsw.Connection) -> None:
    """Mark in the file itself that rows are still missing: it may be found under another name."""
    connection.execute(f"PRAGMA user_version={UNFINISHED}")


def mark_finished(connection: apsw.Connection) -> None:
    """Mark that all rows are there."""
    connection.execute("PRAGMA user_version=0")


def refuse_unfinished(connection: apsw.Connection, where: str) -> None:
    """Raises StoreError for a file that an interrupted `repair` left."""
    if connection.execute("PRAGMA user_version").get == UNFINISHED:
        raise StoreError(f"{where} is not complete, the `repair` that wrote it was interrupted: run `repair` again")


def refuse_foreign(connection: apsw.Connection, where: str) -> None:
    """Raises StoreError unless this is a complete store of this or an older Uptoken."""
    version = version_of(connection)
    if not 0 < version <= len(MIGRATIONS):
        raise StoreError(f"{where} is {'from a newer Uptoken' if version else 'not an Uptoken store'}")
    refuse_unfinished(connection, where)


def due_from(connection: apsw.Connection, where: str) -> int | None:
    """The version that a store's next migration begins with; null for a new or a current one. Raises StoreError."""
    version = refuse_newer(connection, where)
    return version if 0 < version < len(MIGRATIONS) else None


def refuse_newer(connection: apsw.Connection, where: str) -> int:
    """The database's version; raises StoreError when a newer Uptoken wrote it."""
    refuse_unfinished(connection, where)
    version = version_of(connection)
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the store {where} was written by a newer Uptoken (schema {version}, this one knows {len(MIGRATIONS)}): "
            "update Uptoken, or point UPTOKEN_STORE at another file"
        )
    return version


def refuse_older(version: int, where: str) -> None:
    """Raises StoreError when a reader, which may change nothing, would need to migrate the schema."""
    if version < len(MIGRATIONS):
        raise StoreError(
            f"the store {where} was written by an older Uptoken (schema {version}, this one reads {len(MIGRATIONS)}): "
            "the next `python -m collectors run` brings it up to date and keeps every row"
        )


def migrate(connection: apsw.Connection, where: str) -> None:
    """Migrate the database to the newest schema. Raises StoreError when it was written by a newer Uptoken."""
    if refuse_newer(connection, where) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # all in one: a reader sees the schema of before or this one, and never one in between
        before = version_of(connection)  # another process may have been first
        for number in range(before + 1, len(MIGRATIONS) + 1):
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migrations ("
                "version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
            )
            function = MIGRATIONS[number - 1]
            function(connection)
            connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, function.__name__, now_ms()))
        if before < FIRST_WITH_BLOCKS <= len(MIGRATIONS):
            _fill_rollups(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
