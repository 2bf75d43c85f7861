/* What programs get wrong: each is an error, none a crash or a hang. */
#include "suite.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void null_everywhere(void **state)
{
    char *text = (char *)1;
    lavoro_client *c;
    lavoro_job *job;
    (void)state;
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_open("memory:", NULL, NULL));
    IS(LAVORO_INVALID_HANDLE, lavoro_client_url(NULL, &text));
    assert_null(text);
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_url(client, NULL));
    IS(LAVORO_INVALID_HANDLE, lavoro_client_enqueue(NULL, "t", NULL, 0, NULL, NULL, NULL));
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_enqueue(client, NULL, NULL, 0, NULL, NULL, NULL));
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_enqueue(client, "t", NULL, 5, NULL, NULL, NULL));
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_enqueue(client, "t", "1", SIZE_MAX - 1, NULL, NULL, NULL));
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_enqueue_many(client, NULL, 2, NULL));
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_call(client, NULL, NULL, 0, NULL));
    IS(LAVORO_INVALID_OPTION, lavoro_client_call(client, "no.such", NULL, 0, NULL));
    IS(LAVORO_INVALID_HANDLE, lavoro_worker_next(NULL, 0, &job));
    IS(LAVORO_INVALID_HANDLE, lavoro_worker_start(NULL));
    IS(LAVORO_INVALID_HANDLE, lavoro_worker_stop(NULL, 0));
    IS(LAVORO_INVALID_HANDLE, lavoro_job_complete(NULL, NULL, 0));
    IS(LAVORO_INVALID_HANDLE, lavoro_job_checkpoint_save(NULL, NULL, 0));
    IS(LAVORO_INVALID_HANDLE, lavoro_lock_extend(NULL, 1000));
    IS(LAVORO_INVALID_ARGUMENT, lavoro_lock_acquire(client, NULL, NULL, NULL));
    assert_null(lavoro_job_task(NULL));
    assert_null(lavoro_job_payload(NULL, NULL));
    assert_null(lavoro_sql_values(NULL));
    assert_int_equal(lavoro_job_stop_reason(NULL), LAVORO_STOP_LOST_LEASE);
    OK(lavoro_client_close(NULL));
    OK(lavoro_worker_free(NULL));
    OK(lavoro_job_free(NULL));
    OK(lavoro_lock_free(NULL));
    OK(lavoro_sql_free(NULL));
    OK(lavoro_string_free(NULL));
    IS(LAVORO_INVALID_URL, lavoro_client_open("gopher://x", NULL, &c));
    assert_null(c);
}

static void handles_that_are_none(void **state)
{
    char *text;
    (void)state;
    IS(LAVORO_INVALID_HANDLE, lavoro_client_url((lavoro_client *)((uintptr_t)client + 1), &text));
    IS(LAVORO_INVALID_HANDLE, lavoro_worker_start((lavoro_worker *)(void *)client));
    IS(LAVORO_INVALID_HANDLE, lavoro_job_complete((lavoro_job *)(void *)&text, NULL, 0));
    IS(LAVORO_INVALID_HANDLE, lavoro_client_close((lavoro_client *)(uintptr_t)42));
    OK(lavoro_client_url(client, &text));
    OK(lavoro_string_free(text));
    IS(LAVORO_INVALID_HANDLE, lavoro_string_free(text));
    IS(LAVORO_INVALID_HANDLE, lavoro_string_free((char *)(uintptr_t)7));
}

static void sizes_that_are_wrong(void **state)
{
    struct { lavoro_job_options options; uint64_t more; } newer;
    size_t sizes[] = {0, 1, sizeof(size_t), sizeof(lavoro_job_options) - 1, 1 << 20, SIZE_MAX};
    lavoro_job_options options = LAVORO_JOB_OPTIONS_INIT;
    lavoro_client_options wrong = LAVORO_CLIENT_OPTIONS_INIT;
    lavoro_client *c;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        options.size = sizes[i];
        IS(LAVORO_INVALID_ARGUMENT, lavoro_client_enqueue(client, "t", NULL, 0, &options, NULL, NULL));
    }
    memset(&newer, 0, sizeof newer);
    newer.options.size = sizeof newer;
    newer.options.queue = "c-newer";
    OK(lavoro_client_enqueue(client, "t", NULL, 0, &newer.options, NULL, NULL));
    newer.more = 1;
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_enqueue(client, "t", NULL, 0, &newer.options, NULL, NULL));
    wrong.migrate = 77;
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_open("memory:", &wrong, &c));
    wrong.migrate = LAVORO_DEFAULT;
    wrong.json = "{\"no_such_option\":1}";
    IS(LAVORO_INVALID_OPTION, lavoro_client_open("memory:", &wrong, &c));
    assert_non_null(strstr(lavoro_error_message(), "no_such_option"));
    IS(LAVORO_INVALID_ARGUMENT, lavoro_log_set(NULL, 9, NULL));
}

static void texts_that_are_none(void **state)
{
    (void)state;
    IS(LAVORO_INVALID_ARGUMENT, lavoro_client_enqueue(client, "\xff\xfe", NULL, 0, NULL, NULL, NULL));
    IS(LAVORO_INVALID_PAYLOAD, lavoro_client_enqueue(client, "t", "\"\xff\"", 3, NULL, NULL, NULL));
    IS(LAVORO_INVALID_PAYLOAD, lavoro_client_enqueue(client, "t", "\"a\0b\"", 5, NULL, NULL, NULL));
    IS(LAVORO_INVALID_PAYLOAD, lavoro_client_enqueue(client, "t", "\"\\u0000\"", ALL, NULL, NULL, NULL));
    IS(LAVORO_INVALID_OPTION, lavoro_client_enqueue_json(client, "[\0]", 3, NULL));
}

static void a_child_is_refused(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        lavoro_client *other;
        alarm(20); /* no hang */
        int ok = lavoro_client_enqueue(client, "t", NULL, 0, NULL, NULL, NULL) == LAVORO_FORKED;
        ok &= strstr(lavoro_error_message(), "forked") != NULL;
        ok &= lavoro_client_open("memory:", NULL, &other) == LAVORO_FORKED;
        ok &= lavoro_client_close(client) == LAVORO_FORKED;
        /* No exit: at one, valgrind takes what the parent's threads hold for leaks. */
        kill(getpid(), ok ? SIGKILL : SIGTERM);
    }
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(enqueue("c-after-fork", NULL) > 0);
}

static int lines;

static void count_lines(lavoro_log_level level, const char *message, void *user_data)
{
    (void)message;
    if (level <= LAVORO_LOG_DEBUG && user_data == &lines) __sync_fetch_and_add(&lines, 1);
}

/* A job that nobody handles is warned of, a second after it came. */
static void logs(void **state)
{
    int tries = 3000;
    (void)state;
    OK(lavoro_log_set(count_lines, LAVORO_LOG_DEBUG, &lines));
    assert_true(enqueue("c-handled-by-nobody", NULL) > 0);
    while (__sync_fetch_and_add(&lines, 0) == 0 && --tries > 0)
        usleep(10000);
    OK(lavoro_log_set(NULL, LAVORO_LOG_NONE, NULL));
    assert_true(lines > 0);
}

const struct CMUnitTest MISUSE_TESTS[] = {
    cmocka_unit_test(null_everywhere),
    cmocka_unit_test(handles_that_are_none),
    cmocka_unit_test(sizes_that_are_wrong),
    cmocka_unit_test(texts_that_are_none),
    cmocka_unit_test(a_child_is_refused),
    cmocka_unit_test(logs),
};
const size_t MISUSE_COUNT = sizeof MISUSE_TESTS / sizeof *MISUSE_TESTS;
