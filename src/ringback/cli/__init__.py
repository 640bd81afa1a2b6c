"""Words on a terminal: the `ringback` command."""


def main() -> None:
    """Entry point of the `ringback` command."""
    raise SystemExit("ringback: this build has no commands yet")
