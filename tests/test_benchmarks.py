"""The tutorial recipe that we compare with is what it claims to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tutorial import make_step
from tests.conftest import opened


def test_the_tutorial_recipe_agrees_with_the_reference(shared: Path, real_kernels: dict[str, Any]) -> None:
    reference = json.loads((shared / "reference" / "objective.json").read_text())
    content, style = (
        np.asarray(opened(shared / "reference" / reference[key]).convert("RGB"), np.float32) / np.float32(255)
        for key in ("content", "style")
    )
    step = make_step(real_kernels, content, style)
    for expected in reference["adam_trajectory_from_content"]["steps"][:8]:
        assert step() == pytest.approx(expected["total"], rel=0.01)
