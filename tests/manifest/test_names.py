from __future__ import annotations

import pytest

from pipeline.manifest.names import default_name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("harbour.yaml", "harbour"),
        ("my photo (3).yml", "my photo -3"),
        ("..json", "job"),
        ("CON.yaml", "job-CON"),
        ("a\nb\x1b[31m.yaml", "a-b-31m"),
        ("日本.yaml", "日本"),
        ("x" * 300 + ".yaml", "x" * 50),
        (b"\xff\xfe.yaml".decode("utf-8", "surrogateescape"), "job"),
    ],
)
def test_a_file_name_becomes_a_safe_name(file: str, name: str) -> None:
    assert default_name(file) == name
