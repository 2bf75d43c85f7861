/*
 * Runs jobs by callbacks on threads of the library's, until SIGINT or SIGTERM.
 *
 *     callback_worker [URL]
 */

#include <inttypes.h>
#include <lavoro.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(lavoro_status status, const char *what) {
    if (status != LAVORO_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, lavoro_status_name(status), lavoro_error_message());
        exit(EXIT_FAILURE);
    }
}

/* No outcome is reported: 0 completes the job, another number is tried again. */
static int greet(lavoro_job *job, void *user_data) {
    atomic_int *greeted = user_data; /* callbacks run on several threads at once */

    atomic_fetch_add(greeted, 1);
    printf("greet %s (job %" PRId64 ")\n", lavoro_job_payload(job, NULL), lavoro_job_id(job));
    fflush(stdout);
    return 0;
}

/*
 * Long work: says how far it is, asks now and then whether to stop, and goes on where an attempt
 * before it ended.
 */
static int report(lavoro_job *job, void *user_data) {
    const char *result = "{\"pages\": 10}";
    char *saved = NULL;
    char page_text[16];
    int page = 0;

    (void)user_data;
    if (lavoro_job_checkpoint_load(job, &saved) == LAVORO_OK && saved != NULL) {
        page = atoi(saved);
    }
    lavoro_string_free(saved);
    for (; page < 10; page++) {
        if (lavoro_job_stop_reason(job) != LAVORO_STOP_NONE) {
            lavoro_job_release(job); /* not counted: another attempt goes on from the checkpoint */
            return 0;
        }
        snprintf(page_text, sizeof page_text, "%d", page);
        if (lavoro_job_checkpoint_save(job, page_text, LAVORO_NUL_TERMINATED) != LAVORO_OK) {
            return 1; /* LAVORO_STALE_LEASE, or no database: nothing that we do counts */
        }
        lavoro_job_progress(job, (float)page * 10, "printing", NULL);
    }
    printf("report (job %" PRId64 ", attempt %" PRIu32 ")\n", lavoro_job_id(job),
           lavoro_job_attempt(job));
    fflush(stdout);
    lavoro_job_complete(job, result, strlen(result));
    return 0;
}

int main(int argc, char **argv) {
    lavoro_worker_options options = LAVORO_WORKER_OPTIONS_INIT;
    lavoro_client *client;
    lavoro_worker *worker;
    atomic_int greeted = 0;
    sigset_t stop;
    int received;

    /* Blocked before the library's threads exist, so that none of them takes the signal. */
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);

    must(lavoro_abi_check(LAVORO_ABI_VERSION), "lavoro.h");
    must(lavoro_client_open(argc > 1 ? argv[1] : NULL, NULL, &client), "open");
    options.concurrency = 4;
    must(lavoro_worker_new(client, &options, &worker), "worker");
    must(lavoro_worker_handle(worker, "greet", greet, &greeted), "handle greet");
    must(lavoro_worker_handle(worker, "report", report, NULL), "handle report");
    must(lavoro_worker_start(worker), "start");

    sigwait(&stop, &received);
    if (lavoro_worker_stop(worker, 10 * 1000) != LAVORO_OK) {
        fprintf(stderr, "stop: %s\n", lavoro_error_message()); /* those jobs run elsewhere */
    }
    must(lavoro_worker_free(worker), "free");
    must(lavoro_client_close(client), "close");
    printf("stopped after %d greetings\n", atomic_load(&greeted));
    return EXIT_SUCCESS;
}
