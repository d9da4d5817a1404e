"""The schema's history: numbered functions, each run once, with its own record, all that are due in one transaction.

To change the schema, add a function at the end of `MIGRATIONS`; never edit one that was released.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from store.clock import now_ms
from store.protocol import StoreError
from store.sqlite_derived import fold, rebuild


def m001_first_tables(connection: apsw.Connection) -> None:
    """Probes and their series, targets, the catalog's models, runs, and what servers refuse."""
    connection.execute(
        """
        CREATE TABLE probes (
            target TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            location TEXT NOT NULL,
            profile TEXT NOT NULL,
            stands_for_s REAL NOT NULL,
            outcome TEXT NOT NULL,
            http_status INTEGER,
            lag_ms REAL,
            connect_ms REAL,
            ttft_ms REAL,
            total_ms REAL,
            tokens_per_second REAL,
            prompt_tokens INTEGER,
            completion_tokens INTEGER,
            reasoning_tokens INTEGER,
            cached_tokens INTEGER,
            tokens_source TEXT,
            cost_usd REAL,
            answer_ok INTEGER,
            provider TEXT,
            served_model TEXT,
            finish_reason TEXT,
            route TEXT,
            error TEXT,
            PRIMARY KEY (target, started_at, location, profile)
        ) STRICT, WITHOUT ROWID;

        -- first and last probe of every series, so that "what is due" and "how old" cost the same at any age
        CREATE TABLE series (
            target TEXT NOT NULL,
            location TEXT NOT NULL,
            profile TEXT NOT NULL,
            first_at INTEGER NOT NULL,
            last_at INTEGER NOT NULL,
            PRIMARY KEY (target, location, profile)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE targets (
            name TEXT NOT NULL,
            location TEXT NOT NULL,
            state TEXT NOT NULL,
            model TEXT NOT NULL,
            base_url TEXT NOT NULL,
            every_s REAL NOT NULL,
            profile TEXT NOT NULL,
            updated_at INTEGER NOT NULL,
            throughput_every_s REAL,
            provider TEXT,
            api_key_env TEXT,
            tags TEXT,
            PRIMARY KEY (name, location)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE models (
            source TEXT NOT NULL,
            model TEXT NOT NULL,
            valid_from INTEGER NOT NULL,
            valid_to INTEGER,
            name TEXT,
            created_at INTEGER,
            description TEXT,
            context_tokens INTEGER,
            max_output_tokens INTEGER,
            usd_per_million_input TEXT,
            usd_per_million_output TEXT,
            usd_per_request TEXT,
            input_modalities TEXT,
            output_modalities TEXT,
            supported_parameters TEXT,
            PRIMARY KEY (source, model, valid_from)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE runs (
            collector TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            location TEXT NOT NULL,
            ended_at INTEGER NOT NULL,
            rows INTEGER NOT NULL,
            skipped INTEGER NOT NULL,
            error TEXT,
            PRIMARY KEY (collector, started_at, location)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE adaptations (
            target TEXT NOT NULL,
            base_url TEXT NOT NULL,
            model TEXT NOT NULL,
            field TEXT NOT NULL,
            replacement TEXT,
            noticed_at INTEGER NOT NULL,
            PRIMARY KEY (target, base_url, model, field)
        ) STRICT, WITHOUT ROWID;
        """
    )


def m002_endpoints(connection: apsw.Connection) -> None:
    """What the router's catalog says of each provider's endpoint, and what it reports of them."""
    connection.execute(
        """
        ALTER TABLE models ADD COLUMN canonical_slug TEXT;
        ALTER TABLE models ADD COLUMN more_prices TEXT;

        CREATE TABLE endpoints (
            source TEXT NOT NULL,
            model TEXT NOT NULL,
            tag TEXT NOT NULL,
            valid_from INTEGER NOT NULL,
            valid_to INTEGER,
            provider TEXT,
            quantization TEXT,
            context_tokens INTEGER,
            max_output_tokens INTEGER,
            max_prompt_tokens INTEGER,
            usd_per_million_input TEXT,
            usd_per_million_output TEXT,
            usd_per_request TEXT,
            supported_parameters TEXT,
            more_prices TEXT,
            PRIMARY KEY (source, model, tag, valid_from)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE endpoint_stats (
            source TEXT NOT NULL,
            model TEXT NOT NULL,
            tag TEXT NOT NULL,
            seen_at INTEGER NOT NULL,
            provider TEXT,
            status INTEGER,
            uptime_5m REAL,
            uptime_30m REAL,
            uptime_1d REAL,
            latency_p50_ms REAL,
            latency_p75_ms REAL,
            latency_p90_ms REAL,
            latency_p99_ms REAL,
            tokens_per_second_p50 REAL,
            tokens_per_second_p75 REAL,
            tokens_per_second_p90 REAL,
            tokens_per_second_p99 REAL,
            PRIMARY KEY (model, tag, source, seen_at)
        ) STRICT, WITHOUT ROWID;
        """
    )


def m003_usage(connection: apsw.Connection) -> None:
    """Tokens really processed, by day; and which endpoints keep nothing of a prompt."""
    connection.execute(
        """
        ALTER TABLE endpoints ADD COLUMN zero_retention INTEGER;

        CREATE TABLE usage (
            source TEXT NOT NULL,
            day INTEGER NOT NULL,
            model TEXT NOT NULL,
            variant TEXT NOT NULL,
            app TEXT NOT NULL,
            provider TEXT NOT NULL,
            tokens INTEGER,
            prompt_tokens INTEGER,
            completion_tokens INTEGER,
            reasoning_tokens INTEGER,
            cached_tokens INTEGER,
            requests INTEGER,
            cost_usd REAL,
            PRIMARY KEY (source, day, model, variant, app, provider)
        ) STRICT, WITHOUT ROWID;

        CREATE INDEX usage_by_model ON usage (model, day);
        """
    )


def m004_texts(connection: apsw.Connection) -> None:
    """Long texts of the catalog are kept once: a row a price change would repeat the description every time."""
    connection.execute(
        """
        CREATE TABLE texts (
            id INTEGER PRIMARY KEY,
            text TEXT NOT NULL UNIQUE
        ) STRICT;

        INSERT OR IGNORE INTO texts (text) SELECT description FROM models WHERE description IS NOT NULL;
        INSERT OR IGNORE INTO texts (text)
            SELECT supported_parameters FROM models WHERE supported_parameters IS NOT NULL;
        INSERT OR IGNORE INTO texts (text)
            SELECT supported_parameters FROM endpoints WHERE supported_parameters IS NOT NULL;

        ALTER TABLE models RENAME TO old_models;
        CREATE TABLE models (
            source TEXT NOT NULL,
            model TEXT NOT NULL,
            valid_from INTEGER NOT NULL,
            valid_to INTEGER,
            name TEXT,
            created_at INTEGER,
            description INTEGER,
            context_tokens INTEGER,
            max_output_tokens INTEGER,
            usd_per_million_input TEXT,
            usd_per_million_output TEXT,
            usd_per_request TEXT,
            input_modalities TEXT,
            output_modalities TEXT,
            supported_parameters INTEGER,
            canonical_slug TEXT,
            more_prices TEXT,
            PRIMARY KEY (source, model, valid_from)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO models SELECT source, model, valid_from, valid_to, name, created_at,
            (SELECT id FROM texts WHERE text = description), context_tokens, max_output_tokens, usd_per_million_input,
            usd_per_million_output, usd_per_request, input_modalities, output_modalities,
            (SELECT id FROM texts WHERE text = supported_parameters), canonical_slug, more_prices FROM old_models;
        DROP TABLE old_models;

        ALTER TABLE endpoints RENAME TO old_endpoints;
        CREATE TABLE endpoints (
            source TEXT NOT NULL,
            model TEXT NOT NULL,
            tag TEXT NOT NULL,
            valid_from INTEGER NOT NULL,
            valid_to INTEGER,
            provider TEXT,
            quantization TEXT,
            context_tokens INTEGER,
            max_output_tokens INTEGER,
            max_prompt_tokens INTEGER,
            usd_per_million_input TEXT,
            usd_per_million_output TEXT,
            usd_per_request TEXT,
            supported_parameters INTEGER,
            more_prices TEXT,
            zero_retention INTEGER,
            PRIMARY KEY (source, model, tag, valid_from)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO endpoints SELECT source, model, tag, valid_from, valid_to, provider, quantization, context_tokens,
            max_output_tokens, max_prompt_tokens, usd_per_million_input, usd_per_million_output, usd_per_request,
            (SELECT id FROM texts WHERE text = supported_parameters), more_prices, zero_retention FROM old_endpoints;
        DROP TABLE old_endpoints;
        """
    )


_SUMS = """
            ok INTEGER NOT NULL,
            timeout INTEGER NOT NULL,
            connection_error INTEGER NOT NULL,
            server_error INTEGER NOT NULL,
            stream_error INTEGER NOT NULL,
            invalid_response INTEGER NOT NULL,
            empty INTEGER NOT NULL,
            rate_limited INTEGER NOT NULL,
            caller_error INTEGER NOT NULL,
            not_found INTEGER NOT NULL,
            offline INTEGER NOT NULL,
            up_ms INTEGER NOT NULL,
            down_ms INTEGER NOT NULL,
            not_counted_ms INTEGER NOT NULL,
            deciding INTEGER NOT NULL,
            squares INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            cost_pusd INTEGER NOT NULL,
            priced INTEGER NOT NULL,
            unpriced INTEGER NOT NULL,
            answers_right INTEGER NOT NULL,
            answers_checked INTEGER NOT NULL,
            lagged INTEGER NOT NULL,
            ttft_ms BLOB,
            total_ms BLOB,
            tokens_per_second BLOB,
            cells BLOB
"""


def m005_rollups(connection: apsw.Connection) -> None:
    """Roll-ups by hour and day, incidents, and a number for each series; the next one fills them."""
    connection.execute(
        f"""
        ALTER TABLE series RENAME TO old_series;
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            target TEXT NOT NULL,
            location TEXT NOT NULL,
            profile TEXT NOT NULL,
            first_at INTEGER NOT NULL,
            last_at INTEGER NOT NULL,
            failing INTEGER NOT NULL DEFAULT 0,
            UNIQUE (target, location, profile)
        ) STRICT;
        INSERT INTO series (target, location, profile, first_at, last_at)
            SELECT target, location, profile, first_at, last_at FROM old_series;
        DROP TABLE old_series;

        CREATE TABLE hourly (id INTEGER PRIMARY KEY, {_SUMS}) STRICT;
        CREATE TABLE daily (id INTEGER PRIMARY KEY, {_SUMS}) STRICT;

        CREATE TABLE incidents (
            target TEXT NOT NULL,
            location TEXT NOT NULL,
            profile TEXT NOT NULL,
            began_at INTEGER NOT NULL,
            ended_at INTEGER,
            cause TEXT NOT NULL,
            probes INTEGER NOT NULL,
            error TEXT,
            PRIMARY KEY (target, location, profile, began_at)
        ) STRICT, WITHOUT ROWID;

        -- one row: before this moment the raw probes are forgotten, and their roll-ups alone are left
        CREATE TABLE upkeep (kept_since INTEGER NOT NULL) STRICT;
        INSERT INTO upkeep VALUES (0);

        -- failures are few, and looked for over long windows
        CREATE INDEX failures ON probes (target, started_at) WHERE outcome <> 'ok';
        """
    )


def m006_blocks(connection: apsw.Connection) -> None:
    """Roll-ups by 16 days, too: a year of many targets in few rows. `_fill_rollups` fills them."""
    connection.execute(f"CREATE TABLE blocks (id INTEGER PRIMARY KEY, {_SUMS}) STRICT")


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
)
FIRST_WITH_BLOCKS = 6


def _fill_rollups(connection: apsw.Connection) -> None:
    """Make the roll-ups that an older schema lacked: from its days where it had them, else from its probes.

    After the last migration, since roll-ups are written with the columns of today.
    """
    if connection.execute("SELECT 1 FROM daily LIMIT 1").fetchone():
        fold(connection)
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
    """Say in the file itself that rows are missing yet: it may be found under another name."""
    connection.execute(f"PRAGMA user_version={UNFINISHED}")


def mark_finished(connection: apsw.Connection) -> None:
    """Say that all rows are there."""
    connection.execute("PRAGMA user_version=0")


def refuse_unfinished(connection: apsw.Connection, where: str) -> None:
    """Raises StoreError for what a `repair` left that was killed."""
    if connection.execute("PRAGMA user_version").get == UNFINISHED:
        raise StoreError(f"{where} is not complete, the `repair` that wrote it was interrupted: run `repair` again")


def refuse_foreign(connection: apsw.Connection, where: str) -> None:
    """Raises StoreError for what is no complete store, or one of a newer Uptoken."""
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
    """Raises StoreError when a reader, who may change nothing, meets a schema that is not this one's yet."""
    if version < len(MIGRATIONS):
        raise StoreError(
            f"the store {where} was written by an older Uptoken (schema {version}, this one reads {len(MIGRATIONS)}): "
            "the next `python -m collectors run` brings it up to date and keeps every row"
        )


def migrate(connection: apsw.Connection, where: str) -> None:
    """Bring the database up to date. Raises StoreError when it was written by a newer Uptoken."""
    if refuse_newer(connection, where) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # all in one: a reader sees the schema of before or this one, and never a store that is half made
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
