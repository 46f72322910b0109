// recording.c: creates the file that this process shares with its collector.
#define _GNU_SOURCE
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "lifecycle.h"
#include "system_calls.h"
#include "text.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct tm_recording tm_recording;

// Reserved at the start, in elements: enough for a small program without ever waiting for the collector.
enum { START_IMAGES = 64, START_TEXT = 16 << 10, START_NODES = 4096, START_RINGS = 32, START_EVENT_RINGS = 2 };

// Milliseconds that a program waits for a collector that never appeared.
enum { COLLECTOR_START_LIMIT = 10000 };

// Milliseconds without a sign that a thread waits for a collector in the same process. That may need a lock which this thread holds
// (the Swift runtime's, the loader's); then losing events, and saying so, is better than standing still for ever.
enum { PRIVATE_WAIT_LIMIT = 1000 };

static uint64_t page_up(uint64_t size) { return (size + TM_PAGE - 1) & ~(uint64_t)(TM_PAGE - 1); }

static uint64_t place(struct tm_area *area, uint64_t offset, uint64_t capacity, uint64_t element, uint64_t reserved) {
    area->offset = offset;
    area->capacity = capacity;
    area->reserved = reserved;
    return offset + page_up(capacity * element);
}

// The kernel lists "tsc" among the clock sources only while it finds the counters of all CPUs in step.
static uint32_t choose_clock(void) {
#if defined(__x86_64__)
    unsigned a, b, c, d;
    if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & 1u << 8)) return TM_CLOCK_SHARED;
    long file = tm_open("/sys/devices/system/clocksource/clocksource0/available_clocksource", O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) return TM_CLOCK_TSC;
    char names[256];
    long length = tm_read((int)file, names, sizeof names - 1);
    tm_close((int)file);
    if (length <= 0) return TM_CLOCK_TSC;
    names[length] = 0;
    for (char *name = names; (name = strstr(name, "tsc")) != NULL; name += 3) {
        bool starts = name == names || name[-1] == ' ';
        if (starts && (name[3] == ' ' || name[3] == '\n' || name[3] == 0)) return TM_CLOCK_TSC;
    }
    return TM_CLOCK_SHARED;
#elif defined(__aarch64__)
    return TM_CLOCK_CNTVCT;
#else
    return TM_CLOCK_SHARED;
#endif
}

// Field 22 of /proc/self/stat; the name in field 2 may hold spaces and parentheses.
static uint64_t process_start(void) {
    char text[1024];
    long file = tm_open("/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) return 0;
    long length = tm_read((int)file, text, sizeof text - 1);
    tm_close((int)file);
    if (length <= 0) return 0;
    text[length] = 0;
    char *field = strrchr(text, ')');
    for (int number = 2; field && number < 22; number++) field = strchr(field + 1, ' ');
    uint64_t start = 0;
    if (field)
        for (field++; *field >= '0' && *field <= '9'; field++) start = start * 10 + (uint64_t)(*field - '0');
    return start;
}

static uint32_t add_file(const char *path) {
    char text[8192];
    size_t length = 0;
    long file = tm_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) return 0;
    for (long got; length < sizeof text && (got = tm_read((int)file, text + length, sizeof text - length)) > 0;) length += (size_t)got;
    tm_close((int)file);
    if (length && text[length - 1] == 0) length--;
    return tm_text_add(text, length);
}

static uint32_t add_link(const char *path) {
    char text[4096];
    long length = TM_CALL(readlinkat, AT_FDCWD, path, text, sizeof text, 0, 0);
    return length > 0 ? tm_text_add(text, (size_t)length) : 0;
}

static void lay_out(struct tm_header *header) {
    header->magic = TM_RECORDING_MAGIC;
    header->version = TM_RECORDING_VERSION;
    header->header_size = sizeof *header;
    header->ring_capacity_max = TM_RING_CAPACITY_MAX;
    header->ring_capacity_start = TM_RING_CAPACITY_START;
    header->ring_capacity_home = TM_RING_CAPACITY_HOME;
    uint64_t offset = TM_PAGE;
    offset = place(&header->images, offset, TM_IMAGES_MAX, sizeof(struct tm_image), START_IMAGES);
    offset = place(&header->text, offset, TM_TEXT_MAX, 1, START_TEXT);
    offset = place(&header->rings, offset, TM_RINGS_MAX, sizeof(struct tm_ring), START_EVENT_RINGS);
    offset = place(&header->nodes, offset, TM_NODES_MAX, sizeof(struct tm_node), START_NODES);
    offset = place(&header->events, offset, TM_EVENTS_MAX, sizeof(struct tm_event), 0);
    header->file_size = offset;
}

static long reserve(int file, uint64_t offset, uint64_t bytes) {
    return TM_CALL(fallocate, file, 0, offset, page_up(bytes), 0, 0);
}

static long reserve_start(int file, const struct tm_header *header) {
    uint64_t events = START_EVENT_RINGS * header->ring_capacity_start;
    long failed = reserve(file, 0, TM_PAGE);
    if (!failed) failed = reserve(file, header->images.offset, START_IMAGES * sizeof(struct tm_image));
    if (!failed) failed = reserve(file, header->text.offset, START_TEXT);
    if (!failed) failed = reserve(file, header->rings.offset, START_RINGS * sizeof(struct tm_ring));
    if (!failed) failed = reserve(file, header->nodes.offset, START_NODES * sizeof(struct tm_node));
    if (!failed) failed = reserve(file, header->events.offset, events * sizeof(struct tm_event));
    return failed;
}

// The first thread is often the only one that allocates: a larger ring lets the collector sleep longer, where there is room for it.
static void place_first_rings(int file, const struct tm_recording *recording) {
    struct tm_header *header = recording->header;
    uint64_t start = header->ring_capacity_start, offset = header->events.offset + start * sizeof(struct tm_event);
    bool has_room = reserve(file, offset, TM_RING_CAPACITY_HOME * sizeof(struct tm_event)) == 0;
    for (uint64_t i = 0; i < START_EVENT_RINGS; i++) {
        struct tm_ring *ring = &recording->rings[i];
        ring->place = header->events.used;
        ring->reserved_capacity = i == 1 && has_room ? TM_RING_CAPACITY_HOME : (uint32_t)start;
        header->events.used += ring->reserved_capacity;
    }
}

static void fill(struct tm_header *header, const struct tm_header *layout, const struct tm_recording_options *options) {
    *header = *layout;
    header->pid = (uint32_t)tm_pid();
    header->parent_pid = (uint32_t)TM_CALL(getppid, 0, 0, 0, 0, 0, 0);
    header->process_start = process_start();
    header->frame_limit = options->frame_limit;
    header->verify = options->verify;
    header->sample_interval = options->sample_interval;
    header->private_start = options->private_start;
    header->private_end = options->private_end;
    header->exit_check = options->exit_check ? TM_EXIT_WANTED : TM_EXIT_UNCHECKED;
    header->clock = choose_clock();
    long registered = TM_CALL(membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0, 0, 0, 0);
    header->fence = registered == 0 ? TM_FENCE_MEMBARRIER : TM_FENCE_PRODUCER;
    header->start_realtime = tm_nanoseconds(CLOCK_REALTIME);
    header->start_monotonic = tm_nanoseconds(CLOCK_MONOTONIC);
#if defined(__x86_64__) || defined(__aarch64__)
    header->start_clock = header->clock == TM_CLOCK_SHARED ? 0 : tm_clock_after();
#endif
    header->text.used = 4;  // id 0 means "none"
    header->nodes.used = TM_NODE_FIRST;
    header->rings.used = 1;
}

static struct tm_text recording_path(
    char *buffer, size_t capacity, const char *session, const char *prefix, uint64_t number, const char *suffix) {
    struct tm_text path = tm_text_in(buffer, capacity);
    tm_put(&path, session);
    tm_put(&path, prefix);
    tm_put_number(&path, (uint64_t)tm_pid());
    tm_put_byte(&path, '.');
    tm_put_number(&path, number);
    tm_put(&path, suffix);
    return path;
}

// Lays the recording out in the empty file and maps it. The mapping is not for fork children.
static long map_recording(int file, const struct tm_recording_options *options) {
    struct tm_header layout = {0};
    lay_out(&layout);
    // Beyond this limit the kernel does not only refuse: it kills the program.
    uint64_t limits[2];
    if (TM_CALL(prlimit64, 0, RLIMIT_FSIZE, NULL, limits, 0, 0) == 0 && limits[0] < layout.file_size) return -EFBIG;
    long failed = TM_CALL(ftruncate, file, layout.file_size, 0, 0, 0, 0);
    if (!failed) failed = reserve_start(file, &layout);
    if (failed) return failed;
    unsigned char *base = tm_map(layout.file_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file);
    if (!base) return -ENOMEM;
    TM_CALL(madvise, base, layout.file_size, MADV_DONTFORK, 0, 0, 0);
    TM_CALL(madvise, base, layout.file_size, MADV_DONTDUMP, 0, 0, 0);
    struct tm_header *header = (struct tm_header *)base;
    fill(header, &layout, options);
    tm_recording = (struct tm_recording){
        .header = header,
        .images = (struct tm_image *)(base + layout.images.offset),
        .text = base + layout.text.offset,
        .nodes = (struct tm_node *)(base + layout.nodes.offset),
        .rings = (struct tm_ring *)(base + layout.rings.offset),
        .events = (struct tm_event *)(base + layout.events.offset),
        .size = layout.file_size,
        .clock = header->clock,
        .fence = header->fence,
        .verify = options->verify,
        .is_private = options->is_private,
    };
    place_first_rings(file, &tm_recording);
    tm_recording.rings[0].state = TM_RING_LIVE;
    header->executable_text = add_link("/proc/self/exe");
    header->command_text = add_file("/proc/self/cmdline");
    tm_store32(&header->state, TM_STATE_RECORDING);
    return 0;
}

// Without this the collector comes a tenth of a second later: it looks by itself, too. So nothing that fails here matters, and a bell
// that is full has been rung. Also open for reading: so nobody is killed by SIGPIPE when the collector dies.
static void ring_bell(const char *session) {
    char path[512];
    struct tm_text text = tm_text_in(path, sizeof path);
    tm_put(&text, session);
    tm_put(&text, "/" TM_BELL_NAME);
    long bell = text.overflow ? -ENAMETOOLONG : tm_open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0);
    if (bell < 0) return;
    TM_CALL(write, bell, "", 1, 0, 0, 0);
    tm_close((int)bell);
}

int tm_recording_create(const char *session, const struct tm_recording_options *options) {
    char path[512], final_path[512];
    // The number is new for each image of a process: its pid stays across exec.
    uint64_t number = tm_nanoseconds(CLOCK_MONOTONIC);
    struct tm_text building = recording_path(path, sizeof path, session, "/new.", number, "");
    struct tm_text final = recording_path(final_path, sizeof final_path, session, "/", number, TM_RECORDING_SUFFIX);
    if (building.overflow || final.overflow) return -ENAMETOOLONG;

    long file = tm_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return (int)file;
    long failed = map_recording((int)file, options);
    tm_close((int)file);
    if (!failed) {
        failed = TM_CALL(renameat, AT_FDCWD, path, AT_FDCWD, final_path, 0, 0);
        if (failed) TM_CALL(munmap, tm_recording.header, tm_recording.size, 0, 0, 0, 0);
    }
    if (failed) TM_CALL(unlinkat, AT_FDCWD, path, 0, 0, 0, 0);
    else ring_bell(session);
    return (int)failed;
}

int tm_recording_create_private(const struct tm_recording_options *options) {
    long file = TM_CALL(memfd_create, "tracemalloc", 1 /* close on exec */, 0, 0, 0, 0);
    if (file < 0) return (int)file;
    long failed = map_recording((int)file, options);
    if (failed) tm_close((int)file);
    return failed ? (int)failed : (int)file;
}

uint32_t tm_text_add(const char *bytes, size_t length) {
    struct tm_area *area = &tm_recording.header->text;
    uint64_t need = (4 + length + 3) & ~(uint64_t)3;
    uint64_t start = tm_load64(&area->used);
    do {
        while (start + need > tm_load64(&area->reserved)) {
            if (start + need > area->capacity || tm_area_wait(area, start + need) != TM_WAIT_AGAIN) return 0;
        }
    } while (!__atomic_compare_exchange_n(&area->used, &start, start + need, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    memcpy(tm_recording.text + start + 4, bytes, length);
    tm_store32((uint32_t *)(void *)(tm_recording.text + start), (uint32_t)length);
    return (uint32_t)start;
}

void tm_doorbell(void) {
    struct tm_header *header = tm_recording.header;
    tm_add32(&header->doorbell, 1);
    if (tm_load32(&header->collector_sleeping)) tm_futex_wake(&header->doorbell, 1);
}

bool tm_collector_lives(const struct tm_patience *patience) {
    // In this very process: as long as we run, it does. But see wait_for_room in recorder.c.
    if (tm_recording.is_private) return patience->waited < PRIVATE_WAIT_LIMIT;
    uint32_t word = tm_load32((uint32_t *)tm_recording.header->collector_mutex);
    if (word == 0) return patience->waited < COLLECTOR_START_LIMIT;
    return !(word & FUTEX_OWNER_DIED);
}

// The thread that collects in this process, 0 before there is one.
static uint32_t own_collector;

void tm_collected_by_this_thread(void) { tm_store32(&own_collector, (uint32_t)tm_thread_id()); }

// What the collector's thread has used of a processor; 0 when it is in another process. The clock of a thread is
// ~thread << 3 | 4 (this thread's alone) | 2 (what the scheduler counted): Linux, posix-timers_types.h.
static uint64_t collector_time(void) {
    uint32_t thread = tm_load32(&own_collector);
    return tm_recording.is_private && thread ? tm_nanoseconds((int)(~thread << 3 | 6)) : 0;
}

void tm_wait_for_collector(uint32_t *word, uint32_t seen, struct tm_patience *patience) {
    switch (tm_futex_wait(word, seen, 50)) {
    case 0:
    case -EAGAIN: patience->waited = 0; return;
    case -ETIMEDOUT: patience->waited += 50; break;
    default: patience->waited += 1;  // a signal: there may be one a millisecond
    }
    // It may be busy with an answer: whoever works does not wait for a lock.
    uint64_t time = collector_time();
    if (time > patience->collector_time) patience->waited = 0;
    patience->collector_time = time;
}

enum tm_wait_result tm_area_wait(struct tm_area *area, uint64_t wanted) {
    // What the collector in this process had worked when a thread gave up, 0 when none did. As long as it stands still nobody waits.
    static uint64_t given_up;
    uint64_t stopped = tm_load64(&given_up);
    if (stopped && stopped == collector_time()) return TM_WAIT_ABANDONED;
    for (struct tm_patience patience = {0};;) {
        uint32_t seen = tm_load32(&area->wake);
        tm_add32(&area->waiting, 1);
        bool enough = tm_load64(&area->reserved) >= wanted;
        bool refused = tm_load32(&area->refused);
        if (!enough && !refused) {
            tm_doorbell();
            tm_wait_for_collector(&area->wake, seen, &patience);
        }
        tm_add32(&area->waiting, -1u);
        if (enough || tm_load64(&area->reserved) >= wanted) return TM_WAIT_AGAIN;
        if (refused) return TM_WAIT_REFUSED;
        if (!tm_collector_lives(&patience)) {
            // Once and for all: the next thread, and the next stack, would wait as long.
            if (tm_recording.is_private) {
                tm_store64(&given_up, collector_time());
            } else {
                tm_lifecycle_abandon();
            }
            return TM_WAIT_ABANDONED;
        }
    }
}
