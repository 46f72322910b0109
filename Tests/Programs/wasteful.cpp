// wasteful.cpp: wastes memory in one way per function, and says which way, where and how often: waste KIND FILE:LINE COUNT.
#include <vector>
#include "claims.h"

static int storm_line, realloc_line, vector_line, churn_line, tiny_line;

SEPARATE static void storm() {
    for (int i = 0; i < 30000; i++) {
        void *buffer = malloc(100 + i % 500); storm_line = __LINE__;
        TOUCH(buffer);
        free(buffer);
    }
}

SEPARATE static void grow() {
    for (int i = 0; i < 10; i++) {
        char *text = NULL;
        for (int size = 1; size <= 1001; size++) {
            text = (char *)realloc(text, size * 16); realloc_line = __LINE__;
            TOUCH(text);
        }
        free(text);
    }
}

SEPARATE static void fill() {
    for (int i = 0; i < 1000; i++) {
        std::vector<long> numbers;
        for (int number = 0; number < 64; number++) {
            numbers.push_back(number); vector_line = __LINE__;
        }
        TOUCH(numbers.data());
    }
}

SEPARATE static void churn() {
    void *recent[8] = {};
    for (int i = 0; i < 40000; i++) {
        free(recent[i % 8]);
        recent[i % 8] = malloc(48); churn_line = __LINE__;
        TOUCH(recent[i % 8]);
    }
    for (void *block : recent) free(block);
}

SEPARATE static void hoard() {
    static void *blocks[20000];
    for (void *&block : blocks) {
        block = malloc(8); tiny_line = __LINE__;
        TOUCH(block);
    }
}

int main() {
    storm();
    grow();
    fill();
    churn();
    hoard();
    say("waste temporaryStorm wasteful.cpp:%d 30000\n", storm_line);
    say("waste repeatedGrowth wasteful.cpp:%d 10000\n", realloc_line);
    say("waste repeatedGrowth wasteful.cpp:%d 7000\n", vector_line);
    say("waste sameSizeChurn wasteful.cpp:%d 40000\n", churn_line);
    say("waste tinyBlocks wasteful.cpp:%d 20000\n", tiny_line);
    return 0;
}
