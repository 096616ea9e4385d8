"""Sentences that follow one another."""

from __future__ import annotations

import pytest

from pipeline.errors import JobError, ManifestError, ended, joined


@pytest.mark.parametrize(
    "text, with_stop",
    [
        ("`style`: missing", "`style`: missing."),
        ("a.jpg is missing", "a.jpg is missing."),
        ("Copy the file again.", "Copy the file again."),
        ("did you mean b.jpg?", "did you mean b.jpg?"),
        ("did you mean `b.jpg`?", "did you mean `b.jpg`?"),
        ("and so on…", "and so on…"),
        ("waited 5 s (--input-timeout)", "waited 5 s (--input-timeout)."),
    ],
)
def test_a_sentence_that_another_follows_has_its_full_stop(text: str, with_stop: str) -> None:
    assert ended(text) == with_stop
    assert str(JobError(text, "Do this.")) == f"{with_stop} Do this."
    assert str(JobError(text)) == text


@pytest.mark.parametrize(
    "clauses, sentence",
    [
        (
            ("It ends too soon. Copy the file again.", "waited 5 s."),
            "It ends too soon. Copy the file again; waited 5 s.",
        ),
        (("a is missing", "b is missing", "waited 5 s."), "a is missing; b is missing; waited 5 s."),
        (("a is missing; did you mean b?", "c is missing"), "a is missing; did you mean b?; c is missing"),
        (("one.",), "one."),
        ((), ""),
    ],
)
def test_clauses_of_one_sentence_lose_their_full_stops(clauses: tuple[str, ...], sentence: str) -> None:
    assert joined(*clauses) == sentence
    assert str(ManifestError(*clauses)) == sentence
