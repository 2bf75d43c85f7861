/* A thin wrapper of lavoro.h for C++11 and later: handles that free themselves, errors that are
   thrown. What holds of each call is in lavoro.h. */
#ifndef LAVORO_HPP
#define LAVORO_HPP

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "lavoro.h"

namespace lavoro {

/* What a call threw: its status, and what it said. */
class error : public std::runtime_error {
public:
    explicit error(lavoro_status status)
        : std::runtime_error(lavoro_error_message()),
          status_(status),
          transient_(lavoro_error_is_transient()) {}
    lavoro_status status() const noexcept { return status_; }
    const char *code() const noexcept { return lavoro_status_name(status_); }
    /* Whether the same call may succeed if it is made again. */
    bool is_transient() const noexcept { return transient_; }

private:
    lavoro_status status_;
    bool transient_;
};

inline void check(lavoro_status status)
{
    if (status != LAVORO_OK) throw error(status);
}

template <typename T, lavoro_status (*Free)(T *)>
struct deleter {
    void operator()(T *handle) const noexcept { Free(handle); }
};

template <typename T, lavoro_status (*Free)(T *)>
using handle = std::unique_ptr<T, deleter<T, Free>>;

/* A text that the library handed out, taken over and freed. */
inline std::string take(char *text)
{
    handle<char, lavoro_string_free> owned(text);
    return text ? std::string(text) : std::string();
}

/* A job that was handed out. It is handed back if nothing is reported. */
class job {
public:
    explicit job(lavoro_job *raw) : raw_(raw) {}
    int64_t id() const { return lavoro_job_id(raw_.get()); }
    uint32_t attempt() const { return lavoro_job_attempt(raw_.get()); }
    std::string task() const { return lavoro_job_task(raw_.get()); }
    std::string payload() const
    {
        size_t length;
        const char *text = lavoro_job_payload(raw_.get(), &length);
        return std::string(text, length);
    }
    void complete(const std::string &result = "null")
    {
        check(lavoro_job_complete(raw_.get(), result.data(), result.size()));
    }
    void retry(const std::string &why, int64_t delay_ms = -1)
    {
        check(lavoro_job_retry(raw_.get(), why.c_str(), delay_ms));
    }
    void fail(const std::string &why) { check(lavoro_job_fail(raw_.get(), why.c_str())); }
    lavoro_job *raw() const noexcept { return raw_.get(); }

private:
    handle<lavoro_job, lavoro_job_free> raw_;
};

class client {
public:
    explicit client(const char *url = nullptr, const lavoro_client_options *options = nullptr)
    {
        lavoro_client *raw;
        check(lavoro_client_open(url, options, &raw));
        raw_.reset(raw);
    }
    int64_t enqueue(const std::string &task, const std::string &payload = "null",
                    const lavoro_job_options *options = nullptr)
    {
        int64_t id;
        check(lavoro_client_enqueue(raw_.get(), task.c_str(), payload.data(), payload.size(),
                                    options, &id, nullptr));
        return id;
    }
    std::string call(const std::string &method, const std::string &arguments = "{}")
    {
        char *answer;
        check(lavoro_client_call(raw_.get(), method.c_str(), arguments.data(), arguments.size(),
                                 &answer));
        return take(answer);
    }
    lavoro_client *raw() const noexcept { return raw_.get(); }

private:
    handle<lavoro_client, lavoro_client_close> raw_;
};

/* A worker whose handlers are functions; what they throw is a failure that is tried again. The
   client must outlive it. */
class worker {
public:
    using function = std::function<void(lavoro_job *)>;

    explicit worker(const client &of, const lavoro_worker_options *options = nullptr)
    {
        lavoro_worker *raw;
        check(lavoro_worker_new(of.raw(), options, &raw));
        raw_.reset(raw);
    }
    worker(worker &&) = default;
    /* It would free functions before the worker that calls them. */
    worker &operator=(worker &&) = delete;
    void handle_task(const std::string &task, function run)
    {
        std::unique_ptr<function> owned(new function(std::move(run)));
        check(lavoro_worker_handle(raw_.get(), task.c_str(), call, owned.get()));
        functions_.push_back(std::move(owned));
    }
    void start() { check(lavoro_worker_start(raw_.get())); }
    void stop(int64_t timeout_ms) { check(lavoro_worker_stop(raw_.get(), timeout_ms)); }
    /* None: none came in time. */
    std::unique_ptr<job> next(int64_t timeout_ms)
    {
        lavoro_job *raw;
        lavoro_status status = lavoro_worker_next(raw_.get(), timeout_ms, &raw);
        if (status == LAVORO_TIMEOUT) return nullptr;
        check(status);
        return std::unique_ptr<job>(new job(raw));
    }

private:
    /* No exception may leave a callback. */
    static int call(lavoro_job *job, void *user_data) noexcept
    {
        try {
            (*static_cast<function *>(user_data))(job);
            return 0;
        } catch (const std::exception &thrown) {
            lavoro_job_retry(job, thrown.what(), -1);
        } catch (...) {
            lavoro_job_retry(job, "unknown exception", -1);
        }
        return 1;
    }

    std::vector<std::unique_ptr<function>> functions_; /* outlives raw_ */
    lavoro::handle<lavoro_worker, lavoro_worker_free> raw_;
};

} // namespace lavoro

#endif
