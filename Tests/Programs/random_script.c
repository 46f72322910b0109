// random_script.c: a random program of allocation calls, the same for the same arguments: SEED [THREADS STEPS WAY].
//
// Threads hand blocks to each other through boxes; what is still to happen to a block travels with it, so the totals do not depend
// on who was faster. WAY has letters: l one thread at a time in a fixed order (then the peak is known, too), a one arena, f children
// by fork, k and e end by SIGKILL and by _exit, o uses only what every allocator has. The program knows its figures itself:
//   figures PID allocations frees bytes freed-bytes unknown-frees     of each process, the children too
//   peak PID bytes blocks                                             only with l
//   claim total|alive FILE:LINE bytes count                           of each line of the first process that allocates
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include "claims.h"

enum { SITES = 16, BOXES = 64, BLOCKS = 256, THREADS_MOST = 16 };

struct tally {
    size_t bytes, count;
};
struct figures {
    struct tally allocated, freed, total[SITES], alive[SITES];  // alive: differences, which may wrap around below 0
    size_t unknown_frees;
};
struct block {
    void *at;
    size_t size;
    unsigned site, moves;  // moves: how often it is still to be grown or shrunk by the thread that takes it
    bool is_kept;
};
struct thread {
    struct figures figures;
    uint64_t random;
    unsigned number, steps, held;
    struct block blocks[BLOCKS];
};

static int lines[SITES];
static struct block boxes[BOXES];
static pthread_mutex_t box_locks[BOXES];
static struct figures all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static bool in_turns, forks, is_portable;
static size_t current, current_blocks, peak, peak_blocks;  // with l
static pthread_key_t key;

static uint64_t next(struct thread *thread) {
    uint64_t x = thread->random;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return (thread->random = x) * 0x2545F4914F6CDD1D >> 16;
}

// ---- Taking turns: who is next is the last one's choice, so that threads interleave in any, but always the same, order.
static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static unsigned turn, thread_count;
static bool is_over[THREADS_MOST + 1];

static void wait_for_turn(unsigned number) {
    if (!in_turns) return;
    pthread_mutex_lock(&turn_lock);
    while (turn != number) pthread_cond_wait(&turn_changed, &turn_lock);
    pthread_mutex_unlock(&turn_lock);
}

static void pass_turn(unsigned number, unsigned to, bool over) {
    if (!in_turns) return;
    pthread_mutex_lock(&turn_lock);
    is_over[number] = over;
    for (unsigned i = 0; i < thread_count && is_over[to % thread_count]; i++) to++;
    turn = to % thread_count;
    pthread_cond_broadcast(&turn_changed);
    pthread_mutex_unlock(&turn_lock);
}

// ---- Bookkeeping
static void account(struct thread *thread, struct block *block, void *at, size_t size, unsigned site) {
    *block = (struct block){at, size, site, block->moves, block->is_kept};
    thread->figures.allocated.bytes += size, thread->figures.allocated.count++;
    thread->figures.total[site].bytes += size, thread->figures.total[site].count++;
    thread->figures.alive[site].bytes += size, thread->figures.alive[site].count++;
    if (!in_turns) return;
    current += size, current_blocks++;
    if (current > peak) peak = current, peak_blocks = current_blocks;
}

static void discount(struct thread *thread, const struct block *block) {
    thread->figures.freed.bytes += block->size, thread->figures.freed.count++;
    thread->figures.alive[block->site].bytes -= block->size, thread->figures.alive[block->site].count--;
    if (in_turns) current -= block->size, current_blocks--;
}

// ---- The calls, each on a line of its own
SEPARATE static bool obtain(struct thread *thread, struct block *block, unsigned site, size_t size) {
    static const unsigned char alignments[] = {4, 5, 6, 8, 12};
    size_t alignment = (size_t)1 << alignments[next(thread) % sizeof alignments];
    void *at = NULL;
    if (is_portable && site == 10) site = 9;  // pvalloc is glibc's only
    switch (site) {
    case 0: at = malloc(size); lines[0] = __LINE__; break;
    case 1: at = malloc(size); lines[1] = __LINE__; break;
    case 2: at = malloc(size); lines[2] = __LINE__; break;
    case 3: at = calloc(1 + size % 7, size / 7); lines[3] = __LINE__; size = (1 + size % 7) * (size / 7); break;
    case 4: at = calloc(size, 1); lines[4] = __LINE__; break;
    case 5: at = realloc(NULL, size); lines[5] = __LINE__; break;
    case 6: if (posix_memalign(&at, alignment, size)) at = NULL; lines[6] = __LINE__; break;
    case 7: size = (size + alignment - 1) & -alignment; at = aligned_alloc(alignment, size); lines[7] = __LINE__; break;
    case 8: at = memalign(alignment, size); lines[8] = __LINE__; break;
    case 9: at = valloc(size); lines[9] = __LINE__; break;
    case 10: at = pvalloc(size); lines[10] = __LINE__; break;
    default: at = reallocarray(NULL, size / 3, 3); lines[11] = __LINE__; site = 11; size = size / 3 * 3; break;
    }
    if (!at) return false;
    if (size) *(volatile char *)at = 1;
    account(thread, block, at, size, site);
    return true;
}

// Returns whether there is still a block.
SEPARATE static bool change(struct thread *thread, struct block *block, size_t size, bool is_array) {
    struct block old = *block;
    void *at;
    // Only here blocks of one thread become free, and another's, in the middle of the call.
    if (is_array) at = reallocarray(old.at, size, 1), lines[13] = __LINE__;
    else at = realloc(old.at, size), lines[12] = __LINE__;
    if (!at && size) return true;
    discount(thread, &old);
    if (at) account(thread, block, at, size, is_array ? 13 : 12);
    return at != NULL;
}

SEPARATE static void give_back(struct thread *thread, struct block *block) {
    discount(thread, block);
    free(block->at);
}

SEPARATE static void fail(struct thread *thread) {
    void *at = NULL;
    size_t huge = (size_t)PTRDIFF_MAX + 1 + next(thread);
    switch (next(thread) % 5) {
    case 0: at = malloc(huge); break;
    case 1: at = calloc(huge, 16); break;
    case 2: at = reallocarray(NULL, huge, 8); break;
    case 3: REQUIRE(posix_memalign(&at, 24, 100) == EINVAL && !at); break;
    case 4: free(NULL); break;
    }
    REQUIRE(!at);
    if (thread->held) REQUIRE(!realloc(thread->blocks[0].at, huge) && (errno == ENOMEM || is_portable));
}

static size_t random_size(struct thread *thread) {
    uint64_t random = next(thread);
    switch (random % 16) {
    case 0: return 0;
    case 1: return 1 + random / 16 % 16;
    case 2: case 3: return 1000 + random / 16 % 9000;
    case 4: return random / 16 % 8 ? 10000 + random / 128 % 50000 : 130000 + random / 128 % 300000;  // mapped, and moved by mremap
    default: return 16 + random / 16 % 500;
    }
}

// ---- Scripts
static void *in_grandchild(void *argument) {
    struct thread *thread = argument;
    struct block block = {0};
    for (int i = 0; i < 5; i++)
        if (obtain(thread, &block, next(thread) % 12, random_size(thread)) && next(thread) % 2) give_back(thread, &block);
    return NULL;
}

static void tell(const struct figures *figures) {
    say("figures %d %zu %zu %zu %zu %zu\n", (int)getpid(), figures->allocated.count, figures->freed.count, figures->allocated.bytes,
        figures->freed.bytes, figures->unknown_frees);
}

// A child knows nothing of the blocks that it inherited: freeing one is a free of an unknown block.
static void spawn(struct thread *thread) {
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child) {
        int status;
        REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return;
    }
    in_turns = false;
    static struct figures none;
    thread->figures = none;
    for (unsigned i = 0; i < thread->held && i < 3; i++) {
        free(thread->blocks[i].at);
        thread->figures.unknown_frees++;
    }
    struct block block = {0};
    for (int i = 0; i < 20; i++) {
        if (obtain(thread, &block, next(thread) % 12, random_size(thread)) && next(thread) % 2) give_back(thread, &block);
    }
    in_grandchild(thread);
    tell(&thread->figures);
    _exit(0);
}

static void take(struct thread *thread, struct block block) {
    if (thread->held == BLOCKS) {
        while (thread->held > BLOCKS / 2) give_back(thread, &thread->blocks[--thread->held]);
    }
    thread->blocks[thread->held++] = block;
}

// What was decided when the block was handed over.
static void finish(struct thread *thread, struct block *block) {
    while (block->moves) {
        block->moves--;
        if (!change(thread, block, 64 + (block->size * 7 + block->moves * 131) % 3000, block->size % 4 == 0)) return;
    }
    if (!block->is_kept) give_back(thread, block);
}

static void hand_over(struct thread *thread) {
    if (!thread->held) return;
    struct block given = thread->blocks[--thread->held], taken;
    given.moves = next(thread) % 3;
    given.is_kept = next(thread) % 16 == 0;
    unsigned box = next(thread) % BOXES;
    pthread_mutex_lock(&box_locks[box]);
    taken = boxes[box];
    boxes[box] = given;
    pthread_mutex_unlock(&box_locks[box]);
    if (taken.at) finish(thread, &taken);
}

static void step(struct thread *thread) {
    uint64_t what = next(thread) % 100;
    struct block block = {0};
    if (what < 40) {
        if (obtain(thread, &block, next(thread) % 12, random_size(thread))) take(thread, block);
    } else if (what < 60) {
        if (thread->held) {
            struct block *chosen = &thread->blocks[next(thread) % thread->held];
            give_back(thread, chosen);
            *chosen = thread->blocks[--thread->held];
        }
    } else if (what < 72) {
        if (thread->held) {
            struct block *chosen = &thread->blocks[next(thread) % thread->held];
            if (!change(thread, chosen, random_size(thread), next(thread) % 4 == 0)) *chosen = thread->blocks[--thread->held];
        }
    } else if (what < 92) {
        hand_over(thread);
    } else if (what < 97) {
        if (obtain(thread, &block, next(thread) % 12, random_size(thread))) give_back(thread, &block);
    } else if (what < 98) {
        fail(thread);
    } else if (what < 99 && forks && next(thread) % 8 == 0) {
        spawn(thread);
    }
}

static void add(struct figures *sum, const struct figures *one) {
    size_t *to = (size_t *)sum;
    const size_t *from = (const size_t *)one;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) to[i] += from[i];
}

// The last that a thread does: destructors of thread-specific data run after its function.
static void end_thread(void *argument) {
    struct thread *thread = argument;
    wait_for_turn(thread->number);
    while (thread->held > 4) give_back(thread, &thread->blocks[--thread->held]);  // some stay alive
    struct block block = {0};
    if (obtain(thread, &block, 2, 77)) give_back(thread, &block);
    pthread_mutex_lock(&all_lock);
    add(&all, &thread->figures);
    pthread_mutex_unlock(&all_lock);
    pass_turn(thread->number, thread->number + 1, true);
}

static void *run(void *argument) {
    struct thread *thread = argument;
    pthread_setspecific(key, thread);
    for (unsigned i = 0; i < thread->steps; i++) {
        wait_for_turn(thread->number);
        step(thread);
        unsigned to = (unsigned)next(thread);
        pass_turn(thread->number, to % 4 ? thread->number : to / 4, false);
    }
    return NULL;
}

static struct thread threads[THREADS_MOST], main_thread;

int main(int count, char **arguments) {
    REQUIRE(count >= 2);
    uint64_t seed = strtoull(arguments[1], NULL, 10) * 0x9E3779B97F4A7C15 + 1;
    thread_count = count > 2 ? (unsigned)atoi(arguments[2]) : 4;
    unsigned steps = count > 3 ? (unsigned)atoi(arguments[3]) : 2000;
    const char *way = count > 4 ? arguments[4] : "";
    REQUIRE(thread_count > 0 && thread_count <= THREADS_MOST);
    if (strchr(way, 'a')) mallopt(M_ARENA_MAX, 1);
    in_turns = strchr(way, 'l');
    forks = strchr(way, 'f');
    is_portable = strchr(way, 'o');
    for (int i = 0; i < BOXES; i++) pthread_mutex_init(&box_locks[i], NULL);
    REQUIRE(pthread_key_create(&key, end_thread) == 0);
    // The C library keeps small stacks of ended threads, and what belongs to them; of large ones it would free that out of turn.
    pthread_attr_t small;
    REQUIRE(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 256 << 10) == 0);

    // Twice: the second generation of threads uses again what the first one left.
    for (int generation = 0; generation < 2; generation++) {
        turn = THREADS_MOST;  // nobody's, until all are there
        memset(is_over, 0, sizeof is_over);
        pthread_t ids[THREADS_MOST];
        for (unsigned i = 0; i < thread_count; i++) {
            threads[i] = (struct thread){
                .random = seed ^ (i + 1) * 0xD1B54A32D192ED03 ^ (uint64_t)generation << 40, .number = i, .steps = steps / 2};
            REQUIRE(pthread_create(&ids[i], &small, run, &threads[i]) == 0);
        }
        pass_turn(THREADS_MOST, 0, true);
        for (unsigned i = 0; i < thread_count; i++) pthread_join(ids[i], NULL);
    }
    main_thread.random = seed | 1;
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].at) finish(&main_thread, &boxes[i]);
    add(&all, &main_thread.figures);
    tell(&all);
    if (in_turns) say("peak %d %zu %zu\n", (int)getpid(), peak, peak_blocks);
    for (int i = 0; i < SITES; i++) {
        if (!all.total[i].count) continue;
        CLAIM_AT("total", lines[i], all.total[i].bytes, all.total[i].count);
        CLAIM_AT("alive", lines[i], all.alive[i].bytes, all.alive[i].count);
    }
    if (strchr(way, 'k')) raise(SIGKILL);
    if (strchr(way, 'e')) _exit(0);
    return 0;
}
