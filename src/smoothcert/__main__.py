"""``python -m smoothcert``: the command line without its script."""

from smoothcert.cli import main

if __name__ == "__main__":
    main()
