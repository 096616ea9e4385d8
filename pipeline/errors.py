"""The error family: an error is a sentence with advice, and knows the exit code of a command that ends with it.

And what sentences quote: values, texts of any length, the word that may have been meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Self


class StylisticError(Exception):
    """An error with a sentence for the person at the other end.

    Args:
        message: what is wrong and where.
        advice: what to do about it; may be empty.
    """

    exit_code = 3

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message, advice)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{ended(self.message)} {self.advice}" if self.advice else self.message

    def untraced(self) -> Self:
        """The same without its traceback, which holds what was at hand; Dask has ``copy`` take it along."""
        same = type(self).__new__(type(self), *self.args)
        same.__dict__.update(self.__dict__)
        return same


class JobError(StylisticError):
    """The job itself is at fault: it fails, and the runner goes on with the next one."""

    exit_code = 1


class ManifestError(JobError):
    """A manifest that cannot be used, with every problem found in it.

    Args:
        problems: one sentence each, in the order of the lines they are about.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(joined(*problems))
        self.args = problems
        self.problems = problems


class ImageError(JobError):
    """A picture that cannot be used."""


class HugeFileError(ImageError):
    """A file that is larger than any image, or what is filmed in it, may be; it is not even to be copied."""


class IncompleteImageError(ImageError):
    """A picture that does not decode to its end; it may still be on its way."""


class EndlessImageError(IncompleteImageError):
    """A picture that lacks the end of its file alone; ``size`` is its upright width and height in pixels."""

    size = (0, 0)


class UsageError(StylisticError):
    """The command was called wrongly."""

    exit_code = 2


class EnvironmentFault(StylisticError):
    """The machine is at fault (a folder, a disk, the weights): no job may be blamed for it."""


class WeightsError(EnvironmentFault):
    """No usable VGG-19 weights."""


class RunnerBusyError(StylisticError):
    """Another runner works on the same jobs folder."""

    exit_code = 75


def ended(text: str) -> str:
    """A text that another sentence follows, with its full stop."""
    return text if text.rstrip("`'\")").endswith((".", "?", "!", "…")) else f"{text}."


def joined(*clauses: str) -> str:
    """Clauses, some of which may be sentences, as one sentence: only the last keeps its full stop."""
    *others, last = clauses or ("",)
    return "; ".join([*(clause.rstrip(". ") for clause in others), last])


def shown(value: Any) -> str:
    """A value as a sentence quotes it."""
    return short(repr(value))


def short(text: str) -> str:
    """A text that may be of any length, cut to what a sentence can hold."""
    return text if len(text) <= 60 else f"{text[:57]}…"


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: the known word that may have been meant, if one comes near."""
    known = list(known)
    nearest = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.8)
    nearest = nearest or [one for one in known if word.startswith(f"{one}_")]  # such as `style_image`
    nearest = nearest or difflib.get_close_matches(word[:100], known, n=1, cutoff=0.5)
    return f"; did you mean `{nearest[0]}`?" if nearest else ""
