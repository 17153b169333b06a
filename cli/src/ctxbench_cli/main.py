"""The ``ctxbench`` command: built-in commands, the commands that plugins add, and errors as one line."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

import ctxbench
from ctxbench import CtxbenchError
from ctxbench_cli import entry, signals

COMMANDS = {
    "run": "Run an experiment and store every trial.",
    "sql": "Ask the store in SQL.",
    "cost": "What FILE would cost in each codec, for each model family, before you run anything.",
    "encode": "Put the text of FILE into a carrier: page-001.png, ... or carrier.txt.",
    "decode": "Read the text back from PAGE... with the codec's classical decoder.",
    "plugins": "List what is installed, from where, and what failed.",
    "config": "Write, show and check experiment configs.",
    "store": "Export, merge, copy, check or upgrade a results store.",
    "doctor": "Check this installation: plugins, tokenizer, codecs, store, accelerator.",
}
"""Our own commands, and what the list of them says. Each module is imported when its command runs."""


class _OneLine(click.ClickException):
    """An error of ours, printed as ``error: ...`` on stderr."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        setattr(self, "exit_code", exit_code)  # noqa: B010 - click types it as a class variable

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", err=True)


class Cli(click.Group):
    """Imports a command when it is asked for, and turns every error that a user can cause into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our own and the plugins', by name."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; ours come first."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module(f"ctxbench_cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing ours."""
        helps = dict(COMMANDS)
        for name, command in self.commands.items():
            if name not in COMMANDS and not command.hidden:
                helps[name] = command.get_short_help_str(formatter.width - 6 - max(map(len, self.list_commands(ctx))))
        with formatter.section("Commands"):
            formatter.write_dl(sorted(helps.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except BaseException as error:
            code = signals.exit_code()
            if code is not None:  # whatever the interrupt has become on its way: C code turns it into an ImportError, for example
                ctx.exit(code)
            if isinstance(error, KeyboardInterrupt):
                ctx.exit(130)  # as shells expect
            if isinstance(error, BrokenPipeError):
                # The reader of our output has gone (``| head``): nothing is wrong, and nothing more can be said.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                ctx.exit(0)
            line = _one_line(error)
            if line is None:
                raise
            raise line from error


def _one_line(error: BaseException) -> _OneLine | None:
    """An error that a user can cause as the line to print; ``None`` for a fault of the program."""
    if isinstance(error, CtxbenchError):
        return _OneLine(" ".join(str(error).split()), error.exit_code)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return _OneLine(f"{place}{error.strerror or error}", 1)
    if isinstance(error, MemoryError):
        return _OneLine("out of memory", 1)
    return None


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ctxbench.__version__, prog_name="ctxbench")
def cli() -> None:
    """Measure when a long text context is cheaper, and still readable, as an image."""


def run_command() -> None:
    """Add the commands of plugins, and run the command that the arguments name."""
    try:
        ctxbench.load_plugins().manager.add_commands(cli, reserved=COMMANDS)
    except CtxbenchError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    signals.raise_interrupts()
    cli()


def main() -> None:
    """The command, for whoever has imported this module; the console script is :func:`ctxbench_cli.entry.main`."""
    entry.main()
