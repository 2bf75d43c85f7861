/* Enqueues jobs: producer [how many]. The database: LAVORO_DATABASE_URL. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lavoro.h>

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, lavoro_error_message());
    return 1;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 3;
    lavoro_client *client;
    lavoro_job_options options = LAVORO_JOB_OPTIONS_INIT;
    if (lavoro_client_open(NULL, NULL, &client) != LAVORO_OK) return failed("open");
    options.max_attempts = 5;
    for (int i = 0; i < count; i++) {
        char payload[64];
        int64_t id;
        snprintf(payload, sizeof payload, "{\"to\": \"user %d\"}", i);
        if (lavoro_client_enqueue(client, "mail", payload, strlen(payload), &options, &id, NULL))
            return failed("enqueue");
        printf("enqueued %" PRId64 "\n", id);
    }
    return lavoro_client_close(client) == LAVORO_OK ? 0 : failed("close");
}
