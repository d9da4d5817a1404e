"""The relay: an OpenAI-compatible server that picks an endpoint for each request, falls back before its client notices,
and records what passed. What it does, and what it never records: docs/relay.md.
"""
