"""The C interface from another language, over Python's ctypes: what a binding for PHP, Ruby or Go
does. LAVORO_LIBRARY names the shared library."""

import ctypes as c
import json
import os

lib = c.CDLL(os.environ.get("LAVORO_LIBRARY", "liblavoro.so.1"))
ABI = 1
NUL_TERMINATED = c.c_size_t(-1).value

HANDLER = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p)
P, S, N = c.c_void_p, c.c_char_p, c.c_size_t
SIGNATURES = {
    "lavoro_client_open": [S, P, c.POINTER(P)],
    "lavoro_client_close": [P],
    "lavoro_client_url": [P, c.POINTER(P)],
    "lavoro_client_enqueue": [P, S, S, N, P, c.POINTER(c.c_int64), P],
    "lavoro_client_enqueue_json": [P, S, N, c.POINTER(P)],
    "lavoro_client_call": [P, S, S, N, c.POINTER(P)],
    "lavoro_worker_new": [P, P, c.POINTER(P)],
    "lavoro_worker_handle": [P, S, HANDLER, P],
    "lavoro_worker_start": [P],
    "lavoro_worker_stop": [P, c.c_int64],
    "lavoro_worker_free": [P],
    "lavoro_job_complete": [P, S, N],
    "lavoro_string_free": [P],
    "lavoro_abi_check": [c.c_uint32],
    "lavoro_status_name": [c.c_int32],
    "lavoro_error_message": [],
    "lavoro_job_payload": [P, P],
}
for name, arguments in SIGNATURES.items():
    getattr(lib, name).argtypes = arguments
for name in ("lavoro_status_name", "lavoro_error_message", "lavoro_job_payload"):
    getattr(lib, name).restype = S


class Error(Exception):
    def __init__(self, status):
        self.code = lib.lavoro_status_name(status).decode()
        super().__init__(lib.lavoro_error_message().decode())


def check(status):
    if status != 0:
        raise Error(status)


def take(pointer):
    """A text that the library handed out, freed."""
    text = c.cast(pointer, S).value.decode()
    lib.lavoro_string_free(pointer)
    return text


class Client:
    def __init__(self, url=None):
        check(lib.lavoro_abi_check(ABI))
        self.raw = P()
        check(lib.lavoro_client_open(url and url.encode(), None, c.byref(self.raw)))

    def close(self):
        check(lib.lavoro_client_close(self.raw))

    def url(self):
        text = P()
        check(lib.lavoro_client_url(self.raw, c.byref(text)))
        return take(text)

    def enqueue(self, task, payload=None):
        text, number = json.dumps(payload).encode(), c.c_int64()
        check(lib.lavoro_client_enqueue(self.raw, task.encode(), text, len(text), None,
                                        c.byref(number), None))
        return number.value

    def enqueue_json(self, text):
        """Bytes, as they are."""
        answer = P()
        check(lib.lavoro_client_enqueue_json(self.raw, text, len(text), c.byref(answer)))
        return json.loads(take(answer))

    def call(self, method, **arguments):
        text, answer = json.dumps(arguments).encode(), P()
        check(lib.lavoro_client_call(self.raw, method.encode(), text, len(text), c.byref(answer)))
        return json.loads(take(answer))


def main():
    client = Client("memory:")

    @HANDLER
    def greet(job, _):
        name = json.loads(lib.lavoro_job_payload(job, None))
        result = json.dumps(f"Hello, {name}!").encode()
        return lib.lavoro_job_complete(job, result, len(result))

    worker = P()
    check(lib.lavoro_worker_new(client.raw, None, c.byref(worker)))
    check(lib.lavoro_worker_handle(worker, b"greet", greet, None))
    check(lib.lavoro_worker_start(worker))
    number = client.enqueue("greet", "Ada")
    print(client.call("job.result", id=str(number))["result"])
    check(lib.lavoro_worker_stop(worker, 5000))
    check(lib.lavoro_worker_free(worker))
    client.close()


if __name__ == "__main__":
    main()
