// thread_locals.cpp: thread_local objects whose constructors and destructors allocate. Counted, and freed.
#include <thread>
#include <vector>
#include "claims.h"

static int line_of_member, line_of_last;

struct Local {
    char *member;
    Local() { member = new char[1201]; line_of_member = __LINE__; }
    ~Local() {
        char *last = new char[1202]; line_of_last = __LINE__;
        TOUCH(last);
        delete[] last;
        delete[] member;
    }
};
static thread_local Local local;

int main() {
    for (int round = 0; round < 5; round++) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 6; i++) threads.emplace_back([] { TOUCH(local.member); });
        for (auto &thread : threads) thread.join();
    }
    CLAIM_AT("total", line_of_member, 1201 * 30, 30);
    CLAIM_AT("alive", line_of_member, 0, 0);
    CLAIM_AT("total", line_of_last, 1202 * 30, 30);
    CLAIM_AT("alive", line_of_last, 0, 0);
    return 0;
}
