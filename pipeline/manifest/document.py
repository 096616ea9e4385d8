"""YAML and JSON as plain data with the line of every value; nothing in them can run code or grow without bound."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline.errors import ManifestError, short, shown
from pipeline.manifest import slips

MAX_DEPTH = 20
MAX_NODES = 10_000

_OTHER_KINDS = (  # by how a file begins, blanks aside: what it is
    (rb"\{\\rtf", "rich text (RTF)"),
    (rb"PK\x03\x04|\xd0\xcf\x11\xe0", "a document of an office program"),
    (rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|\?xml|!--|svg|plist)", "a web page or XML"),
    (rb"%PDF", "a PDF"),
    (rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF|II\*\0|MM\0\*|....ftyp", "a picture"),
    (rb"\x1f\x8b|BZh|7z\xbc\xaf|Rar!", "an archive"),
    (rb"bplist0", "a property list"),
)

Location = tuple[int | str, ...]  # the keys and indices that lead to a value


class _Loader(yaml.CSafeLoader):
    """Scalars as YAML 1.2's core schema reads them: `1e-2` is a number, `off` and `2026-01-01` are text."""


_SCALARS = {  # by tag: in words, as written, the first characters
    "bool": ("truth value (true, false)", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": ("whole number", r"[-+]?[0-9]+", "-+0123456789"),
    "float": (
        "number",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": ("null", r"~|null|Null|NULL|", "~nN"),
}
_Loader.yaml_implicit_resolvers = {}
for _tag, (_, _pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), [*_first, ""])


_TRUTH = re.compile("y|n|yes|no|on|off", re.IGNORECASE)  # what YAML 1.1 takes for true or false


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that ``_Loader``, or a reader of YAML 1.1, would take for something else, or for a slip; escapes
    YAML's own line ends."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def represent_str(self, data: str) -> yaml.ScalarNode:
        is_odd = re.search("[\x85\u2028\u2029]", data) or _TRUTH.fullmatch(data) or slips.is_slip(data)
        style = '"' if is_odd else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.represent_str)


# What YAML does not allow in any place, and JSON not in most.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_JSON_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\],:]|[^\s{}\[\],:"]+')
_BACKSLASH = "in double quotes a backslash begins another character; write slashes, such as photos/harbour.jpg"


@dataclass(frozen=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and the line, from 1, that each path in it starts at."""

    data: Any
    lines: dict[Location, int]
    written: dict[str, str] = field(default_factory=dict)  # the values at the top that are one word, letter by letter

    def line(self, path: Sequence[int | str]) -> int:
        """The line of the value at ``path``, or of the nearest thing that encloses it."""
        key = tuple(path)
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def read_document(data: bytes, file: str) -> Document:
    """The document in ``data``: JSON if ``file`` ends in ``.json``, else YAML.

    Raises:
        ManifestError: not text, not well formed, or too deep; names the file and the line.
    """
    if kind := other_kind(data):
        raise ManifestError(f"{file}: {kind}.")
    text = decode(data, file)
    if not text.strip():
        raise ManifestError(f"{file}: empty; a manifest names at least `content` and `style`.")
    if file.lower().endswith(".json"):
        return _read_json(text, file)
    return _read_yaml(text, file)


def other_kind(data: bytes) -> str:
    """What a document is that was saved by a program for something else than plain text; else nothing."""
    found = next((kind for start, kind in _OTHER_KINDS if re.match(start, data, re.DOTALL)), None)
    return f"{found}, not plain text; save it as plain text in UTF-8" if found else ""


def write_document(data: Any) -> bytes:
    """Plain data as YAML in UTF-8, which ``read_document`` reads as the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True).encode()


def _read_json(text: str, file: str) -> Document:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        if found := _CONTROL.match(text, error.pos):
            raise _no_text(found, file) from None
        if meant := slips.json(text, error.pos):
            raise ManifestError(f"{file}, line {error.lineno}: {meant}.") from None
        if "escape" in error.msg:
            raise ManifestError(f"{file}, line {error.lineno}: {_BACKSLASH}, or write it twice.") from None
        raise ManifestError(f"{file}, line {error.lineno}: not well-formed JSON: {error.msg}.") from None
    except RecursionError:
        raise ManifestError(f"{file}: nested more than {MAX_DEPTH} levels deep.") from None
    except ValueError:
        raise ManifestError(f"{file}: a whole number of thousands of digits.") from None
    return Document(data, _json_lines(text, file))


def _json_lines(text: str, file: str) -> dict[Location, int]:
    """The line of every value and key in well-formed JSON; refuses what YAML is refused for too."""
    lines: dict[Location, int] = {}
    place: list[int | str | None] = []  # for each open bracket the index, or the key; None where a key is due
    line, end = 1, 0
    for count, token in enumerate(_JSON_TOKEN.finditer(text)):
        line += text.count("\n", end, token.start())
        word, end = token[0], token.start()
        if word in "}]":
            place.pop()
        elif word == ",":
            place[-1] = place[-1] + 1 if isinstance(place[-1], int) else None
        elif word != ":":
            is_key = bool(place) and place[-1] is None
            if word[0] == '"':
                text_of = _whole_text(word, f"{file}, line {line}")
                if is_key:
                    place[-1] = text_of
            path = tuple(step for step in place if step is not None)
            if is_key and path in lines:
                raise ManifestError(
                    f"{file}, line {line}: `{path[-1]}` stands twice; the first is in line {lines[path]}."
                )
            lines.setdefault(path, line)
            if word in "{[":
                place.append(None if word == "{" else 0)
        if len(place) > MAX_DEPTH:
            raise ManifestError(f"{file}, line {line}: nested more than {MAX_DEPTH} levels deep.")
        if count > 2 * MAX_NODES:  # half of the tokens are punctuation
            raise ManifestError(f"{file}, line {line}: more than {MAX_NODES:,} values.")
    return lines


def json_keys(text: str) -> Iterator[str]:
    """The keys of the outermost object, or of what is meant as JSON, whatever follows."""
    depth, word = 0, ""
    for token in itertools.islice(_JSON_TOKEN.finditer(text), 4 * MAX_NODES):
        if token[0] in "{[":
            depth += 1
            if depth == 1 and token[0] == "[":
                return
        elif token[0] in "}]":
            depth -= 1
        elif token[0] == ":" and depth == 1 and word:
            yield word.strip("\"'“”‘’")
        word = token[0] if token[0] not in "{}[],:" else ""


def _whole_text(token: str, where: str) -> str:
    text: str = json.loads(token)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise ManifestError(f"{where}: {half} is half of a character; write the character itself.") from None
    return text


def _read_yaml(text: str, file: str) -> Document:
    if found := _CONTROL.search(text):
        raise _no_text(found, file)
    slips.refuse_blanks(text, file)
    try:
        _check_shape(text, file)
        lines: dict[Location, int] = {}
        node = yaml.compose(text, _Loader)
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        written = {key.value: value.value for key, value in pairs if isinstance(value, yaml.ScalarNode)}
        return Document(_plain(node, (), lines, file) if node else None, lines, written)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        if re.match(rf"(?:.*\n){{{line - 1}}}[ -]*\t", text):
            raise ManifestError(f"{file}, line {line}: YAML does not allow tabs; use spaces before the word.") from None
        if "escape character" in str(error.problem) or "hexdecimal" in str(error.problem):
            raise ManifestError(f"{file}, line {line}: {_BACKSLASH}, or use single quotes.") from None
        if meant := slips.yaml("".join(text.split("\n")[line - 1 : line])):
            raise ManifestError(f"{file}, line {line}: {meant}.") from None
        raise ManifestError(f"{file}, line {line}: not well formed: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise ManifestError(f"{file}: not well formed: {error}.") from None


def decode(data: bytes, file: str) -> str:
    """The text, its lines ended by ``\\n``; what is not UTF-8 is told by its byte order mark or its zero bytes.

    Raises:
        ManifestError: it is none of these.
    """
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ManifestError(f"{file}, line {line}: not UTF-8 text; save it as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _no_text(found: re.Match[str], file: str) -> ManifestError:
    line = found.string.count("\n", 0, found.start()) + 1
    character = f"the control character U+{ord(found[0]):04X}"
    return ManifestError(f"{file}, line {line}: {character}; delete it, or save the file as UTF-8.")


def _repeated(key: object, where: str, first: int) -> ManifestError:
    return ManifestError(f"{where}: `{short(str(key))}` stands twice; the first is in line {first}.")


def _check_shape(text: str, file: str) -> None:
    """Refuses what would be dangerous to build, before anything is built."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, _Loader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise ManifestError(
                f"{file}, line {line}: aliases (*{short(str(event.anchor))}) are not allowed; write the value out."
            )
        if isinstance(event, yaml.DocumentStartEvent) and count > 1:
            raise ManifestError(f"{file}, line {line}: a second document starts; a manifest is a single one.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ManifestError(f"{file}, line {line}: nested more than {MAX_DEPTH} levels deep.")
        if count > MAX_NODES:
            raise ManifestError(f"{file}, line {line}: more than {MAX_NODES:,} values.")


def _plain(node: Any, path: Location, lines: dict[Location, int], file: str) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return _plain_mapping(node, path, lines, file)
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_plain(child, (*path, index), lines, file) for index, child in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _plain_scalar(node, f"{file}, line {line}")
    raise ManifestError(f"{file}, line {line}: the tag {shown(node.tag)} is not allowed; write a plain value.")


def _plain_mapping(node: Any, path: Location, lines: dict[Location, int], file: str) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ManifestError(f"{file}, line {line}: a key must be a word.")
        key = key_node.value
        if not key_node.style and (problem := slips.quotes(key)):
            raise ManifestError(f"{file}, line {line}: {problem}.")
        if key in mapping:
            raise _repeated(key, f"{file}, line {line}", lines[*path, key])
        lines[*path, key] = line
        mapping[key] = _plain(value_node, (*path, key), lines, file)
    return mapping


def _plain_scalar(node: Any, where: str) -> Any:
    text: str = node.value
    tag = node.tag.removeprefix("tag:yaml.org,2002:")
    if tag == "str":
        if not node.style and (problem := slips.quotes(text)):
            raise ManifestError(f"{where}: {problem}.")
        return text
    if tag not in _SCALARS:
        raise ManifestError(f"{where}: the tag {shown(node.tag)} is not allowed; write a plain value.")
    kind, pattern, _ = _SCALARS[tag]
    if not re.fullmatch(pattern, text):
        raise ManifestError(f"{where}: {shown(text)} is no {kind}, as !!{tag} says; leave the tag out.")
    match tag:
        case "bool":
            return text.lower() == "true"
        case "int":
            if len(text) > 30:
                raise ManifestError(f"{where}: a whole number of {len(text)} digits.")
            return int(text)
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
