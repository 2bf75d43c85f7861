/* Pulls jobs in an event loop of its own, beside other file descriptors: ends when its standard
   input does. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <lavoro.h>

static void work(lavoro_worker *worker)
{
    lavoro_job *job;
    while (lavoro_worker_next(worker, 0, &job) == LAVORO_OK) {
        printf("mail %" PRId64 ": %s\n", lavoro_job_id(job), lavoro_job_payload(job, NULL));
        fflush(stdout);
        if (lavoro_job_complete(job, "{\"sent\": true}", LAVORO_NUL_TERMINATED) != LAVORO_OK)
            fprintf(stderr, "%s\n", lavoro_error_message());
        lavoro_job_free(job);
    }
}

int main(void)
{
    lavoro_client *client;
    lavoro_worker *worker;
    lavoro_worker_options options = LAVORO_WORKER_OPTIONS_INIT;
    struct pollfd fds[2] = {{-1, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    options.json = "{\"tasks\": [\"mail\"]}";
    if (lavoro_client_open(NULL, NULL, &client) != LAVORO_OK ||
        lavoro_worker_new(client, &options, &worker) != LAVORO_OK ||
        lavoro_worker_fd(worker, &fds[0].fd) != LAVORO_OK) {
        fprintf(stderr, "%s\n", lavoro_error_message());
        return 1;
    }
    while (poll(fds, 2, -1) > 0 && !fds[1].revents)
        if (fds[0].revents) work(worker);
    lavoro_worker_stop(worker, 30000);
    lavoro_worker_free(worker);
    return lavoro_client_close(client) == LAVORO_OK ? 0 : 1;
}
