"""Which documents are meant as manifests, and which are another program's."""

from __future__ import annotations

import pytest

from pipeline.manifest.recognition import is_foreign, what_it_lacks
from tests.manifest.conftest import MINIMAL

TAKEOUT = '{"title": "IMG_1.jpg", "description": "", "imageViews": "1", "geoData": {"latitude": 0.0}, "url": "x"}'
OTHERS = {  # what other programs leave: file name, text
    "Google's sidecar": ("IMG_1.jpg.supplemental-metadata.json", TAKEOUT),
    "Google's sidecar, cut": ("IMG_20240701_100533_long name.jpg.supplemental-me.json", TAKEOUT),
    "Google's sidecar, numbered": ("IMG_1.jpg.supplemental-metadata(1).json", TAKEOUT),
    "Google's sidecar of old": ("IMG_1.jpg(1).json", TAKEOUT),
    "Google's album": ("metadata.json", '{"title": "Summer", "date": {"timestamp": "1"}, "access": "protected"}'),
    "exiftool": ("out.json", '[{"SourceFile": "a.jpg", "style": "none"}]'),
    "npm": ("package.json", '{"name": "site", "version": "1.0.0", "scripts": {"build": "x"}, "main": "a.js"}'),
    "npm, of a style sheet": (
        "package.json",
        '{"name": "b", "style": "a.css", "version": "5", "main": "a", "sass": "b", "files": [], "license": "MIT",'
        ' "repository": {}, "bugs": {}, "author": "x", "keywords": ["css"], "homepage": "h"}',
    ),
    "TypeScript": ("tsconfig.json", '{\n // a comment\n "compilerOptions": {"target": "es6",},\n "include": []}'),
    "Babel": ("babel.config.json", '{"presets": ["@babel/env"]}'),
    "JSON-LD": ("page.json", '{"@context": "https://schema.org", "@type": "Photo"}'),
    "Azure": ("parameters.json", '{"$schema": "s", "contentVersion": "1", "parameters": {}, "a": 1, "b": 2, "c": 3}'),
    "docker": ("docker-compose.yml", "name: web\nservices:\n  web:\n    image: nginx\n    style: none\n"),
    "docker, with aliases": ("docker-compose.yml", "x-a: &a {b: 1}\nservices:\n  web:\n    <<: *a\n"),
    "Kubernetes": ("pod.yaml", "apiVersion: v1\nkind: Pod\n---\napiVersion: v1\nkind: Service\n"),
    "Home Assistant": ("configuration.yaml", "automation: !include automations.yaml\nlogger:\n  default: info\n"),
    "GitHub": ("build.yml", "name: build\non: [push]\njobs:\n  build:\n    runs-on: ubuntu\n"),
    "Ansible": ("site.yml", "- hosts: all\n  tasks:\n    - name: content\n"),
    "a list": ("list.yaml", "- content: a.jpg\n- b\n"),
    "a list of JSON": ("list.json", "[1, 2]"),
    "a number": ("number.json", "3"),
    "a text": ("note.yaml", "remember the milk"),
    "null": ("null.json", "null"),
    "nothing": ("nothing.yaml", ""),
    "blanks": ("blank.yml", " \n\n"),
    "a comment": ("comment.yaml", "# nothing yet\n"),
    "zeros": ("zeros.yaml", "\0" * 5000),
    "brackets": ("deep.json", "[" * 50_000),
    "a web page": ("photo.yaml", "<!DOCTYPE html><html><body>Not found</body></html>"),
    "Word": ("harbour.yaml", "PK\x03\x04\x14\x00content"),
}
OURS = {  # what a person meant as a manifest: file name, text
    "whole": ("a.yaml", MINIMAL),
    "cut": ("a.yaml", "content: pho"),
    "misspelt": ("a.yaml", "contnet: a.jpg\nstile: b.jpg\n"),
    "in capitals": ("a.yaml", "Content: a.jpg\nSTYLE: b.jpg\n"),
    "a sweep alone": ("a.json", '{"sweep": {"content": "*.jpg", "style": ["a"]}}'),
    "parameters alone": ("a.yaml", "parameters: {epochs: 3}"),
    "words beside it": ("a.yaml", "content: a.jpg\nphoto: b.jpg\nsize: 3\ncolour: red\n"),
    "tabs": ("a.yaml", "\tcontent: a.jpg\n\tstyle: b.jpg\n"),
    "a no-break space": ("a.yaml", "content:\u00a0a.jpg\nstyle:\u00a0b.jpg\n"),
    "equals signs": ("a.yaml", "content = a.jpg\nstyle = b.jpg\n"),
    "an open quote": ("a.yaml", "content: 'a.jpg\nstyle: b.jpg\n"),
    "YAML within JSON's name": ("a.json", "content: a.jpg\nstyle: b.jpg\n"),
    "curly quotes": ("a.json", "{“content”: “a.jpg”, “style”: “b.jpg”}"),
    "no quotes": ("a.json", "{content: 'a.jpg', style: 'b.jpg'}"),
    "rich text": ("a.yaml", "{\\rtf1\\ansi\n\\f0\\fs24 content: a.jpg\\\nstyle: b.jpg}"),
    "a bomb": ("a.yaml", "content: &a [x, x]\nstyle: [*a, *a]\n"),
    "two documents": ("a.yaml", f"{MINIMAL}---\n{MINIMAL}"),
}


@pytest.mark.parametrize("name, text", OTHERS.values(), ids=OTHERS)
def test_what_another_program_has_written_is_foreign(name: str, text: str) -> None:
    assert is_foreign(text.encode(), name)


@pytest.mark.parametrize("name, text", OURS.values(), ids=OURS)
def test_what_was_meant_as_a_manifest_is_ours_however_broken(name: str, text: str) -> None:
    assert not is_foreign(text.encode(), name)


@pytest.mark.parametrize(
    ("name", "text"), [("a.yaml", "{\\rtf" + "a" * 250_000), ("a.json", '{"' + '\\"' * 120_000)], ids=["RTF", "JSON"]
)
def test_a_document_without_an_end_is_looked_at_once(name: str, text: str) -> None:
    assert is_foreign(text.encode(), name)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1", "utf-32"])
def test_words_are_found_in_any_encoding(encoding: str) -> None:
    assert not is_foreign("content: grün.jpg\nstyle: b.jpg\n".encode(encoding), "a.yaml")


def test_a_parameter_tells_enough_where_the_name_says_what_is_meant() -> None:
    assert is_foreign(b"strength: 2", "training.yaml")
    assert not is_foreign(b"strength: 2", "style.yaml", is_named=True)
    assert is_foreign(b'{"version": 8, "name": "map", "sources": {}, "layers": []}', "style.json", is_named=True)


@pytest.mark.parametrize(
    "data, lack",
    [
        (b"", "it is empty"),
        (b'{"title": "IMG_1.jpg"}', "it has none of a manifest's fields, such as `content` and `style`"),
        (b"PK\3\4", "a document of an office program, not plain text; save it as plain text in UTF-8"),
        (b"\xff\xd8\xff\xe0", "a picture, not plain text; save it as plain text in UTF-8"),
        (b"\n <html>", "a web page or XML, not plain text; save it as plain text in UTF-8"),
    ],
)
def test_what_a_foreign_document_lacks_is_said(data: bytes, lack: str) -> None:
    assert what_it_lacks(data) == lack
