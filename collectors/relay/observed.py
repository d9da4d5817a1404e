def recent_performance(store, targets, now):
    return {}
