"""`targets.toml`: what is probed, how often, and what it may cost.

A wrong file is refused as a whole, with the file, the line, the key, what is wrong and what would be right.
"""

from __future__ import annotations

import os
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from settings.addresses import is_loopback
from settings.durations import seconds
from settings.relay import RelaySection, RelaySettings, Route, RouteSection, relay_settings, route_findings, route_of
from settings.request_settings import HEADER_NAME, checked_body, checked_headers, checked_key_header, checked_params
from settings.secrecy import keep_secret, looks_secret
from settings.unknown_keys import suggestion, value_suggestion

DEFAULT_PATH = Path("targets.toml")
FREE_EVERY_S = 1_800.0
"""Free models allow 50 requests a day in all, so they are asked less often unless the file says otherwise."""
THROUGHPUT_EVERY_S = 3_600.0
LARGEST_LIMIT = 1_024
"""The most output tokens that a probe asks for where a server wants more than the profile does, unless its target says
otherwise.
"""


class ConfigError(Exception):
    """The configuration cannot be used. The message names the file, the place, and what would be right."""


Duration = Annotated[float, BeforeValidator(seconds), Field(ge=1, le=7 * 86_400)]
Timeout = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=600)]
Parallel = Annotated[int, Field(ge=1, le=256)]
Requests = Annotated[int, Field(ge=0, le=10**9)]
OutputTokens = Annotated[int, Field(ge=1, le=1_000_000)]
Api = Literal["chat", "responses", "anthropic", "gemini", "azure", "embeddings"]
Check = Literal["sum", "echo", "off"]
Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


def _off_or_seconds(value: Any) -> Any:
    return None if value == "off" else seconds(value)


Sometimes = Annotated[Annotated[float, Field(ge=1, le=7 * 86_400)] | None, BeforeValidator(_off_or_seconds)]


_NAMES_A_KEY = re.compile("auth|key|token|secret|cookie", re.IGNORECASE)
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class CollectorSection(_Section):
    """`[collector]`: what holds for every target."""

    every: Duration = 60.0
    timeout: Timeout = 30.0
    confirm_after: Timeout = 10.0
    throughput_every: Sometimes = THROUGHPUT_EVERY_S
    usd_per_day: Usd = Decimal("0.25")
    free_requests_per_day: Requests = 48
    local_servers_every: Duration = 3_600.0
    catalog_every: Duration = 21_600.0
    endpoint_stats_every: Duration = 600.0
    usage_every: Duration = 43_200.0
    retention_days: Annotated[int, Field(ge=2, le=36_500)] = 400
    max_parallel: Parallel | None = None


class OpenRouterSection(_Section):
    """`[openrouter]`: where the router is."""

    base_url: str = "https://openrouter.ai/api/v1"
    watch: tuple[str, ...] = ()
    management_key_env: Annotated[str, Field(pattern=_VARIABLE)] = "OPENROUTER_MANAGEMENT_KEY"

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return _checked_url(value)


class TargetSection(_Section):
    """`[[target]]`: one thing that is probed."""

    name: str = Field(min_length=1, max_length=200)
    model: str = Field(min_length=1, max_length=300)
    base_url: str
    every: Duration | None = None
    timeout: Timeout | None = None
    profile: Literal["ping", "throughput"] = "ping"
    throughput_every: Sometimes = None
    api_key_env: str | None = Field(None, pattern=_VARIABLE)
    api_key_file: str | None = Field(None, min_length=1)
    provider: str | None = Field(None, min_length=1)
    requests_per_day: Requests | None = None
    max_parallel: Parallel | None = None
    usd_per_million_input: Usd | None = None
    usd_per_million_output: Usd | None = None
    usd_per_million_cached: Usd | None = None
    usd_per_request: Usd | None = None
    headers: Annotated[dict[str, str], AfterValidator(checked_headers)] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    enabled: bool = True
    api: Api = "chat"
    api_key_header: Annotated[Annotated[str, Field(min_length=1)] | None, AfterValidator(checked_key_header)] = None
    params: Annotated[dict[str, str], AfterValidator(checked_params)] = Field(default_factory=dict)
    extra_body: Annotated[dict[str, Any], AfterValidator(checked_body)] = Field(default_factory=dict)
    stream: bool = True
    max_tokens: OutputTokens = LARGEST_LIMIT
    reasoning_effort: str | None = None
    check: Check = "sum"

    @field_validator("reasoning_effort")
    @classmethod
    def _is_word(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[a-z]{1,20}", value):
            raise ValueError(f"{value!r:.80}: write one word, such as low")
        return value

    @field_validator("name")
    @classmethod
    def _is_printable(cls, value: str) -> str:
        if not value.isprintable() or value != value.strip():
            raise ValueError("a name is one line of printable text without spaces around it")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return _checked_url(value)


class _File(_Section):
    collector: CollectorSection = CollectorSection()
    openrouter: OpenRouterSection = OpenRouterSection()
    target: tuple[TargetSection, ...] = ()
    relay: RelaySection | None = None
    route: tuple[RouteSection, ...] = ()


@dataclass(frozen=True)
class ProbeTarget:
    """One target with every default filled in. `key` is the secret itself; null when none is needed or none is set."""

    name: str
    model: str
    base_url: str
    every_s: float
    timeout_s: float
    profile: str
    throughput_every_s: float | None
    api_key_env: str | None
    api_key_file: Path | None
    key: str | None = field(repr=False)
    provider: str | None
    requests_per_day: int | None
    usd_per_million_input: Decimal | None
    usd_per_million_output: Decimal | None
    headers: Mapping[str, str] = field(repr=False)
    tags: tuple[str, ...]
    max_parallel: int | None = None
    usd_per_million_cached: Decimal | None = None
    usd_per_request: Decimal | None = None
    enabled: bool = True
    api: Api = "chat"
    api_key_header: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    stream: bool = True
    max_tokens: int = LARGEST_LIMIT
    """The most output tokens that a probe may come to ask for."""
    reasoning_effort: str | None = None
    check: Check = "sum"

    @property
    def waits_for_key(self) -> bool:
        """The variable or file that should hold its key does not."""
        return self.key is None and self.where_key_belongs is not None

    @property
    def where_key_belongs(self) -> str | None:
        """What to do for its key, in words; null when it needs none."""
        if self.api_key_file is not None:
            return f"write it into {self.api_key_file}"
        return None if self.api_key_env is None else f"set {self.api_key_env}"

    @property
    def is_free_variant(self) -> bool:
        """One of a router's `:free` models, which share a small daily quota."""
        return self.model.endswith(":free")

    @property
    def host(self) -> str:
        """The host's name, as the base URL has it."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def is_loopback(self) -> bool:
        """It runs on this machine, so that its network is not *the* network."""
        return is_loopback(self.host)

    @property
    def schedules(self) -> tuple[tuple[str, float], ...]:
        """Its profiles, each with its interval in seconds."""
        first = (self.profile, self.every_s)
        if self.profile == "throughput" or self.throughput_every_s is None or self.api == "embeddings":
            return (first,)
        return (first, ("throughput", self.throughput_every_s))


@dataclass(frozen=True)
class Config:
    """A configuration that was found to be right."""

    path: Path
    collector: CollectorSection
    openrouter: OpenRouterSection
    targets: tuple[ProbeTarget, ...]
    """What is probed, or waits for its key."""
    disabled: tuple[ProbeTarget, ...] = ()
    """Targets that are not probed (`enabled = false`). What was sent to them earlier today still counts."""
    management_key: str | None = field(default=None, repr=False)
    relay: RelaySettings | None = None
    """Null: the file has no `[relay]`."""
    routes: tuple[Route, ...] = ()

    @property
    def all_targets(self) -> tuple[ProbeTarget, ...]:
        """Every target of the file."""
        return (*self.targets, *self.disabled)


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read `path`, else what `UPTOKEN_CONFIG` names, else `targets.toml`. Raises ConfigError."""
    path = path or Path(environment.get("UPTOKEN_CONFIG") or DEFAULT_PATH)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration at {path}: go to the folder that has it, name it with --config FILE or "
            "UPTOKEN_CONFIG, or start from the targets.toml that came with Uptoken"
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} could not be read: {problem}") from problem
    return parse(text, path, environment)


def parse(text: str, path: Path, environment: Mapping[str, str]) -> Config:
    """The configuration that `text` is. Raises ConfigError."""
    try:
        raw = tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path} is no valid TOML: it is nested too deep") from None
    except ValueError as problem:  # TOMLDecodeError, or a number of thousands of digits
        raise ConfigError(f"{path} is no valid TOML: {problem}") from problem
    try:
        _refuse_secrets(raw, text, path)
        file = _File.model_validate(raw)
    except RecursionError:  # dotted keys, which are read without one
        raise ConfigError(f"{path} is nested too deep") from None
    except ValidationError as problem:
        raise ConfigError("\n".join(_said(error, raw, text, path) for error in problem.errors())) from None
    _refuse_doubles(file, text, path)
    _refuse_two_keys(file, text, path)
    if not file.target:
        raise ConfigError(f"{path} has no [[target]]: there is nothing to probe. The README shows one to copy")
    targets = tuple(_filled(section, file, path.parent, environment) for section in file.target)
    management_key = _secret(file.openrouter.management_key_env, environment)
    _refuse_unsendable(file, targets, management_key)
    enabled = {target.name: target for target in targets if target.enabled}
    findings = route_findings(file.route, [target.name for target in targets], enabled)
    if wrong := [f"{_place(path, _line(text, found.place))}: {found.sentence}" for found in findings]:
        raise ConfigError("\n".join(wrong))
    relay = _relay(file, text, path, environment)
    headers = [pair for target in targets for pair in target.headers.items()]
    keep_secret(
        [management_key, *(target.key for target in targets), *(one.key for one in (relay.keys if relay else ()))]
    )
    keep_secret(value for name, value in headers if _NAMES_A_KEY.search(name))
    keep_secret((value for name, value in headers if not _NAMES_A_KEY.search(name)), pieces=False)
    return Config(
        path,
        file.collector,
        file.openrouter,
        tuple(target for target in targets if target.enabled),
        tuple(target for target in targets if not target.enabled),
        management_key,
        relay,
        tuple(route_of(section, enabled) for section in file.route),
    )


def _relay(file: _File, text: str, path: Path, environment: Mapping[str, str]) -> RelaySettings | None:
    if file.relay is None:
        return None
    try:
        return relay_settings(file.relay, path.parent, environment)
    except ValueError as problem:
        key = "keys_file" if file.relay.keys_file else "keys_env"
        raise ConfigError(f"{_place(path, _line(text, ('relay', key)))}: [relay], {key}: {problem}") from None


def _refuse_unsendable(file: _File, targets: tuple[ProbeTarget, ...], management_key: str | None) -> None:
    """Raises ConfigError for a key or a header that HTTP cannot carry: what was pasted with it is easily overlooked."""
    if management_key and (odd := _odd_character(management_key)):
        raise ConfigError(f"the key in {file.openrouter.management_key_env} has {odd}: copy it again, without that")
    for target in targets:
        if target.key and (odd := _odd_character(target.key)):
            where = target.api_key_file or target.api_key_env
            raise ConfigError(f"the key of {target.name!r} in {where} has {odd}: copy it again, without that")
        for name, value in target.headers.items():
            if not HEADER_NAME.fullmatch(name):
                raise ConfigError(f"target {target.name!r}: {name!r} is no name of a header; write it as X-Title")
            if odd := _odd_character(value, "latin-1"):
                raise ConfigError(f"target {target.name!r}: its header {name} has {odd}, which HTTP does not allow")


def _odd_character(text: str, allowed: str = "ascii") -> str | None:
    """The first character that a header cannot have, as a person finds it: by its name and its place."""
    for place, letter in enumerate(text, 1):
        if not letter.isprintable() or not _fits(letter, allowed):
            kind = "a line break" if letter in "\r\n" else unicodedata.name(letter, "a control character").lower()
            return f"{kind} (U+{ord(letter):04X}) as character {place}"
    return None


def _fits(letter: str, allowed: str) -> bool:
    try:
        letter.encode(allowed)
    except UnicodeEncodeError:
        return False
    return True


def _secret(name: str, environment: Mapping[str, str]) -> str | None:
    return environment.get(name, "").strip() or None


def _key_in(file: Path) -> str | None:
    """The key that a file holds; null where there is none yet. Raises ConfigError where others could read it."""
    try:
        rights = file.stat().st_mode
        if rights & 0o077:
            raise ConfigError(
                f"{file} holds a key and may be read by others than its owner: chmod 600 {file}, and think about a "
                "new key"
            )
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"the key file {file} could not be read: {problem}") from None


def _filled(section: TargetSection, file: _File, folder: Path, environment: Mapping[str, str]) -> ProbeTarget:
    free = section.model.endswith(":free")
    every_s = section.every or (max(FREE_EVERY_S, file.collector.every) if free else file.collector.every)
    throughput_s = section.throughput_every
    if "throughput_every" not in section.model_fields_set:
        throughput_s = None if free else file.collector.throughput_every
    key_file = folder / section.api_key_file if section.api_key_file else None
    key = _key_in(key_file) if key_file else None
    return ProbeTarget(
        name=section.name,
        model=section.model,
        base_url=section.base_url,
        every_s=every_s,
        timeout_s=section.timeout or file.collector.timeout,
        profile=section.profile,
        throughput_every_s=throughput_s,
        api_key_env=section.api_key_env,
        api_key_file=key_file,
        key=_secret(section.api_key_env, environment) if section.api_key_env else key,
        provider=section.provider,
        requests_per_day=section.requests_per_day,
        usd_per_million_input=section.usd_per_million_input,
        usd_per_million_output=section.usd_per_million_output,
        headers=section.headers,
        tags=section.tags,
        max_parallel=section.max_parallel or file.collector.max_parallel,
        usd_per_million_cached=section.usd_per_million_cached,
        usd_per_request=section.usd_per_request,
        enabled=section.enabled,
        api=section.api,
        api_key_header=section.api_key_header,
        params=section.params,
        extra_body=section.extra_body,
        stream=section.stream,
        max_tokens=section.max_tokens,
        reasoning_effort=section.reasoning_effort,
        check=section.check,
    )


# -- what is wrong, and where


def _checked_url(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:  # whose message has the login in it
        raise ValueError("this is no base URL; write it as https://host/v1") from None
    try:
        _ = parts.port
    except ValueError:  # its words could have a part of a key
        raise ValueError(
            "its port is no number up to 65535; write it as https://host/v1 or https://host:8443/v1"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("a key does not belong into the URL; name the variable that holds it with api_key_env")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = "this" if looks_secret(value) else repr(value)
        raise ValueError(f"{shown} is no base URL; write it as https://host/v1")
    if parts.fragment:
        raise ValueError("leave out what begins with #: no server is sent it")
    for name, given in parse_qsl(parts.query, keep_blank_values=True):
        if _NAMES_A_KEY.search(name) or looks_secret(given):
            raise ValueError(f"leave {name!r} out of the query: a key belongs into api_key_env")
    if ending := re.search(r"/(?:chat/completions|responses|messages|embeddings|models/[^/]+:\w+)/?$", parts.path):
        where = ending.group().rstrip("/")
        raise ValueError(f"leave {where} out: the base URL ends before it, as in https://host/v1")
    return value.rstrip("/")


def _refuse_secrets(raw: Mapping[str, Any], text: str, path: Path) -> None:
    """What the file says is kept with the history and shown, but for the values of headers."""
    found = [place for place, words in _texts(raw) if looks_secret(words) and not _is_refused_url(place, words)]
    if found:
        raise ConfigError("\n".join(_secret_at(place, raw, text, path) for place in found))


def _texts(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every text below a value with its place, keys included."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield place, name
            if not (place[:1] == ("target",) and place[2:] == ("headers",)):
                yield from _texts(item, (*place, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*place, number))


def _is_refused_url(place: tuple[Any, ...], words: str) -> bool:
    """Whether it is a base URL that has a sentence of its own."""
    try:
        return place[-1:] == ("base_url",) and not _checked_url(words)
    except ValueError:
        return True


def _secret_at(place: tuple[Any, ...], raw: Mapping[str, Any], text: str, path: Path) -> str:
    known = next((end for end in range(len(place), 0, -1) if not any(looks_secret(str(p)) for p in place[:end])), 0)
    place = place[:known]
    line = _line(text, place) if place else None
    owner = _owner_place(place)
    what = _owner(owner, dict(raw))
    key = ".".join(str(part) for part in place[max(len(owner), 1) :] if not isinstance(part, int))
    if key.endswith("_env"):
        return f"{_place(path, line)}: {what}, {key}: {_NO_VARIABLE}"
    return (
        f"{_place(path, line)}: {what}{', ' + key if key else ''}: this looks like a key, and would be kept and shown: "
        "put it into an environment variable and name that with api_key_env. It is in a file now, so think about "
        "a new one"
    )


def _refuse_doubles(file: _File, text: str, path: Path) -> None:
    seen: dict[str, int] = {}
    for number, section in enumerate(file.target, 1):
        if section.name in seen:
            where = _place(path, _line(text, ("target", number - 1, "name")))
            raise ConfigError(
                f"{where}: target {number} is named {section.name!r} as target {seen[section.name]} is; "
                "a name is what its history is kept under, so give each its own"
            )
        seen[section.name] = number


def _refuse_two_keys(file: _File, text: str, path: Path) -> None:
    for number, section in enumerate(file.target, 1):
        if section.api_key_env and section.api_key_file:
            where = _place(path, _line(text, ("target", number - 1, "api_key_file")))
            raise ConfigError(
                f"{where}: target {number} ({section.name!r}) has its key in api_key_env and in api_key_file: leave one"
            )


def _place(path: Path, line: int | None) -> str:
    return f"{path}, line {line}" if line else str(path)


def _said(error: Any, raw: dict[str, Any], text: str, path: Path) -> str:
    """One finding of pydantic's as a sentence that says where, what and what would be right."""
    location = tuple(part for part in error["loc"])
    where = _place(path, _line(text, location))
    owner = _owner_place(location)
    what = _owner(owner, raw) if len(location) > 1 or error["type"] != "extra_forbidden" else "the file"
    key = ".".join(str(part) for part in location[len(owner) :])
    if error["type"] == "extra_forbidden":
        return f"{where}: {what} has no {key or location[-1]!r}{_nearest(location)}"
    if error["type"] == "missing":
        return f"{where}: {what} needs {key} ({_needed(owner, key)})"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":  # it may be the key itself, so it is not shown
        return f"{where}: {what}, {key}: {_NO_VARIABLE}"
    message = _PLAINER.get(error["type"], message)
    said = error.get("input")
    shown = "" if error["type"] == "value_error" or isinstance(said, dict | list) else f"{said!r:.80}: "
    if error["type"] == "literal_error":
        message += value_suggestion(key, said)
    if location in (("target",), ("route",)) and isinstance(said, dict):
        message = f"begin each {location[0]} with a line [[{location[0]}]], in two brackets"
    return f"{where}: {what}{', ' + key if key else ''}: {shown}{message[:1].lower()}{message[1:]}"


_NO_VARIABLE = (
    "this is the name of the environment variable that holds the key, such as ACME_API_KEY, and never the key itself"
)
_PLAINER = {
    "tuple_type": 'write a list, as in ["a", "b"]',
    "dict_type": 'write a table, as in {X-Title = "Uptoken"}',
}
_NEEDED = {
    "name": "what it is called on the dashboard",
    "model": "the model's name as the server knows it, such as google/gemma-3-1b-it:free",
    "base_url": "where its API is, such as https://openrouter.ai/api/v1",
    "targets": "the names of the targets that serve it",
}


def _needed(owner: tuple[Any, ...], key: str) -> str:
    if owner[:1] == ("route",) and key == "model":
        return "the name that clients ask for"
    return _NEEDED.get(key, "it has no default")


_LISTED = {"target": "name", "route": "model"}
"""Sections that there are several of, and the key that tells them apart."""


def _owner_place(place: tuple[Any, ...]) -> tuple[Any, ...]:
    """The part of a place that names its section."""
    return place[:2] if place[:1] and place[0] in _LISTED and len(place) > 1 else place[:1]


def _owner(owner: tuple[Any, ...], raw: dict[str, Any]) -> str:
    if not owner or owner[0] not in _LISTED:
        return f"[{owner[0]}]" if owner and isinstance(raw.get(owner[0]), dict) else "the file"
    kind = owner[0]
    if len(owner) < 2 or not isinstance(owner[1], int):
        return f"[[{kind}]]"
    section = raw[kind][owner[1]]
    name = section.get(_LISTED[kind]) if isinstance(section, dict) else None
    return f"{kind} {owner[1] + 1}" + (f" ({name!r})" if isinstance(name, str) and not looks_secret(name) else "")


_KEYS: dict[str, list[str]] = {
    "": list(_File.model_fields),
    "collector": list(CollectorSection.model_fields),
    "openrouter": list(OpenRouterSection.model_fields),
    "target": list(TargetSection.model_fields),
    "relay": list(RelaySection.model_fields),
    "route": list(RouteSection.model_fields),
}


def _nearest(location: tuple[Any, ...]) -> str:
    section = str(location[0]) if len(location) > 1 else ""
    return suggestion(section, str(location[-1]), _KEYS) if section in _KEYS else ""


def _line(text: str, location: tuple[Any, ...]) -> int | None:
    """The line of a key, as far as a look at headers and keys can find it; null where it cannot."""
    wanted = [part for part in location if isinstance(part, str)]
    listed = wanted[:1] and wanted[0] in _LISTED
    index = location[1] if listed and isinstance((*location, None)[1], int) else None
    section, seen, header_line = "", -1, None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([A-Za-z0-9_.\"' -]+?)\s*\]+", line):
            section = header.group(1)
            seen += [section] == wanted[:1] and line.lstrip().startswith("[[")
            if wanted[:1] == [section] and (index is None or seen == index):
                header_line = number
            if len(wanted) == 1 and section == wanted[0] and (index is None or seen == index):
                return number
            continue
        at_home = section == wanted[0] and (index is None or seen == index) if len(wanted) > 1 else section == ""
        if at_home and re.match(rf"\s*[\"']?{re.escape(wanted[min(1, len(wanted) - 1)])}[\"']?\s*[.=]", line):
            return number
    return header_line
