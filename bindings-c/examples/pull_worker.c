/*
 * Takes jobs in an event loop of its own: one thread, poll(2), no callbacks.
 *
 *     pull_worker [URL]
 *
 * It also reads standard input, as an event loop has more to do than this; SIGINT and SIGTERM end it.
 */

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lavoro.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int stop_pipe[2];

static void must(lavoro_status status, const char *what) {
    if (status != LAVORO_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, lavoro_status_name(status), lavoro_error_message());
        exit(EXIT_FAILURE);
    }
}

/* In a handler of signals nothing of the library may be called. */
static void on_signal(int number) {
    const int before = errno;
    ssize_t written = write(stop_pipe[1], "", 1);

    (void)number;
    (void)written;
    errno = before;
}

static void catch_signals(void) {
    struct sigaction action;

    if (pipe(stop_pipe) != 0 || fcntl(stop_pipe[1], F_SETFL, O_NONBLOCK) != 0) {
        perror("pipe");
        exit(EXIT_FAILURE);
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void run(lavoro_job *job) {
    lavoro_status status;

    printf("pulled %s (job %" PRId64 ")\n", lavoro_job_payload(job, NULL), lavoro_job_id(job));
    fflush(stdout);
    status = lavoro_job_complete(job, NULL, 0); /* committed when it returns */
    if (status != LAVORO_OK) {
        fprintf(stderr, "complete: %s\n", lavoro_error_message());
    }
    must(lavoro_job_free(job), "free job");
}

/* Until there are no more: the descriptor stays readable as long as there may be one. */
static bool run_all(lavoro_worker *worker) {
    for (;;) {
        lavoro_job *job;
        const lavoro_status status = lavoro_worker_next(worker, 0, &job);

        if (status == LAVORO_TIMEOUT) {
            return true;
        }
        if (status == LAVORO_CLOSED) {
            return false;
        }
        must(status, "next");
        run(job);
    }
}

static void loop(lavoro_worker *worker) {
    struct pollfd watched[3];
    char line[256];

    memset(watched, 0, sizeof watched);
    must(lavoro_worker_fd(worker, &watched[0].fd), "descriptor");
    watched[1].fd = stop_pipe[0];
    watched[2].fd = STDIN_FILENO;
    watched[0].events = watched[1].events = watched[2].events = POLLIN;
    for (;;) {
        if (poll(watched, 3, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            perror("poll");
            exit(EXIT_FAILURE);
        }
        if (watched[1].revents != 0) {
            return;
        }
        if (watched[0].revents != 0 && !run_all(worker)) {
            return;
        }
        if (watched[2].revents != 0) {
            const ssize_t length = read(STDIN_FILENO, line, sizeof line);

            if (length <= 0) {
                watched[2].fd = -1; /* poll(2) passes over it */
            } else {
                printf("read %.*s", (int)length, line);
                fflush(stdout);
            }
        }
    }
}

int main(int argc, char **argv) {
    lavoro_worker_options options = LAVORO_WORKER_OPTIONS_INIT;
    lavoro_client *client;
    lavoro_worker *worker;

    catch_signals();
    must(lavoro_abi_check(LAVORO_ABI_VERSION), "lavoro.h");
    must(lavoro_client_open(argc > 1 ? argv[1] : NULL, NULL, &client), "open");
    options.concurrency = 1; /* claim no more than we run */
    options.json = "{\"tasks\": [\"greet\"]}";
    must(lavoro_worker_new(client, &options, &worker), "worker");
    loop(worker);
    if (lavoro_worker_stop(worker, 10 * 1000) != LAVORO_OK) {
        fprintf(stderr, "stop: %s\n", lavoro_error_message());
    }
    must(lavoro_worker_free(worker), "free");
    must(lavoro_client_close(client), "close");
    puts("stopped");
    return EXIT_SUCCESS;
}
