"""`python -m collectors`."""

from collectors.commands import main

if __name__ == "__main__":
    main()
