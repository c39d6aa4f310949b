#!/usr/bin/env python3
"""Holds the double's table of requests to Firecracker's API description, in both directions.

usage: api_table_test.py FAKE_FIRECRACKER DESCRIPTION; exit 77 (skipped) where the description is not there.
Every request of the one is in the other, with the same body; every field of every body that a request reaches is in the
other, with the same type, need, bounds and words. One path parameter is written {id} in the table, whatever its name.
"""
import json
import os
import re
import subprocess
import sys

SKIPPED = 77
WORDS_OF_BOOLEANS = {False: "Off", True: "On"}  # YAML 1.1 reads the bare word Off as a boolean


def ref(schema):
    return schema["$ref"].rsplit("/", 1)[-1] if "$ref" in schema else None


def words(schema):
    return [WORDS_OF_BOOLEANS.get(word, word) if isinstance(word, bool) else word for word in schema["enum"]]


def field_of(schema, required, definitions):
    """A field of the description, in the table's terms."""
    name = ref(schema)
    if name and definitions[name]["type"] != "object":
        schema, name = definitions[name], None
    if name:
        return {"type": "object", "required": required, "of": name}
    if schema["type"] == "array":
        items = schema["items"]
        return {"type": "array", "required": required, "of": ref(items) or items["type"]}
    if "enum" in schema:
        return {"type": "word", "required": required, "words": words(schema)}
    field = {"type": schema["type"], "required": required}
    field.update({bound: schema[bound] for bound in ("minimum", "maximum") if bound in schema})
    return field


def described(description):
    """(requests, bodies) of the description, in the table's terms."""
    definitions = description["definitions"]
    requests, reached = {}, []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            body = [ref(p["schema"]) for p in operation.get("parameters", []) if p["in"] == "body"]
            requests[(method.upper(), re.sub(r"\{\w+\}", "{id}", path))] = body[0] if body else ""
            reached += body
    bodies = {}
    while reached:
        name = reached.pop()
        if name in bodies:
            continue
        required = definitions[name].get("required", [])
        properties = definitions[name].get("properties", {})
        bodies[name] = {f: field_of(s, f in required, definitions) for f, s in properties.items()}
        reached += [f["of"] for f in bodies[name].values() if f.get("of", "string") != "string"]
    return requests, bodies


def differences(what, ours, theirs):
    for key in sorted(set(ours) - set(theirs), key=str):
        yield f"{what} {key} is in the table and not in the description"
    for key in sorted(set(theirs) - set(ours), key=str):
        yield f"{what} {key} is in the description and not in the table"
    for key in sorted(set(ours) & set(theirs), key=str):
        if isinstance(ours[key], dict) and what == "body":
            yield from differences(f"field of {key}", ours[key], theirs[key])
        elif ours[key] != theirs[key]:
            yield f"{what} {key}: the table says {ours[key]}, the description {theirs[key]}"


def main():
    if not os.path.exists(sys.argv[2]):
        print(f"skipped: {sys.argv[2]} is not there")
        return SKIPPED
    import yaml  # Debian: python3-yaml

    table = json.loads(subprocess.run([sys.argv[1], "--print-api-table"], check=True, capture_output=True).stdout)
    with open(sys.argv[2], encoding="utf-8") as file:
        requests, bodies = described(yaml.safe_load(file))
    ours = {(r["method"], r["path"]): r["body"] for r in table["requests"]}
    found = [*differences("request", ours, requests), *differences("body", table["bodies"], bodies)]
    print("\n".join(found) or f"same: {len(ours)} requests, {len(bodies)} bodies")
    return 1 if found else 0


sys.exit(main())
