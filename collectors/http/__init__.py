"""One HTTP exchange with a model, timed at the socket, bounded in time and bytes, and read afterwards."""
