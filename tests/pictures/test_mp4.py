"""What goes wrong while a video is written, and sound that is not where, or as, it was when it began."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.pictures import mp4
from pipeline.pictures.clips import Filmed
from tests.pictures.test_clips import halves, read, video, written

av = pytest.importorskip("av")


def with_sound(data: bytes, *sounds: tuple[bytes, float], form: str = "matroska") -> bytes:
    """The picture of a video with the sound of others, each from its time on, in seconds."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(buffer, "w", form) as target:
        stream, given = target.add_stream_from_template(source.streams.video[0]), source.streams.video[0]
        with av.open(io.BytesIO(sounds[0][0])) as first:
            track = target.add_stream_from_template(first.streams.audio[0])
        parts = [packet for packet in source.demux(given) if packet.size]
        for packet in parts:
            packet.stream = stream
        for sound, since in sounds:
            with av.open(io.BytesIO(sound)) as other:
                for packet in other.demux(audio=0):
                    if packet.size:
                        packet.pts = packet.dts = packet.pts + round(since / packet.time_base)
                        packet.stream = track
                        parts.append(packet)
        for packet in sorted(parts, key=lambda packet: packet.dts * packet.time_base):
            target.mux(packet)
    return buffer.getvalue()


def tone(codec: str, count: int = 10, **given: Any) -> bytes:
    """Sound of so many tenths of a second."""
    return video(form="matroska", sound=codec, count=count, **given)


def loud(data: bytes) -> list[bool]:
    """Of each tenth of a second, whether something is heard in it."""
    with av.open(io.BytesIO(data)) as container:
        parts = [frame.to_ndarray().mean(0) for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    samples = np.abs(np.concatenate(parts))[rate // 20 :]  # the middle of each
    return [bool(samples[at : at + rate // 20].max(initial=0.0) > 0.1) for at in range(0, len(samples), rate // 10)]


class TestSoundThatIsCodedAnew:
    @pytest.mark.parametrize("codec", ["pcm_s16le", "mp2"])
    def test_it_begins_when_it_does_in_the_source(self, codec: str) -> None:
        heard = loud(written(with_sound(video(count=20), (tone(codec), 1.0))))
        assert heard[:19] == [False] * 10 + [True] * 9

    def test_what_is_missing_within_it_is_silence(self) -> None:
        data = with_sound(video(count=30), (tone("pcm_s16le"), 0.0), (tone("pcm_s16le"), 2.0))
        assert loud(written(data))[:29] == [True] * 10 + [False] * 10 + [True] * 9

    def test_gaps_that_are_too_long_in_all_end_it(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A film of a few bytes may say that they are hours."""
        monkeypatch.setattr(mp4, "MOST_SILENCE", 1.5)
        data = with_sound(video(count=50), *((tone("pcm_s16le"), since) for since in (0.0, 2.0, 4.0)))
        assert loud(written(data))[:29] == [True] * 10 + [False] * 10 + [True] * 9
        assert "from 4.0 s on its sound is left out" in caplog.text

    def test_of_a_part_it_is_where_it_was(self) -> None:
        data = with_sound(video(count=30), (tone("pcm_s16le"), 1.0))
        assert loud(written(data, start=0.5))[:14] == [False] * 5 + [True] * 9

    def test_its_form_may_change(self) -> None:
        """As of a stream that goes from a film to its advertisements."""
        data = with_sound(video(count=20), (tone("mp2"), 0.0), (other_form(), 1.0))
        found = written(data)
        assert len(read(found)) == 20
        assert loud(found)[:19] == [True] * 19

    @pytest.mark.parametrize("step", ["_take", "_new_resampler"])
    def test_where_it_cannot_be_coded_it_is_left_out_and_the_clip_is_not_lost(
        self, step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(*_: Any) -> None:
            raise ValueError("Frame does not match AudioResampler setup.")

        monkeypatch.setattr(mp4._Track, step, fails)
        assert len(read(written(tone("pcm_s16le")))) == 10
        assert "its sound is left out: Frame does not match" in caplog.text


def other_form() -> bytes:
    """A second of a tone of another rate, with two channels."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", "matroska") as container:
        track = container.add_stream("mp2", rate=44_100, layout="stereo")
        for at in range(0, 44_100, 1152):
            wave = (np.sin(np.arange(at, at + 1152) * 0.06) * 9000).astype(np.int16).repeat(2)
            frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 44_100, at, Fraction(1, 44_100)
            container.mux(track.encode(frame))
        container.mux(track.encode())
    return buffer.getvalue()


def lasting(data: bytes, tenths: int, sound: bytes) -> bytes:
    """A video whose last frame is shown for so long."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(buffer, "w", "matroska") as target:
        given = source.streams.video[0]
        stream, parts = target.add_stream_from_template(given), [one for one in source.demux(given) if one.size]
        parts[-1].duration = round(Fraction(tenths, 10) / given.time_base)
        for packet in parts:
            packet.stream = stream
            target.mux(packet)
    return with_sound(buffer.getvalue(), (sound, 0.0))


def length(data: bytes, kind: str = "video") -> float:
    """Seconds of a video's picture, or of its sound."""
    with av.open(io.BytesIO(data)) as container:
        stream = next(one for one in container.streams if one.type == kind)
        return float(stream.duration * stream.time_base)


class TestTheLastFrame:
    @pytest.mark.parametrize("codec", mp4.CODECS)
    @pytest.mark.parametrize("times", [[0], [0, 5, 10], [0, 1, 2, 20], [0, 10, 11, 12, 50, 51, 52, 90]])
    def test_it_lasts_as_long_as_it_says(self, codec: str, times: list[int]) -> None:
        found = io.BytesIO()
        coming = [Filmed(Fraction(time, 10), halves(number)) for number, time in enumerate(times)]
        mp4.write(found, iter([*coming[:-1], coming[-1]._replace(lasts=Fraction(3))]), codec=codec)
        assert length(found.getvalue()) == pytest.approx(times[-1] / 10 + 3, abs=1e-3)
        assert [float(filmed.time) for filmed in read(found.getvalue())] == pytest.approx([time / 10 for time in times])

    def test_a_films_keeps_its_length_and_its_sound(self) -> None:
        data = lasting(video(count=3, change=no_b_frames), 17, tone("aac", count=20))
        found = written(data)
        assert length(found) == pytest.approx(1.9, abs=0.01)
        assert length(found, "audio") == pytest.approx(1.9, abs=0.05)
        cut = written(data, end=1.0)
        assert length(cut) == pytest.approx(1.0, abs=0.01)
        assert length(cut, "audio") == pytest.approx(1.0, abs=0.05)

    def test_of_an_ordinary_film_it_is_as_long_as_the_others(self) -> None:
        assert [filmed.lasts for filmed in read(video(change=no_b_frames))] == [None] * 6


def no_b_frames(stream: Any) -> None:
    stream.codec_context.max_b_frames = 0


def frames(count: int = 3, width: int = 64, height: int = 48) -> Iterator[Filmed]:
    return (Filmed(Fraction(number, 10), halves(number, width, height)) for number in range(count))


class TestWhoseFaultItIs:
    def test_an_encoders_error_is_not_told_of_the_film_whose_sound_is_read(self) -> None:
        sound = io.BytesIO(video(sound="aac"))
        with pytest.raises(av.error.ArgumentError):
            mp4.write(io.BytesIO(), frames(height=8), codec="h265", sound=sound, name="holiday.mp4")

    def test_a_film_whose_sound_cannot_be_read_is(self) -> None:
        with pytest.raises(ImageError, match=r"holiday\.mp4: no video that can be read"):
            mp4.write(io.BytesIO(), frames(), sound=io.BytesIO(bytes(range(250)) * 20), name="holiday.mp4")

    @pytest.mark.parametrize("room", [0, 100])
    @pytest.mark.parametrize("sound", ["", "aac"])
    def test_a_full_disk_is_the_places(self, sound: str, room: int) -> None:
        class Full(io.BytesIO):
            def write(self, data: Any) -> int:
                if self.tell() + len(data) > room:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return super().write(data)

        given = io.BytesIO(video(sound=sound)) if sound else None
        with pytest.raises(OSError, match="No space left on device") as caught:
            mp4.write(Full(), frames(), sound=given, name="holiday.mp4")
        assert caught.value.errno == errno.ENOSPC
