/*
 * liblavoro: a job queue on PostgreSQL. See docs/c.md.
 *
 * What holds for every function, unless its comment says otherwise:
 *
 * Errors. Functions that can fail answer a lavoro_status; LAVORO_OK is 0. What went wrong in words:
 * lavoro_error_message(). After an error, what would have been answered is NULL, 0 or false.
 * Besides what is listed, each may answer LAVORO_INVALID_ARGUMENT (a pointer is NULL that may not
 * be, a size is wrong, a text is not UTF-8), LAVORO_INVALID_HANDLE, LAVORO_FORKED and
 * LAVORO_INTERNAL (a defect: panics are caught).
 *
 * Handles (lavoro_client *, lavoro_worker *, lavoro_job *, lavoro_lock *, lavoro_sql *) are numbers
 * in the clothes of pointers and lead nowhere. They are never used twice: one that was freed, or is
 * of another kind, is recognised and answered with LAVORO_INVALID_HANDLE. Freeing NULL is fine.
 *
 * Texts that are passed in are in UTF-8, end in NUL unless a length goes with them, may be freed
 * as soon as the call returns, and are not changed. `const char *` that comes out belongs to the
 * library; `char *` is the caller's, to be freed with lavoro_string_free.
 *
 * Options are structures that begin with their size. Begin with their initialiser, so that a
 * program that was compiled with this header runs with later libraries of the same
 * LAVORO_ABI_VERSION.
 *
 * Threads. Every function may be called from any thread at any time, on any handle. A handle that
 * is freed on one thread while a call on it runs on another: the call ends as it would have. What
 * was borrowed from a handle ends with it.
 *
 * Callbacks may call the library. Neither longjmp nor an exception may leave them.
 *
 * Forks. A child of a process that has used the library may not use it: every call answers
 * LAVORO_FORKED at once. Fork before the first call, or exec. The library installs no handlers of
 * signals and ends no process; besides the threads of its clients it has no state but the handles
 * and the log callback.
 */

#ifndef LAVORO_H
#define LAVORO_H

/* Generated from bindings-c/src by `make generate`. Do not edit. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A length that stands for: up to the first NUL. */
#define LAVORO_NUL_TERMINATED SIZE_MAX

/**
 * The version of the interface: raised when a program must be compiled again.
 */
#define LAVORO_ABI_VERSION 1

/**
 * The default, whatever it is.
 */
#define LAVORO_DEFAULT 0

/**
 * No.
 */
#define LAVORO_NO 1

/**
 * Yes.
 */
#define LAVORO_YES 2

/**
 * What a call came to. The numbers never change; later versions add some, so treat one that you
 * do not know as a failure.
 */
typedef enum lavoro_status {
    /**
     * It is done.
     */
    LAVORO_OK = 0,
    /**
     * A task name is empty, too long or holds control characters.
     */
    LAVORO_INVALID_TASK = 1,
    /**
     * A queue name is empty, too long or holds control characters.
     */
    LAVORO_INVALID_QUEUE = 2,
    /**
     * A payload is not valid JSON, holds a NUL character, or is not valid UTF-8.
     */
    LAVORO_INVALID_PAYLOAD = 3,
    /**
     * A payload is larger than the limit.
     */
    LAVORO_PAYLOAD_TOO_LARGE = 4,
    /**
     * A payload is nested deeper than the limit.
     */
    LAVORO_PAYLOAD_TOO_DEEP = 5,
    /**
     * A number in a payload cannot be represented alike in every language.
     */
    LAVORO_NUMBER_OUT_OF_RANGE = 6,
    /**
     * A delay is negative or too long, or an instant lies outside the supported years.
     */
    LAVORO_INVALID_TIME = 7,
    /**
     * An option is unknown or out of its range.
     */
    LAVORO_INVALID_OPTION = 8,
    /**
     * A database URL cannot be understood.
     */
    LAVORO_INVALID_URL = 9,
    /**
     * A unique key is empty, too long or holds control characters.
     */
    LAVORO_INVALID_UNIQUE_KEY = 10,
    /**
     * Another transaction holds the same unique key and has not ended yet.
     */
    LAVORO_UNIQUE_PENDING = 11,
    /**
     * No job has this number.
     */
    LAVORO_JOB_NOT_FOUND = 12,
    /**
     * The job, worker or thread is not in a state that allows this.
     */
    LAVORO_INVALID_STATE = 13,
    /**
     * Another attempt runs the job, or has ended it: the outcome was refused.
     */
    LAVORO_STALE_LEASE = 14,
    /**
     * Two handlers for one task.
     */
    LAVORO_DUPLICATE_HANDLER = 15,
    /**
     * The database cannot be reached.
     */
    LAVORO_CONNECTION_FAILED = 16,
    /**
     * The database refused the user or password.
     */
    LAVORO_AUTHENTICATION_FAILED = 17,
    /**
     * The named database does not exist.
     */
    LAVORO_DATABASE_MISSING = 18,
    /**
     * Lavoro's schema does not exist in this database.
     */
    LAVORO_SCHEMA_MISSING = 19,
    /**
     * Lavoro's schema is older than this library needs.
     */
    LAVORO_SCHEMA_OUTDATED = 20,
    /**
     * Lavoro's schema is newer than this library knows.
     */
    LAVORO_SCHEMA_NEWER = 21,
    /**
     * The server is read-only.
     */
    LAVORO_READ_ONLY = 22,
    /**
     * The database role lacks a privilege.
     */
    LAVORO_PERMISSION_DENIED = 23,
    /**
     * The server is not a supported version of PostgreSQL.
     */
    LAVORO_UNSUPPORTED_SERVER = 24,
    /**
     * Something took longer than its limit; from lavoro_worker_next: no job came in time.
     */
    LAVORO_TIMEOUT = 25,
    /**
     * The client or worker has been closed or stops.
     */
    LAVORO_CLOSED = 26,
    /**
     * No PostgreSQL binaries were found for an embedded server.
     */
    LAVORO_POSTGRES_NOT_FOUND = 27,
    /**
     * An embedded server could not be started.
     */
    LAVORO_EMBEDDED_FAILED = 28,
    /**
     * No database is named in production: an embedded one is not started there by itself.
     */
    LAVORO_EMBEDDED_IN_PRODUCTION = 29,
    /**
     * The database reported an error that has no status of its own.
     */
    LAVORO_DATABASE = 30,
    /**
     * A defect in Lavoro. Please report it.
     */
    LAVORO_INTERNAL = 31,
    /**
     * A lock is not held any more.
     */
    LAVORO_LOCK_LOST = 32,
    /**
     * A schedule cannot be understood, never comes true, or has an option out of its range.
     */
    LAVORO_INVALID_SCHEDULE = 40,
    /**
     * No schedule has this name.
     */
    LAVORO_SCHEDULE_NOT_FOUND = 41,
    /**
     * A schedule of this name exists already.
     */
    LAVORO_SCHEDULE_EXISTS = 42,
    /**
     * A pointer is NULL that may not be, a size is wrong, or a text is not valid UTF-8.
     */
    LAVORO_INVALID_ARGUMENT = 100,
    /**
     * A handle is NULL, was freed, or is of another kind.
     */
    LAVORO_INVALID_HANDLE = 101,
    /**
     * The process was forked after the library was used: only the parent may use it.
     */
    LAVORO_FORKED = 102,
    /**
     * The program was compiled against a header that does not fit this library.
     */
    LAVORO_ABI_MISMATCH = 103,
} lavoro_status;

/**
 * Why a handler should stop.
 */
typedef enum lavoro_stop_reason {
    /**
     * It should not.
     */
    LAVORO_STOP_NONE = 0,
    /**
     * Someone cancelled the job.
     */
    LAVORO_STOP_CANCELLED = 1,
    /**
     * The attempt took longer than its timeout, and has been recorded as failed.
     */
    LAVORO_STOP_TIMEOUT = 2,
    /**
     * The worker stops and its limit is reached: the job is handed back, not counted.
     */
    LAVORO_STOP_SHUTDOWN = 3,
    /**
     * The database has not been reached for so long that another may soon take the job.
     */
    LAVORO_STOP_LOST_CONTACT = 4,
    /**
     * Another worker runs the job: nothing that this attempt reports is accepted.
     */
    LAVORO_STOP_LOST_LEASE = 5,
} lavoro_stop_reason;

/**
 * How much a message matters.
 */
typedef enum lavoro_log_level {
    /**
     * Nothing.
     */
    LAVORO_LOG_NONE = 0,
    /**
     * What needs someone to look at it.
     */
    LAVORO_LOG_ERROR = 1,
    /**
     * What is not as it should be.
     */
    LAVORO_LOG_WARN = 2,
    /**
     * What happens.
     */
    LAVORO_LOG_INFO = 3,
    /**
     * What happens, in detail.
     */
    LAVORO_LOG_DEBUG = 4,
} lavoro_log_level;

/**
 * A connection to one database and schema. Opaque; never dereference it.
 */
typedef struct lavoro_client lavoro_client;

/**
 * A job that runs in this process. Opaque; never dereference it.
 */
typedef struct lavoro_job lavoro_job;

/**
 * A lock that is held. Opaque; never dereference it.
 */
typedef struct lavoro_lock lavoro_lock;

/**
 * A statement with its parameters, for libpq or any other driver. Opaque; never dereference it.
 */
typedef struct lavoro_sql lavoro_sql;

/**
 * A worker: runs jobs by callbacks, or hands them out. Opaque; never dereference it.
 */
typedef struct lavoro_worker lavoro_worker;

/**
 * How to connect. Begin with LAVORO_CLIENT_OPTIONS_INIT. NULL and 0 stand for the defaults.
 */
typedef struct lavoro_client_options {
    /**
     * sizeof(lavoro_client_options).
     */
    size_t size;
    /**
     * The schema. Default: `lavoro`.
     */
    const char *schema;
    /**
     * More options as a JSON object: `{"statement_timeout_ms": 5000}`.
     */
    const char *json;
    /**
     * Connections at most. Default: 4.
     */
    uint32_t pool_size;
    /**
     * Whether to create or upgrade the schema. Default: only in an embedded database.
     */
    uint32_t migrate;
    /**
     * Whether a pooler in transaction mode stands before the server. Default: no.
     */
    uint32_t transaction_pooler;
    /**
     * Whether this client takes its turn at maintenance, as workers do. Default: no.
     */
    uint32_t maintenance;
} lavoro_client_options;

/**
 * How to enqueue a job. Begin with LAVORO_JOB_OPTIONS_INIT. NULL and 0 stand for the defaults.
 */
typedef struct lavoro_job_options {
    /**
     * sizeof(lavoro_job_options).
     */
    size_t size;
    /**
     * The queue, 1 to 255 bytes. Default: `default`.
     */
    const char *queue;
    /**
     * While a job with this key waits or runs, no second one is made.
     */
    const char *unique_key;
    /**
     * More options as a JSON object: `{"tags": ["a"], "run_at": "2031-05-01T12:00:00Z"}`.
     */
    const char *json;
    /**
     * Milliseconds until the job may run.
     */
    int64_t delay_ms;
    /**
     * Milliseconds that one attempt may take.
     */
    int64_t timeout_ms;
    /**
     * Higher runs first.
     */
    int32_t priority;
    /**
     * Attempts in all. Default: 20.
     */
    uint32_t max_attempts;
} lavoro_job_options;

/**
 * A job to enqueue among others. Begin with LAVORO_NEW_JOB_INIT.
 */
typedef struct lavoro_new_job {
    /**
     * sizeof(lavoro_new_job); the same for each of an array.
     */
    size_t size;
    /**
     * The task, 1 to 255 bytes.
     */
    const char *task;
    /**
     * The payload as JSON text in UTF-8; NULL: `null`.
     */
    const char *payload;
    /**
     * Its length in bytes, or LAVORO_NUL_TERMINATED.
     */
    size_t payload_length;
    /**
     * NULL: the defaults.
     */
    const struct lavoro_job_options *options;
} lavoro_new_job;

/**
 * How a worker works. Begin with LAVORO_WORKER_OPTIONS_INIT. NULL and 0 stand for the defaults.
 */
typedef struct lavoro_worker_options {
    /**
     * sizeof(lavoro_worker_options).
     */
    size_t size;
    /**
     * What the worker is called in listings. Default: `host:pid`.
     */
    const char *name;
    /**
     * The queue that it serves. Default: `default`. Several: `{"queues": {"a": 4}}` in json.
     */
    const char *queue;
    /**
     * More options as a JSON object: `{"tasks": ["mail"], "grace_ms": 5000}`.
     */
    const char *json;
    /**
     * Jobs at once. Default: 10.
     */
    uint32_t concurrency;
} lavoro_worker_options;

/**
 * Runs a job. Report an outcome with lavoro_job_complete, _retry, _fail, _snooze, _cancel or
 * _release; without one, 0 completes the job, and any other number is a failure that is tried
 * again.
 *
 * `job` is valid until the callback returns; the library frees it. It runs on a thread of the
 * library's, or on the one that is in lavoro_worker_run. It may call the library, but for
 * lavoro_worker_run, lavoro_worker_free and lavoro_client_close. It must return: neither longjmp
 * nor an exception may leave it, and it may not end its thread.
 */
typedef int (*lavoro_handler)(struct lavoro_job *job, void *user_data);

/**
 * How to take a lock. Begin with LAVORO_LOCK_OPTIONS_INIT. NULL and 0 stand for the defaults.
 */
typedef struct lavoro_lock_options {
    /**
     * sizeof(lavoro_lock_options).
     */
    size_t size;
    /**
     * What the holder is called in listings. Default: `host:pid`.
     */
    const char *owner;
    /**
     * Milliseconds that the lock lives if its holder cannot extend it. Default: 15000.
     */
    int64_t lifetime_ms;
    /**
     * Milliseconds to wait for it; negative: none. Default: 30000.
     */
    int64_t wait_ms;
} lavoro_lock_options;

/**
 * Takes a message: one line without its end. `message` is valid until it returns. It is called
 * on any thread, also on several at once; it must return, should not wait, and may not call this
 * library. Payloads and passwords are never in it.
 */
typedef void (*lavoro_log_callback)(enum lavoro_log_level level,
                                    const char *message,
                                    void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The library's version, for people: `0.1.0`.
 *
 * Ownership: static. Thread-safety: any thread. Does not block.
 */
const char *lavoro_version(void);

/**
 * The version of the interface that this library has.
 *
 * Thread-safety: any thread. Does not block.
 */
uint32_t lavoro_abi_version(void);

/**
 * Checks that the library fits the header: `lavoro_abi_check(LAVORO_ABI_VERSION)`.
 *
 * Errors: LAVORO_ABI_MISMATCH. Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_abi_check(uint32_t version);

/**
 * What the last failed call of this thread said: what happened, which limit it met, what to do.
 * Never NULL; empty if no call has failed. Payloads and passwords are not in it.
 *
 * Ownership: the library's; valid until this thread's next failed call.
 * Thread-safety: any thread; each has its own. Does not block.
 */
const char *lavoro_error_message(void);

/**
 * Whether the call of this thread that failed last may succeed if it is made again: a lost
 * connection, a deadlock, a server that is starting.
 *
 * Thread-safety: any thread; each has its own. Does not block.
 */
bool lavoro_error_is_transient(void);

/**
 * The stable name of a status, the same in every language: `payload_too_large`. `unknown` for a
 * number that is none.
 *
 * Ownership: static. Thread-safety: any thread. Does not block.
 */
const char *lavoro_status_name(int32_t status);

/**
 * Frees a text that a function of this library answered. NULL is fine.
 *
 * Errors: LAVORO_INVALID_HANDLE if it is none, or was freed already.
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_string_free(char *text);

/**
 * Connects.
 *
 * `url`: `postgres://…`, `embedded:` (a private server with its data in `.lavoro/`), `memory:`
 * (a throw-away server), or NULL: LAVORO_DATABASE_URL, DATABASE_URL, else `embedded:`.
 * `options`: NULL for the defaults.
 *
 * Ownership: the caller closes `*client` with lavoro_client_close.
 * Errors: LAVORO_INVALID_URL, LAVORO_INVALID_OPTION, LAVORO_CONNECTION_FAILED,
 * LAVORO_AUTHENTICATION_FAILED, LAVORO_DATABASE_MISSING, LAVORO_SCHEMA_MISSING, _OUTDATED, _NEWER,
 * LAVORO_READ_ONLY, LAVORO_UNSUPPORTED_SERVER, LAVORO_POSTGRES_NOT_FOUND,
 * LAVORO_EMBEDDED_FAILED, LAVORO_EMBEDDED_IN_PRODUCTION; `*client` is NULL then.
 * Thread-safety: any thread. Blocks until connected; starts two threads.
 */
enum lavoro_status lavoro_client_open(const char *url,
                                      const struct lavoro_client_options *options,
                                      struct lavoro_client **client);

/**
 * Closes a client and frees it, after what is being enqueued has been committed. Stop its
 * workers first. NULL is fine.
 *
 * Errors: LAVORO_INVALID_HANDLE if it was closed already; LAVORO_INVALID_STATE in a callback.
 * Thread-safety: any thread; calls that run on the client then fail with LAVORO_CLOSED. Blocks.
 */
enum lavoro_status lavoro_client_close(struct lavoro_client *client);

/**
 * The URL under which other programs reach this database: for `memory:` and `embedded:` that of
 * the server. It may hold a password.
 *
 * Ownership: the caller frees `*url` with lavoro_string_free.
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_client_url(const struct lavoro_client *client, char **url);

/**
 * Enqueues a job. When this returns LAVORO_OK, it is committed and safe. Calls of several
 * threads at the same time share one commit.
 *
 * `payload`: JSON text in UTF-8 of `payload_length` bytes, or LAVORO_NUL_TERMINATED; NULL and 0
 * for `null`. `options`: NULL for the defaults. `id` and `created` may be NULL; `*created` is
 * false if another job holds the unique key, which `*id` is then.
 *
 * Ownership: nothing is kept of what is passed.
 * Errors: LAVORO_INVALID_TASK, _QUEUE, _PAYLOAD, _TIME, _OPTION, _UNIQUE_KEY,
 * LAVORO_PAYLOAD_TOO_LARGE, _TOO_DEEP, LAVORO_NUMBER_OUT_OF_RANGE, LAVORO_UNIQUE_PENDING,
 * LAVORO_CLOSED, or what is wrong with the database. While it cannot be reached, it is tried
 * again for enqueue_timeout_ms.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_client_enqueue(const struct lavoro_client *client,
                                         const char *task,
                                         const char *payload,
                                         size_t payload_length,
                                         const struct lavoro_job_options *options,
                                         int64_t *id,
                                         bool *created);

/**
 * Enqueues many jobs: all are checked before anything is sent, and those without unique keys
 * are committed together or not at all.
 *
 * `jobs`: an array of `count` structures of equal size. `ids`: NULL, or room for `count`
 * numbers, in the same order.
 *
 * Errors: as lavoro_client_enqueue; the message names the job's place.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_client_enqueue_many(const struct lavoro_client *client,
                                              const struct lavoro_new_job *jobs,
                                              size_t count,
                                              int64_t *ids);

/**
 * Enqueues many jobs that are described as JSON: an array of objects with `task`, `payload` and
 * options by the names that all languages share.
 *
 * `*ids`: a JSON array of the numbers as decimal strings; freed with lavoro_string_free. `ids`
 * may be NULL.
 *
 * Errors: as lavoro_client_enqueue; the message names the job's place.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_client_enqueue_json(const struct lavoro_client *client,
                                              const char *jobs,
                                              size_t jobs_length,
                                              char **ids);

/**
 * Calls a method by its name, with its arguments as a JSON object: everything that a client can
 * do and that is not called often. docs/c.md lists the methods: `job.info`, `job.result`,
 * `job.cancel`, `jobs.list`, `queues.pause`, `schedules.declare`, `locks.list`, `statistics`, …
 *
 * `arguments`: JSON in UTF-8 of `arguments_length` bytes, or LAVORO_NUL_TERMINATED; NULL and 0
 * for `{}`. `answer`: NULL, or where the answer goes as JSON text.
 *
 * Ownership: the caller frees `*answer` with lavoro_string_free.
 * Errors: LAVORO_INVALID_OPTION if there is no such method or an argument does not fit; else as
 * of the method. Thread-safety: any thread. Blocks until it is answered.
 */
enum lavoro_status lavoro_client_call(const struct lavoro_client *client,
                                      const char *method,
                                      const char *arguments,
                                      size_t arguments_length,
                                      char **answer);

/**
 * Waits until a job has ended, at most `timeout_ms` milliseconds (not negative).
 *
 * `*answer`: `{"state", "result", "error"}`; the caller frees it with lavoro_string_free.
 * Errors: LAVORO_TIMEOUT, LAVORO_JOB_NOT_FOUND, or what is wrong with the database.
 * Thread-safety: any thread. Blocks.
 */
enum lavoro_status lavoro_client_job_result(const struct lavoro_client *client,
                                            int64_t id,
                                            int64_t timeout_ms,
                                            char **answer);

/**
 * The state that a job is in: `available`, `running`, `completed`, ….
 *
 * `*state`: the caller frees it with lavoro_string_free.
 * Errors: LAVORO_JOB_NOT_FOUND, or what is wrong with the database.
 * Thread-safety: any thread. Blocks.
 */
enum lavoro_status lavoro_client_job_state(const struct lavoro_client *client,
                                           int64_t id,
                                           char **state);

/**
 * Cancels a job: at once if it waits; a running handler is told to stop.
 *
 * Errors: LAVORO_JOB_NOT_FOUND, or what is wrong with the database.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_client_job_cancel(const struct lavoro_client *client, int64_t id);

/**
 * Makes a job available now: one that waits for its time, or one that has ended.
 *
 * Errors: LAVORO_JOB_NOT_FOUND; LAVORO_INVALID_STATE if it runs; what is wrong with the
 * database. Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_client_job_retry(const struct lavoro_client *client, int64_t id);

/**
 * Pauses a queue: no worker claims from it. Jobs that run go on.
 *
 * Errors: LAVORO_INVALID_QUEUE, or what is wrong with the database.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_client_queue_pause(const struct lavoro_client *client, const char *queue);

/**
 * Resumes a queue that was paused.
 *
 * Errors: LAVORO_INVALID_QUEUE, or what is wrong with the database.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_client_queue_resume(const struct lavoro_client *client,
                                              const char *queue);

/**
 * Declares a schedule: it is created, or changed to be so. At most one declaration per name and
 * process holds. `schedule` is JSON: `{"name": "report", "task": "report", "every": "hour"}`.
 *
 * Errors: LAVORO_INVALID_SCHEDULE, LAVORO_INVALID_OPTION, or what is wrong with the database.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_client_schedule(const struct lavoro_client *client,
                                          const char *schedule,
                                          size_t schedule_length);

/**
 * Creates or upgrades the schema.
 *
 * `url` and `options` as lavoro_client_open. `answer`: NULL, or where `{"applied": [versions]}`
 * goes; the caller frees it with lavoro_string_free.
 * Errors: as lavoro_client_open. Thread-safety: any thread. Blocks.
 */
enum lavoro_status lavoro_migrate(const char *url,
                                  const struct lavoro_client_options *options,
                                  char **answer);

/**
 * Makes a worker. Nothing happens yet: it starts with lavoro_worker_start, _run, _next or _fd.
 *
 * `options`: NULL for the defaults. One that hands jobs out needs `{"tasks": […]}` in its json;
 * with handlers, the tasks are theirs.
 *
 * Ownership: the caller frees `*worker` with lavoro_worker_free. The client may not be closed
 * before that. Errors: LAVORO_INVALID_OPTION, LAVORO_INVALID_ARGUMENT, LAVORO_INVALID_HANDLE.
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_worker_new(const struct lavoro_client *client,
                                     const struct lavoro_worker_options *options,
                                     struct lavoro_worker **worker);

/**
 * Has jobs of a task run by a callback. Call it before the worker starts.
 *
 * The callback may run on several threads at once, and may call this library, but for what its
 * comment forbids. `user_data` is passed on and never looked at; it must stay valid until the
 * worker was freed.
 *
 * Errors: LAVORO_INVALID_TASK, LAVORO_DUPLICATE_HANDLER; LAVORO_INVALID_STATE after the start.
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_worker_handle(const struct lavoro_worker *worker,
                                        const char *task,
                                        lavoro_handler handler,
                                        void *user_data);

/**
 * Starts the worker on threads of the library's: one for each job that may run at once.
 *
 * Errors: LAVORO_INVALID_STATE without handlers or if it was started; LAVORO_INVALID_OPTION,
 * LAVORO_CLOSED, or what is wrong with the database.
 * Thread-safety: any thread. Blocks until the worker is registered.
 */
enum lavoro_status lavoro_worker_start(const struct lavoro_worker *worker);

/**
 * Runs jobs one after another on the calling thread until the worker is stopped. Several threads
 * may do so at once.
 *
 * Errors: as lavoro_worker_start; LAVORO_INVALID_STATE in a callback.
 * Thread-safety: any thread. Blocks until lavoro_worker_stop.
 */
enum lavoro_status lavoro_worker_run(const struct lavoro_worker *worker);

/**
 * Waits for a job and hands it out. Its attempt is running from then on.
 *
 * `timeout_ms`: how long to wait; 0: not at all; negative: for ever. Starts the worker if need
 * be.
 *
 * Ownership: the caller reports an outcome and frees `*job` with lavoro_job_free.
 * Errors: LAVORO_TIMEOUT: none came, `*job` is NULL; LAVORO_CLOSED: the worker stops; else as
 * lavoro_worker_start. Thread-safety: any thread, several at once. Blocks up to the timeout.
 */
enum lavoro_status lavoro_worker_next(const struct lavoro_worker *worker,
                                      int64_t timeout_ms,
                                      struct lavoro_job **job);

/**
 * A file descriptor for poll(2), select(2), epoll: readable while lavoro_worker_next may have a
 * job, or the worker has stopped. It is never to be read: call lavoro_worker_next(worker, 0,
 * &job), and again until it answers LAVORO_TIMEOUT. Starts the worker if need be.
 *
 * Ownership: the worker's; valid until that is freed. Errors: as lavoro_worker_start.
 * Thread-safety: any thread. Blocks until the worker is registered.
 */
enum lavoro_status lavoro_worker_fd(const struct lavoro_worker *worker, int *fd);

/**
 * Stops: claims no more, waits for running jobs at most `timeout_ms` milliseconds (not
 * negative), tells the rest to stop and hands them back uncounted.
 *
 * In a callback it returns at once, and the worker stops soon after.
 * Errors: LAVORO_TIMEOUT: some callbacks or jobs were still running; their jobs were handed
 * back. Thread-safety: any thread; later calls do nothing. Blocks; never longer than the
 * timeout, the grace, and about 20 seconds more if the database does not answer.
 */
enum lavoro_status lavoro_worker_stop(const struct lavoro_worker *worker, int64_t timeout_ms);

/**
 * Stops the worker at once if it was not stopped, waits for its callbacks to return, and frees
 * it. NULL is fine.
 *
 * Errors: LAVORO_INVALID_HANDLE if it was freed already; LAVORO_INVALID_STATE in a callback.
 * Thread-safety: any thread. Blocks.
 */
enum lavoro_status lavoro_worker_free(struct lavoro_worker *worker);

/**
 * How the worker is, as a JSON object: `healthy`, `worker`, `since_contact_ms`, `running`,
 * `waiting`, `slots`, `stopping`, `stuck`.
 *
 * Ownership: the caller frees `*json` with lavoro_string_free.
 * Errors: LAVORO_INVALID_STATE before the start. Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_worker_health(const struct lavoro_worker *worker, char **json);

/**
 * Waits for the next event of the worker as a JSON object: `event` (`started`, `completed`,
 * `failed`, …), `queue`, `job`, …. What happened before the first call is not told; who falls
 * behind by more than 1024 misses the oldest.
 *
 * `timeout_ms`: how long to wait; 0: not at all; negative: for ever.
 * Ownership: the caller frees `*json` with lavoro_string_free.
 * Errors: LAVORO_TIMEOUT: none came; LAVORO_CLOSED: the worker has ended; LAVORO_INVALID_STATE
 * before the start. Thread-safety: any thread; one at a time is served. Blocks.
 */
enum lavoro_status lavoro_worker_event(const struct lavoro_worker *worker,
                                       int64_t timeout_ms,
                                       char **json);

/**
 * The job's number: the key that makes effects outside of the database idempotent. 0 if the
 * handle is invalid.
 *
 * Thread-safety: any thread. Does not block.
 */
int64_t lavoro_job_id(const struct lavoro_job *job);

/**
 * Which attempt this is, from 1. 0 if the handle is invalid.
 *
 * Thread-safety: any thread. Does not block.
 */
uint32_t lavoro_job_attempt(const struct lavoro_job *job);

/**
 * How many attempts the job has in all. 0 if the handle is invalid.
 *
 * Thread-safety: any thread. Does not block.
 */
uint32_t lavoro_job_max_attempts(const struct lavoro_job *job);

/**
 * The task. NULL if the handle is invalid.
 *
 * Ownership: the job's; valid until it is freed, or its callback has returned.
 * Thread-safety: any thread. Does not block.
 */
const char *lavoro_job_task(const struct lavoro_job *job);

/**
 * The queue. NULL if the handle is invalid.
 *
 * Ownership: the job's; valid until it is freed, or its callback has returned.
 * Thread-safety: any thread. Does not block.
 */
const char *lavoro_job_queue(const struct lavoro_job *job);

/**
 * The payload as JSON text, as the database keeps it; it holds no NUL. `length` may be NULL.
 * NULL if the handle is invalid.
 *
 * Ownership: the job's; valid until it is freed, or its callback has returned.
 * Thread-safety: any thread. Does not block.
 */
const char *lavoro_job_payload(const struct lavoro_job *job, size_t *length);

/**
 * Everything there is to know about the job, as a JSON object: `id`, `token`, `task`, `queue`,
 * `attempt`, `max_attempts`, `priority`, `suspect`, `created_at`, `claimed_at`, `timeout_ms`,
 * `tags`, `payload`, `metadata`, `traceparent`, `tracestate`, `slot`.
 *
 * Ownership: the caller frees `*json` with lavoro_string_free.
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_job_json(const struct lavoro_job *job, char **json);

/**
 * Whether the handler should stop, and why: the cancellation flag. Ask it now and then in long
 * work. LAVORO_STOP_LOST_LEASE if the handle is invalid.
 *
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_stop_reason lavoro_job_stop_reason(const struct lavoro_job *job);

/**
 * Says how far the job has come: `percent` from 0 to 100, or negative for none; a message for
 * people, and data for programs as JSON text; both may be NULL. Only the last word counts.
 *
 * Errors: LAVORO_INVALID_OPTION, LAVORO_INVALID_PAYLOAD, LAVORO_PAYLOAD_TOO_LARGE.
 * Thread-safety: any thread. Does not block: it is written within milliseconds.
 */
enum lavoro_status lavoro_job_progress(const struct lavoro_job *job,
                                       float percent,
                                       const char *message,
                                       const char *data);

/**
 * Adds to the job's log; each line of the text is one there. At most 1000 lines of 4 KiB.
 *
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_job_log(const struct lavoro_job *job, const char *line);

/**
 * Saves what the next attempt needs to go on from here, as JSON text of at most 1 MiB; it
 * replaces what was saved before. When this returns LAVORO_OK, it is committed.
 *
 * Errors: LAVORO_STALE_LEASE: stop; LAVORO_INVALID_PAYLOAD, LAVORO_PAYLOAD_TOO_LARGE,
 * LAVORO_CLOSED, or what is wrong with the database.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_job_checkpoint_save(const struct lavoro_job *job,
                                              const char *json,
                                              size_t json_length);

/**
 * What was saved last for this job, by this attempt or one before it, as JSON text; `*json` is
 * NULL if nothing was.
 *
 * Ownership: the caller frees `*json` with lavoro_string_free.
 * Errors: LAVORO_CLOSED, or what is wrong with the database.
 * Thread-safety: any thread. Blocks.
 */
enum lavoro_status lavoro_job_checkpoint_load(const struct lavoro_job *job, char **json);

/**
 * Frees a job that lavoro_worker_next handed out. If no outcome was reported, it is handed back
 * at once, and the attempt is not counted. NULL is fine.
 *
 * Errors: LAVORO_INVALID_HANDLE if it was freed already; LAVORO_INVALID_STATE for the job of a
 * callback that is running, which the library frees.
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_job_free(struct lavoro_job *job);

/**
 * The job is done. `result`: JSON text that is kept, or NULL and 0; one that cannot be stored is
 * replaced by a note.
 *
 * As for each outcome: the first one counts. Of a job from lavoro_worker_next this returns when
 * the outcome is committed; in a callback it is sent and recorded soon after. The job is still
 * to be freed.
 * Errors: LAVORO_STALE_LEASE: another attempt runs the job, nothing was recorded;
 * LAVORO_INVALID_STATE: an outcome was reported already.
 * Thread-safety: any thread. Blocks until the commit, but not in a callback.
 */
enum lavoro_status lavoro_job_complete(const struct lavoro_job *job,
                                       const char *result,
                                       size_t result_length);

/**
 * The attempt failed: try again after `delay_ms` milliseconds, or after the job's backoff if that
 * is negative. The last attempt's failure discards the job. `error` says what went wrong; NULL
 * for nothing. Else as lavoro_job_complete.
 */
enum lavoro_status lavoro_job_retry(const struct lavoro_job *job,
                                    const char *error,
                                    int64_t delay_ms);

/**
 * The job cannot succeed: discard it without trying again. Else as lavoro_job_retry.
 */
enum lavoro_status lavoro_job_fail(const struct lavoro_job *job, const char *error);

/**
 * Not now: again after `delay_ms` milliseconds (not negative). The attempt is not counted. Else
 * as lavoro_job_complete.
 */
enum lavoro_status lavoro_job_snooze(const struct lavoro_job *job, int64_t delay_ms);

/**
 * The job is no longer wanted. `reason` may be NULL. Else as lavoro_job_complete.
 */
enum lavoro_status lavoro_job_cancel(const struct lavoro_job *job, const char *reason);

/**
 * Hands the job back at once. The attempt is not counted. Else as lavoro_job_complete.
 */
enum lavoro_status lavoro_job_release(const struct lavoro_job *job);

/**
 * Any outcome as JSON, as all languages have it: `{"outcome": "retry", "error": "…",
 * "delay_ms": 500}`. Else as lavoro_job_complete.
 *
 * Errors: LAVORO_INVALID_OPTION too.
 */
enum lavoro_status lavoro_job_finish(const struct lavoro_job *job,
                                     const char *outcome,
                                     size_t outcome_length);

/**
 * Takes the lock of this name, 1 to 255 bytes; while another holds it, waits in line. The
 * library extends it until it is released, freed or lost.
 *
 * Ownership: the caller frees `*lock` with lavoro_lock_free.
 * Errors: LAVORO_TIMEOUT if it was not free in time; LAVORO_INVALID_OPTION; what is wrong with
 * the database. Thread-safety: any thread. Blocks up to wait_ms.
 */
enum lavoro_status lavoro_lock_acquire(const struct lavoro_client *client,
                                       const char *name,
                                       const struct lavoro_lock_options *options,
                                       struct lavoro_lock **lock);

/**
 * Takes the lock if it is free and nobody waits for it; else `*lock` is NULL, and the answer is
 * LAVORO_OK.
 *
 * Ownership: the caller frees `*lock` with lavoro_lock_free.
 * Errors: LAVORO_INVALID_OPTION; what is wrong with the database.
 * Thread-safety: any thread. Blocks until the database has answered.
 */
enum lavoro_status lavoro_lock_try_acquire(const struct lavoro_client *client,
                                           const char *name,
                                           const struct lavoro_lock_options *options,
                                           struct lavoro_lock **lock);

/**
 * A number that rises with each grant of this name: pass it on to what is written, and let that
 * refuse smaller ones. 0 if the handle is invalid.
 *
 * Thread-safety: any thread. Does not block.
 */
int64_t lavoro_lock_fencing_token(const struct lavoro_lock *lock);

/**
 * Whether the lock is held as far as this process knows. Asks nobody.
 *
 * Thread-safety: any thread. Does not block.
 */
bool lavoro_lock_is_held(const struct lavoro_lock *lock);

/**
 * How many milliseconds the database keeps it at least if it is not extended; 0 if it is not
 * held. Asks nobody.
 *
 * Thread-safety: any thread. Does not block.
 */
int64_t lavoro_lock_remaining_ms(const struct lavoro_lock *lock);

/**
 * Lets the lock live at least `span_ms` milliseconds from now on, 1 s to 24 h.
 *
 * Errors: LAVORO_LOCK_LOST; LAVORO_INVALID_OPTION; what is wrong with the database.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_lock_extend(const struct lavoro_lock *lock, int64_t span_ms);

/**
 * Releases the lock and wakes the first who waits. `was_held` may be NULL; false: it had been
 * lost or released. The handle is still to be freed.
 *
 * Errors: what is wrong with the database: call again, or let the lock end by itself.
 * Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_lock_release(const struct lavoro_lock *lock, bool *was_held);

/**
 * The lock as text, for lavoro_lock_restore in another process; both hold it then. The text is
 * a secret.
 *
 * Ownership: the caller frees `*letter` with lavoro_string_free.
 * Errors: LAVORO_LOCK_LOST. Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_lock_serialise(const struct lavoro_lock *lock, char **letter);

/**
 * Holds a lock on that another process wrote as text. It is extended at once, and from here on.
 *
 * Ownership: the caller frees `*lock` with lavoro_lock_free.
 * Errors: LAVORO_LOCK_LOST; LAVORO_INVALID_OPTION if the text is none of ours; what is wrong
 * with the database. Thread-safety: any thread. Blocks until the commit.
 */
enum lavoro_status lavoro_lock_restore(const struct lavoro_client *client,
                                       const char *letter,
                                       struct lavoro_lock **lock);

/**
 * Frees a lock; one that is held is released in the background. NULL is fine.
 *
 * Errors: LAVORO_INVALID_HANDLE if it was freed already.
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_lock_free(struct lavoro_lock *lock);

/**
 * The statement that enqueues a job in the caller's own transaction: send it with
 * PQexecParams(connection, lavoro_sql_text(sql), lavoro_sql_count(sql), NULL,
 * lavoro_sql_values(sql), NULL, NULL, 0). It answers one row: `id` and `created`. The job exists
 * if the transaction commits. Arguments as lavoro_client_enqueue.
 *
 * Ownership: the caller frees `*sql` with lavoro_sql_free.
 * Errors: what is wrong with the job. Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_client_enqueue_sql(const struct lavoro_client *client,
                                             const char *task,
                                             const char *payload,
                                             size_t payload_length,
                                             const struct lavoro_job_options *options,
                                             struct lavoro_sql **sql);

/**
 * The statement that completes a running job in the caller's own transaction; the database
 * raises SQLSTATE `LV014` if another attempt runs the job: roll back then. After the commit,
 * report lavoro_job_complete: it changes nothing more. `result` as lavoro_job_complete.
 *
 * Ownership: the caller frees `*sql` with lavoro_sql_free.
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_client_complete_sql(const struct lavoro_client *client,
                                              const struct lavoro_job *job,
                                              const char *result,
                                              size_t result_length,
                                              struct lavoro_sql **sql);

/**
 * The text of a statement, with placeholders `$1`, `$2`, …. NULL if the handle is invalid.
 *
 * Ownership: the statement's, until it is freed. Thread-safety: any thread. Does not block.
 */
const char *lavoro_sql_text(const struct lavoro_sql *sql);

/**
 * How many parameters a statement has. 0 if the handle is invalid.
 *
 * Thread-safety: any thread. Does not block.
 */
int lavoro_sql_count(const struct lavoro_sql *sql);

/**
 * The parameters of a statement in text format; NULL among them is SQL's null. NULL if the
 * handle is invalid.
 *
 * Ownership: the statement's, until it is freed. Thread-safety: any thread. Does not block.
 */
const char *const *lavoro_sql_values(const struct lavoro_sql *sql);

/**
 * Frees a statement. NULL is fine.
 *
 * Errors: LAVORO_INVALID_HANDLE if it was freed already.
 * Thread-safety: any thread. Does not block.
 */
enum lavoro_status lavoro_sql_free(struct lavoro_sql *sql);

/**
 * Has messages of at least this level (one of lavoro_log_level) sent to a callback, instead of
 * to nowhere. A later call replaces the callback; NULL ends it. When this returns, the one
 * before is called no more.
 *
 * Errors: LAVORO_INVALID_STATE if the process has another subscriber of Rust's `tracing`.
 * Thread-safety: any thread. Waits for callbacks that run.
 */
enum lavoro_status lavoro_log_set(lavoro_log_callback callback, uint32_t level, void *user_data);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LAVORO_H */

/* Initialisers: `lavoro_job_options options = LAVORO_JOB_OPTIONS_INIT;` */
#define LAVORO_CLIENT_OPTIONS_INIT {sizeof(lavoro_client_options), NULL, NULL, 0, 0, 0, 0}
#define LAVORO_JOB_OPTIONS_INIT {sizeof(lavoro_job_options), NULL, NULL, NULL, 0, 0, 0, 0}
#define LAVORO_NEW_JOB_INIT {sizeof(lavoro_new_job), NULL, NULL, 0, NULL}
#define LAVORO_WORKER_OPTIONS_INIT {sizeof(lavoro_worker_options), NULL, NULL, NULL, 0}
#define LAVORO_LOCK_OPTIONS_INIT {sizeof(lavoro_lock_options), NULL, 0, 0}
