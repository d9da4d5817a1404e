"""What every page uses: the store through one cached loader, the shared time range, and how things are written."""
