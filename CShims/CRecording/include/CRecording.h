// CRecording.h: the layout of a recording, the memory that one traced process shares with its collector.
//
// The traced process (C, CInterposer) writes a recording; the collector (Swift, AllocationRecording) reads it.
// Both sides of the contract are in this one header. Everything is little-endian and of fixed size.
//
// Glossary
//   recording  one sparse file in the session directory, one per process image (fork, exec: a new one)
//   area       a growable array inside the recording. The file is sparse; memory exists only where an area is
//              *reserved*. Only the creator (at start) and later the collector reserve (fallocate): the traced
//              program makes no system call to grow, and never touches a page that is not reserved (SIGBUS)
//   image      a loaded module: executable, shared library, vDSO. The same file loaded twice is two images
//   node       one frame of a call stack under its caller: (parent node, return address, image).
//              A stack is its innermost node. Node 0 is "no stack", node 1 "outer frames were cut off here"
//   ring       single producer, single consumer queue of events of one thread. Ring 0 is shared, under a lock,
//              by threads that have none of their own
//   event      24 bytes: what happened, when, to which address
//   domain     a name space of ranges that the program tracks by itself (pools, arenas); malloc's blocks are domain 0
//   horizon    the time before which every event has been published; the collector merges rings up to it
//   turn       the right of one thread to write events without reading the clock, because no other thread writes any
//
// Trust: the collector treats every field as hostile, and copies before it checks.
#ifndef CRECORDING_H
#define CRECORDING_H

#include <stddef.h>
#include <stdint.h>

#define TM_RECORDING_MAGIC UINT64_C(0x314352434f4c4c41)  // "ALLOCRC1"
#define TM_RECORDING_VERSION 7u
#define TM_PAGE 4096u

// A session directory is "tracemalloc-PID-RANDOM-VERSION", the version that of its recordings.
// Names of files in it. A recording is created as "new.PID.N" and renamed when its header is valid.
#define TM_RECORDING_SUFFIX ".recording"  // "PID.N.recording"
// The collector's FIFO. Whoever has renamed something writes a byte into it. (inotify would do without, but a user may have 128 of them
// only, and whoever closes one may wait 15 ms for the kernel.)
#define TM_BELL_NAME "bell"

// ---- Environment of a traced program (set by the launcher, or by the user)
#define TM_ENV_SESSION "TRACEMALLOC_SESSION"      // session directory to join; set by the launcher
#define TM_ENV_FILE "TRACEMALLOC"                 // by hand: output file; the library starts the collector itself
#define TM_ENV_FRAMES "TRACEMALLOC_FRAMES"        // innermost frames to keep, 1...65535 (default 256)
#define TM_ENV_SAMPLE "TRACEMALLOC_SAMPLE"        // mean bytes from one sampled block to the next; 0 (default): every block
#define TM_ENV_START "TRACEMALLOC_START"          // 0: loaded, idle until ordered; 1, or a number of frames: from the start
#define TM_ENV_COLLECTOR "TRACEMALLOC_COLLECTOR"  // by hand: path of the collector's executable
#define TM_ENV_FOLLOW "TRACEMALLOC_FOLLOW"        // 0: children are not traced (launcher's --no-follow-children)
#define TM_ENV_LEAKS "TRACEMALLOC_LEAKS"          // 1: at its end the program waits until it has been looked at for leaks
#define TM_ENV_VERIFY "TRACEMALLOC_VERIFY"        // 1: compare every stack with libunwind's (slow; for tests)

// ---- An idle process (TM_ENV_START=0): one page of shared memory, a System V segment, that it looks at with every call.
// `tracemalloc start` finds its number in /proc/PID/maps, writes what is to be done, and epoch 0 at last.
#define TM_RENDEZVOUS_MAGIC UINT64_C(0x31454c4449434c41)  // "ALCIDLE1"
#define TM_ORDER_PATH 256u

struct tm_rendezvous {
    uint64_t epoch;        // 1: idle; 0: there is an order
    uint64_t magic;
    uint32_t version;      // TM_RECORDING_VERSION: recordings of another one would find nobody to read them
    uint32_t pid;          // who made it; children of it may have it as well
    uint32_t target;       // the process that is to begin; all others make a new page for themselves
    uint32_t frame_limit;
    char session[TM_ORDER_PATH];  // directory of the session to join, terminated
};

// ---- Events
enum tm_event_kind {
    TM_EVENT_NONE = 0,
    TM_EVENT_ALLOCATE = 1,          // a block now exists: address, size, stack
    TM_EVENT_FREE = 2,              // written before the real free: address. size 1: its thread has allocated since, unseen (sampling)
    TM_EVENT_REALLOC_RELEASE = 3,   // written before the real realloc: old address. Same thread's next realloc event ends it
    TM_EVENT_REALLOC_RESULT = 4,    // the new block: address, size, stack. Address 0: realloc(p, 0) freed the block
    TM_EVENT_REALLOC_FAILED = 5,    // the old block lives on: its address
    TM_EVENT_CONTROL = 6,           // address field: enum tm_control; size and stack fields: its arguments
    TM_EVENT_DOMAIN = 7,            // address field: the domain that the ring's next event is about, 1...2^32 - 1
    TM_EVENT_TRACK = 8,             // a range that the program says it uses: address, size, stack; replaces one at the address
    TM_EVENT_UNTRACK = 9,           // it does not any more: address
    TM_EVENT_OWN_FREE = 10,         // as FREE, in a moment of the tracer's own: means nothing when the block is not known
};

enum tm_control {
    TM_CONTROL_MARK = 1,        // a new generation begins; size: text id of its name in the text area, 0 none
    TM_CONTROL_RESET_PEAK = 2,  // peak becomes current
    TM_CONTROL_CLEAR = 3,       // forget all live blocks and figures
    TM_CONTROL_FORGET = 4,      // the program ended tracing (stop)
};

#define TM_KIND_BITS 4
#define TM_ADDRESS_BITS 48

// time_kind: clock << 4 | kind.  address_size: address | (size >> 32) << 48.  stack_size: stack | (size & 0xffffffff) << 32.
// The upper bits of a released address mean nothing.
struct tm_event {
    uint64_t time_kind;
    uint64_t address_size;
    uint64_t stack_size;
};

// ---- Stack nodes
#define TM_NODE_NONE 0u
#define TM_NODE_CUT 1u          // root of stacks whose outer frames were not kept (depth limit)
#define TM_NODE_LOST 2u         // root and only node of stacks that found no room in the table
#define TM_NODE_FIRST 3u

#define TM_NODE_ENDED_EARLY 1u  // flag on an outermost node: the unwinder could not go on although this is no start frame
#define TM_NODE_ASYNC 2u        // flag: an async (Swift) parent; pc is where it resumes, not a return address on the stack
#define TM_NODE_SIGNAL 4u       // flag: pc is the interrupted instruction of a signal frame, not a return address

struct tm_node {
    uint64_t pc;      // return address: look up pc - 1, except with TM_NODE_SIGNAL or TM_NODE_ASYNC; 0: not yet written
    uint32_t parent;  // the caller's node; 0: outermost
    uint16_t image;   // index into the images; TM_IMAGE_NONE: in no known module
    uint16_t flags;
};

// ---- Images
#define TM_IMAGE_NONE 0xffffu
#define TM_BUILD_ID_MAX 20u

struct tm_image {
    uint64_t start, end;       // mapped range [start, end)
    uint64_t bias;             // run-time address - address in the file's symbol table
    uint32_t path;             // text id
    uint16_t state;            // 0 not yet written, 1 loaded, 2 unloaded (dlclose)
    uint8_t build_id_length;   // 0...20; longer ids are cut
    uint8_t build_id[TM_BUILD_ID_MAX];
    uint8_t reserved[13];
};

// ---- Text area: entries {uint32_t length; char bytes[length]; padding to 4}. A text id is the entry's offset; 0: none.

// ---- Rings
enum tm_ring_state {
    TM_RING_FREE = 0,   // anyone may take it (compare-and-swap to LIVE)
    TM_RING_LIVE = 1,   // belongs to thread `tid`
    TM_RING_DEAD = 2,   // its thread is known to be gone; the collector drains it and makes it FREE
};

// Positions count events since the ring was made and never wrap; the slot is position % capacity, a power of two.
// A ring grows by moving to other memory: the collector grants reserved_capacity at `place`, more than the largest before, and the
// producer takes it when it has no room. Events before `moved` stay where they are until they are consumed.
//
// A large ring is for moments in which the collector is late. To write to all of it in turn costs both sides their caches. So memory of
// up to ring_capacity_home is kept, and the producer goes back there when the collector has caught up, and to the large one when it has
// no room. Each memory has a capacity of its own, which says which one it is.
//
// Only one move at a time: the next one comes when the collector has consumed an event that was written after the last.
struct tm_ring {
    // the producer's cache line
    uint64_t head;               // events published
    uint64_t claim;              // head + 1 while an event is being stamped and written, else == head
    uint64_t moved;              // position of the first event in the present memory
    uint64_t waits;              // how often the producer had to wait
    uint64_t at;                 // where the present memory is: an index of the events area
    uint32_t capacity;           // 0: not used so far
    uint32_t tid;
    uint32_t state;              // enum tm_ring_state
    uint32_t lock;               // ring 0 only: 0 free, 1 held, 2 held with waiters
    uint32_t other_at;           // the memory that the producer may go to without being granted any: an index of the events area
    uint32_t other_capacity;     // 0: there is none
    // the consumer's cache line
    uint64_t tail;               // events consumed
    uint32_t reserved_capacity;  // events that have memory behind them: written by creator and collector
    uint32_t waiting;            // 1: the producer sleeps on wake
    uint32_t wake;               // futex word: the collector adds one after it moved tail or reserved more
    uint32_t refused;            // 1: reserving more for this ring failed; do not ask again
    uint64_t place;              // where that memory begins; written before reserved_capacity
    uint8_t padding2[32];
};

// ---- Header
enum tm_state {
    TM_STATE_STARTING = 0,
    TM_STATE_RECORDING = 1,
    TM_STATE_STOPPED = 2,      // the program stopped tracing
    TM_STATE_ABANDONED = 3,    // the collector died; the program went on untraced
};

enum tm_clock {
    TM_CLOCK_TSC = 1,      // invariant time stamp counter (x86-64)
    TM_CLOCK_SHARED = 2,   // header.shared_clock, an atomic counter: exact order, no durations
    TM_CLOCK_CNTVCT = 3,   // arm64 virtual counter
};

#define TM_BYPASS_EXECUTABLE 1u  // the executable has a malloc of its own
#define TM_BYPASS_NEW 2u         // the allocator beneath us has an operator new of its own

#define TM_FENCE_MEMBARRIER 0u  // the collector must issue membarrier(GLOBAL_EXPEDITED) between clock and rings
#define TM_FENCE_PRODUCER 1u    // producers fence themselves

// An area: `used` grows by the producers, `reserved` by the reserver; both count elements (text: bytes).
struct tm_area {
    uint64_t offset;     // from the start of the file, page-aligned
    uint64_t capacity;   // elements at most
    uint64_t reserved;   // elements with memory behind them
    uint64_t used;       // elements handed out; may overshoot reserved while a producer waits
    uint32_t refused;    // 1: reserving failed (no memory); elements beyond reserved are not to be had
    uint32_t waiting;    // producers asleep on wake
    uint32_t wake;       // futex word
    uint32_t padding;
};

// Who may give an event the time of its event before; see turn.h. A cache line of its own: each event reads it.
#define TM_TURN_NOBODY 0ull
#define TM_TURN_ALL 1ull    // several threads write: each event has a time of its own
#define TM_TURN_FIRST 2ull  // the thread of ring i: i + TM_TURN_FIRST

struct tm_turn {
    uint64_t holder;
    // Hints: they decide what is fast, not what is right.
    uint64_t since;      // when a thread took it from another one
    uint32_t quick;      // how often in a row that was soon after the last time
    uint32_t patience;   // events that a thread writes under TM_TURN_ALL before it tries to have the turn for itself
    // How often a thread took it. Counted before the holder changes: who reads the same holder twice, and this number before and after,
    // knows that nobody else had the turn in between.
    uint64_t takes;
    uint8_t padding[32];
};

struct tm_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    uint64_t file_size;

    // who
    uint32_t pid;
    uint32_t parent_pid;
    uint64_t process_start;      // starttime of /proc/PID/stat, clock ticks since boot: tells a reused pid
    uint32_t command_text;       // text id: the arguments, separated by NUL
    uint32_t executable_text;    // text id: absolute path

    // how
    uint32_t frame_limit;        // innermost frames that the user wants; stacks in the table may be longer
    uint32_t clock;              // enum tm_clock
    uint32_t fence;              // TM_FENCE_*
    uint32_t verify;             // 1: comparing with libunwind
    uint64_t start_clock;        // clock at start
    uint64_t start_monotonic;    // CLOCK_MONOTONIC at start, ns
    uint64_t start_realtime;     // CLOCK_REALTIME at start, ns

    // state
    uint32_t state;              // enum tm_state
    uint32_t doorbell;           // futex word: producers add one when they need the collector
    uint32_t collector_sleeping; // 1: the collector sleeps on doorbell
    uint32_t libunwind_missing;  // 1: libunwind could not be loaded
    uint64_t shared_clock;
    // A robust process-shared pthread mutex that the collector holds while it serves this recording. The kernel sets
    // FUTEX_OWNER_DIED in its first 32-bit word when the collector dies. First word 0: no collector yet.
    uint64_t collector_mutex[8];

    // counters of the traced side (atomic adds)
    uint64_t reentrant_events;   // calls from a signal handler that interrupted a hook: not in the rings
    uint64_t lost_events;        // events that could not be recorded
    uint64_t lost_stacks;        // stacks charged to an ancestor because the table was full
    uint64_t walks;              // verify mode: stacks compared
    uint64_t walk_differences;   // verify mode: stacks that differ from libunwind's
    uint64_t walk_fallbacks;     // stacks walked by libunwind
    uint64_t bypasses;           // TM_BYPASS_…: allocators that we do not see

    struct tm_area images;       // struct tm_image
    struct tm_area text;         // bytes
    struct tm_area nodes;        // struct tm_node
    struct tm_area rings;        // struct tm_ring; their event memory is the next area
    struct tm_area events;       // struct tm_event; `used`: what the creator gave to rings, the collector gives out the rest
    uint32_t ring_capacity_max;  // events, power of two
    uint32_t ring_capacity_start;

    // for the heap graph
    uint64_t private_start, private_end;  // memory of the tracer's own in the program: what it holds keeps no block alive
    uint64_t exit_stack;   // where the program called exit(): its frames lie above; 0: it returned from main
    uint32_t exit_thread;  // the thread that ends the program
    uint32_t exit_check;   // enum tm_exit_check, a futex word

    // 0: every block is recorded. Else a block of s bytes is with the probability 1 - exp(-s / sample_interval).
    uint64_t sample_interval;
    uint64_t own_moments;  // 1: the program has called the tracer: there may be blocks that nothing was recorded of

    uint32_t ring_capacity_home;  // events, power of two: memory up to this is kept beside a larger one
    uint8_t padding[44];
    struct tm_turn turn;
};

enum tm_exit_check {
    TM_EXIT_UNCHECKED = 0,
    TM_EXIT_WANTED = 1,    // the program is to wait at its end
    TM_EXIT_ENTERED = 2,   // one thread is about to
    TM_EXIT_WAITING = 3,   // it waits
    TM_EXIT_CHECKED = 4,   // the collector is done
};

// Defaults of a recording. A creator under RLIMIT_AS may choose smaller capacities.
#define TM_IMAGES_MAX 4096u
#define TM_TEXT_MAX (4u << 20)
#define TM_NODES_MAX (1u << 24)
#define TM_RINGS_MAX 1024u
#define TM_RING_CAPACITY_MAX (1u << 20)
#define TM_RING_CAPACITY_START (1u << 11)
#define TM_RING_CAPACITY_HOME (1u << 14)
#define TM_EVENTS_MAX (1u << 26)

_Static_assert(sizeof(struct tm_event) == 24, "an event is three words");
_Static_assert(sizeof(struct tm_node) == 16, "a node is two words");
_Static_assert(sizeof(struct tm_image) == 64, "an image is one cache line");
_Static_assert(sizeof(struct tm_ring) == 128, "a ring is two cache lines");
_Static_assert(offsetof(struct tm_ring, tail) == 64, "the consumer has a cache line of its own");
_Static_assert(sizeof(struct tm_area) == 48, "an area is six words");
_Static_assert(offsetof(struct tm_header, pid) == 24, "layout");
_Static_assert(offsetof(struct tm_header, start_clock) == 64, "layout");
_Static_assert(offsetof(struct tm_header, state) == 88, "layout");
_Static_assert(offsetof(struct tm_header, collector_mutex) == 112, "layout");
_Static_assert(offsetof(struct tm_header, reentrant_events) == 176, "layout");
_Static_assert(offsetof(struct tm_header, images) == 232, "layout");
_Static_assert(offsetof(struct tm_header, private_start) == 480, "layout");
_Static_assert(offsetof(struct tm_header, turn) % 64 == 0, "the turn has a cache line of its own");
_Static_assert(sizeof(struct tm_turn) == 64, "the turn is one cache line");
_Static_assert(sizeof(struct tm_header) == 640, "layout");
_Static_assert(sizeof(struct tm_header) <= TM_PAGE, "the header is one page");

// ---- Memory order. Swift has no atomics over foreign memory, so both sides use these.
static inline uint64_t tm_load64(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline uint32_t tm_load32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline uint16_t tm_load16(const uint16_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void tm_store64(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline void tm_store32(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline void tm_store16(uint16_t *word, uint16_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline uint64_t tm_add64(uint64_t *word, uint64_t value) { return __atomic_fetch_add(word, value, __ATOMIC_RELAXED); }
static inline uint32_t tm_add32(uint32_t *word, uint32_t value) { return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST); }
static inline uint32_t tm_exchange32(uint32_t *word, uint32_t value) { return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST); }
static inline _Bool tm_swap32(uint32_t *word, uint32_t from, uint32_t to) {
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}
static inline void tm_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// The order of events is the order of this clock. On both sides everything before must have happened before the clock is
// read. Allocating: the block was handed out. Freeing: the block was received, possibly from the thread that allocated it
// a moment ago; without the fence the core reads the clock while it still waits for the pointer, which comes from another
// core, and the free seems older than the allocation. On the freeing side nothing after may be visible before the clock is
// read, too: tm_clock_before; stores leave an x86 core in order, so that costs nothing there.
#if defined(__x86_64__)
static inline uint64_t tm_clock_after(void) {
    __builtin_ia32_lfence();
    return __builtin_ia32_rdtsc();
}
static inline uint64_t tm_clock_before(void) { return tm_clock_after(); }
#elif defined(__aarch64__)
static inline uint64_t tm_clock_before(void) {
    uint64_t ticks;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(ticks)::"memory");
    return ticks;
}
static inline uint64_t tm_clock_after(void) {
    uint64_t ticks;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks)::"memory");
    return ticks;
}
#endif

// Events whose claim is not visible yet have a time of their own, or come after one that has. A full fence must follow, of
// all threads of the program.
static inline void tm_turn_take_back(struct tm_turn *turn) {
    if (tm_load64(&turn->holder) != TM_TURN_ALL) tm_store64(&turn->holder, TM_TURN_NOBODY);
}

#ifdef __swift__
#include "collector_calls.h"
#endif

#endif
