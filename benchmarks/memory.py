"""Peak resident memory of a run by size of the picture, each in a process of its own.

python -m benchmarks.memory [SIZE ...] [--style-loss wasserstein]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import common
from pipeline.worker import memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", metavar="SIZE", type=int, nargs="*", default=[512, 1024, 2048, 4096])
    parser.add_argument("--style-loss", choices=("wasserstein", "gram"), default="wasserstein")
    arguments = parser.parse_args()
    figures = []
    for size in arguments.sizes:
        for precision in ("float32", "bfloat16"):
            for optimizer in ("adam", "lbfgs"):
                of_what = [str(size), precision, optimizer, arguments.style_loss]
                command = [sys.executable, "-m", "benchmarks.memory", "--one", *of_what]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode == -signal.SIGKILL:
                    print(f"{size:5} px  {precision:8} {optimizer:5}  killed: the machine had less than was reckoned")
                    continue
                done.check_returncode()
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


def one(size: int, precision: str, optimizer: str, style_loss: str) -> None:
    from pipeline.engine.extractor import Extractor
    from pipeline.engine.stylize import Stylizer
    from pipeline.engine.targets import Style
    from pipeline.forecast.memory import bytes_needed

    content, style = common.load(common.CONTENT, size), common.load(common.STYLE, size)
    height, width = content.shape[:2]
    objective = {"optimizer": optimizer, "style_loss": style_loss}
    parameters = common.parameters(**objective, pyramid="off", epochs=1, steps_per_epoch=2, image_size=size)
    needed = bytes_needed(height, width, precision, parameters)
    if needed > (memory.available() or needed):
        print(json.dumps({"too_large": needed}))
        return
    stylizer = Stylizer(Extractor(common.load_weights().kernels, precision))
    before = memory.peak()
    for _ in stylizer.run(content, [Style(style, 1.0, "style")], parameters):
        pass
    peak = memory.peak()
    figure = {"size": size, "precision": precision, **objective, "peak_bytes": peak}
    print(json.dumps({**figure, "bytes_per_pixel": (peak - before) / (height * width)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(int(sys.argv[2]), *sys.argv[3:])
    else:
        main()
