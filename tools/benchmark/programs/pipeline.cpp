// pipeline.cpp: a program with threads as there are many: pipeline LINES. Two threads make lines, two take them apart and count words.
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Batch {
    std::vector<std::string> lines;
};

class Queue {
public:
    void put(std::unique_ptr<Batch> batch) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return batches.size() < 64; });
        batches.push_back(std::move(batch));
        changed.notify_all();
    }

    std::unique_ptr<Batch> take() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return !batches.empty(); });
        auto batch = std::move(batches.front());
        batches.pop_front();
        changed.notify_all();
        return batch;
    }

private:
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::unique_ptr<Batch>> batches;
};

void produce(Queue &queue, int lines, uint64_t seed) {
    auto batch = std::make_unique<Batch>();
    for (int i = 0; i < lines; i++) {
        std::string line;
        for (int word = 0; word < 12; word++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            line += "a-word-of-some-length-" + std::to_string((seed >> 33) % 5000) + " ";
        }
        batch->lines.push_back(std::move(line));
        if (batch->lines.size() == 32) {
            queue.put(std::move(batch));
            batch = std::make_unique<Batch>();
        }
    }
    queue.put(std::move(batch));
    queue.put(nullptr);
}

using Counts = std::map<std::string, int>;

Counts consume(Queue &queue) {
    Counts counts;
    while (auto batch = queue.take()) {
        for (const auto &line : batch->lines) {
            std::istringstream words(line);
            std::string word;
            while (words >> word) counts[word]++;
        }
    }
    return counts;
}

}  // namespace

int main(int count, char **arguments) {
    int lines = count > 1 ? std::atoi(arguments[1]) / 2 : 10000;
    Queue queue;
    Counts results[2];
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; i++) {
        threads.emplace_back([&, i] { produce(queue, lines, 17 + i); });
        threads.emplace_back([&, i] { results[i] = consume(queue); });
    }
    for (auto &thread : threads) thread.join();
    long total = 0;
    for (auto &counts : results)
        for (auto &[word, number] : counts) total += number;
    std::cout << total << "\n";
    return total == 24L * lines ? 0 : 1;
}
