"""Sample code that calls a model, filled in, in what its server speaks. Pure; the samples are run by tests."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

IMAGE = "https://upload.wikimedia.org/wikipedia/commons/a/a7/Camponotus_flavomarginatus_ant.jpg"
QUESTION = "What is the meaning of life?"
AZURE_VERSION = "2024-10-21"
ANTHROPIC_VERSION = "2023-06-01"
ROUTER_KEY = "OPENROUTER_API_KEY"


@dataclass(frozen=True)
class SampleRequest:
    """What a sample calls: an image is in the message only for a model that takes images."""

    model: str
    base_url: str
    api_key_env: str | None
    takes_images: bool = False
    is_routed: bool = False
    api: str = "chat"
    api_key_header: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str | None:
        """The environment variable that holds the key; null where none is needed. A router always needs one."""
        return self.api_key_env or (ROUTER_KEY if self.is_routed else None)

    @property
    def messages(self) -> list[dict[str, object]]:
        """One question, with a picture where the model takes pictures."""
        return _chat_body(self)["messages"]  # type: ignore[return-value]

    @property
    def attribution(self) -> dict[str, str]:
        """Optional headers by which a router knows the app that calls."""
        return {"HTTP-Referer": "https://your-site.example", "X-Title": "Your app"} if self.is_routed else {}

    @property
    def root(self) -> str:
        """The base URL without its query."""
        return urlunsplit(urlsplit(self.base_url)._replace(query="")).rstrip("/")

    @property
    def query(self) -> dict[str, str]:
        """The query of each request: of the base URL, and the target's `params`."""
        own = dict(parse_qsl(urlsplit(self.base_url).query, keep_blank_values=True))
        return DIALECTS[self.api].query(self) | own | dict(self.params)

    @property
    def url(self) -> str:
        """Where a request goes."""
        query = f"?{urlencode(self.query)}" if self.query else ""
        return f"{self.root}/{DIALECTS[self.api].path(self)}{query}"

    @property
    def key_header(self) -> str | None:
        """The header that carries the key; null where none is needed."""
        return (self.api_key_header or DIALECTS[self.api].key_header) if self.key else None

    @property
    def body(self) -> dict[str, object]:
        """The JSON of a request."""
        return DIALECTS[self.api].body(self)

    def key_value(self, key: str) -> str:
        """The value of the key's header, for a key written in the sample's language."""
        return f"Bearer {key}" if (self.key_header or "").lower() == "authorization" else key


@dataclass(frozen=True)
class SampleDialect:
    """How one API is called: below the base URL, and where the answer is in its JSON, in Python and JavaScript."""

    path: Callable[[SampleRequest], str]
    body: Callable[[SampleRequest], dict[str, object]]
    python_answer: str
    js_answer: str
    sdk: str
    write_sdk: Callable[[SampleRequest], str]
    key_header: str = "Authorization"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Callable[[SampleRequest], dict[str, str]] = lambda _request: {}


def python_sdk(request: SampleRequest) -> str:
    """With the vendor's own package."""
    return DIALECTS[request.api].write_sdk(request)


def python_openai(request: SampleRequest) -> str:
    """With the openai package."""
    extra = f"    extra_headers={_python(request.attribution, 4)},  # optional\n" if request.attribution else ""
    return _openai(
        request,
        "completion = client.chat.completions.create(\n"
        f"{extra}"
        f"    model={_text(request.model)},\n"
        f"    messages={_python(request.messages, 4)},\n"
        ")\nprint(completion.choices[0].message.content)\n",
    )


def _openai_responses(request: SampleRequest) -> str:
    given = _python(request.body["input"], 4)
    return _openai(
        request,
        f"response = client.responses.create(\n    model={_text(request.model)},\n    input={given},\n)\n"
        "print(response.output_text)\n",
    )


def _openai_embeddings(request: SampleRequest) -> str:
    return _openai(
        request,
        f"response = client.embeddings.create(\n    model={_text(request.model)},\n    input={_text(QUESTION)},\n)\n"
        "print(response.data[0].embedding[:5])\n",
    )


def _openai(request: SampleRequest, call: str) -> str:
    """A client of the openai package, and a call. The key is an Authorization header unless the target says another."""
    is_usual = request.key_header is None or request.key_header.lower() == "authorization"
    key = _environment(request) if request.key_header and is_usual else '"none"'
    note = "" if request.key_header else "  # this server needs none"
    more = "" if is_usual else f"    default_headers={{{_text(request.key_header or '')}: {_environment(request)}}},\n"
    more += f"    default_query={_python(request.query, 4)},\n" if request.query else ""
    return _program(
        "from openai import OpenAI",
        f"client = OpenAI(\n    base_url={_text(request.root)},\n    api_key={key},{note}\n{more})\n{call}",
    )


def _openai_azure(request: SampleRequest) -> str:
    if request.root.endswith("/v1"):  # the newer URLs are plain OpenAI
        return python_openai(request)
    is_deployment = "/deployments/" in f"{request.root}/"
    where = "base_url" if is_deployment else "azure_endpoint"
    query = request.query
    version = query.pop("api-version")
    more = f"    default_query={_python(query, 4)},\n" if query else ""
    header = request.key_header or "api-key"
    if header.lower() != "api-key":
        more += f"    default_headers={{{_text(header)}: {_python_key(request)}}},\n"
    return _program(
        "from openai import AzureOpenAI",
        f"client = AzureOpenAI(\n    {where}={_text(request.root.removesuffix('/openai'))},\n"
        f"    api_version={_text(version)},\n    api_key={_environment(request)},\n{more})\n"
        f"completion = client.chat.completions.create(\n    model={_text(request.model)},\n"
        f"    messages={_python(request.messages, 4)},\n)\nprint(completion.choices[0].message.content)\n",
    )


def _anthropic(request: SampleRequest) -> str:
    is_usual = request.key_header is None or request.key_header.lower() == "x-api-key"
    more = "" if is_usual else f"    default_headers={{{_text(request.key_header or '')}: {_python_key(request)}}},\n"
    more += f"    default_query={_python(request.query, 4)},\n" if request.query else ""
    return _program(
        "from anthropic import Anthropic",
        f"client = Anthropic(\n    base_url={_text(request.root.removesuffix('/v1'))},\n"
        f"    api_key={_environment(request)},\n{more})\n"
        f"message = client.messages.create(\n    model={_text(request.model)},\n    max_tokens=1024,\n"
        f"    messages={_python(request.body['messages'], 4)},\n)\n"
        'print("".join(block.text for block in message.content if block.type == "text"))\n',
    )


def _google_genai(request: SampleRequest) -> str:
    root, _, version = request.root.rpartition("/")
    if not version.startswith("v1"):
        root, version = request.root, "v1beta"
    is_usual = request.key_header is None or request.key_header.lower() == "x-goog-api-key"
    more = "" if is_usual else f',\n        "headers": {{{_text(request.key_header or "")}: {_python_key(request)}}}'
    return _program(
        "from google import genai",
        f"client = genai.Client(\n    api_key={_environment(request)},\n"
        f'    http_options={{\n        "base_url": {_text(root)},\n'
        f'        "api_version": {_text(version)}{more},\n    }},\n)\n'
        f"response = client.models.generate_content(\n    model={_text(request.model)},\n"
        f"    contents={_text(QUESTION)},\n)\nprint(response.text)\n",
    )


def python_requests(request: SampleRequest) -> str:
    """With requests."""
    auth = f"        {_text(request.key_header)}: {_python_key(request)},\n" if request.key_header else ""
    more = "".join(f'        "{name}": "{value}",\n' for name, value in DIALECTS[request.api].headers.items())
    more += "".join(f'        "{name}": "{value}",  # optional\n' for name, value in request.attribution.items())
    block = f"    headers={{\n{auth}{more}    }},\n" if auth or more else ""
    return _program(
        "import requests",
        f"response = requests.post(\n    {_text(request.url)},\n"
        f"{block}"
        f"    json={_python(request.body, 4)},\n"
        f"    timeout=60,\n)\nresponse.raise_for_status()\nbody = response.json()\n"
        f"print({DIALECTS[request.api].python_answer})\n",
    )


def typescript(request: SampleRequest) -> str:
    """With fetch."""
    dialect = DIALECTS[request.api]
    value = request.key_value(f"${{process.env.{request.key}}}")
    lines = [f'    "{request.key_header}": `{value}`,'] if request.key_header else []
    lines += [f'    "{name}": "{value}",' for name, value in dialect.headers.items()]
    lines += [f'    "{name}": "{value}", // optional' for name, value in request.attribution.items()]
    headers = "\n".join([*lines, '    "Content-Type": "application/json",'])
    body = json.dumps(request.body, indent=2).replace("\n", "\n  ")
    return (
        f'const response = await fetch({_text(request.url)}, {{\n  method: "POST",\n'
        f"  headers: {{\n{headers}\n  }},\n  body: JSON.stringify({body}),\n}});\n"
        f"const body = await response.json();\nconsole.log({dialect.js_answer});\n"
    )


def curl(request: SampleRequest) -> str:
    """On a command line."""
    auth = f'  -H "{request.key_header}: {request.key_value(f"${request.key}")}" \\\n' if request.key_header else ""
    body = json.dumps(request.body, indent=2).replace("'", "'\\''")
    more = {**DIALECTS[request.api].headers, **request.attribution}
    lines = auth + "".join(f'  -H "{name}: {value}" \\\n' for name, value in more.items())
    return f"curl {shlex.quote(request.url)} \\\n{lines}  -H \"Content-Type: application/json\" \\\n  -d '{body}'\n"


def _chat_body(request: SampleRequest) -> dict[str, object]:
    content: object = QUESTION
    if request.takes_images:
        text, image = {"type": "text", "text": "What is in this image?"}, {"url": IMAGE}
        content = [text, {"type": "image_url", "image_url": image}]
    return {"model": request.model, "messages": [{"role": "user", "content": content}]}


def _responses_body(request: SampleRequest) -> dict[str, object]:
    if not request.takes_images:
        return {"model": request.model, "input": QUESTION}
    parts = [
        {"type": "input_text", "text": "What is in this image?"},
        {"type": "input_image", "image_url": IMAGE},
    ]
    return {"model": request.model, "input": [{"role": "user", "content": parts}]}


def _anthropic_body(request: SampleRequest) -> dict[str, object]:
    content: object = QUESTION
    if request.takes_images:
        image = {"type": "image", "source": {"type": "url", "url": IMAGE}}
        content = [image, {"type": "text", "text": "What is in this image?"}]
    return {"model": request.model, "max_tokens": 1024, "messages": [{"role": "user", "content": content}]}


def _gemini_body(_request: SampleRequest) -> dict[str, object]:
    return {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]}


def _gemini_path(request: SampleRequest) -> str:
    named = request.model if request.model.startswith(("models/", "tunedModels/")) else f"models/{request.model}"
    return f"{'' if urlsplit(request.root).path else 'v1beta/'}{quote(named, safe='/@.-_')}:generateContent"


def _azure_path(request: SampleRequest) -> str:
    if "/deployments/" in f"{request.root}/" or request.root.endswith("/v1"):
        return "chat/completions"
    below = "" if request.root.endswith("/openai") else "openai/"
    return f"{below}deployments/{quote(request.model, safe='')}/chat/completions"


def _azure_query(request: SampleRequest) -> dict[str, str]:
    return {} if request.root.endswith("/v1") else {"api-version": AZURE_VERSION}


CHAT = SampleDialect(
    path=lambda _request: "chat/completions",
    body=_chat_body,
    python_answer='body["choices"][0]["message"]["content"]',
    js_answer="body.choices[0].message.content",
    sdk="openai",
    write_sdk=python_openai,
)
DIALECTS: dict[str, SampleDialect] = {
    "chat": CHAT,
    "responses": SampleDialect(
        path=lambda _request: "responses",
        body=_responses_body,
        python_answer='"".join(p.get("text", "") for item in body["output"] for p in item.get("content") or [])',
        js_answer='body.output.flatMap((item) => item.content ?? []).map((part) => part.text ?? "").join("")',
        sdk="openai",
        write_sdk=_openai_responses,
    ),
    "anthropic": SampleDialect(
        path=lambda request: f"{'' if urlsplit(request.root).path else 'v1/'}messages",
        body=_anthropic_body,
        python_answer='"".join(block.get("text", "") for block in body["content"])',
        js_answer='body.content.map((block) => block.text ?? "").join("")',
        sdk="anthropic",
        write_sdk=_anthropic,
        key_header="x-api-key",
        headers={"anthropic-version": ANTHROPIC_VERSION},
    ),
    "gemini": SampleDialect(
        path=_gemini_path,
        body=_gemini_body,
        python_answer='"".join(part.get("text", "") for part in body["candidates"][0]["content"]["parts"])',
        js_answer='body.candidates[0].content.parts.map((part) => part.text ?? "").join("")',
        sdk="google-genai",
        write_sdk=_google_genai,
        key_header="x-goog-api-key",
    ),
    "azure": SampleDialect(
        path=_azure_path,
        body=_chat_body,
        python_answer=CHAT.python_answer,
        js_answer=CHAT.js_answer,
        sdk="openai",
        write_sdk=_openai_azure,
        key_header="api-key",
        query=_azure_query,
    ),
    "embeddings": SampleDialect(
        path=lambda _request: "embeddings",
        body=lambda request: {"model": request.model, "input": QUESTION},
        python_answer='body["data"][0]["embedding"][:5]',
        js_answer="body.data[0].embedding.slice(0, 5)",
        sdk="openai",
        write_sdk=_openai_embeddings,
    ),
}

SAMPLES = {
    "Python (openai)": ("python", python_sdk),
    "Python (requests)": ("python", python_requests),
    "TypeScript": ("typescript", typescript),
    "curl": ("bash", curl),
}


def label(sample: str, api: str) -> str:
    """The label of a sample for an API: the first is the vendor's own package."""
    return f"Python ({DIALECTS[api].sdk})" if sample == "Python (openai)" else sample


def _program(imports: str, code: str) -> str:
    """A Python program that imports what it uses, and nothing else."""
    if "os.environ" in code:
        imports = f"import os\n\n{imports}"
    return f"{imports}\n\n{code}"


def _environment(request: SampleRequest) -> str:
    """The key in Python, as its own package wants it."""
    return f'os.environ["{request.key}"]' if request.key else '"none"'


def _python_key(request: SampleRequest) -> str:
    """The value of the key's header in Python."""
    value = request.key_value(f"{{os.environ['{request.key}']}}")
    return f'f"{value}"' if value.startswith("Bearer") else _environment(request)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _python(value: object, indent: int) -> str:
    """A literal that is both JSON and Python: the values here have neither true nor null."""
    return json.dumps(value, indent=4).replace("\n", "\n" + " " * indent)
