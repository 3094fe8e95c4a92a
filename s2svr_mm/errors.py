# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The errors that a user can cause and fix; all derive from :class:`S2SVRError`.

The command line reports these as one message. Any other exception is a bug and keeps its traceback.
"""

import difflib


class S2SVRError(Exception):
    """Base of all errors that a user can fix; the message names the cause and the remedy."""


class ConfigError(S2SVRError, ValueError):
    """A config, or an option of a command, that cannot be used."""


class DataError(S2SVRError, ValueError):
    """Input data that cannot be used; the message names the file."""


class OutputError(S2SVRError, ValueError):
    """An output that cannot be written, or must not be."""


class EncodingError(S2SVRError, ValueError):
    """Frames that an encoder or a container does not take as asked for."""


class NotEnoughMemoryError(S2SVRError, MemoryError):
    """Not even the smallest window and tile fit into memory."""


class NonFiniteError(S2SVRError, RuntimeError):
    """A loss, a weight or a restored frame has become NaN or infinite."""


class CheckpointError(S2SVRError, RuntimeError):
    """A checkpoint that cannot be read, is unsafe to read, or does not fit its model."""


class MissingPackageError(S2SVRError, ImportError):
    """An optional package that a feature needs is not installed."""


class MissingOpError(S2SVRError, NotImplementedError):
    """An operator that only a compiled mmcv has is called where none is installed."""


class StackError(S2SVRError, ImportError):
    """The installed packages do not work together."""


def did_you_mean(name: str, known: list[str], cutoff: float = 0.6) -> str:
    """Suggest what a misspelled name may have meant.

    Args:
        name: What was given.
        known: What there is.
        cutoff: How alike they are at least, from 0 to 1, by difflib's ratio.

    Returns:
        ' Did you mean ...?' with up to three of ``known``, or '' if nothing is close.
    """
    # Beside what is all but the same, what is merely alike is no guess.
    close = difflib.get_close_matches(name, known, 3, max(cutoff, 0.9))
    close = close or difflib.get_close_matches(name, known, 3, cutoff)
    return f' Did you mean {" or ".join(close)}?' if close else ''
