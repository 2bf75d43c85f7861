/* Runs every test against one throw-away database. */
#include "suite.h"

lavoro_client *client;

lavoro_worker *puller(const char *task)
{
    char json[128];
    lavoro_worker *worker;
    lavoro_worker_options options = LAVORO_WORKER_OPTIONS_INIT;
    snprintf(json, sizeof json, "{\"tasks\":[\"%s\"]}", task);
    options.json = json;
    options.queue = task;
    options.concurrency = 4;
    OK(lavoro_worker_new(client, &options, &worker));
    return worker;
}

int64_t enqueue(const char *task, const char *payload)
{
    int64_t id = 0;
    lavoro_job_options options = LAVORO_JOB_OPTIONS_INIT;
    options.queue = task;
    OK(lavoro_client_enqueue(client, task, payload, ALL, &options, &id, NULL));
    assert_true(id > 0);
    return id;
}

void ends(int64_t id, const char *state)
{
    char *answer, wanted[64];
    OK(lavoro_client_job_result(client, id, 30000, &answer));
    snprintf(wanted, sizeof wanted, "\"state\":\"%s\"", state);
    if (!strstr(answer, wanted))
        fail_msg("job %lld: %s instead of %s", (long long)id, answer, state);
    OK(lavoro_string_free(answer));
}

static int open_all(void **state)
{
    (void)state;
    OK(lavoro_abi_check(LAVORO_ABI_VERSION));
    OK(lavoro_client_open("memory:", NULL, &client));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    OK(lavoro_client_close(client));
    IS(LAVORO_INVALID_HANDLE, lavoro_client_close(client));
    return 0;
}

int main(void)
{
    struct CMUnitTest tests[128];
    size_t count = 0, i;
    for (i = 0; i < CLIENT_COUNT; i++) tests[count++] = CLIENT_TESTS[i];
    for (i = 0; i < WORKER_COUNT; i++) tests[count++] = WORKER_TESTS[i];
    for (i = 0; i < MISUSE_COUNT; i++) tests[count++] = MISUSE_TESTS[i];
    for (i = 0; i < FUZZ_COUNT; i++) tests[count++] = FUZZ_TESTS[i];
    return _cmocka_run_group_tests("liblavoro", tests, count, open_all, close_all);
}
