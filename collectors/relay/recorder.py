class Recorder:
    queued = dropped = written = 0
    def __init__(self, open_store=None):
        self.rows = []
    def record(self, row):
        self.rows.append(row)
    def close(self, timeout_s):
        pass
