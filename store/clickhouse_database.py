"""One ClickHouse database: its connections, its errors, and the statements that all parts of the store make."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from settings.secrecy import HIDDEN, hidden
from store.batches import Values
from store.clickhouse_schema import Layout
from store.protocol import StoreError
from store.schema import Table
from store.url import StoreUrl

try:
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import Error as ClientError
except ImportError as problem:  # the extra requirement is only for who has a fleet
    raise StoreError(
        "a ClickHouse store needs the package clickhouse-connect: pip install -r requirements-clickhouse.txt"
    ) from problem

BLOCK = 20_000
"""Rows in one insert, and in one query of a long read."""


class Database:
    """A client serializes its queries, so each thread has its own."""

    def __init__(self, url: StoreUrl) -> None:
        self.url = url
        self.layout = Layout(url.database, url.cluster, url.retention_days)
        if url.engine == "chdb":
            self._connection: dict[str, Any] = {"interface": "chdb", "path": str(url.path)}
        else:
            self._connection = {
                "host": url.host,
                "port": url.port,
                "username": url.username,
                "password": url.password,
                "secure": url.secure,
                "autogenerate_session_id": False,  # queries of one session wait for each other
            }
        self._idle: list[Any] = []
        self._guard = threading.Lock()

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client that nobody else uses meanwhile: a dashboard makes a thread for every click, and no new client."""
        with self._guard:
            client = self._idle.pop() if self._idle else None
        if client is None:
            client = clickhouse_connect.get_client(**self._connection)
        try:
            yield client
        finally:
            with self._guard:
                self._idle.append(client)

    @contextmanager
    def errors(self, verb: str) -> Iterator[None]:
        """Raises StoreError for what the engine raises. The server repeats the login in some of its errors."""
        try:
            yield
        except (ClientError, OSError) as problem:
            text = str(problem).splitlines()[0][:300]
            if self.url.password:
                text = text.replace(self.url.password, HIDDEN)
            raise StoreError(f"could not {verb} the store at {self.url}: {hidden(text)}") from problem

    def name(self, table: str) -> str:
        """A table's name with the database's."""
        return f"{self.url.database}.{table}"

    def command(self, sql: str, **parameters: Any) -> Any:
        """Run a statement; returns the first value of what it gives."""
        with self.client() as client:
            return client.command(sql, parameters=parameters)

    def query(self, sql: str, **parameters: Any) -> list[Values]:
        """The rows of a statement that gives few."""
        with self.client() as client:
            return [tuple(row) for row in client.query(sql, parameters=parameters).result_rows]

    def rows(
        self, sql: str, parameters: dict[str, Any] | None = None, *, binary: tuple[str, ...] = ()
    ) -> Iterator[Values]:
        """The rows of a query, block by block. The columns that are `binary` are not text."""
        formats = dict.fromkeys(binary, "bytes")
        with (
            self.errors("read"),
            self.client() as client,
            client.query_rows_stream(sql, parameters=parameters or {}, column_formats=formats) as stream,
        ):
            for row in stream:
                yield tuple(row)

    def insert(self, table: Table, values: Sequence[Values]) -> None:
        """Add rows, in blocks. Of rows with one key the newest `version` counts."""
        names = list(table.names)
        if table.on_conflict != "ignore" and values:
            version = self._next_version(table)
            names.append("version")
            values = [(*row, version) for row in values]
        for start in range(0, len(values), BLOCK):
            with self.client() as client:
                client.insert(self.name(table.name), values[start : start + BLOCK], column_names=names)

    def _next_version(self, table: Table) -> int:
        """Larger than any that is there: one that a clock which was ahead gave would win for years."""
        [(newest,)] = self.rows(f"SELECT max(version) FROM {self.name(table.name)}")
        return max(time.time_ns(), int(newest or 0) + 1)

    def delete(self, name: str, condition: str, **parameters: Any) -> None:
        """Delete rows on every shard: they lie in its own table."""
        self.command(f"DELETE FROM {self.layout.local(name)}{self.layout.on_cluster} WHERE {condition}", **parameters)

    def known_columns(self) -> dict[str, set[str]]:
        """The columns of each table that is there."""
        sql = "SELECT table, groupArray(name) FROM system.columns WHERE database = {name:String} GROUP BY table"
        return {table: set(columns) for table, columns in self.query(sql, name=self.url.database)}

    def close(self) -> None:
        """Close every idle client."""
        with self._guard:
            clients, self._idle = self._idle, []
        for client in clients:
            client.close()
