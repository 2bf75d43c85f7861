/* Bytes of any kind into every entry that takes some: an answer, never a crash. The buffers are
   exactly as long as is said, so that ASan sees a byte too many. Each run is the same; LAVORO_FUZZ
   sets another seed. */
#include "suite.h"

static uint64_t seed;

static uint32_t any(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

/* Pieces of JSON, broken UTF-8, NULs and noise. */
static char *make(size_t *length)
{
    static const char *const pieces[] = {
        "{", "}", "[", "]", "\"", ":", ",", "null", "true", "1e999", "-0", "\\u0000", "\\ud800",
        "\xff", "\xc3", "\xf0\x9f\xa6\x80", "\"task\":\"t\"", "\"queue\":", "\"outcome\":\"retry\"",
        "\"delay_ms\":-1", "99999999999999999999", "\"id\":\"1\"", "{\"a\":", "[[[[[[[[", " ", "\n",
    };
    char buffer[512];
    size_t used = 0;
    for (uint32_t left = any(12); left > 0; left--) {
        if (any(8) == 0) {
            buffer[used++] = (char)any(256);
        } else {
            const char *piece = pieces[any(sizeof pieces / sizeof *pieces)];
            memcpy(buffer + used, piece, strlen(piece));
            used += strlen(piece);
        }
    }
    char *exact = malloc(used ? used : 1);
    assert_non_null(exact);
    memcpy(exact, buffer, used);
    *length = used;
    return exact;
}

static char *make_text(void)
{
    size_t length;
    char *bytes = make(&length), *text = malloc(length + 1);
    assert_non_null(text);
    memcpy(text, bytes, length);
    text[length] = 0;
    free(bytes);
    return text;
}

/* A refusal says why. */
static void answered(lavoro_status status)
{
    assert_int_not_equal(status, LAVORO_INTERNAL);
    assert_string_not_equal(lavoro_status_name(status), "unknown");
    if (status != LAVORO_OK) assert_true(strlen(lavoro_error_message()) > 0);
}

static void of_a_client(const char *bytes, size_t length, const char *text)
{
    static const char *const methods[] = {
        "job.info", "jobs.page", "jobs.count", "queues.pause", "schedules.preview",
        "schedules.add", "enqueue_sql", "statistics", "job.result", "retention.set", "locks.list",
    };
    const char *method = methods[any(sizeof methods / sizeof *methods)];
    lavoro_job_options options = LAVORO_JOB_OPTIONS_INIT;
    lavoro_new_job many = LAVORO_NEW_JOB_INIT;
    lavoro_lock *lock;
    lavoro_sql *sql;
    char *answer;
    options.queue = "c-fuzz";
    options.delay_ms = 3600000;
    answered(lavoro_client_enqueue(client, "t", bytes, length, &options, NULL, NULL));
    answered(lavoro_client_enqueue(client, text, NULL, 0, &options, NULL, NULL));
    answered(lavoro_client_enqueue_json(client, bytes, length, NULL));
    answered(lavoro_client_call(client, method, bytes, length, &answer));
    lavoro_string_free(answer);
    answered(lavoro_client_call(client, text, NULL, 0, NULL));
    answered(lavoro_client_schedule(client, bytes, length));
    answered(lavoro_client_enqueue_sql(client, text, bytes, length, NULL, &sql));
    lavoro_sql_free(sql);
    answered(lavoro_lock_restore(client, text, &lock));
    options.json = text;
    many.task = "t";
    many.payload = bytes;
    many.payload_length = length;
    many.options = &options;
    answered(lavoro_client_enqueue_many(client, &many, 1, NULL));
}

static void of_options(const char *text)
{
    lavoro_client_options how = LAVORO_CLIENT_OPTIONS_INIT;
    lavoro_worker_options options = LAVORO_WORKER_OPTIONS_INIT;
    lavoro_client *other;
    lavoro_worker *worker;
    options.json = options.name = text;
    answered(lavoro_worker_new(client, &options, &worker));
    lavoro_worker_free(worker);
    how.json = text;
    answered(lavoro_client_open("gopher:", &how, &other));
}

static void of_a_job(lavoro_job *job, const char *bytes, size_t length, const char *text)
{
    answered(lavoro_job_progress(job, (float)any(200) - 50, text, text));
    answered(lavoro_job_log(job, text));
    answered(lavoro_job_checkpoint_save(job, bytes, length));
    lavoro_sql *sql;
    answered(lavoro_client_complete_sql(client, job, bytes, length, &sql));
    lavoro_sql_free(sql);
}

static void survives_any_bytes(void **state)
{
    const char *given = getenv("LAVORO_FUZZ");
    int rounds = getenv("LAVORO_FUZZ_ROUNDS") ? atoi(getenv("LAVORO_FUZZ_ROUNDS")) : 300;
    lavoro_job *job;
    (void)state;
    seed = given ? strtoull(given, NULL, 10) : 1;
    lavoro_worker *worker = puller("c-fuzzed");
    enqueue("c-fuzzed", NULL);
    OK(lavoro_worker_next(worker, 30000, &job));
    for (int round = 0; round < rounds; round++) {
        size_t length;
        char *bytes = make(&length), *text = make_text();
        of_a_client(bytes, length, text);
        of_options(text);
        of_a_job(job, bytes, length, text);
        free(bytes);
        free(text);
    }
    size_t length;
    char *bytes = make(&length);
    answered(lavoro_job_complete(job, bytes, length));
    free(bytes);
    OK(lavoro_job_free(job));
    OK(lavoro_worker_free(worker));
}

const struct CMUnitTest FUZZ_TESTS[] = {cmocka_unit_test(survives_any_bytes)};
const size_t FUZZ_COUNT = sizeof FUZZ_TESTS / sizeof *FUZZ_TESTS;
