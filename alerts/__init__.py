"""Alerts: rules over what the collector records, the state that survives a restart, and delivery to channels."""
