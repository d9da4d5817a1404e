"""How often a password may be tried, by a clock that the test sets."""

from __future__ import annotations

from pages.shell.attempts import MOST_ADDRESSES, Attempts


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_has_five_attempts_and_then_one_a_minute() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert [attempts.take("192.0.2.1") for _ in range(6)] == [0, 0, 0, 0, 0, 60]
    assert attempts.take("192.0.2.2") == 0
    clock.now += 45
    assert attempts.take("192.0.2.1") == 15, "asking too early costs nothing"
    clock.now += 15
    assert [attempts.take("192.0.2.1") for _ in range(2)] == [0, 60]
    attempts.forget("192.0.2.1")
    assert attempts.take("192.0.2.1") == 0


def test_all_addresses_together_have_thirty_attempts_and_then_one_in_six_seconds() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert [attempts.take(f"192.0.2.{n}") for n in range(31)] == [0] * 30 + [6]
    clock.now += 6
    assert [attempts.take(f"198.51.100.{n}") for n in range(2)] == [0, 6]


def test_a_network_of_ipv6_is_one_address() -> None:
    attempts = Attempts(Clock())
    assert [attempts.take(f"2001:db8::{n:x}") for n in range(1, 7)] == [0, 0, 0, 0, 0, 60]
    assert attempts.take("2001:db8:0:1::1") == 0


def test_many_addresses_take_no_more_memory() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for n in range(MOST_ADDRESSES + 100):
        attempts.take(f"10.{n // 65_536}.{n // 256 % 256}.{n % 256}")
    assert len(attempts._of) == MOST_ADDRESSES
