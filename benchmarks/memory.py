"""Peak resident memory of a run by size of the picture, each in a process of its own.

python -m benchmarks.memory [SIZE ...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from pipeline import memory


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [512, 1024, 2048, 4096]
    figures = []
    for size in sizes:
        for precision in ("float32", "bfloat16"):
            for optimizer in ("adam", "lbfgs"):
                command = [sys.executable, "-m", "benchmarks.memory", "--one", str(size), precision, optimizer]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                figure = json.loads(done.stdout.splitlines()[-1])
                if "too_large" in figure:
                    print(
                        f"{size:5} px  {precision:8} {optimizer:5}  takes {figure['too_large'] / 1e9:.1f} GB: not here"
                    )
                    continue
                figures.append(figure)
                print(
                    f"{size:5} px  {precision:8} {optimizer:5}  peak {figure['peak_bytes'] / 1e9:6.2f} GB,"
                    f" {figure['bytes_per_pixel']:5.0f} bytes a pixel"
                )
    common.write("memory", figures)


def one(size: int, precision: str, optimizer: str) -> None:
    from pipeline.engine.extractor import Extractor
    from pipeline.engine.stylize import Style, Stylizer, bytes_needed

    content, style = common.load(common.CONTENT, size), common.load(common.STYLE, size)
    height, width = content.shape[:2]
    parameters = common.parameters(optimizer=optimizer, pyramid="off", epochs=1, steps_per_epoch=2, image_size=size)
    needed = bytes_needed(height, width, precision, parameters)
    if needed > (memory.available() or needed):
        print(json.dumps({"too_large": needed}))
        return
    stylizer = Stylizer(Extractor(common.load_weights().kernels, precision))
    before = memory.peak()
    for _ in stylizer.run(content, [Style(style, 1.0, "style")], parameters):
        pass
    peak = memory.peak()
    figure = {"size": size, "precision": precision, "optimizer": optimizer, "peak_bytes": peak}
    print(json.dumps({**figure, "bytes_per_pixel": (peak - before) / (height * width)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        main()
