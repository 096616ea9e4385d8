"""Names of jobs and images: which are safe as files, on every system."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

import regex

from pipeline.errors import shown

MAX_NAME_CHARACTERS = 100
MAX_NAME_BYTES = 200  # so that what is put before and behind a name leaves it under the 255 that a file's may have
MAX_STEM_BYTES = 240  # the same, where no more than a number and a suffix follow
# Letters with the marks that belong to them, as in Hindi, Thai, Arabic, Hebrew; between two letters what joins or parts
# them, as Persian and many scripts of India write it.
_JOINER = r"(?<=[\p{L}\p{M}])[\u200c\u200d](?=[\p{L}\p{M}])"
_KEPT = r"\p{L}\p{M}\p{N}_. \-"
NAME = regex.compile(rf"[\p{{L}}\p{{N}}_](?:(?:[{_KEPT}]|{_JOINER})*[\p{{L}}\p{{M}}\p{{N}}_-])?")
_OTHERS = regex.compile(rf"(?:(?!{_JOINER})[^{_KEPT}])+")
_SPACES = regex.compile(r"\p{Zs}")
_UNSEEN = regex.compile(r"[\u200b\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069]")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789¹²³")}
_UNSAFE = regex.compile(r'[<>:"|?*/\\\p{Cc}\p{Cs}]')  # in a name on Windows, or on no system


def valid_name(name: str) -> str:
    """A job's name as it is kept: in Unicode's composed form.

    Raises:
        ValueError: it is not safe as the name of a file; says why.
    """
    if len(name) <= 10 * MAX_NAME_CHARACTERS:  # normalising marks without end takes its time
        name = _SPACES.sub(" ", unicodedata.normalize("NFC", name))
    if not NAME.fullmatch(name):
        raise ValueError("may hold letters, digits, spaces and . _ - only, and starts with a letter or digit")
    if len(name) > MAX_NAME_CHARACTERS:
        raise ValueError(f"is longer than {MAX_NAME_CHARACTERS} characters")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"is longer than {MAX_NAME_BYTES} bytes in UTF-8")
    if name.split(".")[0].lower() in _RESERVED:
        raise ValueError(f"{shown(name)} is a name that Windows keeps for a device")
    return name


def valid_path(path: str) -> str:
    """The path of an image as it was written; whether it may be read is asked where it is opened.

    Raises:
        ValueError: it cannot be a path; says why.
    """
    if "\0" in path or not path.strip():
        raise ValueError("must be the path of an image")
    if path.startswith("data:"):
        raise ValueError("is a picture within the text; save it as a file in the inbox, and name that")
    if len(path) > 1024:
        raise ValueError("is longer than 1024 characters")
    return path


def with_tail(name: str, tail: str) -> str:
    """A name with something added, cut before that where it would grow too long."""
    if len(name + tail) > MAX_NAME_CHARACTERS or len((name + tail).encode()) > MAX_NAME_BYTES:
        room = MAX_NAME_BYTES - len(tail.encode())
        name = beginning(name, MAX_NAME_CHARACTERS - len(tail), room).rstrip(" .-")
    return name + tail


def beginning(text: str, characters: int, size: int = MAX_NAME_BYTES) -> str:
    """As much of a text as so many characters and bytes hold, without parting a letter from its marks."""
    return "".join(_as_many(regex.findall(r"\X", text[: characters + 1]), characters, size))


def end(text: str, characters: int, size: int = MAX_NAME_BYTES) -> str:
    """The same, from the text's end."""
    return "".join(reversed(list(_as_many(reversed(regex.findall(r"\X", text)), characters, size))))


def _as_many(graphemes: Iterable[str], characters: int, size: int) -> Iterator[str]:
    for grapheme in graphemes:
        characters, size = characters - len(grapheme), size - len(grapheme.encode("utf-8", "surrogateescape"))
        if characters < 0 or size < 0:
            return
        yield grapheme


def on_any_system(text: str) -> str:
    """The name of a file, without its suffix, or of a folder, as near to a text as Windows and Samba can have it."""
    name = beginning(_UNSAFE.sub("-", unicodedata.normalize("NFC", text)), 255, MAX_STEM_BYTES).strip(" .")
    return name if name and name.split(".")[0].rstrip().lower() not in _RESERVED else f"_{name}"


def safe(text: str) -> str:
    """A text with a hyphen for all that a name cannot hold, composed first, so that no letter loses its accent."""
    return _OTHERS.sub("-", _SPACES.sub(" ", unicodedata.normalize("NFC", text)))


def folded(name: str) -> str:
    """What names have in common that look alike but for case: in composition, kind of space, marks that nobody sees."""
    return _UNSEEN.sub("", _SPACES.sub(" ", unicodedata.normalize("NFC", name.casefold())))


def default_name(file: str) -> str:
    """A job's name from the name of its manifest or folder, made safe as a file name."""
    stem = regex.sub(r"\.(ya?ml|json)$", "", file, flags=regex.IGNORECASE)
    name = beginning(safe(stem), MAX_NAME_CHARACTERS // 2).strip(" .-_")
    try:
        return valid_name(name)
    except ValueError:
        return f"job-{name}" if name else "job"
