"""The corpus of hostile input that every language must judge alike, through the C interface."""

import json
import os
import sys

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "../examples/c"))
from lavoro_ctypes import Client, Error


import base64
import ctypes as c

from lavoro_ctypes import check, lib


# What the JSON of all bindings takes otherwise than SQL: a key that is null counts as left out, what a
# backoff leaves out is the default, and text that is no JSON spoils all of the options.
OTHERWISE = {
    "metadata: null": "ok",
    "metadata: nonsense": "invalid_option",
    "backoff: a missing field": "ok",
    "backoff: null": "ok",
    "backoff: an object": "ok",
}


class Options(c.Structure):
    _fields_ = [("size", c.c_size_t), ("queue", c.c_char_p), ("unique_key", c.c_char_p),
                ("json", c.c_char_p), ("delay_ms", c.c_int64), ("timeout_ms", c.c_int64),
                ("priority", c.c_int32), ("max_attempts", c.c_uint32)]


def value(entry):
    made = entry.get("generate")
    if made is None:
        return entry["value"]
    return made.get("prefix", "") + made["repeat"] * made["times"] + made.get("suffix", "")


def options(fields):
    """The values of metadata and backoff are JSON already."""
    parts = []
    for key, one in fields.items():
        if key in ("task", "payload", "payload_base64"):
            continue
        text = one if key in ("metadata", "backoff") else json.dumps(one)
        parts.append(f"{json.dumps(key)}:{text}")
    return "{" + ",".join(parts) + "}"


def verdict(client, fields):
    task = fields.get("task", "t")
    payload = fields.get("payload", "{}").encode("utf-8", "surrogatepass")
    if "payload_base64" in fields:
        payload = base64.b64decode(fields["payload_base64"])
    try:
        if "\0" in task:  # no C string
            client.enqueue_json(json.dumps([{"task": task}]).encode())
            return "ok"
        how = Options(size=c.sizeof(Options), json=options(fields).encode("utf-8", "surrogatepass"))
        check(lib.lavoro_client_enqueue(client.raw, task.encode(), payload, len(payload),
                                        c.byref(how), None, None))
        return "ok"
    except Error as error:
        return error.code


def main():
    client = Client("memory:")
    with open(sys.argv[1]) as file:
        corpus = json.load(file)
    wrong = 0
    for entry in corpus:
        fields = {**entry.get("with", {}), entry["field"]: value(entry)}
        found = verdict(client, fields)
        if found != OTHERWISE.get(entry["name"], entry["verdict"]):
            wrong += 1
            print(f"{entry['name']}: {found} instead of {entry['verdict']}: "
                  f"{lib.lavoro_error_message().decode()[:150]}")
    client.close()
    print(f"hostile corpus: {len(corpus) - wrong} of {len(corpus)} judged as expected, "
          f"{len(OTHERWISE)} of them otherwise than by SQL")
    sys.exit(wrong > 0)


main()
