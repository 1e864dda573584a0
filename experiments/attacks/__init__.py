"""Attacks on every file that smoothcert reads, and on every moment at which it can be killed."""
