"""`targets.toml`: its model, and loading it with line numbers. A leaf that every package may read."""
