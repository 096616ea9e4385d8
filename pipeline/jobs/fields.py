"""What the fields of a record may say, and reading one from a file: none of it is true before it has been looked at.

Records lie in folders that others may write to. A name from one becomes part of a path, a number part of a sum, a time
is compared with the clock: each type here is what all its users may rely on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from pipeline.errors import short
from pipeline.manifest.names import valid_name, valid_path

MOST_CHARACTERS = 100_000  # of a text; what goes on is cut off
MOST_FILE_NAME_BYTES = 255
MOST_PROBLEMS, MOST_SAID = 5, 150  # of a record, that are told; characters of one
YEARS = range(1970, 9000)  # whose times can be reckoned with in every time zone

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class SpoiltError(ValueError):
    """A file that does not say what a record of its kind says; the text tells why."""


def read_json(model: type[M], data: bytes) -> M:
    """A record from what its file says.

    Raises:
        SpoiltError: it is no JSON, says a thing twice, or what it says cannot be.
    """
    return parsed(model.model_validate, data)


def parsed(validate: Callable[[Any], T], data: bytes) -> T:
    """As ``read_json``, by a function that takes plain data, and raises Pydantic's ``ValidationError``."""
    try:
        pydantic_core.from_json(data)  # which goes down 200 levels and no further
        return validate(json.loads(data.decode(), object_pairs_hook=_each_once))
    except ValidationError as error:
        problems = [
            f"`{_place(p['loc'])}`: {p['msg'][:MOST_SAID]}"
            for p in error.errors(include_url=False, include_input=False)
        ]
        more = f"; and {len(problems) - MOST_PROBLEMS:,} more" if len(problems) > MOST_PROBLEMS else ""
        raise SpoiltError("; ".join(problems[:MOST_PROBLEMS]) + more) from None
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or numbers of more digits than Python reads
        raise SpoiltError(short(str(error))) from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _place(loc: tuple[int | str, ...]) -> str:
    return short(".".join(map(str, loc)).removeprefix("manifest."))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _name(name: str) -> str:
    valid_name(name)
    return name


def _file_name(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ValueError("must be the name of a file")
    if len(name.encode()) > MOST_FILE_NAME_BYTES:
        raise ValueError(f"is longer than {MOST_FILE_NAME_BYTES} bytes")
    return name


def _moment(text: str) -> str:
    """In one form, so that moments are in the order of their texts, and browsers can read them."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or moment.year not in YEARS:
            raise ValueError
        return moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("must be a time with its zone, in ISO 8601") from None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        raise ValueError("must be plain data, and its numbers finite") from None
    return value


Name = Annotated[str, AfterValidator(_name)]  # of a job, or of one of a sweep's variants
FileName = Annotated[str, AfterValidator(_file_name)]  # in the record's own folder
WrittenPath = Annotated[str, AfterValidator(valid_path)]  # as a manifest has it; for people to read
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Moment = Annotated[str, AfterValidator(_moment)]  # UTC
Text = Annotated[str, AfterValidator(_cut)]
Plain = Annotated[Any, AfterValidator(_plain)]  # as JSON has it
ToldPlain = Annotated[Any, AfterValidator(_finite)]  # with nothing in the place of numbers that JSON does not know
Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Number = Annotated[int, Field(strict=True, ge=1, le=10**9)]  # counted from one
Side = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]  # in pixels
Bytes = Annotated[int, Field(strict=True, ge=0, le=2**60)]
ProcessId = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)]  # up to thirty years
LossValue = Annotated[float, Field(strict=True, ge=-1e39, le=1e39, allow_inf_nan=False)]  # a float32's
