/* The client: enqueue, look at and change jobs; queues, schedules, locks. */
#include "suite.h"

static void enqueues_with_options(void **state)
{
    int64_t first, second;
    bool created = false;
    char *text;
    lavoro_job_options options = LAVORO_JOB_OPTIONS_INIT;
    (void)state;
    options.queue = "c-options";
    options.priority = 7;
    options.max_attempts = 3;
    options.delay_ms = 60000;
    options.unique_key = "only one";
    options.json = "{\"tags\":[\"a\"]}";
    OK(lavoro_client_enqueue(client, "t", "{\"x\":1}", 7, &options, &first, &created));
    assert_true(created);
    OK(lavoro_client_enqueue(client, "t", NULL, 0, &options, &second, &created));
    assert_false(created);
    assert_int_equal(first, second);
    char arguments[64];
    snprintf(arguments, sizeof arguments, "{\"id\":\"%lld\"}", (long long)first);
    OK(lavoro_client_call(client, "job.info", arguments, ALL, &text));
    assert_non_null(strstr(text, "\"priority\":7"));
    assert_non_null(strstr(text, "\"max_attempts\":3"));
    assert_non_null(strstr(text, "\"tags\":[\"a\"]"));
    OK(lavoro_string_free(text));
    OK(lavoro_client_job_state(client, first, &text));
    assert_string_equal(text, "scheduled");
    OK(lavoro_string_free(text));
    OK(lavoro_client_job_cancel(client, first));
    ends(first, "cancelled");
}

static void enqueues_many(void **state)
{
    int64_t ids[3] = {0, 0, 0};
    char *text;
    lavoro_job_options options = LAVORO_JOB_OPTIONS_INIT;
    lavoro_new_job jobs[3] = {LAVORO_NEW_JOB_INIT, LAVORO_NEW_JOB_INIT, LAVORO_NEW_JOB_INIT};
    (void)state;
    options.queue = "c-many";
    for (int i = 0; i < 3; i++) {
        jobs[i].task = "many";
        jobs[i].payload = "[1]";
        jobs[i].payload_length = ALL;
        jobs[i].options = &options;
    }
    OK(lavoro_client_enqueue_many(client, jobs, 3, ids));
    assert_true(ids[0] > 0 && ids[1] > ids[0] && ids[2] > ids[1]);
    OK(lavoro_client_enqueue_many(client, NULL, 0, NULL));
    jobs[1].task = "";
    IS(LAVORO_INVALID_TASK, lavoro_client_enqueue_many(client, jobs, 3, NULL));
    assert_non_null(strstr(lavoro_error_message(), "job 1"));
    OK(lavoro_client_call(client, "jobs.count", "{\"filter\":{\"queue\":\"c-many\"}}", ALL, &text));
    assert_string_equal(text, "3");
    OK(lavoro_string_free(text));
    OK(lavoro_client_enqueue_json(client, "[{\"task\":\"j\",\"queue\":\"c-many\"}]", ALL, &text));
    assert_true(text[0] == '[' && text[1] == '"');
    OK(lavoro_string_free(text));
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    IS(LAVORO_INVALID_PAYLOAD, lavoro_client_enqueue(client, "t", "{", ALL, NULL, NULL, NULL));
    assert_true(strlen(lavoro_error_message()) > 0);
    assert_false(lavoro_error_is_transient());
    IS(LAVORO_JOB_NOT_FOUND, lavoro_client_job_retry(client, 987654321));
    assert_non_null(strstr(lavoro_error_message(), "987654321"));
    assert_string_equal(lavoro_status_name(LAVORO_JOB_NOT_FOUND), "job_not_found");
    assert_string_equal(lavoro_status_name(-5), "unknown");
    IS(LAVORO_ABI_MISMATCH, lavoro_abi_check(LAVORO_ABI_VERSION + 1));
}

static void looks_after_queues_and_schedules(void **state)
{
    char *text;
    (void)state;
    OK(lavoro_client_queue_pause(client, "c-paused"));
    OK(lavoro_client_call(client, "queues.list", NULL, 0, &text));
    assert_non_null(strstr(text, "c-paused"));
    OK(lavoro_string_free(text));
    OK(lavoro_client_queue_resume(client, "c-paused"));
    const char *schedule = "{\"name\":\"c\",\"task\":\"t\",\"every\":\"hour\"}";
    OK(lavoro_client_schedule(client, schedule, ALL));
    OK(lavoro_client_call(client, "schedules.list", NULL, 0, &text));
    assert_non_null(strstr(text, "\"name\":\"c\""));
    OK(lavoro_string_free(text));
    OK(lavoro_client_call(client, "schedules.remove", "{\"name\":\"c\"}", ALL, NULL));
    IS(LAVORO_SCHEDULE_NOT_FOUND,
       lavoro_client_call(client, "schedules.show", "{\"name\":\"c\"}", ALL, NULL));
}

static void locks(void **state)
{
    lavoro_lock *lock, *other, *restored;
    lavoro_lock_options options = LAVORO_LOCK_OPTIONS_INIT;
    char *letter;
    bool held;
    (void)state;
    OK(lavoro_lock_acquire(client, "c lock", NULL, &lock));
    assert_true(lavoro_lock_is_held(lock));
    assert_true(lavoro_lock_remaining_ms(lock) > 5000);
    OK(lavoro_lock_try_acquire(client, "c lock", NULL, &other));
    assert_null(other);
    options.wait_ms = -1;
    IS(LAVORO_TIMEOUT, lavoro_lock_acquire(client, "c lock", &options, &other));
    assert_null(other);
    OK(lavoro_lock_extend(lock, 20000));
    OK(lavoro_lock_serialise(lock, &letter));
    OK(lavoro_lock_restore(client, letter, &restored));
    assert_true(lavoro_lock_fencing_token(lock) == lavoro_lock_fencing_token(restored));
    OK(lavoro_string_free(letter));
    OK(lavoro_lock_release(lock, &held));
    assert_true(held);
    OK(lavoro_lock_release(lock, &held));
    assert_false(held);
    assert_false(lavoro_lock_is_held(lock));
    IS(LAVORO_LOCK_LOST, lavoro_lock_extend(lock, 20000));
    OK(lavoro_lock_free(lock));
    IS(LAVORO_INVALID_HANDLE, lavoro_lock_free(lock));
    OK(lavoro_lock_free(restored));
    IS(LAVORO_INVALID_OPTION, lavoro_lock_restore(client, "{}", &lock));
    options.lifetime_ms = 1;
    IS(LAVORO_INVALID_OPTION, lavoro_lock_try_acquire(client, "c", &options, &lock));
}

static void writes_sql_for_the_callers_transaction(void **state)
{
    lavoro_sql *sql;
    (void)state;
    OK(lavoro_client_enqueue_sql(client, "in tx", "{}", 2, NULL, &sql));
    assert_non_null(strstr(lavoro_sql_text(sql), "$1"));
    assert_true(lavoro_sql_count(sql) > 1);
    int found = 0;
    for (int i = 0; i < lavoro_sql_count(sql); i++) {
        const char *value = lavoro_sql_values(sql)[i];
        found += value && strcmp(value, "in tx") == 0;
    }
    assert_int_equal(found, 1);
    OK(lavoro_sql_free(sql));
    IS(LAVORO_INVALID_HANDLE, lavoro_sql_free(sql));
    assert_null(lavoro_sql_text(sql));
}

static void migrates(void **state)
{
    char *url, *answer;
    (void)state;
    OK(lavoro_client_url(client, &url));
    OK(lavoro_migrate(url, NULL, &answer));
    assert_string_equal(answer, "{\"applied\":[]}");
    OK(lavoro_string_free(answer));
    OK(lavoro_string_free(url));
}

const struct CMUnitTest CLIENT_TESTS[] = {
    cmocka_unit_test(enqueues_with_options),
    cmocka_unit_test(enqueues_many),
    cmocka_unit_test(says_what_is_wrong),
    cmocka_unit_test(looks_after_queues_and_schedules),
    cmocka_unit_test(locks),
    cmocka_unit_test(writes_sql_for_the_callers_transaction),
    cmocka_unit_test(migrates),
};
const size_t CLIENT_COUNT = sizeof CLIENT_TESTS / sizeof *CLIENT_TESTS;
