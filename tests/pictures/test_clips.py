"""Videos of the kinds that people drop, each written by the test itself."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import HugeFileError, ImageError, IncompleteImageError
from pipeline.pictures import clips, mp4
from pipeline.pictures.clips import Filmed

av = pytest.importorskip("av")

RED, BLUE, GREY = (200, 40, 40), (40, 40, 200), (128, 128, 128)


def halves(number: int, width: int = 64, height: int = 48, left: Any = RED, right: Any = BLUE) -> Any:
    """Two colours side by side, and a white bar that is at ``number``."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = left, right
    pixels[:4, 4 * number : 4 * number + 4] = 255
    return pixels


def video(
    form: str = "mp4",
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    count: int = 6,
    sound: str = "",
    turned: int = 0,
    times: list[int] | None = None,
    change: Callable[[Any], None] = lambda stream: None,
    draw: Callable[[int], Any] | None = None,
    width: int = 64,
    height: int = 48,
    **options: str,
) -> bytes:
    """A video of 10 frames a second, or with each at its time in tenths of a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", form, options=options) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if codec == "libx264":
            stream.options = {"x264-params": "cpu-independent=1"}  # the same bytes each time, see docs/decisions.md
        if turned:
            stream.set_display_rotation(turned)
        change(stream)
        track = container.add_stream(sound, rate=48_000, layout="mono") if sound else None
        for number in range(count):
            levels = np.ascontiguousarray(draw(number) if draw else halves(number, width, height))
            frame = av.VideoFrame.from_ndarray(levels, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = times[number] if times else number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        if track:
            resampler = av.AudioResampler(track.format, track.layout, 48_000, frame_size=track.frame_size or 1024)
            wave = np.sin(np.arange(48_000 * count // 10) * 440 * 2 * np.pi / 48_000).astype(np.float32) * 0.5
            tone = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
            tone.rate = 48_000
            for part in [*resampler.resample(tone), *resampler.resample(None)]:
                container.mux(track.encode(part))
            container.mux(track.encode())
        container.mux(stream.encode())
    return buffer.getvalue()


def read(data: bytes, **given: Any) -> list[Filmed]:
    return list(clips.frames_of(io.BytesIO(data), "clip", 10**6, **given))


def verify(data: bytes, max_pixels: int = 10**6) -> clips.Film:
    return clips.verify(io.BytesIO(data), "clip", max_pixels)


def near(pixel: Any, color: Any, by: int = 12) -> bool:
    return bool(np.abs(np.asarray(pixel, int) - np.asarray(color, int)).max() <= by)


KINDS: dict[str, dict[str, Any]] = {
    "mp4": {},
    "mov": {"form": "mov"},
    "mkv": {"form": "matroska"},
    "webm": {"form": "webm", "codec": "libvpx-vp9"},
    "avi": {"form": "avi", "codec": "mpeg4"},
    "h265": {"codec": "libx265"},
    "10 bit": {"pix_fmt": "yuv420p10le"},
    "4:4:4": {"pix_fmt": "yuv444p"},
    "prores": {"form": "mov", "codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "without a length": {"form": "webm", "codec": "libvpx", "live": "1"},
    "fragmented": {"movflags": "frag_keyframe+empty_moov"},
}


def sound_alone() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", "mp4") as container:
        track = container.add_stream("aac", rate=48_000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        tone.rate = 48_000
        container.mux(track.encode(tone))
        container.mux(track.encode())
    return buffer.getvalue()


class TestReading:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_gives_its_frames_and_their_colours(self, kind: str) -> None:
        data = video(**KINDS[kind])
        assert verify(data)[:3] == (64, 48, 6)
        found = read(data)
        assert [filmed.time for filmed in found] == [pytest.approx(number / 10, abs=2e-3) for number in range(6)]
        for filmed in found:
            assert near(filmed.levels[30, 10], RED)
            assert near(filmed.levels[30, 50], BLUE)
        assert [int(filmed.levels[1].sum(-1).argmax()) // 4 for filmed in found] == list(range(6))
        assert list(verify(data).times) == [float(filmed.time) for filmed in found]

    @pytest.mark.parametrize(
        ("turned", "size", "red"), [(90, (48, 64), "below"), (180, (64, 48), "right"), (270, (48, 64), "above")]
    )
    def test_a_turned_phones_video_is_upright(self, turned: int, size: tuple[int, int], red: str) -> None:
        """By FFmpeg's count, which turns to the left."""
        data = video(turned=turned)
        assert verify(data)[:2] == size
        levels = read(data)[0].levels
        assert levels.shape[:2] == size[::-1]
        height, width = levels.shape[:2]
        at = {"below": (height - 10, width // 2), "right": (height // 2, width - 10), "above": (10, width // 2)}[red]
        assert near(levels[at], RED)

    def test_odd_sides_are_read_and_painted_ones_are_even(self) -> None:
        data = video(codec="libx264", pix_fmt="yuv444p", width=63, height=47)
        assert verify(data)[:2] == (63, 47)
        assert read(data, long_side=33)[0].levels.shape == (24, 32, 3)
        assert all(
            side % 2 == 0 for length in range(16, 60) for side in read(data, long_side=length)[0].levels.shape[:2]
        )

    def test_frames_that_come_at_their_own_times_keep_them(self) -> None:
        data = video(times=[0, 1, 2, 7, 8, 20])
        assert [float(filmed.time) for filmed in read(data)] == pytest.approx([0, 0.1, 0.2, 0.7, 0.8, 2.0])

    def test_pixels_that_are_not_square_are_made_square(self) -> None:
        def wide(stream: Any) -> None:
            stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

        assert verify(video(change=wide))[:2] == (128, 48)

    @pytest.mark.parametrize(("matrix", "height"), [(1, 48), (5, 48), (9, 48), (2, 48), (2, 720)])
    def test_colours_go_by_the_matrix_that_is_said_or_meant(self, matrix: int, height: int) -> None:
        """BT.709, BT.601 and BT.2020, and unsaid: what is large is BT.709."""
        buffer = io.BytesIO()
        with av.open(buffer, "w", "mp4") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
            if matrix != 2:
                stream.codec_context.colorspace = matrix
            meant = matrix if matrix != 2 else 1 if height >= 720 else 5
            frame = av.VideoFrame.from_ndarray(halves(0, 64, height), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=meant)))
            container.mux(stream.encode())
        assert near(read(buffer.getvalue())[0].levels[40, 10], RED, by=6)

    def test_hdr_is_brought_to_what_a_screen_shows(self) -> None:
        """White of PQ's 203 cd/m² is at 0.58 of its range, and at the end of a screen's."""
        buffer = io.BytesIO()
        with av.open(buffer, "w", "mp4") as container:
            stream = container.add_stream("libx265", rate=10, options={"x265-params": "bframes=0"})
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
            levels = np.full((64, 64, 3), round(0.5806 * 65535), np.uint16)
            frame = av.VideoFrame.from_ndarray(levels, format="rgb48le")
            container.mux(stream.encode(frame.reformat(format="yuv420p10le", dst_colorspace=9)))
            container.mux(stream.encode())
        assert near(read(buffer.getvalue())[0].levels[32, 32], (255, 255, 255), by=4)

    def test_what_is_transparent_is_grey(self) -> None:
        buffer = io.BytesIO()
        with av.open(buffer, "w", "mov") as container:
            stream = container.add_stream("prores_ks", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva444p10le"
            levels = np.dstack([halves(0), np.full((48, 64), 255, np.uint8)])
            levels[:, 32:, 3] = 0
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(levels, format="rgba").reformat(format="yuva444p10le"))
            )
            container.mux(stream.encode())
        found = read(buffer.getvalue())[0].levels
        assert near(found[30, 10], RED)
        assert near(found[30, 50], GREY)

    def test_a_part_is_read_from_start_to_end(self) -> None:
        found = read(video(), start=0.2, end=0.5)
        assert [float(filmed.time) for filmed in found] == pytest.approx([0.2, 0.3, 0.4])

    def test_frames_come_one_at_a_time(self) -> None:
        frames = clips.frames_of(io.BytesIO(video(count=40, form="matroska")), "clip", 10**6)
        assert isinstance(frames, Iterator)
        assert float(next(frames).time) == 0.0


def broken(data: bytes, at: int, length: int) -> bytes:
    return data[:at] + bytes(length) + data[at + length :]


class TestWhatIsNoVideo:
    @pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "webm", "avi"])
    @pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
    def test_one_that_breaks_off_may_still_be_on_its_way(self, kind: str, part: float) -> None:
        data = video(count=60, **KINDS[kind])
        with pytest.raises(IncompleteImageError, match="clip"):
            verify(data[: int(len(data) * part)])

    def test_one_that_is_reserved_but_not_yet_written_is_on_its_way(self) -> None:
        data = video(count=60, form="matroska")
        assert verify(data).frames == 60
        with pytest.raises(IncompleteImageError):
            verify(broken(data, len(data) // 2, len(data) - len(data) // 2))

    @pytest.mark.parametrize("data", [b"no video at all, " * 300, np.random.default_rng(0).bytes(5000)])
    def test_what_is_none_is_told(self, data: bytes) -> None:
        with pytest.raises(ImageError, match=r"clip: no video that can be read"):
            verify(data)

    def test_sound_alone_is_none(self) -> None:
        with pytest.raises(ImageError, match="has no picture, only sound"):
            verify(sound_alone())

    def test_frames_beyond_the_limit_are_refused_before_they_are_decoded(self) -> None:
        with pytest.raises(ImageError, match=r"64×48 pixels; the limit is 1,000 \(--max-pixels\)"):
            verify(video(), max_pixels=1000)

    @pytest.mark.parametrize(
        "text",
        [
            "ffconcat version 1.0\nfile {}\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nfile://{}\n#EXT-X-ENDLIST\n",
            '<MPD type="static" profiles="urn:mpeg:dash:profile:isoff-live:2011"><BaseURL>{}</BaseURL></MPD>',
        ],
    )
    def test_a_playlist_does_not_lead_to_another_file(self, text: str, tmp_path: Path) -> None:
        """Which whoever dropped it could not have read."""
        other = tmp_path / "other.mp4"
        other.write_bytes(video())
        with pytest.raises(ImageError):
            verify(text.format(other).encode())

    def test_a_damaged_part_is_left_out_and_the_rest_is_read(self) -> None:
        data = bytearray(video(form="avi", codec="mpeg4", count=30, g="5"))
        rng = np.random.default_rng(1)
        data[len(data) // 2 : len(data) // 2 + 200] = rng.bytes(200)
        assert 15 <= len(read(bytes(data))) <= 30

    def test_without_pyav_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(ImageError, match=r"not installed. `pip install 'stylistic\[video\]'`"):
            clips.verify(io.BytesIO(b"whatever"), "clip", 10**6)


def written(data: bytes, codec: str = "h264", start: float = 0.0, end: float | None = None) -> bytes:
    buffer = io.BytesIO()
    frames = clips.frames_of(io.BytesIO(data), "clip", 10**6, 64, start, end)
    rate = clips.rate(io.BytesIO(data), "clip")
    mp4.write(buffer, frames, rate, codec, 18, io.BytesIO(data), "clip")
    return buffer.getvalue()


class TestWriting:
    @pytest.mark.parametrize("codec", mp4.CODECS)
    def test_what_is_written_is_what_was_read(self, codec: str) -> None:
        found = written(video(times=[0, 1, 2, 7, 8, 20]), codec)
        frames = read(found)
        assert [float(filmed.time) for filmed in frames] == pytest.approx([0, 0.1, 0.2, 0.7, 0.8, 2.0])
        assert near(frames[3].levels[30, 10], RED) and near(frames[3].levels[30, 50], BLUE)
        with av.open(io.BytesIO(found)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == (
                {"h265": "hevc"}.get(codec, codec),
                "yuv420p",
            )
            assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)

    @pytest.mark.parametrize("codec", mp4.CODECS)
    def test_a_frame_alone_is_a_video_too(self, codec: str) -> None:
        for _ in range(5):
            assert len(read(written(video(count=1), codec))) == 1

    def test_the_same_frames_give_the_same_bytes(self) -> None:
        data = video(sound="aac")
        assert written(data) == written(data)

    @pytest.mark.parametrize(
        ("form", "sound", "becomes"),
        [
            ("mp4", "aac", "aac"),
            ("matroska", "libmp3lame", "mp3"),
            ("matroska", "libopus", "opus"),
            ("mov", "pcm_s16le", "aac"),
            ("avi", "pcm_s16le", "aac"),
        ],
    )
    def test_sound_is_copied_or_coded_anew_where_mp4_cannot_hold_it(self, form: str, sound: str, becomes: str) -> None:
        data = video(form=form, count=20, sound=sound)
        with av.open(io.BytesIO(written(data))) as container:
            track = container.streams.audio[0]
            assert track.codec_context.name.startswith(becomes)
            samples = np.concatenate([frame.to_ndarray().mean(0) for frame in container.decode(track)])
            rate = track.rate
        assert len(samples) / rate == pytest.approx(2.0, abs=0.1)
        heard = np.abs(np.fft.rfft(samples[rate // 4 : rate * 5 // 4]))
        assert int(heard.argmax()) == pytest.approx(440, abs=3)

    def test_a_fault_of_the_sound_costs_the_sound_alone(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(*_: Any) -> None:
            raise av.error.ArgumentError(22, "Invalid argument")

        monkeypatch.setattr(mp4._Track, "_take", fails)
        found = written(video(count=20, sound="aac"))
        assert len(read(found)) == 20
        assert "its sound is left out" in caplog.text

    def test_players_are_told_a_rate_that_is_about_the_clips(self) -> None:
        """A level of H.264 goes by it, and players refuse the highest."""
        with av.open(io.BytesIO(written(video()))) as container:
            assert container.streams.video[0].codec_context.level <= 31

    def test_the_sound_of_a_part_is_that_part(self) -> None:
        data = video(count=30, sound="aac")
        with av.open(io.BytesIO(written(data, start=1.0, end=2.0))) as container:
            times = [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.size]
        assert min(times) >= 0.0
        assert max(times) == pytest.approx(1.0, abs=0.1)

    def test_memory_does_not_grow_with_the_length(self) -> None:
        """Of frames that are drawn as they are asked for, none is held on to."""
        import weakref

        alive: list[weakref.ref[Any]] = []
        most = 0

        def frames() -> Iterator[Filmed]:
            nonlocal most
            for number in range(120):
                levels = halves(number % 16)
                alive.append(weakref.ref(levels))
                most = max(most, sum(ref() is not None for ref in alive))
                yield Filmed(Fraction(number, 25), levels)

        mp4.write(io.BytesIO(), frames())
        assert most <= 4


def with_tables(data: bytes, samples: int, size: int, chunks: int) -> bytes:
    """A film of one track whose samples are all of a size and lie, as many in each chunk, where its frames begin."""
    at = data.index(b"mdat") + 4

    def again(part: bytes) -> bytes:
        found = b""
        while part:
            length, kind = struct.unpack(">I4s", part[:8])
            inner, part = part[8:length], part[length:]
            if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
                inner = again(inner)
            inner = tables.get(kind, inner)
            found += b"" if kind in (b"edts", b"stss", b"ctts") else struct.pack(">I4s", 8 + len(inner), kind) + inner
        return found

    tables = {
        b"stsz": struct.pack(">III", 0, size, samples),
        b"stts": struct.pack(">IIII", 0, 1, samples, 1),
        b"stsc": struct.pack(">IIIII", 0, 1, 1, samples // chunks, 1),
        b"stco": struct.pack(">II", 0, chunks) + struct.pack(">I", at) * chunks,
    }
    return again(data)


def test_frames_that_lie_over_one_another_are_read_no_more_than_the_file_has() -> None:
    data = with_tables(video(codec="mpeg4"), samples=20_000, size=400, chunks=20_000)
    with pytest.raises(ImageError, match="its frames lie over one another"):
        verify(data)


def test_a_film_whose_file_is_all_but_empty_is_refused_as_too_large_to_copy(tmp_path: Path) -> None:
    """Four terabytes that take no room on the disk that they come from."""
    data = video(count=3)
    sparse = tmp_path / "a.mp4"
    sparse.write_bytes(data)
    os.truncate(sparse, 4 << 40)
    with (
        sparse.open("rb") as file,
        pytest.raises(HugeFileError, match=r"has 4,398\.0 GB, and what is filmed .* 0\.0 GB"),
    ):
        clips.verify(file, "a.mp4", 10**6)
    os.truncate(sparse, clips.MOST_BESIDE_BYTES)
    with sparse.open("rb") as file:
        assert clips.verify(file, "a.mp4", 10**6).frames == 3


def test_a_film_that_says_to_have_more_frames_than_bytes_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each of them FFmpeg would take some 35 bytes: six gigabytes for a file of a kilobyte."""
    data = with_tables(video(codec="mpeg4"), samples=1_000_000, size=1, chunks=1)
    monkeypatch.setattr(av, "open", None)
    with pytest.raises(ImageError, match="says to have more frames than it has bytes"):
        verify(data)
    frames, tables = data.index(b"mdat") - 4, data.index(b"moov") - 4
    with pytest.raises(IncompleteImageError):  # one that is still being copied, its tables first
        verify((data[:frames] + data[tables:] + data[frames:tables])[:-100])


def test_frames_hours_apart_have_a_rate() -> None:
    data = video(count=2, times=[0, 6 * 3600 * 10])
    assert verify(data).frames == 2
    assert clips.rate(io.BytesIO(data), "a") > 0


def test_frames_further_apart_than_a_result_can_have_them_are_refused() -> None:
    with pytest.raises(ImageError, match="clip: has frames more than 6.6 hours apart"):
        verify(video(count=2, times=[0, 7 * 3600 * 10]))
