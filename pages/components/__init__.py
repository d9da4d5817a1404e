"""Cards, tables, status bars, sparklines, number formatting, theme. No store, no session."""
