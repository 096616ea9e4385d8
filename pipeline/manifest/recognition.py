"""Whether a document is meant as a manifest, or is another program's: by the words that stand at its top."""

from __future__ import annotations

import difflib
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator

import yaml

from pipeline.errors import ManifestError
from pipeline.manifest.document import MAX_DEPTH, MAX_NODES, decode, json_keys, other_kind
from pipeline.manifest.model import Manifest
from pipeline.manifest.parameters import Parameters

SHARED = {"name"}  # fields that documents of many programs have: package.json, docker-compose.yml
OWN = tuple(sorted(set(Manifest.model_fields) - SHARED))
OTHERS = {"context", "contexts", "presets"}  # words of their own, not misspelt ones of ours
NEARNESS = 0.8  # of a word that is ours but for a slip
EMPTY = "it is empty"
FEW = 4  # of so many words one has to be ours
MOST_WORDS = 100  # looked at

_KEY_OF_LINE = re.compile(r"""^["'“”‘’\u200b\ufeff{ ]*([^\W\d][\w-]*)["'“”‘’]?[^\S\n]*[:=\uff1a]""", re.MULTILINE)
_WORD = re.compile(r"\w[\w-]{0,40}")
_KEY_ANYWHERE = re.compile(r"(?<![\w-])([^\W\d][\w-]{0,40})[\"”]?:")


def is_foreign(data: bytes, file: str, is_named: bool = False) -> bool:
    """Whether a document has none of a manifest's own fields, misspelt ones counted, or hardly one among many others.

    Args:
        data: the document, or its beginning.
        file: its name.
        is_named: it is called ``style.yaml`` or ``job.yaml``, so that a parameter out of place tells enough.
    """
    words = list(dict.fromkeys(map(str.casefold, itertools.islice(_words(data, file), MOST_WORDS))))
    own = [word for word in words if _is_near(word, OWN)]
    if is_named and not own:
        own = [word for word in words if _is_near(word, Parameters.model_fields)]
    known = len(own) + sum(word in SHARED or word in Parameters.model_fields for word in words)
    return not own or (len(own) == 1 and known * FEW < len(words))


def what_it_lacks(data: bytes) -> str:
    """Why a foreign document is no manifest, as a part of a sentence."""
    if not data.strip():
        return EMPTY
    return other_kind(data) or "it has none of a manifest's fields, such as `content` and `style`"


def _is_near(word: str, known: Iterable[str]) -> bool:
    if word in OTHERS or not _WORD.fullmatch(word):
        return False
    return bool(difflib.get_close_matches(word, list(known), n=1, cutoff=NEARNESS))


def _words(data: bytes, file: str) -> Iterator[str]:
    """The keys at the top of a document, whether or not it is well formed."""
    try:
        text = decode(data, file)
    except ManifestError:  # as in Latin-1, where the words are the same
        text = data.decode("latin-1")
    if text.startswith("{\\rtf"):
        yield from (found[1] for found in _KEY_ANYWHERE.finditer(text))
    elif file.lower().endswith(".json"):
        yield from json_keys(text) if text.lstrip()[:1] in ("{", "[") else _yaml_keys(text)
    else:
        yield from _yaml_keys(text)


def _yaml_keys(text: str) -> Iterator[str]:
    is_whole, keys = _of_events(text)
    # What YAML makes nothing of, a typist may still have meant: a tab, a no-break space, `=` in place of a colon.
    yield from keys
    if not is_whole or not keys:
        yield from _KEY_OF_LINE.findall(textwrap.dedent(text))


def _of_events(text: str) -> tuple[bool, list[str]]:
    """Whether the text is YAML, and the keys of the mappings that are its documents."""
    keys: list[str] = []
    depth, is_mapping, is_key = 0, False, False
    try:
        for event in itertools.islice(yaml.parse(text, yaml.CSafeLoader), MAX_NODES):
            if isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            is_node = isinstance(event, yaml.NodeEvent)
            if depth == 0 and is_node:  # a document
                is_mapping = is_key = isinstance(event, yaml.MappingStartEvent)
            elif depth == 1 and is_node and is_mapping:
                if is_key and isinstance(event, yaml.ScalarEvent):
                    keys.append(event.value)
                is_key = not is_key
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    return False, keys
    except (yaml.YAMLError, ValueError, RecursionError):
        return False, keys
    return True, keys
