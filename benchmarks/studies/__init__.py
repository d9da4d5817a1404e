"""Studies that take long or need a generated year: not part of `make bench`."""
