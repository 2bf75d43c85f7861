/* Workers: by callback, by pull, with poll(2). */
#include "suite.h"

#include <poll.h>
#include <pthread.h>

static lavoro_job *next(lavoro_worker *worker)
{
    lavoro_job *job;
    OK(lavoro_worker_next(worker, 30000, &job));
    return job;
}

static void pulls_and_reports(void **state)
{
    size_t length;
    char *text;
    (void)state;
    lavoro_worker *worker = puller("c-pull");
    int64_t id = enqueue("c-pull", "{\"n\": 1}");
    lavoro_job *job = next(worker);
    assert_true(lavoro_job_id(job) == id);
    assert_int_equal(lavoro_job_attempt(job), 1);
    assert_true(lavoro_job_max_attempts(job) > 1);
    assert_string_equal(lavoro_job_task(job), "c-pull");
    assert_string_equal(lavoro_job_queue(job), "c-pull");
    assert_string_equal(lavoro_job_payload(job, &length), "{\"n\": 1}");
    assert_int_equal(length, 8);
    assert_int_equal(lavoro_job_stop_reason(job), LAVORO_STOP_NONE);
    OK(lavoro_job_json(job, &text));
    assert_non_null(strstr(text, "\"attempt\":1"));
    OK(lavoro_string_free(text));
    OK(lavoro_job_progress(job, 50, "half", "{\"a\":1}"));
    OK(lavoro_job_progress(job, -1, NULL, NULL));
    IS(LAVORO_INVALID_OPTION, lavoro_job_progress(job, 101, NULL, NULL));
    OK(lavoro_job_log(job, "a line"));
    OK(lavoro_job_checkpoint_load(job, &text));
    assert_null(text);
    OK(lavoro_job_checkpoint_save(job, "{\"at\": 3}", ALL));
    OK(lavoro_job_checkpoint_load(job, &text));
    assert_string_equal(text, "{\"at\": 3}");
    OK(lavoro_string_free(text));
    OK(lavoro_job_complete(job, "\"done\"", ALL));
    IS(LAVORO_INVALID_STATE, lavoro_job_fail(job, "too late"));
    OK(lavoro_job_free(job));
    IS(LAVORO_INVALID_HANDLE, lavoro_job_free(job));
    assert_true(lavoro_job_id(job) == 0);
    OK(lavoro_client_job_result(client, id, 30000, &text));
    assert_string_equal(text, "{\"state\":\"completed\",\"result\":\"done\",\"error\":null}");
    OK(lavoro_string_free(text));
    IS(LAVORO_TIMEOUT, lavoro_worker_next(worker, 0, &job));
    assert_null(job);
    OK(lavoro_worker_health(worker, &text));
    assert_non_null(strstr(text, "\"healthy\":true"));
    OK(lavoro_string_free(text));
    OK(lavoro_worker_stop(worker, 1000));
    IS(LAVORO_CLOSED, lavoro_worker_next(worker, -1, &job));
    OK(lavoro_worker_free(worker));
    IS(LAVORO_INVALID_HANDLE, lavoro_worker_free(worker));
}

static void every_outcome(void **state)
{
    (void)state;
    lavoro_worker *worker = puller("c-outcome");
    int64_t id = enqueue("c-outcome", NULL);
    lavoro_job *job = next(worker);
    OK(lavoro_job_retry(job, "again", 0));
    OK(lavoro_job_free(job));
    job = next(worker);
    assert_int_equal(lavoro_job_attempt(job), 2);
    OK(lavoro_job_snooze(job, 0));
    OK(lavoro_job_free(job));
    job = next(worker);
    assert_int_equal(lavoro_job_attempt(job), 2);
    OK(lavoro_job_release(job));
    OK(lavoro_job_free(job));
    job = next(worker);
    assert_int_equal(lavoro_job_attempt(job), 2);
    OK(lavoro_job_free(job)); /* without an outcome: handed back */
    job = next(worker);
    assert_int_equal(lavoro_job_attempt(job), 2);
    OK(lavoro_job_fail(job, "never"));
    OK(lavoro_job_free(job));
    ends(id, "discarded");
    id = enqueue("c-outcome", NULL);
    job = next(worker);
    OK(lavoro_job_cancel(job, NULL));
    OK(lavoro_job_free(job));
    ends(id, "cancelled");
    id = enqueue("c-outcome", NULL);
    job = next(worker);
    IS(LAVORO_INVALID_OPTION, lavoro_job_finish(job, "{\"outcome\":\"maybe\"}", ALL));
    OK(lavoro_job_finish(job, "{\"outcome\":\"complete\"}", ALL));
    OK(lavoro_job_free(job));
    ends(id, "completed");
    OK(lavoro_worker_free(worker));
}

static void a_cancelled_job_is_told(void **state)
{
    (void)state;
    lavoro_worker *worker = puller("c-cancel");
    int64_t id = enqueue("c-cancel", NULL);
    lavoro_job *job = next(worker);
    OK(lavoro_client_job_cancel(client, id));
    for (int i = 0; i < 30000 && lavoro_job_stop_reason(job) == LAVORO_STOP_NONE; i++)
        poll(NULL, 0, 1);
    assert_int_equal(lavoro_job_stop_reason(job), LAVORO_STOP_CANCELLED);
    OK(lavoro_job_cancel(job, "was told"));
    OK(lavoro_job_free(job));
    ends(id, "cancelled");
    OK(lavoro_worker_free(worker));
}

static void polls(void **state)
{
    struct pollfd fd = {-1, POLLIN, 0};
    lavoro_job *job;
    (void)state;
    lavoro_worker *worker = puller("c-poll");
    OK(lavoro_worker_fd(worker, &fd.fd));
    IS(LAVORO_TIMEOUT, lavoro_worker_next(worker, 0, &job));
    assert_int_equal(poll(&fd, 1, 0), 0);
    for (int round = 0; round < 3; round++) {
        int64_t first = enqueue("c-poll", NULL), second = enqueue("c-poll", NULL);
        int seen = 0;
        while (seen < 2) {
            assert_int_equal(poll(&fd, 1, 30000), 1);
            while (lavoro_worker_next(worker, 0, &job) == LAVORO_OK) {
                OK(lavoro_job_complete(job, NULL, 0));
                OK(lavoro_job_free(job));
                seen++;
            }
        }
        ends(first, "completed");
        ends(second, "completed");
        assert_int_equal(poll(&fd, 1, 0), 0);
    }
    OK(lavoro_worker_stop(worker, 1000));
    assert_int_equal(poll(&fd, 1, 5000), 1);
    IS(LAVORO_CLOSED, lavoro_worker_next(worker, 0, &job));
    OK(lavoro_worker_free(worker));
}

struct seen {
    pthread_mutex_t lock;
    int count;
    lavoro_worker *worker;
};

static int handle(lavoro_job *job, void *user_data)
{
    struct seen *seen = user_data;
    char *text = NULL;
    int ok = 1;
    pthread_mutex_lock(&seen->lock);
    seen->count++;
    pthread_mutex_unlock(&seen->lock);
    /* Calls back, also into what it may not do. */
    ok &= lavoro_client_enqueue(client, "c-follow", NULL, 0, NULL, NULL, NULL) == LAVORO_OK;
    ok &= lavoro_job_free(job) == LAVORO_INVALID_STATE;
    ok &= lavoro_worker_free(seen->worker) == LAVORO_INVALID_STATE;
    ok &= lavoro_worker_run(seen->worker) == LAVORO_INVALID_STATE;
    ok &= lavoro_client_close(client) == LAVORO_INVALID_STATE;
    ok &= lavoro_job_checkpoint_load(job, &text) == LAVORO_OK;
    lavoro_string_free(text);
    if (strstr(lavoro_job_payload(job, NULL), "number"))
        return lavoro_job_attempt(job) == 1 ? 42 : 0;
    if (strstr(lavoro_job_payload(job, NULL), "stop"))
        ok &= lavoro_worker_stop(seen->worker, 1000) == LAVORO_OK;
    lavoro_job_complete(job, ok ? "\"ok\"" : "\"bad\"", ALL);
    return 1; /* an outcome was reported: this does not count */
}

static lavoro_worker *staffed(struct seen *seen, const char *queue)
{
    lavoro_worker_options options = LAVORO_WORKER_OPTIONS_INIT;
    options.queue = queue;
    options.concurrency = 3;
    /* A failed attempt is tried again at once. */
    options.json = "{\"backoff\":{\"c-a\":{\"kind\":\"fixed\",\"base_ms\":0}}}";
    OK(lavoro_worker_new(client, &options, &seen->worker));
    OK(lavoro_worker_handle(seen->worker, "c-a", handle, seen));
    IS(LAVORO_DUPLICATE_HANDLER, lavoro_worker_handle(seen->worker, "c-a", handle, seen));
    IS(LAVORO_INVALID_ARGUMENT, lavoro_worker_handle(seen->worker, "c-b", NULL, NULL));
    return seen->worker;
}

static int64_t for_callbacks(const char *queue, const char *payload)
{
    int64_t id;
    lavoro_job_options options = LAVORO_JOB_OPTIONS_INIT;
    options.queue = queue;
    OK(lavoro_client_enqueue(client, "c-a", payload, ALL, &options, &id, NULL));
    return id;
}

static void calls_back_on_its_own_threads(void **state)
{
    struct seen seen = {PTHREAD_MUTEX_INITIALIZER, 0, NULL};
    int64_t ids[20];
    char *text;
    (void)state;
    lavoro_worker *worker = staffed(&seen, "c-start");
    OK(lavoro_worker_start(worker));
    IS(LAVORO_INVALID_STATE, lavoro_worker_start(worker));
    IS(LAVORO_INVALID_STATE, lavoro_worker_handle(worker, "late", handle, NULL));
    IS(LAVORO_TIMEOUT, lavoro_worker_event(worker, 0, &text));
    for (int i = 0; i < 20; i++) ids[i] = for_callbacks("c-start", i ? "{}" : "\"number\"");
    for (int i = 0; i < 20; i++) ends(ids[i], "completed");
    OK(lavoro_worker_event(worker, 30000, &text));
    assert_non_null(strstr(text, "\"event\":"));
    OK(lavoro_string_free(text));
    OK(lavoro_client_job_result(client, ids[1], 30000, &text));
    assert_non_null(strstr(text, "\"result\":\"ok\""));
    OK(lavoro_string_free(text));
    OK(lavoro_worker_stop(worker, 5000));
    OK(lavoro_worker_free(worker));
    assert_int_equal(seen.count, 21);
}

static void runs_on_the_callers_thread(void **state)
{
    struct seen seen = {PTHREAD_MUTEX_INITIALIZER, 0, NULL};
    (void)state;
    lavoro_worker *worker = staffed(&seen, "c-run");
    int64_t first = for_callbacks("c-run", "{}");
    int64_t last = for_callbacks("c-run", "\"stop\"");
    OK(lavoro_worker_run(worker)); /* until the last one stops it */
    ends(first, "completed");
    ends(last, "completed");
    assert_int_equal(seen.count, 2);
    OK(lavoro_worker_free(worker));
}

const struct CMUnitTest WORKER_TESTS[] = {
    cmocka_unit_test(pulls_and_reports),
    cmocka_unit_test(every_outcome),
    cmocka_unit_test(a_cancelled_job_is_told),
    cmocka_unit_test(polls),
    cmocka_unit_test(calls_back_on_its_own_threads),
    cmocka_unit_test(runs_on_the_callers_thread),
};
const size_t WORKER_COUNT = sizeof WORKER_TESTS / sizeof *WORKER_TESTS;
