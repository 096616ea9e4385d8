"""Animated GIF, WebP and PNG, each written by the test itself."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from pipeline.errors import ImageError
from pipeline.pictures import animations, images
from pipeline.pictures.clips import Film
from tests.conftest import picture


def animation(form: str = "gif", count: int = 4, **given: Any) -> bytes:
    first, *others = [picture(64, 48, seed=number) for number in range(count)]
    buffer = io.BytesIO()
    first.save(buffer, form, save_all=True, append_images=others, duration=100, **given)
    return buffer.getvalue()


def flat_gif(width: int, height: int, color: int = 0) -> bytes:
    image = Image.new("P", (width, height), color)
    image.putpalette([0, 0, 0, 200, 40, 40])
    buffer = io.BytesIO()
    image.save(buffer, "GIF")
    return buffer.getvalue()


def growing(width: int, height: int, junk: bytes = b"", disposal: int = 0) -> bytes:
    """A GIF of 64×48 pixels with a second frame of that size."""
    larger = flat_gif(width, height, 1)
    frame = larger[larger.index(b"\x2c" + struct.pack("<HHHH", 0, 0, width, height)) :]
    control = b"\x21\xf9\x04" + bytes([disposal << 2, 10, 0, 0, 0])
    return flat_gif(64, 48)[:-1] + junk + control + frame


def verify(data: bytes) -> Film:
    return animations.verify(io.BytesIO(data), "moves", 10**6)


class TestFramesThatGrow:
    @pytest.mark.parametrize("size", [(65, 48), (8000, 8000)])
    # Junk that readers pass over, an empty extension, and disposal, for which memory is taken, too.
    @pytest.mark.parametrize("junk", [b"", b"junk", b"\x21\xfe\0", b"\x21\xff\0\x01,\0"])
    @pytest.mark.parametrize("disposal", [0, 2])
    def test_they_are_refused_before_anything_is_decoded(
        self, size: tuple[int, int], junk: bytes, disposal: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = growing(*size, junk=junk, disposal=disposal)
        monkeypatch.setattr(animations, "_decoded", None)
        with pytest.raises(ImageError, match="a later frame is larger" if not junk else "moves"):
            verify(data)
        with pytest.raises(ImageError, match="moves: a later frame is larger than the first. Save it again"):
            next(animations.frames_of(io.BytesIO(data), "moves", 10**6))

    def test_smaller_ones_are_not(self) -> None:
        assert verify(growing(30, 48)).frames == 2

    def test_its_first_is_a_photo_all_the_same(self) -> None:
        assert images.verify(io.BytesIO(growing(8000, 8000)), "moves", 10**6) == (64, 48)


class TestFrames:
    @pytest.mark.parametrize("form", ["gif", "webp", "png"])
    def test_all_are_counted_and_shown(self, form: str) -> None:
        data = animation(form)
        assert verify(data) == Film(64, 48, 4, 0.0, "animation")
        found = list(animations.frames_of(io.BytesIO(data), "moves", 10**6))
        assert [float(filmed.time) for filmed in found] == pytest.approx([0, 0.1, 0.2, 0.3])
        assert {float(filmed.lasts or 0) for filmed in found} == {0.1}

    def test_what_a_png_shows_to_those_who_show_no_animation_is_no_frame(self) -> None:
        data = animation("png", default_image=True)
        assert verify(data).frames == 3
        first = next(animations.frames_of(io.BytesIO(data), "moves", 10**6))
        assert (first.levels == picture(64, 48, seed=1).convert("RGB")).all()

    def test_beside_such_a_picture_one_frame_is_no_animation(self) -> None:
        assert verify(animation("png", count=2, default_image=True)).kind == "photo"

    def test_a_damaged_one_in_the_middle_is_told(self) -> None:
        data = bytearray(animation("png", count=6))
        at = data.index(b"fdAT", data.index(b"fdAT") + 4)
        data[at + 12 : at + 60] = bytes([255]) * 48
        with pytest.raises(ImageError, match="moves: its frame 3 of 6 cannot be read"):
            verify(bytes(data))
        with pytest.raises(ImageError, match="moves: its frame 3 of 6 cannot be read"):
            list(animations.frames_of(io.BytesIO(bytes(data)), "moves", 10**6))

    def test_of_a_long_one_the_first_ones_alone_are_decoded_at_the_drop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data, seen, load = animation(), set(), GifImageFile.load

        def noted(image: GifImageFile) -> Any:
            seen.add(image.tell())
            return load(image)

        monkeypatch.setattr(animations, "MOST_DECODED", 250_000)
        monkeypatch.setattr(GifImageFile, "load", noted)
        assert verify(data).frames == 4
        assert seen == {0, 1}
