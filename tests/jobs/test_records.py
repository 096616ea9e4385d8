"""Whatever somebody writes into a record: it is read as what all its users may rely on, or as spoilt."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.forecast.paces import Device, Measured, Pace
from pipeline.inbox.marks import Mark
from pipeline.jobs import result
from pipeline.jobs.attempt import Worker
from pipeline.jobs.cancel import Cancelled
from pipeline.jobs.fields import SpoiltError, parsed, read_json
from pipeline.jobs.lock import Holder
from pipeline.jobs.log import JobFacts, Log, Source, Sources
from pipeline.jobs.losses import Loss, Losses
from pipeline.jobs.previews import Painter
from pipeline.jobs.record import Asked, Job, JobImage, now
from pipeline.jobs.report import Report, Waits
from pipeline.jobs.result import Done, Engine, Failed, Output, Timing, WeightsUsed
from pipeline.manifest.parse import parse_manifest

SHA = "0123456789abcdef" * 4
ID = "harbour-wave-20260101-120000-abcd"
MANIFEST = parse_manifest(b"content: a.png\nstyle: b.png\nparameters: {pyramid: {64: 10}}", "harbour-wave.yaml")
IMAGES = {
    part: JobImage(file=file, stored=f"{part}.png", sha256=SHA, width=80, height=64)
    for part, file in MANIFEST.images.items()
}
JOB = Job(
    id=ID,
    name="harbour-wave",
    claimed_at=now(),
    manifest=MANIFEST,
    images=IMAGES,
    steps=10,
    attempts=1,
    started_at=now(),
)
ENGINE = Engine(tensorflow="2", device="CPU", precision="float32", weights=WeightsUsed(source="a file", sha256=SHA))
TIMING = Timing(setup_seconds=1.0, optimize_seconds=2.0, seconds_per_step=0.2)
OUTPUT = Output(file="harbour-wave.png", width=80, height=64, sha256=SHA)
LOSS = Loss(step=1, scale=64, total=2.0, content=1.0, style=1.0, total_variation=0.0, seconds=0.2)
SOURCE = Source(file="a.png", sha256=SHA, width=80, height=64)
LOG = Log(
    status="done",
    job=JobFacts(id=ID, name="harbour-wave", claimed_at=now(), started_at=now(), finished_at=now(), attempts=1),
    manifest=MANIFEST.effective(),
    inputs=Sources(content=SOURCE, style=[SOURCE]),
    engine=ENGINE,
    loss=Losses.of([LOSS]),
    timing=TIMING,
    peak_memory_bytes=10**9,
    output=OUTPUT,
    error=None,
    variants=[{"variant": "a-001", "final_total": 2.0}],
)
DONE = Done(
    engine=ENGINE, timing=TIMING, peak_memory_bytes=10**9, chosen={"style_weight": 2.0}, output=OUTPUT, variants=None
)
MEASURED = Measured(
    devices={"auto": Device(name="CPU", start_seconds=4.0)},
    paces={"CPU, float32, gram, adam": Pace(rates={12: 2e-5}, other_seconds=1.0)},
)
REPORT = Report(pid=7, inbox="inbox", since=now(), ended_at=now(), waiting=[Waits(name="a", reason="missing")])
RECORDS: dict[str, Any] = {
    "job": JOB,
    "asked": Asked(manifest=MANIFEST, images=IMAGES),
    "log": LOG,
    "done": DONE,
    "failed": Failed(reason="no such file"),
    "loss": LOSS,
    "report": REPORT,
    "holder": Holder(pid=7, host="here", since=now()),
    "worker": Worker(),
    "painter": Painter(device="CPU", precision="float32"),
    "cancelled": Cancelled(by="somebody", at=now()),
    "measured": MEASURED,
    "mark": Mark(photo="a.png", version=(1, 2, 3), style="", runner="runner-1"),
}
# What a field of this name must not say, wherever it stands.
NAMES = ["", ".", "..", "../x", "../../x", "/etc/passwd", "a/b", "a\0b", ".hidden", "x" * 300, 5, None, True, [], {}]
NUMBERS = [-1, 10**400, -(10**400), 1e308, math.inf, math.nan, "7", "", True, [], {}]
COUNTS = [*NUMBERS, 2.5, None]
TIMES: list[Any] = [
    "yesterday",
    "",
    "2026-01-01",
    "2026-01-01T12:00:00",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
]
TIMES += ["2026-13-01T00:00:00Z", "2026-01-01T00:00:00Z" + " " * 400, 0, 1e9, True, [], {}]
FORBIDDEN: dict[str, list[Any]] = {
    "id": [*NAMES, "other", *(f"{name}-20260101-120000-abcd" for name in ("../../x", "a\n", ".", "a:b")), ID.upper()],
    "name": [*NAMES, "another-name", "a\nb", "a:b", "con"],
    "stored": [*NAMES, "job.json", "style-1.png/.."],
    "sha256": ["", "../../x", SHA[1:], SHA.upper(), f"{SHA}\n", f"../{SHA[3:]}", 5, None, True, []],
    "width": [*COUNTS, 0],
    "height": [*COUNTS, 0],
    "attempts": COUNTS,
    "deaths": COUNTS,
    "steps": COUNTS,
    "priority": [*COUNTS[1:], 1001],
    "step": [*COUNTS, 0],
    "scale": [*COUNTS, 0],
    "pid": [*COUNTS, 0, 2**31],
    "rates": [*COUNTS, {"12": 0.0}, {"12": math.inf}, {"12": None}, {"-1": 1.0}, {"x": 1.0}, {"9" * 400: 1.0}],
    "peak_memory_bytes": [value for value in COUNTS if value is not None],
    "more_waiting": COUNTS,
    "version": [[], [1, 2], [1, 2, 10**400], [1, 2, 0.5], [1, 2, True], "123", None],
    **dict.fromkeys(("seconds", "setup_seconds", "optimize_seconds", "seconds_per_step"), NUMBERS),
    **dict.fromkeys(("start_seconds", "other_seconds"), NUMBERS),
    **dict.fromkeys(("total", "content", "style", "total_variation"), NUMBERS[1:]),
    **dict.fromkeys(("claimed_at", "started_at", "finished_at", "ended_at", "since", "at"), TIMES),
    "status": ["", "DONE", "running", 1, None, []],
}
OPTIONAL = ("started_at", "ended_at")
WORDS = {"mark", "measured", "report"}  # in which a `name`, or a `style`, is words


def plain(name: str) -> Any:
    return json.loads(RECORDS[name].model_dump_json())


def read(name: str, data: bytes) -> Any:
    model = type(RECORDS[name])
    if model in (Done, Failed):
        return parsed(result._REPORT.validate_python, data)
    return read_json(model, data)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of plain data, those of lists and objects too."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    found = copy.deepcopy(value)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return found


def is_within_bounds(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(is_within_bounds, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_within_bounds, value))
    if isinstance(value, float):
        return math.isfinite(value) and abs(value) <= 1e39
    if isinstance(value, int):
        return abs(value) <= 2**64
    return not isinstance(value, str) or len(value) <= 100_000


def forbidden() -> dict[tuple[str, tuple[Any, ...]], list[Any]]:
    """The values by record and field."""
    found = {}
    for name in RECORDS:
        for path in leaves(plain(name)):
            field, is_words = path[-1], name in WORDS and path[-1] in ("name", "style", "content")
            is_free = {"manifest", "variants", "chosen"} & {*path} or (path[0], len(path)) == ("inputs", 2)
            values = [] if is_words or is_free else FORBIDDEN.get(field, [])
            if name == "log":
                path = (*path, 0) if path[0] == "loss" else path  # of a column
                values = [value for value in values if value != "another-name"]  # that of a variant has its own
            if path[-1] in OPTIONAL:
                values = [value for value in values if value is not None]
            if values:
                found[name, path] = values
    return found


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_read_as_it_was_written(name: str) -> None:
    assert read(name, RECORDS[name].model_dump_json().encode()) == RECORDS[name]


@pytest.mark.parametrize(
    ("name", "path"), forbidden(), ids=lambda one: one if isinstance(one, str) else ".".join(map(str, one))
)
def test_what_a_field_must_not_say_spoils_the_record(name: str, path: tuple[Any, ...]) -> None:
    for value in forbidden()[name, path]:
        with pytest.raises(SpoiltError):
            read(name, as_json(changed(plain(name), path, value)))
            pytest.fail(f"took {value!r:.60}")


WRONG: list[Any] = [
    None,
    True,
    -1,
    0,
    0.5,
    10**400,
    -(10**30),
    1e308,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "../../x",
    "\0",
]
WRONG += ["\ud800", "x" * 200_000, [], {}, [[]], {"a": {"b": []}}, [10**400], "yesterday", [None] * 3, 2**63, 1e-320]


@pytest.mark.parametrize("name", RECORDS)
def test_whatever_stands_anywhere_is_within_bounds_or_spoils_the_record(name: str) -> None:
    valid = plain(name)
    for path in leaves(valid):
        for value in WRONG:
            try:
                found = read(name, as_json(changed(valid, path, value)))
            except SpoiltError as error:
                assert len(str(error)) < 1000
            else:
                is_free = path[0] in ("chosen", "variants") or (name, path[0]) == ("log", "manifest")
                assert is_free or is_within_bounds(found.model_dump()), (path, value)
                assert json.dumps(found.model_dump(mode="json"), allow_nan=False)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(WRONG),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), name=st.sampled_from(sorted(RECORDS)))
def test_several_changes_at_once_are_read_or_spoil_the_record(data: st.DataObject, name: str) -> None:
    value = plain(name)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(leaves(value))))
        value = changed(value, path, data.draw(VALUES))
    try:
        found = read(name, as_json(value))
    except SpoiltError:
        return
    assert json.dumps(found.model_dump(mode="json"), allow_nan=False)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(RECORDS)), inserted=st.binary(max_size=4))
def test_bytes_lost_or_put_in_anywhere_are_read_or_spoil_the_record(
    data: st.DataObject, name: str, inserted: bytes
) -> None:
    whole = RECORDS[name].model_dump_json().encode()
    at, end = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))
    try:
        read(name, whole[:at] + inserted + whole[end:])
    except SpoiltError:
        return


def doubled(name: str) -> bytes:
    """A record that says its first field twice."""
    text: str = RECORDS[name].model_dump_json()
    first = json.dumps(dict(list(plain(name).items())[:1]))
    return f"{first[:-1]},{text[1:]}".encode()


NO_RECORDS: dict[str, Callable[[str], bytes]] = {
    "empty": lambda name: b"",
    "zeros": lambda name: b"\0" * 300,
    "cut": lambda name: RECORDS[name].model_dump_json().encode()[:-5],
    "a list": lambda name: b"[]",
    "a number": lambda name: b"5",
    "nothing": lambda name: b"null",
    "a number of 5,000 digits": lambda name: b"9" * 5000,
    "no number": lambda name: b"NaN",
    "lists in lists": lambda name: b"[" * 100_000,
    "objects in objects": lambda name: b'{"a":' * 100_000,
    "lists in lists that end": lambda name: b"[" * 900 + b"]" * 900,
    "lists in a field": lambda name: b'{"job": ' + b"[" * 900 + b"]" * 900 + b"}",
    "a mark of its bytes' order": lambda name: b"\xef\xbb\xbf" + RECORDS[name].model_dump_json().encode(),
    "UTF-16": lambda name: RECORDS[name].model_dump_json().encode("utf-16"),
    "no UTF-8": lambda name: RECORDS[name].model_dump_json().encode()[:-1] + b',"\xff": 1}',
    "half a letter": lambda name: RECORDS[name].model_dump_json().encode()[:-1] + b',"\\ud800": 1}',
    "a thing twice": doubled,
    "two records": lambda name: RECORDS[name].model_dump_json().encode() * 2,
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("data", NO_RECORDS.values(), ids=NO_RECORDS)
def test_what_is_no_json_of_an_object_spoils_the_record(name: str, data: Callable[[str], bytes]) -> None:
    with pytest.raises(SpoiltError) as spoilt:
        read(name, data(name))
    assert len(str(spoilt.value)) < 1000


def test_a_record_with_ten_thousand_problems_tells_a_few(tmp_path: Any) -> None:
    with pytest.raises(SpoiltError, match=r"and 9,99\d more") as spoilt:
        read("job", as_json(plain("job") | {f"colour-{n}": n for n in range(10_000)}))
    assert len(str(spoilt.value)) < 1000


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    (facts,) = [JobFacts.model_validate(plain("log")["job"] | {"finished_at": "2026-01-01T03:30:00+05:30"})]
    assert facts.finished_at == "2025-12-31T22:00:00+00:00"


@pytest.mark.parametrize(
    "change", [{"sweep": {"seed": [1] * 400, "epochs": [1] * 400}}, {"parameters": {"pyramid": {"64": 10**400}}}]
)
def test_a_manifest_in_a_record_asks_for_no_more_than_can_be_counted(change: dict[str, Any]) -> None:
    job = plain("job")
    with pytest.raises(SpoiltError):
        read("job", as_json(job | {"manifest": job["manifest"] | change}))


def test_a_painting_follows_each_size_of_a_sweep_out_of_the_record_too() -> None:
    text = b"content: a.png\nstyle: b.png\nsweep: {image_size: [256, 512]}"
    job = JOB.model_copy(update={"manifest": parse_manifest(text, "harbour-wave.yaml")})
    again = read("job", as_json(job.model_dump(mode="json"))).manifest
    assert [variant.parameters.style_size for variant in again.variants()] == [256, 512]


@pytest.mark.parametrize(
    "images", [{}, {"content": 0}, {"content": 0, "style-1": 0, "style-2": 1}, {"content": 1, "style-1": 0}]
)
def test_a_jobs_images_are_the_copies_of_its_own(images: dict[str, int]) -> None:
    job, both = plain("job"), list(plain("job")["images"].values())
    assert read("job", as_json(job | {"images": {}})).images == {}, "as of one that never ran"
    if images:
        with pytest.raises(SpoiltError, match="images"):
            read("job", as_json(job | {"images": {part: both[number] for part, number in images.items()}}))
