/*
 * Enqueues jobs in the ways there are: one, one with options, many at once.
 *
 *     producer [URL]
 *
 * Without a URL: LAVORO_DATABASE_URL, DATABASE_URL, else a private server in .lavoro/.
 */

#include <inttypes.h>
#include <lavoro.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program with what the library said. */
static void must(lavoro_status status, const char *what) {
    if (status != LAVORO_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, lavoro_status_name(status), lavoro_error_message());
        exit(EXIT_FAILURE);
    }
}

static void enqueue_one(lavoro_client *client) {
    int64_t id;

    must(lavoro_client_enqueue(client, "greet", "{\"name\": \"Ada\"}", LAVORO_NUL_TERMINATED, NULL,
                               &id, NULL),
         "enqueue");
    printf("greet is job %" PRId64 "\n", id);
}

/* While a job with this key waits or runs, no second one is made. */
static void enqueue_once(lavoro_client *client) {
    lavoro_job_options options = LAVORO_JOB_OPTIONS_INIT;
    int64_t id;
    bool created;

    options.unique_key = "report:2031-05";
    options.priority = 10;
    options.max_attempts = 3;
    options.timeout_ms = 60 * 1000;
    options.json = "{\"tags\": [\"monthly\"]}";
    must(lavoro_client_enqueue(client, "report", "{\"month\": \"2031-05\"}", LAVORO_NUL_TERMINATED,
                               &options, &id, &created),
         "enqueue with options");
    printf("report is job %" PRId64 "%s\n", id, created ? "" : ", which was there already");
}

/* One commit for all of them: much faster than one after another. */
static void enqueue_many(lavoro_client *client) {
    enum { COUNT = 10 };
    lavoro_new_job jobs[COUNT];
    char payloads[COUNT][32];
    int64_t ids[COUNT];
    int i;

    for (i = 0; i < COUNT; i++) {
        const lavoro_new_job job = LAVORO_NEW_JOB_INIT;

        snprintf(payloads[i], sizeof payloads[i], "{\"name\": \"guest %d\"}", i);
        jobs[i] = job;
        jobs[i].task = "greet";
        jobs[i].payload = payloads[i];
        jobs[i].payload_length = LAVORO_NUL_TERMINATED;
    }
    must(lavoro_client_enqueue_many(client, jobs, COUNT, ids), "enqueue many");
    printf("%d more are jobs %" PRId64 " to %" PRId64 "\n", COUNT, ids[0], ids[COUNT - 1]);
}

int main(int argc, char **argv) {
    lavoro_client *client;

    must(lavoro_abi_check(LAVORO_ABI_VERSION), "lavoro.h");
    must(lavoro_client_open(argc > 1 ? argv[1] : NULL, NULL, &client), "open");
    enqueue_one(client);
    enqueue_once(client);
    enqueue_once(client);
    enqueue_many(client);
    must(lavoro_client_close(client), "close");
    return EXIT_SUCCESS;
}
