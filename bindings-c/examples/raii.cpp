// The same from C++: handles free themselves, errors are exceptions, handlers are lambdas.
//
//     raii [URL]

#include <iostream>
#include <lavoro.hpp>
#include <stdexcept>

namespace {

void produce_and_work(const char *url) {
    lavoro::Client client(url, lavoro::client_options());

    lavoro::Worker worker(client);
    worker.handle("double", [](lavoro::Job &job) {
        if (job.attempt() == 1) {
            throw std::runtime_error("the first attempt fails");  // and the job is tried again
        }
        job.complete("{\"doubled\": " + job.payload() + job.payload() + "}");
    });
    worker.start();

    lavoro_job_options options = lavoro::job_options();
    options.json = "{\"backoff\": {\"kind\": \"fixed\", \"base_ms\": 100, \"max_ms\": 100}}";
    const std::int64_t id = client.enqueue("double", "21", options);
    std::cout << "job " << id << ": " << client.result(id, std::chrono::seconds(60)) << "\n";

    lavoro::Lock lock = client.lock("raii");
    std::cout << "a second holder gets " << (client.try_lock("raii") ? "it too" : "nothing") << "\n";
    lock.release();

    try {
        client.enqueue("", "null");
    } catch (const lavoro::Error &error) {
        std::cout << error.name() << ": " << error.what() << "\n";
    }
    worker.stop(std::chrono::seconds(10));
}

}  // namespace

int main(int argc, char **argv) {
    try {
        produce_and_work(argc > 1 ? argv[1] : nullptr);
        return 0;
    } catch (const std::exception &error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
