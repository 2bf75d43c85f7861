/* A worker that gets hurt: what its jobs say they do. Its database: LAVORO_DATABASE_URL. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lavoro.h"

static int run(lavoro_job *job, void *user_data)
{
    const char *payload = lavoro_job_payload(job, NULL);
    struct timespec pause = {0, 5000000};
    (void)user_data;
    if (strstr(payload, "abort")) abort();
    if (strstr(payload, "segv")) raise(SIGSEGV);
    nanosleep(&pause, NULL);
    return 0;
}

int main(void)
{
    lavoro_client *client;
    lavoro_worker *worker;
    lavoro_worker_options options = LAVORO_WORKER_OPTIONS_INIT;
    options.concurrency = 4;
    options.json = "{\"timing\":{\"heartbeat_ms\":200,\"lease_ms\":1000,\"scan_ms\":200,"
                   "\"poll_ms\":200}}";
    if (lavoro_client_open(NULL, NULL, &client) != LAVORO_OK ||
        lavoro_worker_new(client, &options, &worker) != LAVORO_OK ||
        lavoro_worker_handle(worker, "ledger", run, NULL) != LAVORO_OK ||
        lavoro_worker_start(worker) != LAVORO_OK) {
        fprintf(stderr, "%s\n", lavoro_error_message());
        return 1;
    }
    for (;;) pause();
}
