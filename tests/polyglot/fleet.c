/* C in the fleet: see fleet.py. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lavoro.h>

static int echo(lavoro_job *job, void *user_data)
{
    size_t length;
    const char *payload = lavoro_job_payload(job, &length);
    (void)user_data;
    return lavoro_job_complete(job, payload, length) == LAVORO_OK ? 0 : 1;
}

static int work(lavoro_client *client)
{
    lavoro_worker *worker;
    sigset_t signals;
    int signal;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    if (lavoro_worker_new(client, NULL, &worker) || lavoro_worker_handle(worker, "echo_c", echo, NULL) ||
        lavoro_worker_start(worker))
        return 1;
    sigwait(&signals, &signal);
    if (lavoro_worker_stop(worker, 10000)) return 1;
    lavoro_worker_free(worker);
    return 0;
}

static int produce(lavoro_client *client, int count, char **tasks)
{
    const char *payload = getenv("PAYLOAD");
    for (int i = 0; i < count; i++) {
        int64_t id;
        if (lavoro_client_enqueue(client, tasks[i], payload, strlen(payload), NULL, &id, NULL)) return 1;
        printf("%" PRId64 "\n", id);
    }
    return 0;
}

int main(int argc, char **argv)
{
    lavoro_client *client;
    sigset_t signals;
    int failed;
    if (argc < 2) return 2;
    /* Before there are threads, so that only sigwait takes the signal. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    failed = lavoro_client_open(NULL, NULL, &client) != LAVORO_OK;
    if (!failed)
        failed = strcmp(argv[1], "worker") == 0 ? work(client) : produce(client, argc - 2, argv + 2);
    if (failed) fprintf(stderr, "%s\n", lavoro_error_message());
    return failed || lavoro_client_close(client) != LAVORO_OK;
}
