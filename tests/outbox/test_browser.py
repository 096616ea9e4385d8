"""The page in a real browser: Debian's chromium and chromium-driver, opened from a file as by a double click."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
import socket
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import storage
from pipeline.forecast.paces import Paces
from pipeline.jobs import attempt, cancel, losses, pause, previews, result
from pipeline.jobs.lock import HOLDER
from pipeline.jobs.losses import Loss
from pipeline.jobs.previews import LIVE, PAINTER
from pipeline.jobs.record import VARIANTS, Job, JobImage, now
from pipeline.jobs.report import Waits
from pipeline.jobs.result import Done, Engine, Failed, Output, Timing, WeightsUsed
from pipeline.jobs.spool import Spool
from pipeline.manifest.model import Manifest
from pipeline.outbox import overview, page
from pipeline.outbox.page import Page
from pipeline.outbox.publish import publish
from pipeline.outbox.results import Results
from pipeline.pictures import saving
from pipeline.pictures.preview import preview
from tests.forecast.test_paces import known
from tests.runner.conftest import admit

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no Chromium here: apt-get install chromium chromium-driver"),
]
HOSTILE = "</script><script>hacked=1</script><img src=x onerror=hacked=1>\u2028\"';`hacked=1`//"
RED, BLUE = (200, 40, 30), (30, 60, 200)


@dataclasses.dataclass
class Browser:
    """A window of Chromium."""

    driver: Any

    def open(self, file: Path, address: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(f"{file.as_uri()}{address}")

    def size(self, width: int, height: int) -> None:
        of = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", of)
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": width < 500})

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def one(self, selector: str) -> WebElement:
        found: WebElement = self.driver.find_element(By.CSS_SELECTOR, selector)
        return found

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.js(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector
        )
        return found

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        """The id of the result whose card has the focus, else that of the element."""
        return str(self.js("const e = document.activeElement; return e.dataset.id || e.id || e.className"))

    def wait(self, code: str) -> Any:
        """The first true value of an expression."""
        from selenium.webdriver.support.ui import WebDriverWait

        # While a page is loaded anew there is none to ask.
        return WebDriverWait(self.driver, 20, 0.05, [Exception]).until(
            lambda driver: driver.execute_script(f"return {code}")
        )

    def share_of_photo(self) -> float:
        """How much of the stage shows the photo, from 0 to 1, as it is drawn."""
        clip = self.js("return getComputedStyle(document.querySelector('.stage .before')).clipPath")
        return 1 - float(clip.split()[1].removesuffix("%").removeprefix("calc(").split("%")[0]) / 100

    def problems(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    chromium.open(Path("/dev/null"))
    chromium.size(1400, 900)
    chromium.problems()
    return chromium


def webp(color: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> bytes:
    return preview(Image.new("RGB", size, color), 480)


def encoded(color: tuple[int, int, int], form: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(buffer, form)
    return buffer.getvalue()


def job_of(name: str, number: int, content: str = "photos/coast.jpg", style: str = "wave.jpg", **fields: Any) -> Job:
    manifest = Manifest.model_validate({"content": content, "style": style, "name": name, **fields})
    image = {"sha256": "0" * 64, "width": 8, "height": 8}
    inputs = {part: JobImage(file=file, stored=f"{part}.png", **image) for part, file in manifest.images.items()}
    job_id = f"{name}-20260101-{number:06}-0000"
    return Job(id=job_id, name=name, claimed_at=now(), manifest=manifest, images=inputs, steps=manifest.steps)


def paint(place: Path, job: Job, form: str = "png", with_previews: bool = True, steps: int = 30) -> Done:
    """What a worker leaves of a job."""
    suffix, data = saving.SUFFIXES[form], encoded(RED, form)
    output = Output.of(job.name + suffix, 64, 48, data)
    weights = WeightsUsed(source="a test", sha256="0" * 64)
    done = Done(
        engine=Engine(tensorflow="2", device="NVIDIA H200", precision="bfloat16", weights=weights),
        timing=Timing(setup_seconds=1, optimize_seconds=75, seconds_per_step=0.25),
        peak_memory_bytes=2_500_000_000,
        output=output,
    )
    with losses.opened(place, 0) as log:
        for step in range(1, steps + 1):
            side = 32 if step < 20 else 64
            log.write(Loss(step=step, scale=side, total=1e6 / step, content=10.0, style=9e5 / step, total_variation=1))
    if with_previews:
        large = {"large": webp(RED)} if form == "tiff" else {}
        previews.leave(place, {"picture": webp(RED), "photo": webp(BLUE), "painting-1": webp(BLUE), **large})
    result.leave(place, done, {output.file: data})
    return done


@dataclasses.dataclass
class Outbox:
    """A jobs folder and an outbox, and the page of them."""

    root: Path

    def __post_init__(self) -> None:
        self.outbox, self.work = self.root / "outbox", self.root / "work"
        for folder in (self.outbox, self.work, self.root / "jobs"):
            folder.mkdir(parents=True)
        self.spool = Spool(self.root / "jobs")
        self.page = Page(self.outbox, self.spool, Paces(None))
        self.file = self.outbox / "index.html"

    def add(self, job: Job, form: str = "png", **how: Any) -> None:
        place = self.work / job.id
        place.mkdir()
        storage.at_once(publish(self.outbox, job, place, paint(place, job, form, **how)))

    def add_sweep(self, job: Job) -> None:
        place = self.work / job.id
        rows: list[dict[str, Any]] = []
        for number, strength in enumerate((0.5, 2), 1):
            variant = place / VARIANTS / f"{number:03}"
            variant.mkdir(parents=True)
            record = job.model_copy(update={"name": f"{job.name}-{number:03}"})
            record.save(variant)
            file = paint(variant, record).output.file
            fields = {"final_total": 3.25, "optimize_seconds": 75, "error": None}
            rows.append({"variant": record.name, "strength": str(strength), "file": file, **fields})
        previews.leave(place, {"picture": webp(RED)})
        done = paint(place, job, with_previews=False).model_copy(update={"variants": rows})
        storage.at_once(publish(self.outbox, job, place, done))

    def add_clip(self, job: Job) -> None:
        pytest.importorskip("av")
        from tests.pictures.test_clips import halves, video

        place = self.work / job.id
        place.mkdir()
        done = paint(place, job)
        painted = video(count=30)
        filmed = video(count=30, draw=lambda number: halves(number, 64, 48))
        (place / previews.FOLDER / previews.FILM).write_bytes(filmed)
        (place / result.RESULT / done.output.file).unlink()
        done = done.model_copy(update={"output": Output.of(f"{job.name}.mp4", 64, 48, painted)})
        result.leave(place, done, {f"{job.name}.mp4": painted})
        storage.at_once(publish(self.outbox, job, place, done))

    def watch(self) -> None:
        """As if this process were its runner."""
        self.spool.prepare()
        storage.write_json(
            self.spool.folder / HOLDER, {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}
        )

    def fail(self, job: Job, reason: str, dropped: Path | None = None) -> None:
        storage.at_once(publish(self.outbox, job, None, Failed(reason=reason), dropped))

    def write(self) -> Path:
        self.page.keep_current(is_working=True, at_once=True)
        return self.file


@pytest.fixture(scope="module")
def outbox(tmp_path_factory: pytest.TempPathFactory) -> Outbox:
    """Six results: one of a version before there were previews, a sweep, a TIFF, a failure."""
    made = Outbox(tmp_path_factory.mktemp("outbox"))
    made.add(job_of("old", 1, unicodedata.normalize("NFD", "photos/Küche.jpg")), with_previews=False)
    made.add_sweep(job_of("dial", 2, sweep={"strength": [0.5, 2]}))
    made.add(job_of("scan", 3, style="scream.jpg"), "tiff")
    (made.root / "bad.yaml").write_text("content: [")
    made.fail(job_of("bad", 4), "bad.yaml, line 1: no YAML", made.root / "bad.yaml")
    made.add(job_of("harbour", 5, "photos/harbour.jpg", "the night.jpg"), "jpeg")
    made.add(job_of("日本-ß", 6))
    made.write()
    return made


def test_a_result_shows_photo_and_painting_and_all_that_is_known_of_it(browser: Browser, outbox: Outbox) -> None:
    browser.open(outbox.file)
    assert browser.texts(".card .name") == ["日本-ß", "harbour", "scan", "dial", "old"]
    assert "5 done, 1 failed" in browser.one("#runner").text
    browser.one(".card[data-id^=harbour]").click()
    browser.wait("document.getElementById('view').open")
    text = browser.one("#view").text
    for fact in ("harbour.jpg like the night.jpg", "64 × 48", "75 s for 30 steps", "NVIDIA H200, bfloat16", "2.5 GB"):
        assert fact in text
    assert browser.texts("#view .files a") == ["harbour.jpg", "harbour.json", "harbour.loss.png", "manifest.yaml"]
    folder = outbox.outbox / "harbour-20260101-000005-0000"
    for link in browser.driver.find_elements(By.CSS_SELECTOR, "#view .files a"):
        assert link.get_attribute("href") == (folder / link.text).as_uri()
    assert browser.js("return document.querySelectorAll('#view .curve path').length") == 3
    browser.wait("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert browser.problems() == []


def test_a_result_of_many_paintings_names_each_and_tells_whole_numbers_as_they_are(
    browser: Browser, tmp_path: Path
) -> None:
    made = Outbox(tmp_path / "place")
    names = [f"{number}.jpg" for number in range(1, 12)]
    fields: dict[str, Any] = {"style": names, "parameters": {"seed": 123456789, "content_weight": 0.123456}}
    job = job_of("many", 1, **fields)
    place = made.work / job.id
    place.mkdir()
    done = paint(place, job)
    previews.leave(place, {f"painting-{number}": webp((20 * number, 0, 0)) for number in range(1, 12)})
    storage.at_once(publish(made.outbox, job, place, done))
    browser.open(made.write(), f"#view={job.id}")
    captioned = (
        "return [...document.querySelectorAll('.sources figure')]"
        ".map(f => [f.querySelector('img').src.match(/([a-z]+-?[0-9]*)[.]webp$/)[1], f.innerText.trim()])"
    )
    paintings = [[f"painting-{number}", f"{number}.jpg"] for number in range(1, 12)]
    assert browser.js(captioned) == [["photo", "coast.jpg"], *paintings]
    facts = browser.one("#view .details").text
    assert "123456789" in facts and "0.1235" in facts


def test_every_kind_of_result_has_a_picture(browser: Browser, outbox: Outbox) -> None:
    browser.open(outbox.file)
    browser.wait("[...document.querySelectorAll('.card img')].filter(image => image.naturalWidth > 0).length === 5")
    for name in ("scan", "old"):  # which a browser does not show by itself; which has no previews
        browser.js(
            "location.hash = arguments[0]", f"view={browser.one(f'.card[data-id^={name}]').get_attribute('data-id')}"
        )
        browser.wait("document.querySelector('.stage .after')?.naturalWidth > 0")
    assert browser.texts(".slider") == [], "without the photo there is nothing to compare"


def test_a_clip_that_runs_for_days_is_told_by_its_frames_and_its_day(
    browser: Browser, outbox: Outbox, tmp_path: Path
) -> None:
    found = overview.look(outbox.spool, outbox.outbox, Paces(None))
    facts: dict[str, Any] = {"step": 600, "steps": 1200, "frame": 1012, "frames": 2400, "scale": 384, "loss": 1.0}
    since = datetime.now().astimezone() - timedelta(days=2)
    facts |= {"seconds_left": 260_000, "started_at": since.isoformat()}
    running = overview.Running(id="a", name="holiday", stage="painting", **facts)
    file = tmp_path / "running.html"
    file.write_text(page.html(found.model_copy(update={"running": [running]}), []), encoding="utf-8")
    browser.open(file)
    told = browser.texts(".running .soft")
    assert "frame 1,012 of 2,400 · 384 px · about 3 d 0 h left" in told
    assert f"since {since:%A}" in told[-1]
    assert browser.one(".progress").get_attribute("aria-valuenow") == "50"


def test_a_clip_is_played_beside_what_was_filmed_and_in_step(browser: Browser, tmp_path: Path) -> None:
    made = Outbox(tmp_path)
    made.add_clip(job_of("holiday", 1, "holiday.mp4"))
    browser.open(made.write())
    browser.one(".card[data-id^=holiday]").click()
    browser.wait("document.querySelectorAll('.films video').length === 2")
    browser.wait("[...document.querySelectorAll('.films video')].every(video => video.readyState >= 2)")
    assert browser.js("return document.querySelectorAll('.films video')[1].duration") == pytest.approx(3.0, abs=0.2)
    browser.js(
        "const film = document.querySelectorAll('.films video')[1];"
        "film.muted = true; film.currentTime = 1.5; film.play()"
    )
    browser.wait(
        "[...document.querySelectorAll('.films video')].every(video => !video.paused && video.currentTime > 1.6)"
    )
    apart = "const [a, b] = document.querySelectorAll('.films video'); return Math.abs(a.currentTime - b.currentTime)"
    assert browser.js(apart) < 0.3
    browser.js("document.querySelectorAll('.films video')[1].pause()")
    browser.wait("document.querySelectorAll('.films video')[0].paused")
    assert browser.problems() == []


def test_a_clip_is_watched_to_its_end_while_the_page_follows_a_runner(browser: Browser, tmp_path: Path) -> None:
    made = Outbox(tmp_path)
    made.add(job_of("older", 2))
    made.add_clip(job_of("holiday", 1, "holiday.mp4"))
    made.watch()
    browser.open(made.write(), "#view=holiday-20260101-000001-0000")
    film = "document.querySelector('.films video[controls]')"
    browser.js(f"{film}.focus()")
    browser.press(Keys.ARROW_RIGHT)
    assert browser.one("#view h2").text == "holiday", "the arrows belong to the clip that has the focus"
    browser.js(f"mark = 1; {film}.muted = true; {film}.play().then(refresh)")
    browser.wait(f"mark && {film}.currentTime > 1")
    browser.js(f"{film}.pause(); {film}.currentTime = 1.5")
    browser.wait("typeof mark === 'undefined' && document.getElementById('view').open")
    both = "[...document.querySelectorAll('.films video')]"
    browser.wait(f"{both}.every(video => video.paused && Math.abs(video.currentTime - 1.5) < 0.1)")


def test_the_slider_moves_by_key_mouse_and_touch(browser: Browser, outbox: Outbox) -> None:
    browser.open(outbox.file)
    browser.one(".card[data-id^=harbour]").click()
    browser.wait("document.querySelector('.slider')")
    slider = browser.one(".slider")
    slider.send_keys(Keys.END)
    assert browser.share_of_photo() == 1
    slider.send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.share_of_photo() == pytest.approx(0.01)
    assert browser.one("#view h2").text == "harbour", "the arrows belong to the slider that has the focus"
    wide = slider.size["width"]
    mouse = webdriver.ActionChains(browser.driver)
    mouse.move_to_element(slider).click_and_hold().move_by_offset(round(wide / 4), 0).release().perform()
    assert browser.share_of_photo() == pytest.approx(0.75, abs=0.02)
    browser.size(390, 844)
    box = browser.js("return document.querySelector('.stage').getBoundingClientRect().toJSON()")
    y = box["top"] + box["height"] / 2
    for kind, share in (("touchStart", 0.75), ("touchMove", 0.5), ("touchMove", 0.3), ("touchEnd", None)):
        points = [] if share is None else [{"x": box["left"] + share * box["width"], "y": y}]
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert browser.share_of_photo() == pytest.approx(0.3, abs=0.03)


def test_search_finds_by_name_style_and_state_and_lies_in_the_address(browser: Browser, outbox: Outbox) -> None:
    browser.open(outbox.file)
    search = browser.one("#search")
    for words, names in (
        ("HARB", ["harbour"]),
        ("night", ["harbour"]),
        ("wave old", ["old"]),
        ("nothing", []),
        ("日本", ["日本-ß"]),
        ("Küche", ["old"]),
    ):
        search.clear()
        search.send_keys(words)
        assert browser.texts(".card .name") == names
    search.clear()
    search.send_keys("failed")
    assert (browser.texts(".card .name"), browser.texts("#failures .name")) == ([], ["bad"])
    search.clear()
    search.send_keys("harbour")
    browser.one("#states button:nth-child(2)").click()
    address = browser.driver.current_url.partition("#")[2]
    browser.open(outbox.file, f"#{address}")
    assert browser.one("#search").get_attribute("value") == "harbour"
    assert browser.one("#states [aria-pressed=true]").text.startswith("Done")
    assert browser.texts(".card .name") == ["harbour"]


def test_previews_that_were_removed_leave_no_broken_pictures(browser: Browser, tmp_path: Path) -> None:
    made = Outbox(tmp_path / "place")
    job = job_of("thinned", 1)
    made.add(job)
    made.write()
    shutil.rmtree(made.outbox / job.id / previews.FOLDER)
    browser.open(made.file, f"#view={job.id}")
    browser.wait("document.querySelector('.card .none')?.textContent === 'no preview'")
    browser.wait("!document.querySelector('.slider, .sources img') && document.querySelector('.after').naturalWidth")


def test_a_failure_stands_apart_with_its_reason_and_what_to_do(browser: Browser, outbox: Outbox) -> None:
    browser.open(outbox.file)
    text = browser.one("#failures").text
    assert "bad.yaml, line 1: no YAML" in text
    assert "stylistic retry bad-20260101-000004-0000" in text
    href = browser.one("#failures p a").get_attribute("href")
    assert href == (outbox.outbox / "bad-20260101-000004-0000" / "dropped" / "bad.yaml").as_uri()


def test_all_of_what_has_no_picture_is_a_click_away_by_its_kind(browser: Browser, tmp_path: Path) -> None:
    made = Outbox(tmp_path / "place")
    for number in range(1, 6):
        made.fail(job_of(f"stopped-{number}", number), f"{cancel.PREFIX} ann")
    browser.open(made.write())
    assert len(browser.texts("#failures li")) == 3
    browser.one("#failures > p a").click()
    browser.wait("document.querySelectorAll('#failures li.cancelled').length === 5")
    made.fail(job_of("bad", 6), "no photo")
    browser.open(made.write())
    assert browser.texts("#failures > p a") == ["Show all failed", "Show all cancelled"]


def test_a_sweep_is_its_sheet_with_its_variants_and_their_table_and_closes_at_once(
    browser: Browser, outbox: Outbox
) -> None:
    browser.open(outbox.file)
    browser.one(".card[data-id^=dial]").click()
    browser.wait("document.querySelector('#view tbody tr')")
    assert browser.texts("#view tbody tr") == ["dial-001\t0.5\t3.25\t75 s", "dial-002\t2\t3.25\t75 s"]
    assert browser.texts(".slider") == []
    browser.one("#view tbody tr:nth-child(2) a").click()
    browser.wait("document.querySelector('.stage .after').src.endsWith('/dial-002.png')")
    assert browser.share_of_photo() >= 0
    browser.one("#view tbody tr:nth-child(1) a").click()
    browser.wait("document.querySelector('.stage .after').src.endsWith('/dial-001.png')")
    browser.press(Keys.ESCAPE)
    browser.wait("!document.getElementById('view').open && !location.hash.includes('view')")


def test_everything_can_be_done_by_keyboard(browser: Browser, outbox: Outbox) -> None:
    browser.open(outbox.file)
    browser.press("/")
    assert browser.focused() == "search"
    browser.press("a", Keys.ESCAPE)
    assert browser.one("#search").get_attribute("value") == ""
    browser.js("document.querySelector('.card').focus()")
    browser.press(Keys.ARROW_RIGHT)
    assert browser.focused().startswith("harbour")
    browser.press(Keys.ENTER)
    browser.wait("document.getElementById('view').open")
    browser.press(Keys.ARROW_RIGHT)
    assert browser.one("#view h2").text == "scan"
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert browser.one("#view h2").text == "日本-ß"
    browser.press(Keys.ESCAPE)
    browser.wait("!document.getElementById('view').open")
    assert browser.focused().startswith("日本")


def test_the_focus_stays_where_it_is_however_often_the_page_is_drawn_anew(browser: Browser, outbox: Outbox) -> None:
    browser.open(outbox.file)
    browser.js("document.querySelectorAll('#states button')[1].focus()")
    browser.press(Keys.ENTER)
    assert browser.focused() == "state-done"
    browser.driver.refresh()
    assert browser.focused() == "state-done"
    browser.js("document.querySelectorAll('.card')[1].focus()")
    browser.driver.refresh()
    assert browser.focused().startswith("harbour")
    browser.press(Keys.ENTER)
    browser.wait("document.getElementById('view').open")
    browser.js("document.querySelector('[aria-label=\"Older result\"]').focus()")
    browser.press(Keys.ENTER)
    assert browser.one("#view h2").text == "scan"
    assert browser.js("return document.activeElement.ariaLabel") == "Older result"
    browser.js("document.querySelector('#defaults summary').focus()")
    browser.press(Keys.ENTER)
    browser.wait("document.getElementById('defaults').open")
    browser.driver.refresh()
    browser.wait("document.getElementById('defaults').open")
    assert browser.js("return document.activeElement.localName") == "summary"
    browser.js("document.querySelector('#defaults summary').click()")  # the window is the other tests', too


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_window(browser: Browser, outbox: Outbox, width: int) -> None:
    browser.size(width, 844)
    for address in ("", "#view=dial-20260101-000002-0000", "#view=bad-20260101-000004-0000"):
        browser.open(outbox.file, address)
        excess = (
            "return Math.max(...[document.scrollingElement, document.getElementById('view')].map(e => e.scrollWidth))"
        )
        assert browser.js(excess) <= width, address


def test_a_pause_is_told_with_by_whom_and_what_goes_on(browser: Browser, tmp_path: Path) -> None:
    place = Outbox(tmp_path / "place")
    place.spool.prepare()
    job = job_of("waits", 40)
    place.spool.admit(place.spool.draft(job.id), job, place.spool.queued)
    storage.write_json(place.spool.folder / HOLDER, {"pid": os.getpid(), "host": socket.gethostname(), "since": now()})
    pause.begin(place.spool.folder, "ann")
    browser.open(place.write())
    told = browser.one("#runner").text
    assert told.startswith("Paused by ann since")
    assert "nothing is started until stylistic resume · Watching the inbox" in told
    pause.end(place.spool.folder)
    browser.open(place.write())
    assert browser.one("#runner").text.startswith("Starting")


def test_all_that_waits_is_counted(browser: Browser, outbox: Outbox, tmp_path: Path) -> None:
    found = overview.look(outbox.spool, outbox.outbox, Paces(None))
    waiting = [Waits(name=f"drop-{number}", reason="its photo") for number in range(10)]
    file = tmp_path / "waiting.html"
    told = found.model_copy(update={"waiting": waiting, "more_waiting": 300})
    file.write_text(page.html(told, []), encoding="utf-8")
    browser.open(file)
    assert len(browser.texts(".waits > ul li")) == 4
    assert browser.one(".waits summary").text == "306 more"
    assert browser.one(".waits details p").get_attribute("textContent") == "and 300 more"


def test_a_runner_that_has_fallen_silent_is_told_and_one_whose_clock_is_slow_is_not(
    browser: Browser, outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = overview.look(outbox.spool, outbox.outbox, Paces(None))
    alive = found.model_copy(update={"runner": overview.Runner(state="alive")})
    file, since = tmp_path / "idle.html", datetime.now(UTC) - timedelta(days=3)
    told = []
    for written in (since, since, since + timedelta(minutes=5)):
        monkeypatch.setattr(page, "now", written.isoformat)
        file.write_text(page.html(alive, []), encoding="utf-8")
        browser.open(file)
        told.append(browser.one("#runner").text.partition(" ·")[0].partition(":")[0])
    assert told == ["Last heard of 3 d 0 h ago"] * 2 + ["Watching the inbox"]


def test_a_queued_print_says_its_time_and_its_memory(browser: Browser, tmp_path: Path) -> None:
    place = Outbox(tmp_path / "place")
    place.page = Page(place.outbox, place.spool, known(tmp_path / "pace.json", (4096, 1.0)))
    place.spool.prepare()
    for name, size in (("small", 512), ("wall", 7016)):
        admit(place.spool, name, f"parameters: {{image_size: {size}}}")
    browser.open(place.write())
    browser.one("#queue summary").click()
    small, wall = browser.one("#queue ol").text.splitlines()
    assert "about" in small and "memory" not in small
    assert wall.endswith("GB of memory")


def test_a_hostile_name_is_text_wherever_it_stands(browser: Browser, outbox: Outbox, tmp_path: Path) -> None:
    rows = Results(outbox.outbox).rows()
    for row in rows:
        row |= dict.fromkeys(("name", "content", "preset", "error", "device"), HOSTILE)
        row |= {
            "styles": [HOSTILE],
            "files": [HOSTILE, "javascript:hacked=1"],
            "columns": [HOSTILE],
            "picture": HOSTILE,
        }
        row["id"] += HOSTILE
        row["variants"] = row["variants"] and [{"variant": HOSTILE, HOSTILE: HOSTILE, "error": HOSTILE}]
    found = overview.look(outbox.spool, outbox.outbox, Paces(None))
    running = overview.Running(id=HOSTILE, name=HOSTILE, content=HOSTILE, styles=[HOSTILE], device=HOSTILE)
    update = {
        "unknown": [HOSTILE],
        "repeated": [HOSTILE],
        "faults": [HOSTILE],
        "running": [running],
        "paused": pause.Pause(by=HOSTILE),
    }
    file = tmp_path / "hostile.html"
    file.write_text(page.html(found.model_copy(update=update), rows), encoding="utf-8")
    browser.open(file)
    assert browser.texts(".card .name")[0].split() == HOSTILE.split()
    assert browser.js("return document.querySelector('.notes li').textContent") == HOSTILE
    for card in range(5):
        browser.js("document.querySelectorAll('.card')[arguments[0]].click()", card)
        browser.wait("document.getElementById('view').open")
        hrefs = browser.js("return [...document.querySelectorAll('a')].map(a => a.href)")
        assert all(href.startswith(tmp_path.as_uri()) for href in hrefs), hrefs
        browser.press(Keys.ESCAPE)
    assert browser.js("return [typeof hacked, document.scripts.length]") == ["undefined", 2]


def test_two_thousand_results_open_and_filter_without_being_drawn_all(
    browser: Browser, outbox: Outbox, tmp_path: Path
) -> None:
    sample = next(row for row in Results(outbox.outbox).rows() if row["name"] == "harbour")
    rows = [{**sample, "id": f"{n}-{sample['id']}", "name": f"picture {n}"} for n in range(2000)]
    file = tmp_path / "many.html"
    file.write_text(page.html(overview.look(outbox.spool, outbox.outbox, Paces(None)), rows), encoding="utf-8")
    driver = browser.driver
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        """CPU time of the page: what else the machine does, does not count."""
        metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    browser.open(file)
    opened = seconds()
    assert len(browser.texts(".card")) == 60
    before = seconds()
    browser.js("search.value = 'picture 19'; search.dispatchEvent(new Event('input'));")
    browser.js("return document.body.offsetHeight")
    filtered = seconds() - before
    assert browser.texts(".card .name")[0] == "picture 19"
    assert len(browser.texts(".card")) == 60
    assert "more below" in browser.one("#more").text
    browser.js("search.value = ''; search.dispatchEvent(new Event('input'));")
    browser.wait("scrollTo(0, document.body.scrollHeight), document.querySelectorAll('.card').length > 300")
    print(f"2,000 results: {opened:.2f} s to open, {filtered:.3f} s to filter, {file.stat().st_size:,} bytes")
    assert opened < 2
    assert filtered < 0.2


def test_times_are_those_of_whoever_looks(browser: Browser, outbox: Outbox) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Pacific/Kiritimati"})
    browser.open(outbox.file, "#view=harbour-20260101-000005-0000")
    finished = Results(outbox.outbox).rows()[1]["at"]
    there = datetime.fromisoformat(finished) + timedelta(hours=14)
    wanted = there.strftime("%-I:%M")
    assert wanted in browser.one("#view dl").text
    browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_the_page_follows_a_running_job_and_leaves_its_reader_in_place(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "REFRESH_SECONDS", 0.5)
    place = Outbox(tmp_path / "place")
    for number in range(1, 31):
        place.add(job_of(f"done-{number}", number), steps=0)
    place.watch()
    job = job_of("at-work", 40)
    place.spool.admit(place.spool.draft(job.id), job, place.spool.queued)
    job = place.spool.start(job.id)
    folder = attempt.begin(place.spool.running / job.id, job.attempts, attempt.Worker())
    storage.write_json(folder / PAINTER, {"device": "NVIDIA H200", "precision": "bfloat16"})
    browser.size(1400, 500)
    browser.open(place.write())
    browser.wait("document.querySelector('.running .soft:last-child').innerText.includes('H200')")
    assert "preparing its images" in browser.one(".running").text
    browser.wait("document.querySelector('#search').checkVisibility()")
    search = browser.one("#search")
    search.send_keys("done")
    browser.js("scrollTo(0, 333)")
    top = "return Math.round(document.querySelectorAll('.card')[7].getBoundingClientRect().top)"
    before = browser.js(top)
    with losses.opened(folder, 0) as log:
        for step in range(1, 101):
            log.write(Loss(step=step, scale=256, total=1.0, content=1.0, style=1.0, total_variation=1.0))
    storage.write_atomic(folder / LIVE, webp(BLUE))
    place.write()
    browser.wait("document.querySelector('.running').innerText.includes('step 100 of 200')")
    assert browser.wait("document.querySelector('.live').naturalWidth") == 64
    assert str(browser.one(".live").get_attribute("src")).startswith("data:image/webp")
    assert browser.one("#search").get_attribute("value") == "done"
    assert browser.focused() == "search"
    assert abs(browser.js(top) - before) <= 1
    browser.js("location.hash = arguments[0]", f"view={job_of('done-3', 3).id}")
    browser.wait("document.querySelector('.slider')")
    browser.js(
        "const s = document.querySelector('.slider'); s.value = 20; s.dispatchEvent(new Event('input')); mark = 1"
    )
    place.write()
    browser.wait("typeof mark === 'undefined' && document.getElementById('view').open")
    assert browser.one("#view h2").text == "done-3"
    assert browser.share_of_photo() == pytest.approx(0.2)
    assert browser.problems() == []
