"""``smoothcert train``."""


def train() -> None: ...
