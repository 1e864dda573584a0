"""``python -m smoothcert``: the command line without its script."""

from smoothcert.cli import program

if __name__ == "__main__":
    program()
