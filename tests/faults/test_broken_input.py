"""Promises 5 and 6 of docs/reliability.md: whatever is dropped ends in a clear failure or a right result."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.manifest.recognition import is_foreign
from tests.conftest import SMALL, Place, opened, picture

GOOD = {"content": "photo.png", "style": "painting.png", "parameters": {**SMALL, "steps_per_epoch": 1}}
NASTY: Any = [
    None, True, -1, 0, 3, 10**30, -(10**400), 1e-320, float("nan"), float("inf"), "", "x" * 5000,
    "\x00\x1b[2J\u202e",
    "../../etc/passwd", "/proc/self/mem", "file:///etc/passwd", "CON", [], {}, [[]], [None], {"": ""}, [{"image": 3}],
    "${HOME}", "{{7*7}}", "<script>alert(1)</script>", "off", "1e-2", "0x10", "1_0", "2026-01-01", "12:30:45", "~",
]  # fmt: skip
KEYS = ["content", "style", "name", "priority", "preset", "parameters", "parameters.epochs",
        "parameters.pyramid", "parameters.style_layers", "parameters.seed", "parameters.learning_rate",
        "parameters.init", "typo", ""]  # fmt: skip


def hand_picked() -> list[bytes]:
    good = yaml.safe_dump(GOOD)
    nested = "a: " + "{b: " * 200 + "}" * 200
    letters = itertools.pairwise("abcdefghijklmnopqrst")
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in letters)
    return [
        b"", b" \n\t\n", b"\0" * 100, bytes(range(256)) * 4, b"\xef\xbb\xbf", good.encode("utf-16"),
        good.encode("utf-32"), good.encode("utf-8-sig"), b"\xff\xfe\xff", good.replace("\n", "\r").encode(),
        good.replace(" ", "\t").encode(), ("[" * 50_000).encode(), ("{a: " * 20_000).encode(), nested.encode(),
        bomb.encode(), b"a: &a [*a]", b"<<: *x", (good + good).encode(), (good + "---\n" + good).encode(),
        b"x" * 10_000_000, (good + "#" + "y" * 10_000_000).encode(),
        b"!!python/object/apply:os.system ['touch owned']",
        b"content: !!binary aGVsbG8=\nstyle: b", b"? [a, b]\n: c", b"- - - - a", b"%YAML 9.9\n---\na: 1",
        b"a: |\n  b\n c",
        ("9" * 5000).encode(), b"key: 0o777", b"content: photo.png\nstyle: painting.png\nparameters: {seed: 1e400}",
    ]  # fmt: skip


def collect(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many different examples of a strategy, the same ones each time."""
    found = []

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def keep(example: Any) -> None:
        found.append(example)

    keep()
    return found


@st.composite
def twisted(draw: st.DrawFn) -> bytes:
    """A good manifest with some of its values replaced, in YAML or JSON."""
    data: dict[str, Any] = json.loads(json.dumps(GOOD))
    for key in draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4)):
        *outer, last = key.split(".")
        target = data["parameters"] if outer and isinstance(data.get("parameters"), dict) else data
        target[last] = draw(st.sampled_from(NASTY) | st.text(max_size=20) | st.integers() | st.floats())
    text = json.dumps(data) if draw(st.booleans()) else yaml.dump(data, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good manifest with bytes changed, cut out or put in."""
    data = bytearray(yaml.safe_dump(GOOD).encode())
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1)) if data else 0
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


def test_any_manifest_ends_in_a_clear_failure_or_a_right_result(place: Place, is_long: bool) -> None:
    count = 1000 if is_long else 60
    manifests = hand_picked() + collect(twisted() | damaged() | st.binary(max_size=200), count)
    place.pair()
    for number, data in enumerate(manifests):
        (place.inbox / f"m-{number:04}.{'json' if number % 3 == 0 else 'yaml'}").write_bytes(data)
    done = place.run("run", "--max-steps", "10", "--input-timeout", "0.5", timeout=900)
    assert done.returncode == 1, done.stderr[-3000:]
    logs = place.logs()
    left = list(place.inbox.glob("m-*"))  # as another program's
    assert len(logs) + len(left) == len(manifests)
    assert all(is_foreign(path.read_bytes(), path.name) for path in left)
    for log in logs:
        if log["status"] == "failed":
            assert log["error"].strip()
            assert "internal error" not in log["error"], log["error"]
        else:
            assert opened(place.result(log)).size == (log["output"]["width"], log["output"]["height"])
    assert not list(place.root.rglob("owned"))
    assert place.leftovers() == []
    assert "\x1b" not in done.stdout + done.stderr
    assert (place.outbox / "index.html").read_text().count("<script") == 2, "the page's data and its own script"
    ran = sum(log["status"] == "done" for log in logs)
    print(f"manifests tried: {len(manifests)}, ran: {ran}, left: {len(left)}")


def broken_images(count: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of image files, most of them broken; the same ones each time."""
    dice = random.Random(4)
    whole: dict[str, bytes] = {}
    saved: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("base.jpg", picture(), {"quality": 90}),
        ("prog.jpg", picture(), {"quality": 90, "progressive": True}),
        ("cmyk.jpg", picture().convert("CMYK"), {}),
        ("rgb.png", picture(), {}),
        ("palette.png", picture().convert("P"), {}),
        ("grey16.png", Image.fromarray(np.arange(5120, dtype=np.uint16).reshape(64, 80) * 12), {}),
        ("alpha.webp", picture().convert("RGBA"), {}),
        ("lzw.tif", picture(), {"compression": "tiff_lzw"}),
        ("float.tif", Image.fromarray(np.random.default_rng(0).random((64, 80), np.float32)), {}),
        ("moving.gif", picture(), {"save_all": True, "append_images": [picture(seed=9)]}),
        ("plain.bmp", picture(), {}),
        ("one.png", Image.new("RGB", (1, 1), "red"), {}),
        ("tower.png", Image.new("RGB", (1, 20_000), "red"), {}),
        ("exif.jpg", picture(), {"exif": b"Exif\0\0MM\0*" + bytes(dice.randrange(256) for _ in range(80))}),
        ("icc.png", picture(), {"icc_profile": bytes(dice.randrange(256) for _ in range(400))}),
    ]
    for name, image, options in saved:
        buffer = io.BytesIO()
        image.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], name.split(".")[1].upper()), **options)
        whole[name] = buffer.getvalue()
        yield name, whole[name]
    bomb = bytearray(whole["rgb.png"])
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    yield "bomb.png", bytes(bomb)
    yield "empty.png", b""
    yield "zeros.jpg", b"\0" * 10_000
    yield "text.png", b"no picture at all, but a text of some length"
    yield "page.jpg", b"<html><body>404</body></html>" * 20
    yield "script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" * 5
    names = list(whole)
    for number in range(count):
        name = dice.choice(names)
        data = bytearray(whole[name])
        match number % 3:
            case 0:
                del data[dice.randrange(len(data)) :]
            case 1:
                for _ in range(dice.choice((1, 3, 30))):
                    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            case 2:
                name = f"wrong.{dice.choice(('png', 'jpg', 'webp', 'gif', 'tif', 'exe', 'PNG '))}"
                start = dice.randrange(len(data))
                data[start : start + dice.randrange(40)] = bytes(dice.randrange(256) for _ in range(dice.randrange(40)))
        stem, _, suffix = name.rpartition(".")
        yield f"{stem}-{number}.{suffix}", bytes(data)


def test_any_image_ends_in_a_clear_failure_or_a_right_result(place: Place, is_long: bool) -> None:
    place.photo("painting.png", seed=2)
    count = 0
    for number, (name, data) in enumerate(broken_images(500 if is_long else 20)):
        (place.inbox / f"{number}-{name}").write_bytes(data)
        place.manifest(f"i-{number:03}.yaml", content=f"{number}-{name}", parameters={"steps_per_epoch": 1})
        count += 1
    (place.inbox / "folder.png").mkdir()
    os.mkfifo(place.inbox / "pipe.png")
    for name in ("folder", "pipe"):
        place.manifest(f"{name}.yaml", content=f"{name}.png")
    done = place.run("run", "--input-timeout", "0.5", "--max-pixels", "4000000", timeout=900)
    assert done.returncode == 1, done.stderr[-3000:]
    logs = {log["job"]["name"]: log for log in place.logs()}
    assert len(logs) == len(place.logs()) == count + 2
    for log in logs.values():
        if log["status"] == "failed":
            assert log["error"].strip()
            assert "internal error" not in log["error"], log["error"]
        else:
            assert max(opened(place.result(log)).size) == 64
    for number in range(12):  # the sound ones
        assert logs[f"i-{number:03}"]["status"] == "done", logs[f"i-{number:03}"]["error"]
    assert "too narrow" in logs["i-012"]["error"]
    assert {logs[f"i-{number:03}"]["status"] for number in (13, 14)} == {"done"}
    assert "the limit is 4,000,000 (--max-pixels)" in logs["i-015"]["error"]
    assert "folder.png: a folder." in logs["folder"]["error"]
    assert "not an image file" in logs["pipe"]["error"]
    assert place.leftovers() == []
    print(f"images tried: {count + 2}, ran: {sum(log['status'] == 'done' for log in logs.values())}")


@pytest.mark.stand_in
def test_any_file_name_gives_a_result_in_its_own_folder(place: Place) -> None:
    place.pair()
    names = ["a\nb", "\x1b[31mred", "x" * 240, "日本語", "a'; rm -rf ~", "-rf", "nul", " ", "plain"]
    for name in [*names, ".."]:  # the last begins with a dot, so that nobody looks at it
        place.manifest("moving", parameters={"steps_per_epoch": 1}).rename(place.inbox / f"{name}.yaml")
    done = place.run("run")
    assert done.returncode == 0, done.stderr
    logs = place.logs()
    assert len({log["job"]["id"] for log in logs}) == len(names)
    for log in logs:
        assert place.result(log).resolve().parent.parent == place.outbox.resolve()
    assert "\x1b" not in done.stdout + done.stderr
    assert {path.name for path in place.root.iterdir()} == {"inbox", "jobs", "outbox"}
