/* Runs jobs by callback, on threads of the library's, until SIGINT or SIGTERM. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include <lavoro.h>

static int send_mail(lavoro_job *job, void *user_data)
{
    (void)user_data;
    printf("mail %" PRId64 ": %s\n", lavoro_job_id(job), lavoro_job_payload(job, NULL));
    fflush(stdout);
    if (lavoro_job_stop_reason(job) != LAVORO_STOP_NONE) return 1; /* tried again later */
    lavoro_job_progress(job, 100, "sent", NULL);
    return 0; /* the job is done */
}

int main(void)
{
    lavoro_client *client;
    lavoro_worker *worker;
    sigset_t signals;
    int signal;
    /* Before there are threads, so that only sigwait takes the signals. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (lavoro_client_open(NULL, NULL, &client) != LAVORO_OK ||
        lavoro_worker_new(client, NULL, &worker) != LAVORO_OK ||
        lavoro_worker_handle(worker, "mail", send_mail, NULL) != LAVORO_OK ||
        lavoro_worker_start(worker) != LAVORO_OK) {
        fprintf(stderr, "%s\n", lavoro_error_message());
        return 1;
    }
    sigwait(&signals, &signal);
    lavoro_worker_stop(worker, 30000);
    lavoro_worker_free(worker);
    return lavoro_client_close(client) == LAVORO_OK ? 0 : 1;
}
