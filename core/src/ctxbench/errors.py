"""Every error that a user can cause or meet. The message alone must say what was wrong, where, and what to do."""

from __future__ import annotations


class CtxbenchError(Exception):
    """Base of all errors that the command line prints as one message, without a traceback."""

    exit_code = 1


class UsageError(CtxbenchError):
    """A command or call was given an argument that is not valid (exit code 2)."""

    exit_code = 2


class ConfigError(UsageError):
    """A config names an unknown key or component, or holds a value of the wrong type or range."""


class PluginError(CtxbenchError):
    """A plugin failed to load, or registered something that the hook does not take."""


class EncodeError(CtxbenchError):
    """A codec cannot carry this text (a character it has no glyph for, a lone surrogate, ...)."""


class CapacityError(EncodeError):
    """The text is larger than this codec configuration can carry."""


class DecodeError(CtxbenchError):
    """A classical decoder could not recover the text. Decoders raise this and never return a wrong text knowingly."""


class SampleError(CtxbenchError):
    """A task cannot make the sample it was asked for (a bucket too small for its options, ...)."""


class ModelError(CtxbenchError):
    """A model could not be loaded or could not read a prompt."""


class BudgetReached(CtxbenchError):  # noqa: N818 - a run that stops for it has not gone wrong
    """The next request could cost more than is left of ``run.budget``. What was answered is stored; another run goes on from there."""

    exit_code = 3


class StoreError(CtxbenchError):
    """The results store cannot be opened, is newer than this program, or could not be written."""


class QueryError(CtxbenchError):
    """A SQL query is wrong, or asks for more than reading the store."""


def message_of(error: BaseException, length: int = 2000) -> str:
    """What an exception says, as one line of at most ``length`` characters; its name if it says nothing or cannot say it."""
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = ""
    return text[:length] or type(error).__name__
