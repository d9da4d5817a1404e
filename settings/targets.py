"""`targets.toml`: what is probed, how often, and what it may cost.

A wrong file is refused as a whole, with the file, the line, the key, what is wrong and what would be right.
"""

from __future__ import annotations

import os
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from settings.addresses import is_loopback
from settings.alerts import NO_ALERTS, AlertSettings, alert_findings, alert_settings
from settings.file_findings import file_findings
from settings.heartbeat import HeartbeatSettings, heartbeat_settings
from settings.maintenance import Maintenance
from settings.misplaced_secrets import misplaced_secrets
from settings.mistake import Finding
from settings.mistakes import describe, line_of, place_of
from settings.relay import RelaySettings, Route, relay_settings, route_findings, route_of
from settings.request_settings import HEADER_NAME
from settings.secrecy import keep_secret
from settings.sections import (
    CAPABILITIES_EVERY_S,
    CONTEXT_EVERY_S,
    FREE_EVERY_S,
    IDENTITY_EVERY_S,
    LARGEST_LIMIT,
    NAMES_A_KEY,
    Api,
    Check,
    CollectorSection,
    File,
    OpenRouterSection,
    TargetSection,
)
from settings.workloads import Workload, workload_findings, workloads_of

DEFAULT_PATH = Path("targets.toml")


class ConfigError(Exception):
    """The configuration cannot be used. The message names the file, the place, and what would be right."""


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
    maintenance: tuple[Maintenance, ...] = ()
    """What is planned for it."""
    ttft_max_s: float | None = None
    slo: float | None = None
    """In percent."""
    identity_every_s: float | None = None
    """How often it is checked for still serving the same model; null: never."""
    capabilities_every_s: float | None = None
    """How often it is tested for what it claims to do; null: never."""
    context_every_s: float | None = None
    """How often with a prompt that fills its context."""
    workloads: tuple[Workload, ...] = ()
    """The prompts of several sizes by which it is measured."""

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
    alerts: AlertSettings = NO_ALERTS
    heartbeat: HeartbeatSettings | None = None

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
            f"there is no configuration at {path}: change to its folder, name it with --config FILE or "
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
        raise ConfigError(f"{path} is not valid TOML: it is nested too deep") from None
    except ValueError as problem:  # TOMLDecodeError, or a number of thousands of digits
        raise ConfigError(f"{path} is not valid TOML: {problem}") from problem
    try:
        if found := misplaced_secrets(raw, text, path):
            raise ConfigError("\n".join(found))
        file = File.model_validate(raw)
    except RecursionError:  # dotted keys, which are read without one
        raise ConfigError(f"{path} is nested too deep") from None
    except ValidationError as problem:
        raise ConfigError("\n".join(describe(error, raw, text, path) for error in problem.errors())) from None
    _refuse(file_findings(file), text, path)
    if not file.target:
        raise ConfigError(f"{path} has no [[target]]: there is nothing to probe. The README shows one to copy")
    targets = tuple(_filled(section, file, path.parent, environment) for section in file.target)
    management_key = _secret(file.openrouter.management_key_env, environment)
    _refuse_unsendable(file, targets, management_key)
    enabled = {target.name: target for target in targets if target.enabled}
    names = [target.name for target in targets]
    tags = {tag for target in targets for tag in target.tags}
    findings = (
        *route_findings(file.route, names, enabled),
        *workload_findings(file.workload, names, tags),
        *alert_findings(file.channel, file.alert, names),
    )
    _refuse(findings, text, path)
    relay = _relay(file, text, path, environment)
    headers = [pair for target in targets for pair in target.headers.items()]
    keep_secret(
        [management_key, *(target.key for target in targets), *(one.key for one in (relay.keys if relay else ()))]
    )
    keep_secret(value for name, value in headers if NAMES_A_KEY.search(name))
    keep_secret((value for name, value in headers if not NAMES_A_KEY.search(name)), pieces=False)
    return Config(
        path,
        file.collector,
        file.openrouter,
        tuple(target for target in targets if target.enabled),
        tuple(target for target in targets if not target.enabled),
        management_key,
        relay,
        tuple(route_of(section, enabled) for section in file.route),
        alert_settings(file.channel, file.alert, path.parent, environment),
        _heartbeat(file, text, path, environment),
    )


def _refuse(findings: Iterable[Finding], text: str, path: Path) -> None:
    """Raises ConfigError with everything that was found."""
    if wrong := [f"{place_of(path, line_of(text, found.place))}: {found.sentence}" for found in findings]:
        raise ConfigError("\n".join(wrong))


def _heartbeat(file: File, text: str, path: Path, environment: Mapping[str, str]) -> HeartbeatSettings | None:
    given = [key for key in file.collector.model_fields_set if key.startswith("heartbeat_url")]
    where = place_of(path, line_of(text, ("collector", min(given, default="heartbeat_url"))))
    if len(given) > 1:
        raise ConfigError(f"{where}: [collector] has {' and '.join(sorted(given))}: keep one of them")
    try:
        return heartbeat_settings(file.collector, path.parent, environment, _key_in)
    except ValueError as problem:
        raise ConfigError(f"{where}: [collector], {problem}") from None


def _relay(file: File, text: str, path: Path, environment: Mapping[str, str]) -> RelaySettings | None:
    if file.relay is None:
        return None
    try:
        return relay_settings(file.relay, path.parent, environment)
    except ValueError as problem:
        key = "keys_file" if file.relay.keys_file else "keys_env"
        raise ConfigError(f"{place_of(path, line_of(text, ('relay', key)))}: [relay], {key}: {problem}") from None


def _refuse_unsendable(file: File, targets: tuple[ProbeTarget, ...], management_key: str | None) -> None:
    """Raises ConfigError for a key or a header that HTTP cannot carry: what was pasted with it is easily overlooked."""
    if management_key and (odd := _odd_character(management_key)):
        raise ConfigError(f"the key in {file.openrouter.management_key_env} has {odd}: copy it again without it")
    for target in targets:
        if target.key and (odd := _odd_character(target.key)):
            where = target.api_key_file or target.api_key_env
            raise ConfigError(f"the key of {target.name!r} in {where} has {odd}: copy it again without it")
        for name, value in target.headers.items():
            if not HEADER_NAME.fullmatch(name):
                raise ConfigError(f"target {target.name!r}: {name!r} is not a header name; write it as X-Title")
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
                f"{file} contains a key and can be read by others than its owner: chmod 600 {file}, and consider a "
                "new key"
            )
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"the key file {file} could not be read: {problem}") from None


def _filled(section: TargetSection, file: File, folder: Path, environment: Mapping[str, str]) -> ProbeTarget:
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
        maintenance=tuple(
            planned.maintenance() for planned in file.maintenance if planned.applies_to(section.name, section.tags)
        ),
        ttft_max_s=section.ttft_max,
        slo=section.slo,
        identity_every_s=_every_s_if_free(section, "identity", IDENTITY_EVERY_S),
        capabilities_every_s=_every_s_if_free(section, "capabilities", CAPABILITIES_EVERY_S),
        context_every_s=_context_every_s(section),
        workloads=workloads_of(file.workload, section.name, section.tags),
    )


def _every_s_if_free(section: TargetSection, name: str, usual_s: float) -> float | None:
    """As the file says; by default for a server on this machine that the file says is free."""
    if section.api == "embeddings":
        return None
    if name in section.model_fields_set:
        every_s: float | None = getattr(section, name)
        return every_s
    return usual_s if _is_free(section) and is_loopback(urlsplit(section.base_url).hostname or "") else None


def _context_every_s(section: TargetSection) -> float | None:
    """As the file says; by default where it says that the model is free."""
    if "capabilities_context" in section.model_fields_set:
        return section.capabilities_context
    return CONTEXT_EVERY_S if _is_free(section) else None


def _is_free(section: TargetSection) -> bool:
    return section.usd_per_million_input == 0 and section.usd_per_million_output == 0
