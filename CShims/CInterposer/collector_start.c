// collector_start.c: starts the collector from inside the traced program, as a process that is not the program's child.
#define _GNU_SOURCE
#include "collector_start.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "CRecording.h"
#include "environment.h"
#include "message.h"
#include "system_calls.h"
#include "text.h"

static int collector_process;
int tm_collector_process(void) { return collector_process; }

static char session_entry[sizeof TM_ENV_SESSION + 256];

static const char *value_of(const char *entry, const char *name) {
    size_t length = strlen(name);
    return strncmp(entry, name, length) == 0 && entry[length] == '=' ? entry + length + 1 : NULL;
}

// Nobody else can put something of theirs in the place of what we make there.
static bool is_safe(const char *base) {
    struct stat info;
    if (TM_CALL(newfstatat, AT_FDCWD, base, &info, 0, 0, 0) != 0) return false;
    if (info.st_uid != 0 && info.st_uid != (uid_t)TM_CALL(geteuid, 0, 0, 0, 0, 0, 0)) return false;
    return (info.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (info.st_mode & S_ISVTX) != 0;
}

static bool make_directory(const char *base, char *directory, size_t capacity) {
    if (!base || base[0] != '/' || !is_safe(base)) return false;
    for (int attempt = 0; attempt < 8; attempt++) {
        uint64_t random = 0;
        if (TM_CALL(getrandom, &random, sizeof random, GRND_NONBLOCK, 0, 0, 0) != sizeof random) random = tm_nanoseconds(CLOCK_MONOTONIC);
        struct tm_text path = tm_text_in(directory, capacity);
        tm_put(&path, base);
        tm_put(&path, "/tracemalloc-");
        // Always of the same length: programs copy their environment, and two runs should allocate the same.
        tm_put_padded(&path, (uint64_t)tm_pid(), 10);
        tm_put_byte(&path, '-');
        tm_put_padded(&path, random, 20);
        tm_put_byte(&path, '-');
        tm_put_number(&path, TM_RECORDING_VERSION);
        if (path.overflow) return false;
        long failed = TM_CALL(mkdirat, AT_FDCWD, directory, 0700, 0, 0, 0);
        if (failed != -EEXIST) return failed == 0;
    }
    return false;
}

// Beside the library, as `swift build` leaves it, or where an installation has it.
static bool find_collector(char *path, size_t capacity) {
    const char *chosen = tm_variable(TM_ENV_COLLECTOR);
    if (chosen && *chosen) {
        struct tm_text text = tm_text_in(path, capacity);
        tm_put(&text, chosen);
        return !text.overflow && TM_CALL(faccessat, AT_FDCWD, path, X_OK, 0, 0, 0) == 0;
    }
    Dl_info library;
    if (!dladdr((const void *)tm_collector_start, &library) || !library.dli_fname) return false;
    const char *slash = strrchr(library.dli_fname, '/');
    static const char *const places[] = {"/tracemalloc", "/../bin/tracemalloc", "/../../bin/tracemalloc"};
    for (size_t i = 0; slash && i < sizeof places / sizeof places[0]; i++) {
        struct tm_text text = tm_text_in(path, capacity);
        for (const char *at = library.dli_fname; at < slash; at++) tm_put_byte(&text, *at);
        tm_put(&text, places[i]);
        if (!text.overflow && TM_CALL(faccessat, AT_FDCWD, path, X_OK, 0, 0, 0) == 0) return true;
    }
    return false;
}

// "%p" in the file's name is the pid, "%%" a percent sign.
static bool expand(const char *name, char *path, size_t capacity) {
    struct tm_text text = tm_text_in(path, capacity);
    for (; *name; name++) {
        if (name[0] == '%' && name[1] == 'p') {
            tm_put_number(&text, (uint64_t)tm_pid());
            name++;
        } else {
            tm_put_byte(&text, *name);
            if (name[0] == '%' && name[1] == '%') name++;
        }
    }
    return !text.overflow;
}

// Why the file cannot be made, as far as that can be told without making it; NULL if nothing speaks against it. The
// collector finds out the rest, but when it does the program may be over.
static const char *output_fault(const char *path) {
    char folder[1024];
    struct tm_text text = tm_text_in(folder, sizeof folder);
    const char *slash = strrchr(path, '/');
    if (!slash) tm_put_byte(&text, '.');
    else if (slash == path) tm_put_byte(&text, '/');
    for (const char *at = path; slash && at < slash; at++) tm_put_byte(&text, *at);
    if (TM_CALL(faccessat, AT_FDCWD, path, F_OK, 0, 0, 0) == 0) return "it exists already";
    long failed = TM_CALL(faccessat, AT_FDCWD, folder, W_OK | X_OK, 0, 0, 0);
    if (failed == 0) return NULL;
    return failed == -ENOENT ? "the folder does not exist" : failed == -ENOTDIR ? "its folder is a file" : "no permission to write there";
}

// In the new process: the program's environment, but the collector is not to be traced itself.
static void run_collector(const char *collector, const char *directory, const char *output) {
    char **program = tm_environment();
    size_t count = 0;
    while (program && program[count]) count++;
    char **environment = tm_map((count + 1) * sizeof(char *), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (!environment) return;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_ours = value_of(program[i], "LD_PRELOAD") || strncmp(program[i], "TRACEMALLOC", strlen("TRACEMALLOC")) == 0;
        if (!is_ours) environment[kept++] = program[i];
    }
    const char *const arguments[] = {collector, "collect", "--session", directory, "--output", output, NULL};
    TM_CALL(setsid, 0, 0, 0, 0, 0, 0);
    TM_CALL(execve, collector, arguments, environment, 0, 0, 0);
}

bool tm_collector_start(const char *output, char *directory, size_t capacity) {
    char collector[1024], path[1024];
    if (!find_collector(collector, sizeof collector)) {
        tm_message("the collector was not found beside the library; name it in " TM_ENV_COLLECTOR ". The program runs untraced.", NULL);
        return false;
    }
    if (!expand(output, path, sizeof path)) {
        tm_message("the file name in " TM_ENV_FILE " is too long. The program runs untraced.", NULL);
        return false;
    }
    const char *fault = output_fault(path);
    if (fault) {
        tm_message("cannot write ", path, ": ", fault, ". The program runs untraced.", NULL);
        return false;
    }
    if (!make_directory(tm_variable("XDG_RUNTIME_DIR"), directory, capacity) && !make_directory("/dev/shm", directory, capacity)) {
        tm_message("cannot make a session directory in /dev/shm. The program runs untraced.", NULL);
        return false;
    }
    int *started = tm_map(TM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    // Two steps, so that nobody has to wait for the collector; no exit signal, so that the program never hears of the first.
    long first = TM_CALL(clone, 0, 0, 0, 0, 0, 0);
    if (first == 0) {
        long second = TM_CALL(clone, SIGCHLD, 0, 0, 0, 0, 0);
        if (second == 0) run_collector(collector, directory, path);
        if (started) *started = (int)second;
        TM_CALL(exit_group, 0, 0, 0, 0, 0, 0);
    }
    if (first < 0) {
        tm_message("cannot start the collector. The program runs untraced.", NULL);
        TM_CALL(unlinkat, AT_FDCWD, directory, AT_REMOVEDIR, 0, 0, 0);
        return false;
    }
    TM_CALL(wait4, first, 0, __WALL, 0, 0, 0);
    if (started) {
        collector_process = *started;
        TM_CALL(munmap, started, TM_PAGE, 0, 0, 0, 0);
    }

    // Children of the program join this session instead of making their own.
    struct tm_text entry = tm_text_in(session_entry, sizeof session_entry);
    tm_put(&entry, TM_ENV_SESSION "=");
    tm_put(&entry, directory);
    tm_replace_variable(TM_ENV_FILE, session_entry);
    return true;
}
