"""Running a component's code for somebody who waits for one result: what it prints and raises is kept in bounds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ctxbench.errors import CtxbenchError, PluginError
from ctxbench.plugin.failures import PASSING, describe
from ctxbench.plugin.output import plugin_output_to_stderr


@contextlib.contextmanager
def plugin_work(what: str) -> Iterator[None]:
    """Run a component's code inside: prints go to stderr, and an exception that is not one of ours becomes a :class:`PluginError`.

    Args:
        what: whose code it is, for the message: ``codec 'dots'``.

    Raises:
        PluginError: the code raised something that its interface does not allow, SystemExit included.
    """
    with plugin_output_to_stderr():
        try:
            yield
        except PASSING:
            raise
        except (CtxbenchError, MemoryError):
            raise
        except BaseException as error:
            raise PluginError(f"{what} failed: {describe(error)}") from error
