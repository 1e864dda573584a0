"""Run the command line with ``python -m smoothcert.cli``."""

from smoothcert.cli import program

program()
