// lifecycle.c: decides from the environment whether this process is traced, and begins its recording.
#define _GNU_SOURCE
#include "lifecycle.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "collector_start.h"
#include "environment.h"
#include "idle.h"
#include "interposer.h"
#include "message.h"
#include "real_allocator.h"
#include "recorder.h"
#include "system_calls.h"
#include "text.h"
#include "words.h"

// Counts the recordings of this process and, as a fork child has a copy, of its ancestors: never the parent's number.
static uint64_t last_epoch = TM_FIRST_EPOCH - 1;

// A copy of the interposer in the program itself stands before a preloaded one and told it to leave the recording to it.
static bool yielded;

// The process that has a private recording mapped.
static int private_pid;

static char follow_entry[64];

// A whole number in [low, high], or -1.
static long number_of(const char *text, long low, long high) {
    long number = 0;
    if (!*text) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || number > high) return -1;
        number = number * 10 + (*text - '0');
    }
    return number < low || number > high ? -1 : number;
}

// "0": the first process, and only that, is traced. It then writes its pid there, so that it is still the one after exec.
static bool is_followed(void) {
    const char *follow = tm_variable(TM_ENV_FOLLOW);
    if (!follow || strcmp(follow, "1") == 0) return true;
    if (last_epoch >= TM_FIRST_EPOCH) return false;
    if (strcmp(follow, "0") != 0) return number_of(follow, 1, 1L << 30) == tm_pid();
    struct tm_text entry = tm_text_in(follow_entry, sizeof follow_entry);
    tm_put(&entry, TM_ENV_FOLLOW "=");
    tm_put_number(&entry, (uint64_t)tm_pid());
    tm_replace_variable(TM_ENV_FOLLOW, follow_entry);
    return true;
}

static const char *reason(int error) {
    switch (error) {
    case ENOSPC: return "no room in the shared memory file system";
    case ENOMEM: return "not enough address space or memory";
    case EACCES: case EPERM: return "no permission";
    case EROFS: return "the file system is read-only";
    case EMFILE: case ENFILE: return "too many open files";
    case ENAMETOOLONG: return "the session's path is too long";
    case EFBIG: return "the limit on the size of files (ulimit -f) is too low for a recording, which is large but sparse";
    case EDQUOT: return "the disk quota is used up";
    default: return "the recording could not be created";
    }
}

// Exported by every copy, for the copy that stands before it in the loader's order.
__attribute__((visibility("default"))) void tracemalloc_yield(void) {
    struct tm_thread *thread = &tm_thread;
    yielded = true;
    // Off means that calls go straight to the real functions.
    if (!tm_real_is_known) {
        bool internal = thread->internal;
        thread->internal = true;
        tm_real_find();
        thread->internal = internal;
    }
    __atomic_store_n(&tm_page.process.epoch, TM_OFF, __ATOMIC_RELEASE);
}

static void leave_to_us(void) {
    void (*yield)(void) = (void (*)(void))dlsym(RTLD_NEXT, "tracemalloc_yield");
    if (yield) yield();
}

// Where only ancestors may trace a process (Yama), it can name another one: here the one that made the session, or the
// collector that we started. Elsewhere the call does nothing.
static void let_collector_look(const char *session) {
    const char *name = strrchr(session, '/');
    const char *number = name ? strchr(name, '-') : NULL;
    long maker = 0;
    for (number = number ? number + 1 : ""; *number >= '0' && *number <= '9' && maker < 1L << 30; number++)
        maker = maker * 10 + (*number - '0');
    if (maker == tm_pid()) maker = tm_collector_process();
    if (maker > 0) TM_CALL(prctl, PR_SET_PTRACER, maker, 0, 0, 0, 0);
}

// Waits for an order of `tracemalloc start`.
static uint64_t begin_idle(void) {
    leave_to_us();
    tm_idle_begin();
    return TM_OFF;
}

// Nobody who reads recordings of another version is waited for; false after a message.
static bool is_of_our_version(const char *session) {
    const char *version = strrchr(session, '-');
    if (version && number_of(version + 1, 0, 1L << 16) == TM_RECORDING_VERSION) return true;
    tm_message(
        "this library and the tracemalloc command that made ", session, " are of different versions; use both of one installation. "
        "The program runs untraced.", NULL);
    return false;
}

// What the variables say about the recording; false after a message.
static bool read_variables(struct tm_recording_options *options) {
    const char *text = tm_variable(TM_ENV_START);
    long start = text ? number_of(text, 0, 65535) : 1;
    if (start < 0) {
        tm_message(TM_ENV_START " must be 0, 1 or a number of frames up to 65535, not \"", text, "\". The program runs untraced.", NULL);
        return false;
    }
    if (start > 1) options->frame_limit = (uint32_t)start;
    if ((text = tm_variable(TM_ENV_FRAMES))) {
        long frames = number_of(text, 1, 65535);
        if (frames < 0) {
            tm_message(TM_ENV_FRAMES " must be a number from 1 to 65535, not \"", text, "\". The program runs untraced.", NULL);
            return false;
        }
        options->frame_limit = (uint32_t)frames;
    }
    if ((text = tm_variable(TM_ENV_SAMPLE))) {
        long interval = number_of(text, 0, 1L << 40);
        if (interval < 0) {
            tm_message(TM_ENV_SAMPLE " must be a number of bytes, not \"", text, "\". The program runs untraced.", NULL);
            return false;
        }
        options->sample_interval = (uint64_t)interval;
    }
    options->verify = (text = tm_variable(TM_ENV_VERIFY)) && strcmp(text, "1") == 0;
    return true;
}

// On this thread, and only while the loader is idle.
static bool libraries_loaded;
static void load_libraries(void) {
    tm_unwinder_load_libraries();
    libraries_loaded = true;
}

// The collector says so, once.
static void load_libunwind(void) {
    load_libraries();
    if (!tm_unwinder_has_libunwind()) tm_store32(&tm_recording.header->libunwind_missing, 1);
}

static uint64_t begin(void) {
    if (yielded) return TM_OFF;
    struct tm_recording_options options = {.frame_limit = 256};
    const char *session = tm_variable(TM_ENV_SESSION), *output = tm_variable(TM_ENV_FILE);
    char directory[TM_ORDER_PATH];
    if (tm_is_idle()) {
        struct tm_order order = tm_idle_end(TM_UNDECIDED);
        if (tm_is_idle()) return TM_OFF;
        // It was for the process that this one was forked from, or for another of its children.
        if (order.target != (uint32_t)tm_pid()) return begin_idle();
        if (order.frame_limit >= 1 && order.frame_limit <= 65535) options.frame_limit = order.frame_limit;
        memcpy(directory, order.session, sizeof directory);
        session = directory;
    } else {
        const char *start = tm_variable(TM_ENV_START);
        if (start && strcmp(start, "0") == 0) return begin_idle();
        if (!session && !(output && *output)) return TM_OFF;
        if (!read_variables(&options)) return TM_OFF;
        leave_to_us();
        if (!is_followed()) return TM_OFF;
        if (!session) {
            if (!tm_collector_start(output, directory, sizeof directory)) return TM_OFF;
            session = directory;
        }
        if (!is_of_our_version(session)) return TM_OFF;
    }
    if (TM_CALL(madvise, &tm_page, sizeof tm_page, MADV_WIPEONFORK, 0, 0, 0) != 0) {
        tm_message("this kernel cannot wipe memory on fork (Linux 4.14 or later is needed). The program runs untraced.", NULL);
        return TM_OFF;
    }
    if (!tm_recorder_prepare(options.frame_limit) || !tm_sampled_blocks_prepare(options.sample_interval)) {
        tm_message("not enough address space. The program runs untraced.", NULL);
        return TM_OFF;
    }
    const char *leaks = tm_variable(TM_ENV_LEAKS);
    options.exit_check = leaks && strcmp(leaks, "1") == 0;
    tm_recorder_memory(&options.private_start, &options.private_end);
    tm_images_reset();
    int error = -tm_recording_create(session, &options);
    // The session ended before this child came: nobody would read the recording.
    if (error == ENOENT) return TM_OFF;
    if (error) {
        tm_message("cannot record in ", session, ": ", reason(error), ". The program runs untraced.", NULL);
        return TM_OFF;
    }
    let_collector_look(session);
    tm_stack_table_reset();
    tm_unwinder_initialize(options.frame_limit, options.verify, (struct tm_unwind_counters *)&tm_recording.header->walks);
    if (libraries_loaded && !tm_unwinder_has_libunwind()) tm_store32(&tm_recording.header->libunwind_missing, 1);
    tm_store64(&tm_recording.header->bypasses, tm_real_bypasses());
    return ++last_epoch;
}

uint64_t tm_lifecycle_decide(void) {
    if (!tm_environment()) return TM_UNDECIDED;
    // The process whose thread decides. A child that was forked meanwhile is another one, and nobody decides in it.
    static uint32_t deciding;
    uint32_t pid = (uint32_t)tm_pid();
    for (uint32_t holder = tm_load32(&deciding); holder == pid || !tm_swap32(&deciding, holder, pid); holder = tm_load32(&deciding))
        TM_CALL(sched_yield, 0, 0, 0, 0, 0, 0);
    uint64_t epoch = __atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE);
    if (epoch == TM_UNDECIDED) {
        epoch = begin();
        // An idle page says so already.
        if (!tm_is_idle()) __atomic_store_n(&tm_page.process.epoch, epoch, __ATOMIC_RELEASE);
    }
    tm_store32(&deciding, 0);
    return epoch;
}

void tm_lifecycle_abandon(void) {
    uint64_t epoch = tm_page.process.epoch;
    if (epoch < TM_FIRST_EPOCH) return;
    if (!__atomic_compare_exchange_n(&tm_page.process.epoch, &epoch, TM_OFF, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) return;
    tm_store32(&tm_recording.header->state, TM_STATE_ABANDONED);
    tm_message("the collector is gone. The program goes on untraced.", NULL);
}


// The library, or the program that links it, has been initialized: now is the time for what must not be prepared inside an
// allocation.
__attribute__((constructor)) static void initialized(void) {
    struct tm_thread *thread = &tm_thread;
    uint64_t epoch;
    // The first call into the tracer if the program has allocated nothing so far.
    bool entered = tm_enter(thread, &epoch);
    // An order may come at any moment, also one in which nothing can be loaded.
    if (!entered && !tm_is_idle()) return;
    thread->internal = true;
    if (entered) load_libunwind();
    else load_libraries();
    thread->internal = false;
    if (entered) tm_leave(thread, epoch);
}

// ---- Recording for a collector in this process
static int start_private(uint32_t frame_limit, bool verify, int *file) {
    struct tm_recording_options options = {.frame_limit = frame_limit, .verify = verify, .is_private = true};
    if (!tm_real_is_known) tm_real_find();
    bool again = tm_recording.is_private && private_pid == tm_pid();
    if (tm_is_idle()) tm_idle_end(TM_OFF);
    if (tm_is_idle()) return -ENOMEM;
    if (!again) {
        leave_to_us();
        tm_recording.is_private = false;
        long failed = TM_CALL(madvise, &tm_page, sizeof tm_page, MADV_WIPEONFORK, 0, 0, 0);
        if (failed) return (int)failed;
    }
    if (!tm_recorder_prepare(frame_limit)) return -ENOMEM;
    *file = -1;
    if (!again) {
        tm_recorder_memory(&options.private_start, &options.private_end);
        tm_images_reset();
        *file = tm_recording_create_private(&options);
        if (*file < 0) return *file;
        private_pid = tm_pid();
        tm_stack_table_reset();
    }
    tm_recording.header->frame_limit = frame_limit;
    tm_recorder_memory(&tm_recording.header->private_start, &tm_recording.header->private_end);
    tm_unwinder_initialize(frame_limit, verify, (struct tm_unwind_counters *)&tm_recording.header->walks);
    load_libunwind();
    tm_store32(&tm_recording.header->state, TM_STATE_RECORDING);
    __atomic_store_n(&tm_page.process.epoch, ++last_epoch, __ATOMIC_SEQ_CST);
    return 0;
}

int tm_start_private(uint32_t frame_limit, bool verify, int *file) {
    struct tm_thread *thread = &tm_thread;
    uint64_t before = thread->epoch;
    if (__atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE) >= TM_FIRST_EPOCH) return -EALREADY;
    thread->epoch = TM_INSIDE;
    thread->internal = true;
    int failed = start_private(frame_limit, verify, file);
    thread->internal = false;
    thread->epoch = before;
    if (!failed && *file < 0) tm_clear();
    return failed;
}

void tm_stop_private(void) {
    if (tm_tracing() != TM_TRACING_PRIVATE) return;
    tm_say(TM_CONTROL_FORGET, NULL);
    __atomic_store_n(&tm_page.process.epoch, TM_OFF, __ATOMIC_SEQ_CST);
    tm_store32(&tm_recording.header->state, TM_STATE_STOPPED);
}

enum tm_tracing tm_tracing(void) {
    uint64_t epoch;
    struct tm_thread *thread = &tm_thread;
    if (__atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE) == TM_UNDECIDED && tm_enter(thread, &epoch)) tm_leave(thread, epoch);
    if (__atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE) < TM_FIRST_EPOCH) return TM_TRACING_OFF;
    return tm_recording.is_private ? TM_TRACING_PRIVATE : TM_TRACING_SESSION;
}
