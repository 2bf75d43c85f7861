/*
 * Jobs in transactions of the caller's own, through libpq: an order and its job are saved together or
 * not at all, and the work of a job is committed together with its completion: exactly once.
 *
 *     transaction [URL]
 */

#include <inttypes.h>
#include <lavoro.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(lavoro_status status, const char *what) {
    if (status != LAVORO_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, lavoro_status_name(status), lavoro_error_message());
        exit(EXIT_FAILURE);
    }
}

/* Runs a statement; the caller clears what it answers. */
static PGresult *execute(PGconn *connection, const char *text, int count,
                         const char *const *values) {
    PGresult *result = PQexecParams(connection, text, count, NULL, values, NULL, NULL, 0);

    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s: %s", text, PQerrorMessage(connection));
        exit(EXIT_FAILURE);
    }
    return result;
}

static void run(PGconn *connection, const char *text) {
    PQclear(execute(connection, text, 0, NULL));
}

/* The statement of the library's in the transaction that is open on the connection. */
static int64_t run_sql(PGconn *connection, lavoro_sql *sql) {
    PGresult *result =
        execute(connection, lavoro_sql_text(sql), lavoro_sql_count(sql), lavoro_sql_values(sql));
    int64_t first = 0;

    if (PQntuples(result) == 1 && PQnfields(result) > 0) {
        first = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    }
    PQclear(result);
    must(lavoro_sql_free(sql), "free statement");
    return first;
}

static PGconn *connect_with_libpq(lavoro_client *client) {
    char *url;
    PGconn *connection;

    must(lavoro_client_url(client, &url), "url");
    connection = PQconnectdb(url);
    lavoro_string_free(url);
    if (PQstatus(connection) != CONNECTION_OK) {
        fprintf(stderr, "libpq: %s", PQerrorMessage(connection));
        exit(EXIT_FAILURE);
    }
    return connection;
}

/* The job exists if and when the order does. */
static int64_t place_order(lavoro_client *client, PGconn *connection, const char *item,
                           const char *end) {
    char payload[64];
    lavoro_sql *sql;
    int64_t id;

    snprintf(payload, sizeof payload, "{\"item\": \"%s\"}", item);
    run(connection, "BEGIN");
    PQclear(execute(connection, "INSERT INTO shop_order (item) VALUES ($1)", 1, &item));
    must(lavoro_client_enqueue_sql(client, "ship", payload, LAVORO_NUL_TERMINATED, NULL, &sql),
         "enqueue");
    id = run_sql(connection, sql);
    run(connection, end);
    return id;
}

/* Ships the order and completes the job in one transaction. */
static void ship(lavoro_client *client, PGconn *connection, lavoro_job *job) {
    const char *parameters[1];
    lavoro_sql *sql;

    parameters[0] = lavoro_job_payload(job, NULL);
    run(connection, "BEGIN");
    PQclear(execute(connection,
                    "UPDATE shop_order SET shipped = true WHERE item = $1::jsonb ->> 'item'", 1,
                    parameters));
    must(lavoro_client_complete_sql(client, job, "{\"shipped\": true}", LAVORO_NUL_TERMINATED, &sql),
         "complete");
    /* If another attempt runs the job meanwhile, this fails with SQLSTATE LV014: roll back. */
    run_sql(connection, sql);
    run(connection, "COMMIT");
    must(lavoro_job_complete(job, NULL, 0), "report");
    must(lavoro_job_free(job), "free job");
}

static void print_orders(PGconn *connection) {
    PGresult *orders = execute(connection, "SELECT item, shipped FROM shop_order", 0, NULL);
    int row;

    for (row = 0; row < PQntuples(orders); row++) {
        printf("%s: %s\n", PQgetvalue(orders, row, 0),
               *PQgetvalue(orders, row, 1) == 't' ? "shipped" : "not shipped");
    }
    PQclear(orders);
}

int main(int argc, char **argv) {
    lavoro_worker_options options = LAVORO_WORKER_OPTIONS_INIT;
    lavoro_client *client;
    lavoro_worker *worker;
    lavoro_job *job;
    PGconn *connection;
    int64_t kept;
    char *state;

    must(lavoro_abi_check(LAVORO_ABI_VERSION), "lavoro.h");
    must(lavoro_client_open(argc > 1 ? argv[1] : NULL, NULL, &client), "open");
    connection = connect_with_libpq(client);
    run(connection, "CREATE TEMPORARY TABLE shop_order (item text, shipped bool DEFAULT false)");

    place_order(client, connection, "a regretted order", "ROLLBACK");
    kept = place_order(client, connection, "a clock", "COMMIT");

    options.json = "{\"tasks\": [\"ship\"]}";
    must(lavoro_worker_new(client, &options, &worker), "worker");
    must(lavoro_worker_next(worker, 30 * 1000, &job), "next");
    if (lavoro_job_id(job) != kept) {
        fprintf(stderr, "job %" PRId64 " is not the one that was kept\n", lavoro_job_id(job));
        return EXIT_FAILURE;
    }
    ship(client, connection, job);
    print_orders(connection);
    must(lavoro_client_job_state(client, kept, &state), "state");
    printf("job %" PRId64 " is %s\n", kept, state);
    lavoro_string_free(state);

    PQfinish(connection);
    must(lavoro_worker_stop(worker, 10 * 1000), "stop");
    must(lavoro_worker_free(worker), "free worker");
    must(lavoro_client_close(client), "close");
    return EXIT_SUCCESS;
}
