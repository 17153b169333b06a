"""The ``ctxbench`` command: built-in commands, the commands that plugins add, and errors as one line."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

import ctxbench
from ctxbench import CtxbenchError
from ctxbench_cli.commands import config, cost, decode, doctor, encode, plugins, run, sql, store


class _OneLine(click.ClickException):
    """An error of ours, printed as ``error: ...`` on stderr."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        setattr(self, "exit_code", exit_code)  # noqa: B010 - click types it as a class variable

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", err=True)


class Cli(click.Group):
    """Turns every error that a user can cause into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except CtxbenchError as error:
            raise _OneLine(" ".join(str(error).split()), error.exit_code) from error
        except KeyboardInterrupt:
            ctx.exit(130)  # as shells expect
        except BrokenPipeError:
            # The reader of our output has gone (``| head``): nothing is wrong, and nothing more can be said.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise _OneLine(f"{place}{error.strerror or error}", 1) from error
        except MemoryError as error:
            raise _OneLine("out of memory", 1) from error


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ctxbench.__version__, prog_name="ctxbench")
def cli() -> None:
    """Measure when a long text context is cheaper, and still readable, as an image."""


for _module in (run, sql, cost, encode, decode, plugins, config, store, doctor):
    cli.add_command(_module.command)


def main() -> None:
    """Console-script entry point."""
    try:
        ctxbench.load_plugins().manager.add_commands(cli)
    except CtxbenchError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    cli()
