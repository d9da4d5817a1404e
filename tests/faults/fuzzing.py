"""Coverage-guided fuzzing of what reads a server's words: `make fuzz`, or `python -m tests.faults.fuzzing SECONDS`.

Each parser may refuse what it gets in its own way; any other exception is a finding, and its input is kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.http.response import ProbeResponse

ROOT = Path(__file__).resolve().parents[2]
SEEDS = {
    "stream": [
        b'data: {"choices":[{"delta":{"content":"42"},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}\n\n',
        b'event: error\ndata: {"message": "no", "code": 500}\n\ndata: [DONE]\n\n',
        b": ping\r\rdata:{\n data: }\r\n\r\n",
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"42"}\n\n'
        b'data: {"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":1}}}\n\n',
        b'data: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n'
        b'data: {"type":"content_block_delta","delta":{"text":"42"}}\n\ndata: {"type":"message_stop"}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"text":"42","thought":true}]},"finishReason":"STOP"}]}\r\n\r\n',
        b'{"error":\n{"code": 1}\n}\ndata: {"base_resp":{"status_code":1008}}\n\n',
    ],
    "body": [
        b'{"choices":[{"message":{"content":"42"}}],"usage":{"prompt_tokens":1e999}}',
        b'{"error":{"message":"x"}}',
    ],
    "catalog": [b'{"data":[{"id":"a/b","name":"B","pricing":{"prompt":"0.1"},"context_length":8}]}', b'{"data":[1]}'],
}


def stream(data: bytes) -> None:
    """Server-sent events, split where the first byte says."""
    from collectors.http.dialects import DIALECTS
    from collectors.http.dialects.base import StreamEnd
    from collectors.http.redaction import safe_error
    from collectors.http.response import read_events
    from collectors.http.sse import LineTooLongError, events

    size = data[0] + 1 if data else 1
    pieces = [(float(n), data[n : n + size]) for n in range(1, len(data), size)]
    for dialect in DIALECTS.values():
        end = StreamEnd(dialect.end)
        for _, piece in pieces:
            end.comes_with(piece)
        try:
            reply = read_events(events(pieces), dialect)
        except LineTooLongError:
            return
        _holds(reply)
        safe_error(reply.error or "", ["sk-12345678"])


def body(data: bytes) -> None:
    """A whole reply."""
    from collectors.http.dialects import DIALECTS
    from collectors.http.response import parse_objects, read_whole

    found = parse_objects(data)
    for dialect in DIALECTS.values() if found else ():
        _holds(read_whole(found, dialect))


def catalog(data: bytes) -> None:
    """A router's list of models."""
    from collectors.catalog import endpoints_of, models_of
    from collectors.sources.openrouter import SentEndpoint, SentModel, entries, validate

    try:
        raw = entries(json.loads(data), "data")
    except (ValueError, RecursionError):  # `entries` says so of what is no list
        return
    rows = [*models_of(validate(SentModel, raw)[0], 0), *endpoints_of("m", validate(SentEndpoint, raw)[0], 0)]
    for row in rows:
        for value in astuple(row):
            assert not isinstance(value, str) or value.encode() is not None
            assert not isinstance(value, int) or -(2**63) <= value < 2**63, row


def _holds(reply: ProbeResponse) -> None:
    for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "cost_usd"):
        value = getattr(reply.usage, name)
        assert value is None or 0 <= value <= 1e9, (name, value)
    for name in ("provider", "served_model", "system_fingerprint", "finish_reason", "route"):
        text = getattr(reply, name)
        assert text is None or text.encode(), (name, text)  # half a letter cannot be kept


def fuzz(name: str, seconds: int) -> None:
    """One parser, in this process, which atheris ends."""
    import atheris

    with atheris.instrument_imports(include=["collectors"]):
        pass
    target = {"stream": stream, "body": body, "catalog": catalog}[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS[name]):
            (Path(folder) / str(number)).write_bytes(seed)
        arguments = [sys.argv[0], f"-max_total_time={seconds}", "-max_len=8192", "-verbosity=0", "-print_final_stats=1"]
        atheris.Setup([*arguments, folder], target)
        atheris.Fuzz()


def main() -> int:
    """Fuzz each parser in a process of its own; 1 when something was found."""
    if len(sys.argv) == 3:
        fuzz(sys.argv[1], int(sys.argv[2]))
        return 0
    found = 0
    for name in SEEDS:
        print(f"fuzzing {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", "tests.faults.fuzzing", name, sys.argv[1]], cwd=ROOT, check=False)
        found |= done.returncode
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
