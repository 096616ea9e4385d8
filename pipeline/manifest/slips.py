"""What typists, word processors and other languages put into a manifest, and what was meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from pipeline.errors import ManifestError, short, shown

_BLANKS = "\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff"  # that YAML takes for letters
_KEY = r"[\"'“”]?[^\W\d][\w-]*[\"'“”]?"
# Before a key, between a key's colon and its value, behind a list's dash; within a value they may be a name's.
_BLANK = re.compile(
    rf"[ \t]*([{_BLANKS}])[ \t{_BLANKS}]*{_KEY}\s*:|[ \t]*(?:- *)?{_KEY} *: *([{_BLANKS}])|[ \t]*- *([{_BLANKS}])"
)
_QUOTES = "“”„‟‘’‚‛«»‹›「」＂"
_QUOTED = re.compile(rf"[{_QUOTES}].*[{_QUOTES}]", re.DOTALL)
_COMMA = re.compile(r"([-+]?\d+),(\d+)")
_UNIT = re.compile(r"([-+]?\d+(?:[.,]\d+)?)\s*(px|pixels?|%|x|×|steps?|epochs?|s|sec|dpi|°)", re.IGNORECASE)
_OF_BASE = re.compile(r"0x[0-9a-f]+|0o[0-7]+|0b[01]+", re.IGNORECASE)
_SIDES = re.compile(r"(\d+) ?[x×*,] ?(\d+)(?: ?px)?", re.IGNORECASE)
_MARKED = re.compile(rf"\s*(?:- *)?(?:{_KEY} *: +)?([*&@`%!])(\S.*)")
_TWO_KEYS = re.compile(rf"^\s*{_KEY} *: .*[ ;,]{_KEY} *: ")
MOST_MEANT = 40  # characters of a number
_GROUPED = re.compile(r"\d{1,3}(?:[ '’_\u00a0\u202f.,]\d{3})+")


def refuse_blanks(text: str, file: str) -> None:
    """Refuse a YAML text in which a no-break space, as some keyboards and web pages give, stands for a plain one.

    Raises:
        ManifestError: with the line, and the character.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if found := _BLANK.match(line):
            character = next(filter(None, found.groups()))
            raise ManifestError(f"{file}, line {number}: {blank(character)}")


def is_slip(text: str) -> bool:
    """Whether a text has to stand in quotes, so as not to be taken for a slip."""
    return bool(re.search(f"[{_BLANKS}]", text) or quotes(text))


def blank(character: str) -> str:
    """What is said of a character that looks like a space, or like nothing, where a plain space belongs."""
    name = "a no-break space" if character in "\u00a0\u202f" else "a character that cannot be seen"
    return f"{name} (U+{ord(character):04X}) where a plain one belongs; type it anew with the space bar"


def is_blank(character: str) -> bool:
    """Whether a character looks like a space, or like nothing, and is no plain one."""
    return re.fullmatch(f"[{_BLANKS}]", character) is not None


def quotes(text: str) -> str:
    """What is said of a value or key in typographic quotes; nothing of any other."""
    if not _QUOTED.fullmatch(text):
        return ""
    return f"{shown(text)} stands in typographic quotes; use straight ones, or none"


def yaml(line: str) -> str:
    """What was meant by a line of which YAML makes nothing, as a sentence without its end; nothing if nobody knows."""
    line = line[:1000]
    if line.lstrip().startswith("```"):
        return "a fence of Markdown; delete the lines that begin with ```"
    if found := _MARKED.match(line):
        return f"a value that begins with `{found[1]}` stands in quotes, such as {shown((found[1] + found[2]).strip())}"
    if _TWO_KEYS.search(line):
        return "two keys in one line; begin a line with each"
    return ""


def json(text: str, position: int) -> str:
    """What was meant where JSON breaks off; nothing if that cannot be told."""
    here, before = text[position : position + 1], text[:position].rstrip()
    if is_quote(here):
        return "typographic quotes; use straight ones"
    if here and is_blank(here):
        return blank(here)
    if here == "'":
        return "single quotes; JSON has double ones"
    if here in ("/", "#") and here:
        return "a comment, which JSON has not; delete it, or name the file .yaml and begin comments with #"
    if before.endswith(",") and here in ("}", "]") and here:
        return f"a comma before the closing `{here}`; delete it"
    if here.isdigit() and (comma := re.search(r"(\d+),$", before[-MOST_MEANT:])):
        number = re.match(r"\d+", text[position:])
        return f"a decimal has a point, not a comma: {comma[1]}.{number[0] if number else here}"
    return ""


def no_lines(data: Any) -> str:
    """The end of a sentence on a document that is no mapping: what was meant, if that can be told."""
    if isinstance(data, list) and any(isinstance(one, dict) for one in data):
        return "; this is a list of several: drop a file for each, or let one have a `sweep`"
    if isinstance(data, str) and (found := re.match(rf"({_KEY}) ?=", data)):
        return f"; write a colon in place of `=`, such as `{short(found[1])}: …`"
    if isinstance(data, str) and (found := re.match(rf"({_KEY}):\S", data)):
        return f"; a space belongs behind the colon, such as `{short(found[1])}: …`"
    return ""


def is_quote(character: str) -> bool:
    """Whether a character is a typographic quote."""
    return character in _QUOTES


def number_meant(value: Any, takes: Callable[[float], bool]) -> str:
    """The end of a sentence on what is no number: which one was meant, if that can be told.

    Args:
        value: what stands there.
        takes: whether a number may stand there; one that may not is no hint.
    """
    if not isinstance(value, str) or len(value) > MOST_MEANT:
        return ""
    text = value.strip()
    if found := _COMMA.fullmatch(text):
        return _of_comma(found, takes)
    if found := _UNIT.fullmatch(text):
        number = found[1].replace(",", ".")
        part = float(number) / 100
        told = [f"the number alone: {number}"] if takes(float(number)) else []
        told += [f"{part:g} for that part of one"] if found[2] == "%" and takes(part) else []
        return f"; write {', or '.join(told)}" if told else ""
    meant: tuple[str, float] | None = None
    if _OF_BASE.fullmatch(text):
        meant = f"{int(text, 0)}", int(text, 0)
    elif found := _SIDES.fullmatch(text):
        side = max(map(int, found.groups()))
        meant = f"the longer side alone: {side}", side
    elif len(text) == 1 and (fraction := unicodedata.numeric(text, -1.0)) >= 0:
        meant = f"{fraction:g}", fraction
    elif _GROUPED.fullmatch(text):
        digits = re.sub(r"[^0-9]", "", text)
        meant = f"it without marks between its digits: {digits}", int(digits)
    return f"; write {meant[0]}" if meant and takes(meant[1]) else ""


def _of_comma(found: re.Match[str], takes: Callable[[float], bool]) -> str:
    """What a comma parts: a decimal's places, or thousands."""
    point, whole = f"{found[1]}.{found[2]}", f"{found[1]}{found[2]}"
    is_decimal, is_whole = takes(float(point)), len(found[2]) == 3 and takes(int(whole))
    if is_whole:
        return f"; write {whole}" + (f", or with a point {point}" if is_decimal else "")
    return f"; a decimal has a point: {point}" if is_decimal else ""
