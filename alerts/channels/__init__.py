"""The types of channels: one file each, with a function that sends a message or raises SendError."""
