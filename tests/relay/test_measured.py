"""A route that goes by what tests show, and one that goes by what the catalog claims, over the same two targets."""

from __future__ import annotations

from pathlib import Path

from collectors.relay.knowledge import learn
from store import open_store
from store.capability_tables import CapabilityTest
from store.clock import DAY_MS, now_ms
from tests.relay.running import config_of, route, routed, running
from tests.relay.upstreams import Upstream, good

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]


def test_a_measured_route_leaves_out_who_lacks_what_the_request_needs(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/uptoken.db")
    tests = [("A", "tools", "fails"), ("A", "seed", "holds"), ("B", "tools", "holds")]
    store.write([CapabilityTest(name, now_ms() - DAY_MS, "here", what, said, "ok", 1) for name, what, said in tests])
    with Upstream(good()) as a, Upstream(good()) as b:
        measured = route("A", "B", model="measured", capabilities="measured")
        config = config_of(*routed(a.url, b.url), measured)
        with running(config) as relay:
            relay.relay.knowledge = learn(store, config)
            assert relay.chat("measured", tools=TOOLS).status == 200
            assert (len(a.requests), len(b.requests)) == (0, 1)
            assert relay.chat("measured").status == 200  # which needs no tools
            assert relay.chat("gemma", tools=TOOLS).status == 200
            assert (len(a.requests), len(b.requests)) == (2, 1)
    store.close()
