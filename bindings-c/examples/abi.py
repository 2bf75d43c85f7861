#!/usr/bin/env python3
"""Calls the C interface from ctypes, as a stand-in for any language that can call C.

    abi.py [URL]        with liblavoro.so.1 where the loader finds it

For Python itself there is the package lavoro.
"""

import ctypes
import json
import sys
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_void_p

OK, INVALID_TASK, INVALID_HANDLE = 0, 1, 101
ABI = 1


class WorkerOptions(ctypes.Structure):
    """lavoro_worker_options. All zero, with its size, is LAVORO_WORKER_OPTIONS_INIT."""

    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("queue", c_char_p),
        ("json", c_char_p),
        ("concurrency", c_uint32),
    ]


# Handles are void *; a char * that is ours to free is one too, or ctypes would copy and leak it.
SIGNATURES = {
    "abi_check": (c_int, [c_uint32]),
    "version": (c_char_p, []),
    "error_message": (c_char_p, []),
    "status_name": (c_char_p, [c_int32]),
    "string_free": (c_int, [c_void_p]),
    "client_open": (c_int, [c_char_p, c_void_p, POINTER(c_void_p)]),
    "client_close": (c_int, [c_void_p]),
    "client_enqueue": (
        c_int,
        [c_void_p, c_char_p, c_char_p, c_size_t, c_void_p, POINTER(c_int64), POINTER(c_bool)],
    ),
    "client_job_result": (c_int, [c_void_p, c_int64, c_int64, POINTER(c_void_p)]),
    "worker_new": (c_int, [c_void_p, POINTER(WorkerOptions), POINTER(c_void_p)]),
    "worker_next": (c_int, [c_void_p, c_int64, POINTER(c_void_p)]),
    "worker_stop": (c_int, [c_void_p, c_int64]),
    "worker_free": (c_int, [c_void_p]),
    "job_payload": (c_char_p, [c_void_p, POINTER(c_size_t)]),
    "job_complete": (c_int, [c_void_p, c_char_p, c_size_t]),
    "job_free": (c_int, [c_void_p]),
}


class Library:
    """The functions of liblavoro without their prefix."""

    def __init__(self) -> None:
        library = ctypes.CDLL("liblavoro.so.1")
        for name, (answer, arguments) in SIGNATURES.items():
            function = getattr(library, f"lavoro_{name}")
            function.restype, function.argtypes = answer, arguments
            setattr(self, name, function)
        self.must(self.abi_check(ABI))

    def must(self, status: int) -> None:
        if status != OK:
            name = self.status_name(status).decode()
            raise RuntimeError(f"{name}: {self.error_message().decode()}")

    def take(self, text: c_void_p) -> str:
        """Copies a text of the library's and frees it."""
        value = ctypes.string_at(text.value)
        self.must(self.string_free(text))
        return value.decode()


def enqueue(lib: Library, client: c_void_p, task: str, payload: object) -> int:
    job = c_int64()
    text = json.dumps(payload).encode()
    lib.must(lib.client_enqueue(client, task.encode(), text, len(text), None, byref(job), None))
    return job.value


def work_one(lib: Library, worker: c_void_p) -> None:
    """Takes one job and answers the sum of its numbers."""
    job = c_void_p()
    lib.must(lib.worker_next(worker, 30_000, byref(job)))
    numbers = json.loads(lib.job_payload(job, None))
    result = json.dumps({"sum": sum(numbers)}).encode()
    lib.must(lib.job_complete(job, result, len(result)))
    lib.must(lib.job_free(job))
    if lib.job_free(job) != INVALID_HANDLE:
        raise RuntimeError("a job was freed twice")


def main() -> None:
    lib = Library()
    url = sys.argv[1].encode() if len(sys.argv) > 1 else None
    client, worker, answer = c_void_p(), c_void_p(), c_void_p()
    lib.must(lib.client_open(url, None, byref(client)))

    options = WorkerOptions(size=ctypes.sizeof(WorkerOptions), json=b'{"tasks": ["add"]}')
    lib.must(lib.worker_new(client, byref(options), byref(worker)))
    job = enqueue(lib, client, "add", [1, 2, 39])
    work_one(lib, worker)
    lib.must(lib.client_job_result(client, job, 30_000, byref(answer)))
    print(f"job {job}: {lib.take(answer)}")

    if lib.client_enqueue(client, b"", None, 0, None, None, None) != INVALID_TASK:
        raise RuntimeError("a task without a name was taken")
    print(f"refused: {lib.error_message().decode()}")

    lib.must(lib.worker_stop(worker, 10_000))
    lib.must(lib.worker_free(worker))
    lib.must(lib.client_close(client))
    print(f"lavoro {lib.version().decode()}")


if __name__ == "__main__":
    main()
