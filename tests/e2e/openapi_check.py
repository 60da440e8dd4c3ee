"""Holds every answer that the tests see to docs/openapi.yaml: its path, its status, its content type and its body."""

import json
import pathlib
import re

import jsonschema
import yaml

DOCUMENT = yaml.safe_load((pathlib.Path(__file__).resolve().parents[2] / "docs/openapi.yaml").read_text())


def _pattern(path):
    return re.compile("^" + re.sub(r"\\{[^/]+\\}", "[^/]+", re.escape(path)) + "$")


# A literal path stands before one with parameters.
PATHS = sorted(((_pattern(path), path) for path in DOCUMENT["paths"]), key=lambda pair: pair[1].count("{"))


def _resolve(node):
    while "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = target
    return node


def check(method, path, answer):
    """Asserts that the answer is one that the document describes."""
    known = next((name for pattern, name in PATHS if pattern.match(path.split("?")[0])), None)
    if known is None or method.lower() not in DOCUMENT["paths"][known]:
        assert answer.status_code in (400, 401, 404, 405), f"{method} {path} is not in openapi.yaml and was answered {answer.status_code}"
        schema = {"$ref": "#/components/schemas/Problem"}
    else:
        responses = DOCUMENT["paths"][known][method.lower()]["responses"]
        described = responses.get(str(answer.status_code)) or responses.get(f"{answer.status_code // 100}XX")
        assert described, f"{method} {path}: {answer.status_code} is not described"
        content = _resolve(described).get("content")
        if content is None:
            assert answer.content == b""
            return
        kind, media = next(iter(content.items()))
        assert answer.headers["Content-Type"] == kind, answer.headers["Content-Type"]
        if not kind.endswith("json"):
            return
        schema = media["schema"]
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(json.loads(answer.content))
