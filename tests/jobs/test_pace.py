"""How long work takes: arithmetic over what was measured, and over recorded logs of real jobs."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from pipeline.jobs import pace
from pipeline.jobs.losses import Loss
from pipeline.jobs.measured import FIXED_PIXELS, Book, Device, Estimate, Kind, Point
from pipeline.jobs.pace import Paces
from pipeline.jobs.record import Job, JobImage, now
from pipeline.jobs.work import Painting, paintings, paintings_of
from pipeline.manifest.parameters import Parameters
from pipeline.manifest.parse import parse_manifest

DEVICE = Device(name="CPU: of a test, 2 cores", precision="bfloat16", loading_seconds=5.0, first_seconds=3.0)
KIND = Kind(device=DEVICE.name, precision="bfloat16", style_loss="wasserstein", optimizer="lbfgs")
RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


def book(*points: tuple[int, float]) -> Book:
    """Step times by pixels."""
    measured = [Point(kind=KIND, pixels=pixels, step_seconds=seconds) for pixels, seconds in points]
    return Book().starting("auto", DEVICE).noting(measured)


def losses(*stretches: tuple[int, int, float], first: int = 1, slow: float = 0.0) -> list[Loss]:
    """A log by (long side, steps, seconds of a step); the first step of each scale takes ``slow`` longer."""
    found: list[Loss] = []
    seconds = 0.0
    for side, steps, each in stretches:
        for number in range(steps):
            seconds += each + (slow if number == 0 else 0)
            found.append(loss(first + len(found), side, seconds))
    return found


def loss(step: int, side: int, seconds: float) -> Loss:
    return Loss(step=step, scale=side, total=1, content=0, style=1, total_variation=0, seconds=seconds)


def job(text: str, width: int = 400, height: int = 300) -> Job:
    manifest = parse_manifest(f"content: a.png\nstyle: b.png\n{text}".encode(), "a.yaml")
    images = {
        part: JobImage(file=file, stored=f"{part}.png", sha256="0" * 64, width=width, height=height)
        for part, file in manifest.images.items()
    }
    return Job(
        id="a-20260101-000000-0000",
        name="a",
        claimed_at=now(),
        manifest=manifest,
        images=images,
        steps=manifest.steps,
        attempts=1,
    )


class TestStepSeconds:
    def test_between_two_sizes_they_are_interpolated_by_the_pixel(self) -> None:
        known = book((10_000, 0.2), (40_000, 0.4))
        assert known.step_seconds(KIND, 10_000) == pytest.approx(0.2)
        assert known.step_seconds(KIND, 20_000) == pytest.approx(20_000 * (0.2 / 10_000 + 0.4 / 40_000) / 2)

    def test_beyond_them_the_nearest_counts_and_far_off_nothing_is_said(self) -> None:
        known = book((10_000, 0.2), (40_000, 0.4))
        assert known.step_seconds(KIND, 80_000) == pytest.approx(
            0.4 * (80_000 + FIXED_PIXELS) / (40_000 + FIXED_PIXELS)
        )
        assert known.step_seconds(KIND, 5_000) == pytest.approx(0.2 * (5_000 + FIXED_PIXELS) / (10_000 + FIXED_PIXELS))
        assert known.step_seconds(KIND, 10_000_000) is None

    def test_another_precision_optimizer_or_device_is_another_matter(self) -> None:
        known = book((10_000, 0.2))
        for change in ({"precision": "float32"}, {"optimizer": "adam"}, {"device": "NVIDIA H200"}):
            assert known.step_seconds(KIND.model_copy(update=change), 10_000) is None

    def test_a_new_measurement_counts_half(self) -> None:
        known = book((10_000, 0.2)).noting([Point(kind=KIND, pixels=10_000, step_seconds=0.4)])
        assert known.step_seconds(KIND, 10_000) == pytest.approx(0.3)
        assert len(known.points) == 1


class TestEstimate:
    def test_a_picture_is_its_steps_at_their_pixels(self, tmp_path: Path) -> None:
        paces = Paces(tmp_path / "pace.json")
        paces.learn(lambda _: book((120 * 160, 0.1), (240 * 320, 0.4)))
        off = Parameters(epochs=1, steps_per_epoch=9, image_size=320, pyramid="off")
        found = paces.estimate([Painting(off, 400, 300)] * 2)
        assert found is not None
        assert found.seconds == pytest.approx(5 + 3 + 2 * 10 * 0.4)  # a step more for the statistics
        coarse = Parameters(epochs=1, steps_per_epoch=9, image_size=320, pyramid={160: 6, 320: 3})
        found = paces.estimate([Painting(coarse, 4000, 3000)], is_warm=True)
        assert found is not None and found.seconds == pytest.approx(7 * 0.1 + 4 * 0.4)
        found = paces.estimate([Painting(coarse, 4000, 3000, done=7)], is_warm=True)
        assert found is not None and found.seconds == pytest.approx(3 * 0.4)
        found = paces.estimate([Painting(off, 400, 300)] * 2, workers=2, is_warm=True)
        assert found is not None and found.seconds == pytest.approx(10 * 0.4)

    def test_a_long_queue_is_estimated_from_some_of_it(self, tmp_path: Path) -> None:
        paces = Paces(tmp_path / "pace.json")
        paces.learn(lambda _: book((240 * 320, 0.4)))
        off = Parameters(epochs=1, steps_per_epoch=9, image_size=320, pyramid="off")
        found = paces.estimate([Painting(off, 400, 300)] * 5000, is_warm=True)
        assert found is not None and found.seconds == pytest.approx(5000 * 4)

    def test_one_unknown_job_makes_the_whole_unknown(self, tmp_path: Path) -> None:
        paces = Paces(tmp_path / "pace.json")
        known, other = job("parameters: {image_size: 256}"), job("parameters: {optimizer: adam}")
        assert paces.seconds([known]) is None
        assert paces.seconds([]) == 0
        paces.learn(lambda _: book((192 * 256, 0.2)))
        assert paces.seconds([known, known]) == pytest.approx(2 * (paces.seconds([known]) or 0))
        assert paces.seconds([known, other]) is None

    @pytest.mark.parametrize("damage", [b"", b"\0" * 99, b'{"points": [{"pixels": 0}]}', b'{"devices": 3}', b"[]"])
    def test_a_damaged_book_is_as_none_and_is_written_anew(self, tmp_path: Path, damage: bytes) -> None:
        file = tmp_path / "cache" / "pace.json"
        file.parent.mkdir()
        file.write_bytes(damage)
        assert Paces(file).book == Book()
        Paces(file).learn(lambda found: found.noting(book((10_000, 0.2)).points))
        assert Paces(file).book.points == book((10_000, 0.2)).points

    def test_a_folder_that_cannot_be_written_is_no_fault(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        Paces(tmp_path / "file" / "pace.json").learn(lambda found: found)
        assert Paces(tmp_path / "file" / "pace.json").book == Book()

    def test_what_several_workers_find_out_at_once_is_all_kept(self, tmp_path: Path) -> None:
        def learn(size: int) -> None:
            point = Point(kind=KIND, pixels=1000 * 4**size, step_seconds=1)
            Paces(tmp_path / "pace.json").learn(lambda found: found.noting([point]))

        threads = [threading.Thread(target=learn, args=(size,)) for size in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(Paces(tmp_path / "pace.json").book.points) == 6


class TestTimeLeft:
    """On a picture of 320 px in two scales, 40 steps at 160 and 20 at 320 px."""

    JOB = job("parameters: {image_size: 320, pyramid: {160: 40, 320: 20}}")
    WORK = paintings_of(JOB)

    def test_coarse_steps_do_not_promise_as_much_for_fine_ones(self) -> None:
        known = book((120 * 160, 0.1), (240 * 320, 0.5))
        left = pace.left(self.WORK, losses((160, 10, 0.1)), known, "auto")
        assert left == pytest.approx(30 * 0.1 + 21 * 0.5)

    def test_a_job_that_is_slower_today_is_slower_at_the_next_scale_too(self) -> None:
        known = book((120 * 160, 10.0), (240 * 320, 50.0))
        left = pace.left(self.WORK, losses((160, 10, 20.0)), known, "auto")
        assert left == pytest.approx(30 * 20 + 21 * 100, rel=0.02)

    def test_a_moment_s_hindrance_says_little_of_the_rest(self) -> None:
        known = book((120 * 160, 0.1), (240 * 320, 0.5))
        calm = 30 * 0.1 + 21 * 0.5
        lefts = [pace.left(self.WORK, losses((160, 10, seconds)), known, "auto") or 0.0 for seconds in (0.1, 0.2, 0.4)]
        assert lefts[0] == pytest.approx(calm)
        assert calm * 1.3 < lefts[1] < calm * 1.6, "after nine steps at half the speed about half of it counts"
        assert lefts[1] < lefts[2] < calm * 2.5

    def test_the_first_step_of_a_process_that_goes_on_in_the_middle_of_a_scale_is_not_foretold_again(self) -> None:
        known = book((120 * 160, 0.1), (240 * 320, 0.5))
        seen = losses((160, 30, 0.1))
        for seconds in (2.4, 0.1, 0.1):
            seen.append(loss(seen[-1].step + 1, 160, seen[-1].seconds + seconds))
            left = pace.left(self.WORK, seen[-4:], known, "auto")
            assert left == pytest.approx((40 - seen[-1].step) * 0.1 + 21 * 0.5, rel=0.2)

    def test_a_size_that_was_tried_at_the_start_is_believed_and_lies_in_line_with_the_job_s_own_steps(self) -> None:
        tried = book((240 * 320, 0.5))
        assert pace.left(self.WORK, losses((160, 10, 0.2)), tried, "auto") == pytest.approx(30 * 0.2 + 21 * 0.5)
        work = paintings_of(job("parameters: {image_size: 320, pyramid: {80: 20, 160: 20, 320: 20}}"))
        middle = 120 * 160 * (0.05 / (60 * 80) + 0.5 / (240 * 320)) / 2
        left = pace.left(work, losses((80, 10, 0.05)), tried, "auto")
        assert left == pytest.approx(10 * 0.05 + 21 * middle + 21 * 0.5)

    def test_a_slow_first_step_counts_once(self) -> None:
        left = pace.left(self.WORK, losses((160, 40, 0.1), (320, 5, 0.5), slow=9.0), Book(), "auto")
        assert left == pytest.approx(15 * 0.5)

    def test_without_any_measurement_pixels_count(self) -> None:
        left = pace.left(self.WORK, losses((160, 10, 0.1)), Book(), "auto")
        assert left is not None and 3 + 21 * 0.3 < left < 3 + 21 * 0.4

    def test_before_the_second_step_nothing_is_said_unless_it_was_measured(self) -> None:
        assert pace.left(self.WORK, [], Book(), "auto") is None
        assert pace.left(self.WORK, losses((160, 1, 9.0)), Book(), "auto") is None
        known = book((120 * 160, 0.1), (240 * 320, 0.5))
        assert pace.left(self.WORK, losses((160, 1, 9.0)), known, "auto") == pytest.approx(39 * 0.1 + 21 * 0.5)

    def test_the_time_between_two_attempts_does_not_count(self) -> None:
        seen = [*losses((160, 10, 0.1)), *(loss(11 + n, 160, 7 + 0.1 * n) for n in range(10))]
        known = book((120 * 160, 0.1), (240 * 320, 0.5))
        assert pace.left(self.WORK, seen, known, "auto") == pytest.approx(20 * 0.1 + 21 * 0.5)

    def test_a_sweep_counts_the_variants_to_come(self) -> None:
        sweep = job("parameters: {image_size: 320, pyramid: {160: 4, 320: 3}}\nsweep: {strength: [1, 2, 3]}")
        first = losses((160, 4, 0.1), (320, 3, 0.5))
        seen = [*first, *(one.model_copy(update={"picture": 2}) for one in losses((160, 3, 0.1)))]
        left = pace.left(paintings_of(sweep), seen, book((240 * 320, 0.5)), "auto")
        a_variant = 5 * 0.1 + 4 * 0.5
        assert left == pytest.approx(1 * 0.1 + 4 * 0.5 + a_variant)

    def test_of_a_sweep_two_pictures_at_once_take_half_as_long_but_none_less_than_its_own_time(self) -> None:
        text = "parameters: {image_size: 320, pyramid: {160: 4, 320: 3}}\nsweep: {strength: [1, 2, 3]}"
        first, second = losses((160, 3, 0.1)), losses((160, 3, 0.1))
        turns = zip(first, (one.model_copy(update={"picture": 2}) for one in second), strict=True)
        seen = [loss for both in turns for loss in both]
        work, known = paintings_of(job(text)), book((120 * 160, 0.1), (240 * 320, 0.5))
        begun, whole = 0.1 + 4 * 0.5, 5 * 0.1 + 4 * 0.5
        assert pace.left(work, seen, known, "auto", at_once=2) == pytest.approx((begun * 2 + whole) / 2)
        assert pace.left(work, seen, known, "auto", at_once=9) == pytest.approx(whole)

    @pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
    @pytest.mark.parametrize("is_first", [True, False], ids=["first here", "known"])
    def test_of_real_jobs_it_holds_within_a_fifth_from_a_tenth_on(self, file: Path, is_first: bool) -> None:
        """``recorded/`` has logs of real jobs on two busy cores: [step, long side, seconds] a line."""
        data = json.loads(file.read_text(encoding="utf-8"))
        painted = job(f"parameters: {json.dumps(data['parameters'])}", data["width"], data["height"])
        seen = [loss(*line) for line in data["log"]]
        work = paintings_of(painted)
        known = pace.step_times(seen)
        points = [(one.pixels, known[one.side]) for one in work[0].stretches() if one.side in known]
        measured = Book() if is_first else book(*points)
        end = seen[-1].seconds
        for number, at in list(enumerate(seen[:-1], 1))[len(seen) // 10 :]:
            left = pace.left(work, seen[:number], measured, "auto")
            assert left is not None
            off = abs(left - (end - at.seconds))
            assert off < 0.2 * (end - at.seconds) + known[at.scale], f"after step {at.step}"  # no step is cut in two


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (12.4, "12 s"),
        (63, "65 s"),
        (95, "2 min"),
        (3300, "55 min"),
        (12_000, "3 h 20 min"),
        (7_150, "2 h"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_are_told_as_exactly_as_they_are_known(seconds: float, words: str) -> None:
    assert pace.spoken(seconds) == words


def test_work_is_told_in_a_line() -> None:
    assert pace.told(30, Estimate(3300, 1_100_000_000, "CPU")) == "30 pictures, about 55 min on this CPU, 1.1 GB"
    assert pace.told(1, None) == "1 picture; how long that takes is not measured yet on this machine"


def test_the_memory_that_is_told_holds_the_largest_image_while_it_is_decoded(tmp_path: Path) -> None:
    point = Point(kind=KIND, pixels=512 * 384, step_seconds=0.1, peak_bytes=10**9)
    device = DEVICE.model_copy(update={"resident_bytes": 500_000_000})
    paces = Paces(tmp_path / "pace.json")
    paces.learn(lambda _: Book().starting("auto", device).noting([point]))
    manifest = parse_manifest(b"content: a.heic\nstyle: b.jpg\n", "a.yaml")

    def told(photo: tuple[int, int], painting: tuple[int, int] = (400, 300)) -> str:
        found = paces.estimate(paintings(manifest, {"a.heic": photo, "b.jpg": painting}))
        return pace.told(1, found)

    assert told((4000, 3000)).endswith(", 1.0 GB")
    assert told((16_000, 12_000)).endswith(", 2.2 GB")
    assert told((4000, 3000), (20_000, 10_000)).endswith(", 2.0 GB")
