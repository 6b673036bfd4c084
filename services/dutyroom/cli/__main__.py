"""`python -m dutyroom.cli`."""

from dutyroom.cli import main

if __name__ == "__main__":
    main()
