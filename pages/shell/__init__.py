"""What is around every page: navigation, sign-in, the time range, empty states."""
