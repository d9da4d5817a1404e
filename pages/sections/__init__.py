"""The cards of the pages, one module per card."""
