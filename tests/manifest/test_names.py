"""Names of jobs: which are safe as files, and keep what people write."""

from __future__ import annotations

import unicodedata

import pytest

from pipeline.inbox import jobfolder
from pipeline.manifest.names import MAX_NAME_BYTES, default_name, folded, valid_name, with_tail
from tests.manifest.conftest import MINIMAL, parse


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("harbour.yaml", "harbour"),
        ("my photo (3).yml", "my photo -3"),
        ("..json", "job"),
        ("CON.yaml", "job-CON"),
        ("a\nb\x1b[31m.yaml", "a-b-31m"),
        ("日本.yaml", "日本"),
        ("\u200da\u200d b\u200c", "a- b"),
        ("x" * 300 + ".yaml", "x" * 50),
        (b"\xff\xfe.yaml".decode("utf-8", "surrogateescape"), "job"),
    ],
)
def test_a_file_name_becomes_a_safe_name(file: str, name: str) -> None:
    assert default_name(file) == name


SCRIPTS = {  # names that people give, and what becomes of them as the name of a file
    "decomposed, of macOS": (unicodedata.normalize("NFD", "Ausflüge Süd"), "Ausflüge Süd"),
    "decomposed kana": (unicodedata.normalize("NFD", "がぎぐ パリ"), "がぎぐ パリ"),
    "decomposed Korean": (unicodedata.normalize("NFD", "서울 여행"), "서울 여행"),
    "Vietnamese": (unicodedata.normalize("NFD", "Phở Hà Nội"), "Phở Hà Nội"),
    "Hindi": ("हिन्दी चित्र", "हिन्दी चित्र"),
    "Tamil": ("தமிழ் படம்", "தமிழ் படம்"),
    "Bengali": ("বাংলা ছবি", "বাংলা ছবি"),
    "Malayalam, with a joiner": ("ക്\u200dഷ", "ക്\u200dഷ"),
    "Thai": ("เที่ยวภูเก็ต", "เที่ยวภูเก็ต"),
    "Lao": ("ຮູບພາບ ນ້ຳ", "ຮູບພາບ ນ້ຳ"),
    "Khmer": ("រូបថត ភ្នំពេញ", "រូបថត ភ្នំពេញ"),
    "Burmese": ("မြန်မာ ဓာတ်ပုံ", "မြန်မာ ဓာတ်ပုံ"),
    "Tibetan": ("བོད་ཡིག", "བོད-ཡིག"),
    "Arabic, vowelled": ("صُورَةٌ جَمِيلَة", "صُورَةٌ جَمِيلَة"),
    "Persian, with a non-joiner": ("می‌خواهم", "می‌خواهم"),
    "Hebrew, pointed": ("תְּמוּנָה", "תְּמוּנָה"),
    "a screenshot's space": ("Bild 10.05\u202fPM", "Bild 10.05 PM"),
    "a no-break space": ("a\u00a0b", "a b"),
    "emoji": ("sea 🌊 side", "sea - side"),
    "letters in circles and Roman numbers": ("①Ⅷ½ x", "①Ⅷ½ x"),
}


@pytest.mark.parametrize("text, name", SCRIPTS.values(), ids=SCRIPTS)
def test_no_script_loses_letters_or_marks(text: str, name: str) -> None:
    name = unicodedata.normalize("NFC", name)
    assert default_name(f"{text}.yaml") == name
    assert jobfolder.name_of(f"{text}/{text}.jpg", "x") == f"x-{name}-{name}"
    assert valid_name(name) == name


def test_a_manifest_may_give_a_name_in_any_script() -> None:
    assert parse(MINIMAL + "name: हिन्दी चित्र\n").name == "हिन्दी चित्र"
    assert parse(MINIMAL + "name: a\u202fb\n").name == "a b"


@pytest.mark.parametrize(
    "name", ["\u0301a", "a/b", "a\u200b", "a\u200d", " ", "", "🌊", "a" * 101, "न" * 67, "a\u202eb"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"may hold|is longer than"):
        valid_name(name)


@pytest.mark.parametrize("letter", ["a", "न", "न्\u200dक्षि", "日", "𠀀", "a\u0301\u0302", "a" + "\u0301" * 30, "서"])
@pytest.mark.parametrize("count", [1, 49, 50, 51, 66, 300])
def test_a_long_name_is_cut_between_letters_and_leaves_room(letter: str, count: int) -> None:
    letter = unicodedata.normalize("NFC", letter)
    for name in (default_name(letter * count), jobfolder.name_of(letter * count), with_tail(letter * count, "-001")):
        assert len(name.encode()) <= MAX_NAME_BYTES
        assert valid_name(name) == name
        assert len(name.removesuffix("-001")) % len(letter) == 0


@pytest.mark.parametrize(
    "one, other",
    [
        ("Screenshot 1.02\u202fPM.png", "screenshot 1.02 PM.png"),
        ("a\u00a0b\u2009c\u3000d", "A B C D"),
        (unicodedata.normalize("NFD", "Süd"), "SÜD"),
        ("\u200eIMG 1.jpg", "img 1.jpg"),
    ],
)
def test_names_that_look_alike_but_for_case_are_folded_to_one(one: str, other: str) -> None:
    assert folded(one) == folded(other)
