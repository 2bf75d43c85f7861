// A producer and a worker in one C++ program: nothing is freed by hand.
#include <iostream>

#include <lavoro.hpp>

int main()
{
    try {
        lavoro::client client("memory:");
        lavoro::worker worker(client);
        worker.handle_task("greet", [](lavoro_job *job) {
            std::string name = lavoro_job_payload(job, nullptr);
            lavoro::check(lavoro_job_complete(job, name.data(), name.size()));
        });
        worker.start();
        int64_t id = client.enqueue("greet", "\"Ada\"");
        std::cout << client.call("job.result", "{\"id\":\"" + std::to_string(id) + "\"}") << "\n";
        worker.stop(5000);
        try {
            client.enqueue("");
        } catch (const lavoro::error &refused) {
            std::cout << refused.code() << ": " << refused.what() << "\n";
        }
        return 0;
    } catch (const std::exception &thrown) {
        std::cerr << thrown.what() << "\n";
        return 1;
    }
}
