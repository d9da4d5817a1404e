"""The schema's first five migrations. They were released, so they are never edited."""

from __future__ import annotations

import apsw


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


SUMS = """
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

        CREATE TABLE hourly (id INTEGER PRIMARY KEY, {SUMS}) STRICT;
        CREATE TABLE daily (id INTEGER PRIMARY KEY, {SUMS}) STRICT;

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
