/* Writes to the program's own table and enqueues a job in one transaction, over libpq: both exist,
   or neither. */
#include <stdio.h>
#include <stdlib.h>

#include <lavoro.h>
#include <libpq-fe.h>

static void run(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s: %s", sql, PQerrorMessage(connection));
        exit(1);
    }
    PQclear(result);
}

static void order(lavoro_client *client, PGconn *connection, const char *end)
{
    lavoro_sql *sql;
    PGresult *result;
    run(connection, "begin");
    run(connection, "insert into orders default values");
    if (lavoro_client_enqueue_sql(client, "mail", "{\"to\": \"buyer\"}", LAVORO_NUL_TERMINATED, NULL,
                                  &sql) != LAVORO_OK) {
        fprintf(stderr, "%s\n", lavoro_error_message());
        exit(1);
    }
    result = PQexecParams(connection, lavoro_sql_text(sql), lavoro_sql_count(sql), NULL,
                          lavoro_sql_values(sql), NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s", PQerrorMessage(connection));
        exit(1);
    }
    printf("job %s: %s\n", PQgetvalue(result, 0, 0), end);
    PQclear(result);
    lavoro_sql_free(sql);
    run(connection, end);
}

int main(void)
{
    lavoro_client *client;
    PGconn *connection;
    char *url;
    if (lavoro_client_open(NULL, NULL, &client) != LAVORO_OK ||
        lavoro_client_url(client, &url) != LAVORO_OK) {
        fprintf(stderr, "%s\n", lavoro_error_message());
        return 1;
    }
    connection = PQconnectdb(url);
    lavoro_string_free(url);
    if (PQstatus(connection) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(connection));
        return 1;
    }
    run(connection, "create table if not exists orders (id bigserial primary key)");
    order(client, connection, "commit");
    order(client, connection, "rollback");
    PQfinish(connection);
    return lavoro_client_close(client) == LAVORO_OK ? 0 : 1;
}
