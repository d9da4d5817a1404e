"""`python -m collectors`."""

import gc

gc.disable()  # what a start makes is used to its end: looking through it for garbage takes 50 ms of each run

from cli import main  # noqa: E402

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
