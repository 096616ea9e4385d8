"""What ``--set key=value`` says, and what a manifest of such settings is refused with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from pipeline.errors import ManifestError, UsageError, shown
from pipeline.manifest.document import read_document
from pipeline.manifest.fields import TRUTH
from pipeline.manifest.model import Manifest
from pipeline.manifest.parameters import Parameters


class Settings(NamedTuple):
    """What ``key=value`` stand for: fields of a manifest, and its parameters."""

    fields: dict[str, Any]
    parameters: dict[str, Any]

    @property
    def frames(self) -> bool:
        """Whether a folder is a clip, read as the manifest will be."""
        try:
            return TRUTH.validate_python(self.fields.get("frames", False))
        except ValidationError:  # the manifest will say so
            return False


def read_settings(settings: Sequence[str]) -> Settings:
    """What ``key=value`` stand for: a parameter, or another field of a manifest; values as there.

    Raises:
        UsageError: one is not of this form.
    """
    fields: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not text.strip():
            raise UsageError(f"--set {setting}: write it as key=value.")
        try:
            value = read_document(text.encode(), f"--set {key}").data
        except ManifestError as error:
            raise UsageError(str(error)) from None
        if key == "parameters":
            if not isinstance(value, dict):
                raise UsageError(f"--set {key}: must be {{key: value, …}}, not {shown(value)}.")
            parameters |= value
        elif key in Manifest.model_fields and key not in Parameters.model_fields:
            fields[key] = value
        else:
            parameters[key] = value
    return Settings(fields, parameters)


def told(error: ManifestError, file: str) -> str:
    """What is wrong with a manifest that was made here: without its file and lines, which nobody has seen."""
    return "\n".join(re.sub(rf"^{re.escape(file)}(, line \d+)?: ", "", problem) for problem in error.problems)
