// freezer.h: what stopping (freezer.c) and copying (image.c) have in common.
#ifndef TM_FREEZER_H
#define TM_FREEZER_H

#include <stdbool.h>
#include <unistd.h>

#include "CFreezer.h"
#include "cpu.h"

enum tm_thread_state { TM_SEIZED, TM_STOPPED, TM_GONE };

struct tm_stopped {
    int id;
    enum tm_thread_state state;
    int signal;  // that it was about to be given
    uint64_t stack_pointer, thread_pointer;
    uint64_t first_word, words;
};

#define TM_MOST_THREADS 32768u
#define TM_MOST_WORDS (8u << 20)
#define TM_MOST_MAPPINGS 131072u
#define TM_MOST_PIECES (2u << 20)
#define TM_MOST_TEXT (32u << 20)
#define TM_PAGEMAP_WORDS (64u << 10)

// Memory for the time of the freeze: reserved before, touched where it is used.
struct tm_scratch {
    size_t thread_count, word_count, mapping_count, piece_count, text_size;
    uint64_t content_size;
    struct tm_stopped threads[TM_MOST_THREADS];
    uint64_t words[TM_MOST_WORDS];
    uint64_t vector[TM_VECTOR_BYTES / 8];
    struct tm_heap_image_mapping mappings[TM_MOST_MAPPINGS];
    struct tm_heap_image_piece pieces[TM_MOST_PIECES];
    uint64_t pagemap[TM_PAGEMAP_WORDS];
    char text[TM_MOST_TEXT];
};

uint64_t tm_freezer_now(void);
// Notes the first fault. Always false.
bool tm_freezer_failed(struct tm_freeze *freeze, enum tm_freeze_fault fault, int code);
// Opens BEFORE PID AFTER.
int tm_freezer_open(const char *before, int pid, const char *after, int flags);

bool tm_stop_threads(struct tm_freeze *freeze, struct tm_scratch *scratch);
bool tm_read_registers(struct tm_scratch *scratch);
void tm_release_threads(struct tm_scratch *scratch);

// Makes the image of the stopped process.
bool tm_take_image(struct tm_freeze *freeze, struct tm_scratch *scratch);

#endif
