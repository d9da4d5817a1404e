"""The rules: one file per matter. A rule is a pure function from facts to findings."""
