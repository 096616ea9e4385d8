"""``python -m pipeline.worker DESCRIPTOR``: a worker process, as ``child`` starts it."""

from __future__ import annotations

import sys

from pipeline.worker import process

process.serve(int(sys.argv[1]))
