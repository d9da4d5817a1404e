"""Sample code that calls a model, filled in. Pure; the Python and curl samples are run by a test."""

from __future__ import annotations

import json
from dataclasses import dataclass

IMAGE = "https://upload.wikimedia.org/wikipedia/commons/a/a7/Camponotus_flavomarginatus_ant.jpg"


@dataclass(frozen=True)
class Callee:
    """What is called: an image goes into the message only for a model that takes images."""

    model: str
    base_url: str
    api_key_env: str | None
    takes_images: bool = False
    is_routed: bool = False

    @property
    def key(self) -> str:
        """The variable that holds the key."""
        return self.api_key_env or "API_KEY"

    @property
    def messages(self) -> list[dict[str, object]]:
        """One question, with a picture where the model takes pictures."""
        if not self.takes_images:
            return [{"role": "user", "content": "What is the meaning of life?"}]
        text, image = {"type": "text", "text": "What is in this image?"}, {"url": IMAGE}
        return [{"role": "user", "content": [text, {"type": "image_url", "image_url": image}]}]

    @property
    def attribution(self) -> dict[str, str]:
        """Optional headers by which a router knows the app that calls."""
        return {"HTTP-Referer": "https://your-site.example", "X-Title": "Your app"} if self.is_routed else {}


def python_openai(callee: Callee) -> str:
    """With the openai package."""
    extra = f"    extra_headers={_python(callee.attribution, 4)},  # optional\n" if callee.attribution else ""
    key_line = f'api_key=os.environ["{callee.key}"],' if callee.api_key_env else 'api_key="none",  # none is asked for'
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(\n    base_url="{callee.base_url}",\n    {key_line}\n)\n'
        "completion = client.chat.completions.create(\n"
        f"{extra}"
        f'    model="{callee.model}",\n'
        f"    messages={_python(callee.messages, 4)},\n"
        ")\nprint(completion.choices[0].message.content)\n"
    )


def python_requests(callee: Callee) -> str:
    """With requests."""
    headers = callee.attribution
    auth = f'        "Authorization": f"Bearer {{os.environ[\'{callee.key}\']}}",\n' if callee.api_key_env else ""
    more = "".join(f'        "{name}": "{value}",  # optional\n' for name, value in headers.items())
    block = f"    headers={{\n{auth}{more}    }},\n" if auth or more else ""
    return (
        f"import os\n\nimport requests\n\nresponse = requests.post(\n"
        f'    "{callee.base_url}/chat/completions",\n'
        f"{block}"
        f'    json={{\n        "model": "{callee.model}",\n'
        f'        "messages": {_python(callee.messages, 8)},\n    }},\n'
        "    timeout=60,\n)\nresponse.raise_for_status()\n"
        'print(response.json()["choices"][0]["message"]["content"])\n'
    )


def typescript(callee: Callee) -> str:
    """With fetch."""
    lines = [f'    "Authorization": `Bearer ${{process.env.{callee.key}}}`,'] if callee.api_key_env else []
    lines += [f'    "{name}": "{value}", // optional' for name, value in callee.attribution.items()]
    headers = "\n".join([*lines, '    "Content-Type": "application/json",'])
    body = json.dumps({"model": callee.model, "messages": callee.messages}, indent=2).replace("\n", "\n  ")
    return (
        f'const response = await fetch("{callee.base_url}/chat/completions", {{\n  method: "POST",\n'
        f"  headers: {{\n{headers}\n  }},\n  body: JSON.stringify({body}),\n}});\n"
        "const completion = await response.json();\nconsole.log(completion.choices[0].message.content);\n"
    )


def curl(callee: Callee) -> str:
    """On a command line."""
    auth = f'  -H "Authorization: Bearer ${callee.key}" \\\n' if callee.api_key_env else ""
    body = json.dumps({"model": callee.model, "messages": callee.messages}, indent=2).replace("'", "'\\''")
    more = "".join(f'  -H "{name}: {value}" \\\n' for name, value in callee.attribution.items())
    headers = f'{auth}{more}  -H "Content-Type: application/json" \\\n'
    return f"curl {callee.base_url}/chat/completions \\\n{headers}  -d '{body}'\n"


SAMPLES = {
    "Python (openai)": ("python", python_openai),
    "Python (requests)": ("python", python_requests),
    "TypeScript": ("typescript", typescript),
    "curl": ("bash", curl),
}


def _python(value: object, indent: int) -> str:
    """A literal that is both JSON and Python: the values here have neither true nor null."""
    return json.dumps(value, indent=4).replace("\n", "\n" + " " * indent)
