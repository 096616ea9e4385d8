"""Writing MP4, a frame at a time, with the sound of another video."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import struct
import uuid
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

from pipeline.pictures import containers
from pipeline.pictures.clips import ORDINARY_RATE, TICKS, Filmed, begin
from pipeline.pictures.shown_frame import BT709

if TYPE_CHECKING:
    import av
    from av import AudioStream, Packet, VideoStream
    from av.container import OutputContainer

log = logging.getLogger(__name__)

CODECS = {"h264": "libx264", "h265": "libx265"}  # by what a manifest calls them
SOUND_OF_MP4 = ("aac", "mp3", "ac3", "eac3", "opus", "alac")  # which players find there, too
XMP = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac")  # of XMP's specification, part 3, 1.1.4
AAC_SAMPLES = 1024  # of a frame
MOST_SILENCE = 600  # seconds in all that are filled in; each hour takes a minute, and times may be anything
LEAST_SILENCE = Fraction(1, 50)  # seconds without sound that are kept; clocks of milliseconds are no closer
AAC_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)


def write(
    target: BinaryIO,
    frames: Iterable[Filmed],
    rate: Fraction = ORDINARY_RATE,
    codec: str = "h264",
    crf: int = 18,
    sound: BinaryIO | None = None,
    name: str = "",
    xmp: bytes = b"",
) -> None:
    """Write frames as MP4, ``yuv420p`` in BT.709; neither they nor the sound are held in memory.

    Args:
        target: a file that can be sought in.
        frames: of one even height and width, at least one; their times are kept, less the first one's, and how long the
            last one lasts, where it tells.
        rate: frames a second, about, by which players are told what the file asks of them.
        codec: of ``CODECS``.
        crf: constant rate factor, 0 to 51; less is better and larger.
        sound: the video that the frames are of, whose sound is copied, or coded as AAC where MP4 does not hold it; None
            for silence.
        name: what is told of that.
        xmp: a packet that says how it was made.
    """
    import av

    coming = iter(frames)
    first = next(coming)
    second = list(itertools.islice(coming, 1))
    options = {"crf": str(crf)}
    if codec == "h264":
        options["x264-params"] = "cpu-independent=1"  # else its AVX-512 code gives one file in a thousand other bytes
    elif not second:
        options["x265-params"] = "bframes=0"  # of a frame alone x265 tells no time to decode it at, or any
    height, width = first.levels.shape[:2]
    since = (begin(sound, name) if sound else 0) + first.time
    with _container(target) as container, contextlib.ExitStack() as stack:
        stream = container.add_stream(CODECS[codec], rate=rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS)
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, BT709, 1, 1
        if codec == "h265":
            context.codec_tag = "hvc1"  # what Apple's players look for
        track = _Track.of(sound, name, stack, container, since) if sound else None
        time, packets = Fraction(0), []
        begun: int | None = None
        for filmed in itertools.chain([first], second, coming):
            time = filmed.time - first.time
            picture = av.VideoFrame.from_ndarray(filmed.levels, format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=1)
            picture.pts, picture.time_base = round(time * TICKS), Fraction(1, TICKS)
            packets = stream.encode(picture)
            begun = packets[0].dts if packets and begun is None else begun
            container.mux(packets)
            if track:
                track.follow(time)
        if track:
            track.follow(time + (filmed.lasts or 1 / rate))
            track.end()
        packets = stream.encode()
        if filmed.lasts and packets:
            _make_last(packets, time, filmed.lasts, begun)
        container.mux(packets)
    if xmp:
        target.seek(0, io.SEEK_END)
        target.write(struct.pack(">I4s", 24 + len(xmp), b"uuid") + XMP.bytes + xmp)


def _make_last(packets: Sequence[Packet[VideoStream]], time: Fraction, lasts: Fraction, begun: int | None) -> None:
    """Show the last frame of a video for so long.

    Its length goes by what its last packet says, its tables by the one that is decoded last.

    Args:
        packets: the last ones.
        time: when that frame is shown.
        lasts: for how long.
        begun: when the first packet is decoded; None if it is among these.
    """
    for packet in packets:
        if packet.pts == round(time * TICKS):
            packet.duration = round(lasts * TICKS)
    first, last = packets[0].dts if begun is None else begun, packets[-1]
    if last.pts != round(time * TICKS) and first is not None and last.dts is not None:
        last.duration = max(1, round((time + lasts) * TICKS) - (last.dts - first))


@contextlib.contextmanager
def _container(target: BinaryIO) -> Iterator[OutputContainer]:
    """What is written into a file.

    Raises:
        OSError: the file cannot be, as on a full disk.
    """
    import av

    handle = containers.Handle(target)
    try:
        with av.open(handle, "w", "mp4", buffer_size=containers.BUFFER_BYTES) as container:
            yield container
    except av.error.FFmpegError:
        if handle.fault is None:
            raise
        raise handle.fault from None


class _Track:
    """The sound of a video on its way into another.

    Args:
        packets: the sound's.
        given: what they are of.
        target: the other video.
        begin: from when on it is heard, in seconds by the clock of the packets.
    """

    def __init__(
        self, packets: Iterator[Packet[AudioStream]], given: AudioStream, target: OutputContainer, begin: Fraction
    ) -> None:
        self._packets, self._target, self._begin = packets, target, begin
        self._waiting: Packet[AudioStream] | None = None
        self._is_over = False
        self._resampler: av.AudioResampler | None = None
        self._coded = self._silence = 0  # samples, and those of them that are filled in
        if given.codec_context.codec.canonical_name in SOUND_OF_MP4:
            self._stream = target.add_stream_from_template(given)
        else:
            rate = given.rate if given.rate in AAC_RATES else 48_000
            self._stream = target.add_stream("aac", rate=rate, layout="mono" if given.channels == 1 else "stereo")
            self._resampler = self._new_resampler()

    @classmethod
    def of(
        cls, file: BinaryIO, name: str, stack: contextlib.ExitStack, target: OutputContainer, begin: Fraction
    ) -> _Track | None:
        """The first sound of a video from a time on, in seconds by its file's clock; None where there is none, or none
        that can be decoded. It is open as long as the stack is.

        Raises:
            ImageError: the video cannot be read; so does ``follow``.
        """
        import av

        with containers.told(file, name):
            source = stack.enter_context(containers.opened(file))
        found = next(iter(source.streams.audio), None)
        if found is None:
            return None

        def packets() -> Iterator[Packet[AudioStream]]:
            with containers.told(file, name):
                yield from source.demux(found)

        try:
            return cls(packets(), found, target, begin)
        except (av.error.FFmpegError, ValueError, AttributeError) as error:
            log.warning("its sound is left out: %s", error)
            return None

    def follow(self, time: Fraction) -> None:
        """Copy what is heard up to a time, in seconds."""
        while not self._is_over:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None or not packet.size:
                self._is_over = True
                return
            at = None if packet.pts is None else Fraction(packet.pts) * packet.time_base - self._begin
            if at is not None and at >= time:
                self._waiting = packet
                return
            if at is None or at >= 0:
                with self._unless_it_cannot_be(at):
                    self._take(packet)

    def end(self) -> None:
        """Write what is still held back."""
        if self._resampler is not None:
            with self._unless_it_cannot_be(None):
                self._target.mux(self._stream.encode())

    @contextlib.contextmanager
    def _unless_it_cannot_be(self, at: Fraction | None) -> Iterator[None]:
        import av

        try:
            yield
        except (av.error.FFmpegError, ValueError) as error:  # a clip is not to be lost for its sound
            log.warning("from %.1f s on its sound is left out: %s", float(at or 0), error)
            self._is_over = True

    def _take(self, packet: Packet[AudioStream]) -> None:
        import av

        if self._resampler is None:
            shift = round(self._begin / packet.time_base)
            if packet.pts is not None:
                packet.pts -= shift
                packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = self._stream
            self._target.mux(packet)
            return
        with contextlib.suppress(av.error.InvalidDataError):
            for frame in packet.decode():
                if frame.pts is not None and frame.time_base is not None:
                    self._be_silent_until(frame.pts * frame.time_base - self._begin)
                frame.pts = None  # one after another
                for part in self._resampled(frame):
                    self._code(part)

    def _resampled(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        assert self._resampler is not None
        try:
            return self._resampler.resample(frame)
        except ValueError:  # its form is not that of the frames before
            self._resampler = self._new_resampler()
            return self._resampler.resample(frame)

    def _new_resampler(self) -> av.AudioResampler:
        import av

        return av.AudioResampler("fltp", self._stream.layout, self._stream.rate)

    def _be_silent_until(self, time: Fraction) -> None:
        """Fill what the source has no sound for, before it or between.

        Raises:
            ValueError: that would be more than ``MOST_SILENCE`` in all.
        """
        import av

        lacking = round(time * self._stream.rate) - self._coded
        if lacking < LEAST_SILENCE * self._stream.rate:
            return
        self._silence += lacking
        if self._silence > MOST_SILENCE * self._stream.rate:
            raise ValueError(f"it is silent for more than {MOST_SILENCE / 60:.0f} minutes")
        for count in [AAC_SAMPLES] * (lacking // AAC_SAMPLES) + [lacking % AAC_SAMPLES]:
            if count:
                frame = av.AudioFrame("fltp", self._stream.layout, count)
                for plane in frame.planes:
                    plane.update(bytes(plane.buffer_size))
                frame.sample_rate = self._stream.rate
                self._code(frame)

    def _code(self, frame: av.AudioFrame) -> None:
        self._coded += frame.samples
        self._target.mux(self._stream.encode(frame))
