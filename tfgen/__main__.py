"""`python -m tfgen` is the command `tfgen`."""

from tfgen_command import main

if __name__ == "__main__":
    main()
