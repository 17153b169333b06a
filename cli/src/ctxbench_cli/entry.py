"""The console script. It imports very little, because signal handlers come first and worker processes import this module too."""

from __future__ import annotations

import sys

from ctxbench_cli import signals


def main() -> None:
    """Run the ``ctxbench`` command.

    A signal while the command line and the plugins are imported ends the program at once. While the command runs it raises
    ``KeyboardInterrupt``; whatever comes of that, the exit code is the signal's.
    """
    signals.end_at_once()
    from ctxbench_cli.main import run_command

    try:
        run_command()
    finally:
        signals.end_at_once("")  # Python's own end would print a traceback
        code = signals.exit_code()
        if code is not None:
            sys.exit(code)
