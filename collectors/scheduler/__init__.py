"""What every collector is run by: the configuration, what is due, what may be spent, the tick, and its report."""
