"""What a person should know about a valid configuration: what is not probed, and what is probed too rarely."""

from __future__ import annotations

from settings.targets import Config

SHORT = 0.9
"""An interval below this share of the timer's step is too short for it."""


def keys_missing(config: Config) -> list[str]:
    """What is not probed, and what to do about it."""
    notices = []
    if not config.targets:
        which = "the only target is" if len(config.disabled) == 1 else f"all {len(config.disabled)} targets are"
        notices = [
            f"{which} disabled (enabled = false): nothing is probed. Set enabled = true for one in {config.path}"
        ]
    return notices + [
        f"waiting for a key: {target.name} is not probed; {target.where_key_belongs}"
        for target in config.targets
        if target.waits_for_key
    ]


def silent_channels(config: Config) -> list[str]:
    """The channels that nothing can be sent to, and what to do about it."""
    return [
        f"channel {channel.name}: no alert is sent: {channel.problem or channel.where_url_belongs}"
        for channel in config.alerts.channels
        if channel.url is None or channel.problem is not None
    ]


def slow_ticks(config: Config, interval_s: float) -> list[str]:
    """What a loop that ticks every `interval_s` probes more rarely than configured."""
    fastest = min(config.targets, key=lambda target: target.every_s, default=None)
    if fastest is None or fastest.every_s >= interval_s:
        return []
    return [
        f"--every {interval_s:g} is longer than the interval of {fastest.name} ({fastest.every_s:g} s): "
        "it is probed once a tick, and its coverage will be low"
    ]


def short_intervals(config: Config, step_s: float | None) -> list[str]:
    """What to change when a timer starts runs more rarely than targets are due; `step_s` is its usual interval."""
    if step_s is None:
        return []
    short = [target for target in config.targets if target.every_s < SHORT * step_s and not target.waits_for_key]
    whole_s = round(step_s)
    return [
        f"{target.name} is to be probed every {target.every_s:g} s, but a run starts every {whole_s} s: "
        f"{target.every_s / whole_s:.0%} of its slots can be decided, and below 50% it gets no uptime. Set "
        f'every = "{whole_s}s" for it, start runs more often, or keep one running: run --every 5'
        for target in short
    ]


def describe_changes(old: Config, new: Config) -> str:
    """`targets: 2 added (a, b), 1 changed (c)`."""
    before, after = ({target.name: target for target in config.all_targets} for config in (old, new))
    by_change = {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "changed": [name for name in after if name in before and before[name] != after[name]],
    }
    parts = [f"{len(names)} {change} ({_few(names)})" for change, names in by_change.items() if names]
    return f"targets: {', '.join(parts)}" if parts else "no target changed"


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
