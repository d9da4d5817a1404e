"""Whether a target does what its catalog entry promises: once a day, and when the catalog changes, a few requests.

Each test is a row. A target that does not respond to a plain request is not tested at all, which is a row, too.
docs/capabilities.md says what each test asks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from collectors import capability_requests as requests
from collectors import capability_verdicts as verdicts
from collectors.capability_verdicts import Verdict
from collectors.contract import (
    CheckResult,
    CheckTask,
    DayOfChecks,
    Pace,
    RowReader,
    SkippedError,
    read_open_rows,
    read_versions,
)
from collectors.http.adaptations import limit_of, value_at
from collectors.request import adapted_body, dialect_of, request_headers, request_spec
from settings.targets import ProbeTarget
from store.capability_tables import ALL, CAPABILITIES, NOT_TESTED, CapabilityTest
from store.check_spending import LARGE
from store.clock import now_ms
from store.horizon import horizon
from store.outcomes import MAY_BE_BILLED
from store.protocol import Selection
from store.schema import ENDPOINTS, MODELS, Endpoint, Model, Table

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.exchange import Exchange

NAME, IMAGE, CONTEXT = "capabilities", LARGE["image"], LARGE["context"]
"""The profiles of its requests."""
DIALECTS = ("chat", "azure")
"""Those whose requests the tests are written in."""
REQUESTS = 13
"""Of a day, most of them with NAME's profile and one with IMAGE's."""
SHARE_OF_CONTEXT = 0.9
LINES_TO_MEASURE = 40
LINE_TOKENS = 30
"""Of a line of the long prompt, which has ten words and a full stop."""
CONTEXT_TIMEOUT_S = 300.0
"""A long prompt takes longer to read than a target's timeout allows."""
SOME_INTERVALS = 3
"""A target that was not tested for so many of its intervals is due as one that never was."""
MOST_HANGING, HANGS = 2, "the server did not respond to two requests in a row"
"""A check of a server that went down meanwhile would delay the probes that find it down by a timeout for each test."""
CLAIMED_AS: dict[str, tuple[str, ...]] = {
    "tools": ("tools",),
    "structured_outputs": ("structured_outputs",),
    "logprobs": ("logprobs", "top_logprobs"),
    "seed": ("seed",),
    "stop": ("stop",),
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_completion_tokens"),
}
"""What OpenRouter calls them among a model's supported parameters."""


# -- when


def pace(reader: RowReader | None, target: ProbeTarget, location: str, now: int) -> Pace:
    """How often a target is tested from here, and when it last was. Raises StoreError."""
    if target.capabilities_every_s is None or target.api not in DIALECTS:
        return Pace(None)
    some_s = SOME_INTERVALS * target.capabilities_every_s
    newest = next((at for at, _, _ in _tests(reader, target, location, now, for_s=some_s)), None)
    at_once = newest is not None and newest < _claims_changed_at(reader, target, now)
    return Pace(target.capabilities_every_s, newest, at_once)


def _claims_changed_at(reader: RowReader | None, target: ProbeTarget, now: int) -> int:
    """When a catalog last said something else about what is tested than before; prices change more often. 0: never."""
    changed_at = 0
    claims: dict[tuple[str, str], Claims] = {}
    for row in sorted(_claimants(reader, target, now, read_versions), key=lambda row: row.valid_from):
        key = (row.source, "" if isinstance(row, Model) else row.tag)
        said = claims_of([row], is_routed=True, name=target.name)
        if claims.get(key, said) != said:
            changed_at = row.valid_from
        claims[key] = said
    return changed_at


def day(target: ProbeTarget, context_tokens: int | None) -> list[DayOfChecks]:
    """The days of tests. `context_tokens`: as the catalog says."""
    if target.capabilities_every_s is None or target.api not in DIALECTS:
        return []
    times = 86_400 / target.capabilities_every_s
    days = [_days(times, REQUESTS - 1, NAME), _days(times, 1, IMAGE)]
    if target.context_every_s is not None and context_tokens:
        each = 86_400 / max(target.context_every_s, target.capabilities_every_s)
        days.append(_days(each, 1, CONTEXT, LINES_TO_MEASURE * LINE_TOKENS))
        days.append(_days(each, 1, CONTEXT, context_tokens))
    return days


def _days(times: float, requests: int, profile: str, prompt_tokens: int | None = None) -> DayOfChecks:
    """Of tests so many times a day; what is rarer than that is all in one day."""
    return DayOfChecks(times * requests, profile, prompt_tokens, busiest=ceil(times) * requests)


# -- what is known

ReadRows = Callable[[RowReader | None, Table, int, tuple[str, ...]], list[tuple[Any, ...]]]


def _tests(
    reader: RowReader | None, target: ProbeTarget, location: str, now: int, *, for_s: float
) -> list[tuple[int, str, int]]:
    """When the tests of a location in the last seconds began, of what, and how many requests they took, newest first.
    Other locations may have made any number since.
    """
    if reader is None:
        return []
    selection = Selection(now - round(for_s * 1_000), horizon(now), (target.name,))
    columns = ("started_at", "location", "capability", "requests")
    rows = reader.read(CAPABILITIES, selection, columns=columns, newest_first=True)
    return [(at, name, requests) for at, place, name, requests in rows if place == location]


@dataclass(frozen=True)
class Claims:
    """What a catalog says of a target. Null: it does not say."""

    context_tokens: int | None = None
    parameters: frozenset[str] | None = None
    inputs: frozenset[str] | None = None

    def of(self, capability: str) -> bool | None:
        """Whether it claims a capability."""
        if capability == "context":
            return None if self.context_tokens is None else True
        if capability == "image":
            return None if self.inputs is None else "image" in self.inputs
        names = CLAIMED_AS.get(capability)
        if names is None or self.parameters is None:
            return None
        return any(name in self.parameters for name in names)


def _claimants(
    reader: RowReader | None, target: ProbeTarget, now: int, read: ReadRows = read_open_rows
) -> list[Model | Endpoint]:
    """The rows of the catalog that may speak for a target, the open ones unless `read` says otherwise: of its model,
    and of the provider that it is pinned to, the most special first. Raises StoreError.
    """
    sources = (target.name, "openrouter")
    models = (Model(*row) for row in read(reader, MODELS, now, (target.model,)))
    rows: list[Model | Endpoint] = [row for row in models if row.source in sources]
    if target.provider is not None:
        wanted = target.provider.lower()
        endpoints = (Endpoint(*row) for row in read(reader, ENDPOINTS, now, (target.model,)))
        rows += [row for row in endpoints if wanted in (row.tag.lower(), row.tag.partition("/")[0].lower())]
    return sorted(rows, key=lambda row: (isinstance(row, Model), row.source != target.name))


def claims_of(rows: list[Model | Endpoint], *, is_routed: bool, name: str) -> Claims:
    """What these rows say, the first that says anything. A router's rows speak for targets behind it only."""
    mine = [row for row in rows if is_routed or row.source == name]
    context = next((row.context_tokens for row in mine if row.context_tokens), None)
    parameters = next((row.supported_parameters for row in mine if row.supported_parameters), None)
    inputs = next((row.input_modalities for row in mine if isinstance(row, Model) and row.input_modalities), None)
    return Claims(context, _words(parameters), _words(inputs))


def _words(listed: str | None) -> frozenset[str] | None:
    return None if listed is None else frozenset(listed.split(","))


# -- a check


def plan(reader: RowReader | None, target: ProbeTarget, location: str, now: int) -> Callable[[CheckTask], CheckResult]:
    """The check of a target that is due. Raises StoreError."""
    rows = _claimants(reader, target, now)
    with_context = False
    if target.context_every_s is not None:
        tests = _tests(reader, target, location, now, for_s=0.95 * target.context_every_s)
        with_context = not any(name == "context" and requests for _, name, requests in tests)
    return lambda task: check_once(task, rows, with_context=with_context)


def failed_row(target: ProbeTarget, location: str, at: int, outcome: str, error: str) -> CapabilityTest:
    """The row of a check that this machine was not able to make, or that failed because of a bug of ours."""
    return CapabilityTest(target.name, at, location, ALL, NOT_TESTED, outcome, 0, error=error)


def check_once(task: CheckTask, rows: list[Model | Endpoint], *, with_context: bool) -> CheckResult:
    """Test everything once. Where a budget or a rest of the server ends it early, the tests before that count. Raises
    SkippedError when not even the first request may be sent.
    """
    check = _Check(task, claims_of(rows, is_routed=task.is_routed, name=task.target.name), now_ms())
    try:
        check.run(with_context=with_context)
    except SkippedError as problem:
        if not check.done:
            raise
        check.note_unfinished(str(problem))
    return CheckResult([*check.done], task.target.capabilities_every_s)


Make = Callable[[dict[str, Any]], dict[str, Any]]
Texts = list[str]


@dataclass
class _Check:
    """One check that is under way: the tests that are `done`, and the requests of the one that it is at."""

    task: CheckTask
    claims: Claims
    started_at: int
    done: list[CapabilityTest] = field(default_factory=list)
    _sent: list[Exchange] = field(default_factory=list)
    _hung: int = 0
    _provider: str | None = None
    """Who serves the target where that is always the same one, which a refusal does not name."""

    def run(self, *, with_context: bool) -> None:
        """Make every test, after a plain request. Raises SkippedError where one more request may not be sent."""
        plain = self._send(self._body(requests.short), NAME)
        if plain.outcome != "ok":
            self._note(ALL, verdicts.not_tested(plain.outcome.replace("_", " ")))
            return
        if self.task.target.provider is not None or not self.task.is_routed:
            self._provider = plain.response.provider
        limit = limit_of(self._body(requests.short)) or requests.MOST_TOKENS
        usage = verdicts.judge_usage(plain)
        self._note("max_tokens", verdicts.judge_max_tokens(plain, limit))
        self._note("usage_in_stream", usage, plain)
        self._test("system_message", requests.system_message, verdicts.judge_system_message)
        self._test("stop", requests.stop, verdicts.judge_stop, ("stop",))
        self._test("tools", requests.tool_call, verdicts.judge_tool_call, ("tools",))
        wanted = ("response_format",)
        self._test("structured_outputs", requests.structured_output, verdicts.judge_structured_output, wanted)
        self._test("logprobs", requests.logprobs, verdicts.judge_logprobs, ("logprobs", "top_logprobs"))
        self._test_sampling()
        self._test_image()
        if with_context:
            self._test_context()

    def _test(
        self,
        capability: str,
        make: Make,
        judge: Callable[[Exchange], Verdict],
        fields: tuple[str, ...] = (),
        profile: str = NAME,
    ) -> None:
        """One request. `fields`: what of it the test is about, which its server may refuse."""
        seen = self._ask(make, fields, profile)
        self._note(capability, seen if isinstance(seen, Verdict) else judge(seen))

    def _test_sampling(self) -> None:
        cold = self._texts(0.0)
        hot = self._texts(requests.HOT) if not isinstance(cold, Verdict) else cold
        if isinstance(cold, Verdict) or isinstance(hot, Verdict):
            self._note("temperature", hot if isinstance(hot, Verdict) else verdicts.not_tested("no texts"))
        else:
            self._note("temperature", verdicts.judge_temperature(cold, hot))
        seeded = self._texts(requests.HOT, seed=requests.SEED)
        usual = [] if isinstance(hot, Verdict) else hot
        self._note("seed", seeded if isinstance(seeded, Verdict) else verdicts.judge_seed(seeded, usual))

    def _texts(self, temperature: float, **fields: Any) -> Texts | Verdict:
        """Two texts by the same request."""
        texts = []
        for _ in range(2):
            seen = self._ask(
                lambda body: requests.random_words(body, temperature, **fields), tuple(fields or ("temperature",)), NAME
            )
            if isinstance(seen, Verdict):
                return seen
            texts.append(seen.response.text.strip())
        return texts

    def _test_image(self) -> None:
        number = random.Random(self.started_at).randint(10, 99)  # nosec B311  no secret
        self._test(
            "image",
            lambda body: requests.image(body, number),
            lambda seen: verdicts.judge_image(seen, number),
            profile=IMAGE,
        )

    def _test_context(self) -> None:
        """A short text first, which shows how many tokens a line takes."""
        claimed = self.claims.context_tokens
        if claimed is None:
            self._note("context", verdicts.not_tested("the catalog states no context size"))
            return
        chance = random.Random(self.started_at)  # nosec B311  no secret
        short = requests.haystack(LINES_TO_MEASURE, chance)
        seen = self._ask(lambda body: requests.ask(body, short.prompt), (), CONTEXT, LINES_TO_MEASURE * LINE_TOKENS)
        if isinstance(seen, Verdict):
            self._note("context", verdicts.not_tested(f"in a short text: {seen.reason}"))
            return
        counted = seen.response.usage.prompt_tokens
        if not counted:
            self._note("context", verdicts.not_tested("the responses state no prompt tokens"))
            return
        lines = max(1, int(SHARE_OF_CONTEXT * claimed * LINES_TO_MEASURE / counted))
        asked = counted * lines // LINES_TO_MEASURE
        long = requests.haystack(lines, chance)
        finds = verdicts.finds_needle(seen, short.needle)
        seen = self._ask(lambda body: requests.ask(body, long.prompt), (), CONTEXT, claimed)
        if not isinstance(seen, Verdict):
            seen = verdicts.judge_context(seen, long.needle, asked, claimed, finds_in_short=finds)
        self._note("context", seen)

    # -- its requests and rows

    def note_unfinished(self, reason: str) -> None:
        """Note the requests of a test that could not be ended: they were paid for."""
        if self._sent:
            self._note(ALL, verdicts.not_tested(reason))

    def _body(self, make: Make, profile: str = NAME) -> dict[str, Any]:
        target = self.task.target
        plain = dialect_of(target).body(request_spec(target, profile, ""))
        body = make(plain)
        body["max_tokens"] = min(body["max_tokens"], plain["max_tokens"])
        return adapted_body(target, body, self.task.changes)

    def _ask(
        self, make: Make, fields: tuple[str, ...], profile: str, prompt_tokens: int | None = None
    ) -> Exchange | Verdict:
        """The response to look into, or what is clear without that."""
        body = self._body(make, profile)
        for name in fields:
            if value_at(dict(self.task.target.extra_body), name) is not None:
                return verdicts.not_tested(f"extra_body sets {name}")
            if value_at(body, name) is None:
                return verdicts.fails(f"the server refuses {name}")
        result = self._send(body, profile, prompt_tokens)
        return verdicts.judge_exchange(result, fields) or result

    def _send(self, body: dict[str, Any], profile: str, prompt_tokens: int | None = None) -> Exchange:
        from collectors.http.exchange import ProbeRequest

        if self._hung == MOST_HANGING:
            raise SkippedError(HANGS)
        target = self.task.target
        timeout_s = target.timeout_s if profile != CONTEXT else max(target.timeout_s, CONTEXT_TIMEOUT_S)
        secrets = (target.key,) if target.key else ()
        headers, dialect = request_headers(target), dialect_of(target)
        request = ProbeRequest(body, headers, timeout_s, secrets, dialect, target.max_tokens)
        self._sent.append(self.task.send(request, profile, prompt_tokens))
        self._hung = self._hung + 1 if self._sent[-1].outcome in ("timeout", "connection_error") else 0
        return self._sent[-1]

    def _note(self, capability: str, verdict: Verdict, last: Exchange | None = None) -> None:
        """Add the row of a test. `last`: the response that showed it, where that was another test's."""
        sent, self._sent = self._sent, []
        billed = [one for one in sent if one.outcome in MAY_BE_BILLED]  # a refused request has no tokens
        shown = sent[-1] if sent else last
        failed = shown is not None and shown.outcome not in ("ok", "empty")
        self.done.append(
            CapabilityTest(
                target=self.task.target.name,
                started_at=self.started_at,
                location=self.task.location,
                capability=capability,
                verdict=verdict.status,
                outcome="ok" if shown is None else shown.outcome,
                requests=len(sent),
                claimed=self.claims.of(capability),
                reason=verdict.reason,
                provider=None if shown is None else shown.response.provider or self._provider,
                http_status=None if shown is None else shown.http_status,
                prompt_tokens=_sum([one.response.usage.prompt_tokens for one in billed]),
                completion_tokens=_sum([one.completion_tokens for one in billed]),
                cost_usd=_sum([self.task.cost_usd(one, self.started_at) for one in billed]),
                error=shown.error if failed and shown is not None else None,
            )
        )


def _sum(values: list[Any]) -> Any:
    """Null without values, and where one of them is not known."""
    return None if not values or None in values else sum(values)
