/* What the test files share. */
#ifndef SUITE_H
#define SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lavoro.h"

/* The client of all tests, on a throw-away database. */
extern lavoro_client *client;

#define OK(call)                                                                        \
    do {                                                                                \
        lavoro_status status_ = (call);                                                 \
        if (status_ != LAVORO_OK)                                                       \
            fail_msg("%s: %s: %s", #call, lavoro_status_name(status_), lavoro_error_message()); \
    } while (0)

#define IS(expected, call)                                                              \
    do {                                                                                \
        lavoro_status status_ = (call);                                                 \
        if (status_ != (expected))                                                      \
            fail_msg("%s: %s instead of %s: %s", #call, lavoro_status_name(status_),    \
                     #expected, lavoro_error_message());                                \
    } while (0)

#define ALL LAVORO_NUL_TERMINATED

/* A worker that hands out jobs of one task, named like its queue. */
lavoro_worker *puller(const char *task);
int64_t enqueue(const char *task, const char *payload);
/* Waits until the job has ended and checks its state. */
void ends(int64_t id, const char *state);

extern const struct CMUnitTest CLIENT_TESTS[], WORKER_TESTS[], MISUSE_TESTS[], FUZZ_TESTS[];
extern const size_t CLIENT_COUNT, WORKER_COUNT, MISUSE_COUNT, FUZZ_COUNT;

#endif
