"""Manifests of a few lines, read as files are."""

from __future__ import annotations

import pytest

from pipeline.errors import ManifestError
from pipeline.manifest.model import Manifest
from pipeline.manifest.parse import parse_manifest

MINIMAL = "content: a.jpg\nstyle: b.jpg\n"


def parse(text: str | bytes, file: str = "harbour.yaml") -> Manifest:
    return parse_manifest(text.encode() if isinstance(text, str) else text, file)


def problems(text: str | bytes, file: str = "harbour.yaml") -> list[str]:
    with pytest.raises(ManifestError) as caught:
        parse(text, file)
    return list(caught.value.problems)
