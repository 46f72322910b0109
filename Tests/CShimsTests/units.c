// units.c: the parts of the traced side one by one, under the sanitizers that cannot live in a traced program; see tools/sanitize.
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "environment.h"
#include "images.h"
#include "interposer.h"
#include "loaded_module.h"
#include "message.h"
#include "recorder.h"
#include "recording.h"
#include "stack_bounds.h"
#include "stack_table.h"
#include "startup_arena.h"
#include "text.h"
#include "unwind_rules.h"

static uint64_t state;

static uint64_t random_word(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

// ---- Text
static void text_is_bounded_and_terminated(void) {
    for (size_t capacity = 1; capacity < 40; capacity++) {
        char *bytes = malloc(capacity);
        struct tm_text text = tm_text_in(bytes, capacity);
        tm_put(&text, "path/");
        tm_put_number(&text, UINT64_MAX);
        tm_put_padded(&text, 7, 100);
        assert(strlen(bytes) == text.length && text.length < capacity);
        assert(text.overflow == (capacity < 5 + 20 + 20 + 1));
        free(bytes);
    }
}

static void messages_of_any_length_are_one_line(void) {
    char *part = malloc(5000);
    memset(part, '\033', 4999), part[4999] = 0;
    int out = dup(2), ends[2];
    assert(pipe(ends) == 0 && dup2(ends[1], 2) == 2);
    tm_message(part, part, NULL);
    dup2(out, 2), close(out), close(ends[1]);
    char line[4096];
    long length = read(ends[0], line, sizeof line);
    assert(length > 0 && length <= 1024 && line[length - 1] == '\n' && !memchr(line, '\033', (size_t)length));
    close(ends[0]), free(part);
}

// ---- Environment
static void variables_are_found_by_their_whole_name(void) {
    setenv("TM_UNIT", "value=1", 1);
    setenv("TM_UNIT_LONGER", "other", 1);
    assert(strcmp(tm_variable("TM_UNIT"), "value=1") == 0 && !tm_variable("TM_UNI"));
    static char entry[] = "TM_UNIT=2";
    tm_replace_variable("TM_UNIT", entry);
    assert(strcmp(tm_variable("TM_UNIT"), "2") == 0);
}

// ---- Arena
static void the_arena_aligns_and_ends(void) {
    void *last = NULL;
    for (size_t i = 0;; i++) {
        size_t alignment = (size_t)1 << i % 10, size = i % 300;
        unsigned char *block = tm_arena_allocate(size, alignment);
        if (!block) break;
        assert((uintptr_t)block % (alignment < 16 ? 16 : alignment) == 0 && tm_arena_size(block) == size && block != last);
        assert(tm_arena_owns(block) && (size == 0 || tm_arena_owns(block + size - 1)));
        memset(block, 0xff, size);
        last = block;
    }
    assert(last && !tm_arena_allocate(SIZE_MAX, 16) && !tm_arena_allocate(1, SIZE_MAX / 2 + 1) && !tm_arena_owns(&last));
}

// ---- Recordings
static void a_recording_is_private_and_whole(void) {
    char session[] = "/dev/shm/tm-units-XXXXXX", path[300];
    struct tm_recording_options options = {.frame_limit = 256};
    assert(mkdtemp(session));
    snprintf(path, sizeof path, "%s/missing", session);
    assert(tm_recording_create(path, &options) == -ENOENT);
    char *longest = malloc(2000);
    memset(longest, 'x', 1999), longest[1999] = 0;
    assert(tm_recording_create(longest, &options) == -ENAMETOOLONG);
    free(longest);
    assert(tm_recording_create(session, &options) == 0);
    struct tm_header *header = tm_recording.header;
    assert(header->magic == TM_RECORDING_MAGIC && header->pid == (uint32_t)getpid() && header->process_start > 0);
    assert(header->state == TM_STATE_RECORDING && header->executable_text && header->command_text);
    snprintf(path, sizeof path, "ls -A %s | grep -cx '%d\\.[0-9]*\\.recording' | grep -qx 1", session, getpid());
    assert(system(path) == 0);
    snprintf(path, sizeof path, "stat -c %%a %s/* | grep -qx 600 && rm -r %s", session, session);
    assert(system(path) == 0);
    munmap(header, tm_recording.size);
}

// Also with a limit on the size of files: the kernel would kill a program that reaches for more.
static void a_recording_that_does_not_fit_is_an_error(void) {
    char session[] = "/dev/shm/tm-units-XXXXXX";
    assert(mkdtemp(session));
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){1 << 20, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    int failed = tm_recording_create(session, &(struct tm_recording_options){.frame_limit = 256});
    setrlimit(RLIMIT_FSIZE, &before);
    assert(failed == -EFBIG && rmdir(session) == 0);
}

// ---- The stack table, with this program as the collector
static int recording_file;

static void reserve_nodes(uint64_t count) {
    struct tm_area *area = &tm_recording.header->nodes;
    assert(fallocate(recording_file, 0, (off_t)area->offset, (off_t)(count * sizeof(struct tm_node))) == 0);
    tm_store64(&area->reserved, count);
}

enum { STACKS = 60000 };

static void equal_stacks_are_one_node(void) {
    struct tm_recording_options options = {.frame_limit = 256, .is_private = true};
    recording_file = tm_recording_create_private(&options);
    assert(recording_file >= 0);
    tm_images_reset();
    tm_stack_table_reset();
    reserve_nodes(1 << 17);
    // The tree so far: each node, and what it was made of.
    struct made { uint32_t node, parent; uint64_t pc; } *made = calloc(STACKS, sizeof *made);
    for (uint32_t i = 0; i < STACKS; i++) {
        made[i].parent = i ? made[random_word() % i].node : 0;
        made[i].pc = 0x10000 + (random_word() % STACKS << 4);
        made[i].node = tm_stack_child(tm_stack_callees(), made[i].parent, made[i].pc, 0);
        assert(made[i].node >= TM_NODE_FIRST);
    }
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < STACKS; i++) {
            struct tm_node *node = &tm_recording.nodes[made[i].node];
            assert(node->pc == made[i].pc && node->parent == made[i].parent && node->image == TM_IMAGE_NONE);
            assert(tm_stack_child(tm_stack_callees(), made[i].parent, made[i].pc, 0) == made[i].node);
        }
    // Full: the parent stands for the child, and the loss is counted.
    uint64_t lost = tm_recording.header->lost_stacks, used = tm_recording.header->nodes.used;
    tm_recording.header->nodes.reserved = used;
    tm_recording.header->nodes.refused = 1;
    assert(tm_stack_child(tm_stack_callees(), made[7].node, 0x123456789, 0) == made[7].node);
    assert(tm_stack_child(tm_stack_callees(), 0, 0x123456789, 0) == TM_NODE_LOST);
    assert(tm_recording.header->lost_stacks == lost + 2);
    free(made);
}

static void texts_end_where_their_area_does(void) {
    struct tm_area *area = &tm_recording.header->text;
    area->refused = 1;
    uint32_t id = tm_text_add("name", 4);
    assert(id && memcmp(tm_recording.text + id, "\4\0\0\0name", 8) == 0);
    assert(tm_text_add(NULL, (size_t)1 << 40) == 0);
    char *block = calloc(1, 1 << 16);
    while (tm_text_add(block, random_word() % (1 << 12))) {}
    assert(area->used <= area->reserved);
    free(block);
}

static void images_are_found_by_any_address_in_them(void) {
    uint16_t image = tm_image_of((uintptr_t)random_word, TM_IMAGE_NONE), libc = tm_image_of((uintptr_t)getppid, image);
    assert(image != TM_IMAGE_NONE && libc != image && tm_image_of((uintptr_t)random_word, libc) == image);
    assert(tm_image_of(8, image) == TM_IMAGE_NONE && tm_image_of(UINTPTR_MAX, image) == TM_IMAGE_NONE);
    assert(tm_recording.images[libc].build_id_length == 20 && !tm_images_refresh() && tm_image_is_loaded(libc));
}

// ---- Rules of all code that is loaded
static void every_address_has_a_rule(void) {
    struct tm_module module;
    const void *places[] = {(const void *)every_address_has_a_rule, (const void *)getppid, (const void *)pthread_create};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        assert(tm_module_find(&module, (uintptr_t)places[i]) == TM_MODULE_FOUND);
        for (uintptr_t at = module.start; at < module.end; at += 1 + random_word() % 64) {
            // What is between the sanitizer's variables is not to be read as code.
            if (!tm_module_is_code(&module, at)) continue;
            struct tm_rule rule = tm_rules_compile(at);
            assert(rule.kind > TM_RULE_UNKNOWN && rule.kind <= TM_RULE_FOREIGN);
            assert(tm_rules_find(tm_rules.entries, tm_rules.epoch, at).kind == rule.kind);
        }
    }
    for (int i = 0; i < 10000; i++) assert(tm_rules_compile(random_word()).kind != TM_RULE_UNKNOWN);
}

// ---- Stacks
static void *stacks_are_known(void *unused) {
    struct tm_stack_bounds bounds;
    tm_stack_bounds_thread_start(&bounds);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    struct tm_stack_range range = tm_stack_known(&bounds, here);
    assert(range.low <= here && here < range.high);
    assert(tm_stack_known(&bounds, (uintptr_t)&state).high == 0);
    // One page that can be read between two that cannot.
    unsigned char *pages = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(pages != MAP_FAILED && mprotect(pages + 4096, 4096, PROT_READ) == 0);
    uintptr_t page = (uintptr_t)pages + 4096;
    for (int i = 0; i < 2; i++) {
        assert(tm_stack_try(&bounds, page, 4096) && tm_stack_try(&bounds, page + 8, 8));
        assert(!tm_stack_try(&bounds, page - 8, 16) && !tm_stack_try(&bounds, page + 4092, 8));
    }
    static const uintptr_t odd[] = {0, 1, UINTPTR_MAX, UINTPTR_MAX - 4096, (uintptr_t)1 << 47, (uintptr_t)1 << 63};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) assert(!tm_stack_try(&bounds, odd[i], 4096));
    munmap(pages, 3 * 4096);
    return unused;
}

int main(void) {
    const char *given = getenv("UNITS_SEED");
    state = given ? strtoull(given, NULL, 0) | 1 : (uint64_t)time(NULL) * 2 + 1;
    printf("seed %llu\n", (unsigned long long)state);
    tm_rules_initialize();
    tm_stack_bounds_initialize();
    tm_module_initialize();
    text_is_bounded_and_terminated();
    messages_of_any_length_are_one_line();
    variables_are_found_by_their_whole_name();
    the_arena_aligns_and_ends();
    a_recording_is_private_and_whole();
    a_recording_that_does_not_fit_is_an_error();
    equal_stacks_are_one_node();
    texts_end_where_their_area_does();
    images_are_found_by_any_address_in_them();
    every_address_has_a_rule();
    stacks_are_known(NULL);
    pthread_t thread;
    assert(pthread_create(&thread, NULL, stacks_are_known, NULL) == 0 && pthread_join(thread, NULL) == 0);
    puts("units: ok");
}
