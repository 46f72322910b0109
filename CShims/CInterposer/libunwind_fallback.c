// libunwind_fallback.c: the only file that knows <libunwind.h>.
#define _GNU_SOURCE
#include "libunwind_fallback.h"

#include "CRecording.h"
#include "cfi.h"
#include "cpu.h"
#include "text.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libunwind.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)  // the header names functions by macros that carry the CPU: their text is the symbol
#define LIBRARY "libunwind-" TEXT(UNW_TARGET) ".so.8"

static struct {
    __typeof__(&unw_create_addr_space) create_addr_space;
    __typeof__(&unw_set_caching_policy) set_caching_policy;
    __typeof__(&unw_init_remote) init_remote;
    __typeof__(&unw_step) step;
    __typeof__(&unw_get_reg) get_reg;
    __typeof__(&unw_is_signal_frame) is_signal_frame;
    int (*search_unwind_table)(unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *, int, void *);
    unw_addr_space_t address_space;
} api;
static int loaded;

struct scratch {
    unw_cursor_t cursor;
    uint64_t registers[TM_CPU_REGISTERS];
    struct tm_stack_range known;
    struct tm_stack_bounds *bounds;
    uintptr_t sp;
    struct tm_module module;  // the one read from last
};

size_t tm_libunwind_scratch_size(void) { return sizeof(struct scratch); }
int tm_libunwind_loaded(void) { return __atomic_load_n(&loaded, __ATOMIC_ACQUIRE); }

// ---- What libunwind asks for
static int is_in(struct tm_bytes bytes) { return (size_t)(bytes.end - bytes.at) >= sizeof(unw_word_t); }

static int may_read(struct scratch *scratch, uintptr_t address) {
    if (address >= scratch->sp && address < scratch->known.high && scratch->known.high - address >= sizeof(unw_word_t)) return 1;
    if (is_in(tm_module_bytes(&scratch->module, address))) return 1;
    struct tm_module module;
    if (tm_module_find(&module, address) == TM_MODULE_FOUND && is_in(tm_module_bytes(&module, address))) {
        scratch->module = module;
        return 1;
    }
    return tm_stack_try(scratch->bounds, address, sizeof(unw_word_t));
}

static int access_memory(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write, void *context) {
    (void)space;
    if (write || !may_read(context, address)) return -UNW_EINVAL;
    __builtin_memcpy(value, (const void *)address, sizeof *value);
    return 0;
}

static int access_register(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int write, void *context) {
    (void)space;
    struct scratch *scratch = context;
    if (write || number < 0 || number >= TM_CPU_REGISTERS) return -UNW_EBADREG;
    *value = scratch->registers[number];
    return 0;
}

static int access_float(unw_addr_space_t space, unw_regnum_t number, unw_fpreg_t *value, int write, void *context) {
    (void)space, (void)number, (void)value, (void)write, (void)context;
    return -UNW_EBADREG;
}

static int find_procedure(unw_addr_space_t space, unw_word_t address, unw_proc_info_t *info, int need_rules, void *context) {
    struct tm_module module;
    struct tm_index index;
    if (tm_module_find(&module, address) != TM_MODULE_FOUND || !tm_cfi_index(&module, &index)) return -UNW_ENOINFO;
    unw_dyn_info_t table = {.format = UNW_INFO_FORMAT_REMOTE_TABLE, .start_ip = 0, .end_ip = ~(unw_word_t)0};
    table.u.rti.segbase = (unw_word_t)module.index;
    table.u.rti.table_data = (unw_word_t)index.entries;
    table.u.rti.table_len = index.count * 2 * sizeof(int32_t) / sizeof(unw_word_t);
    return api.search_unwind_table(space, address, &table, info, need_rules, context);
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *context) { (void)space, (void)info, (void)context; }

static int dynamic_code(unw_addr_space_t space, unw_word_t *list, void *context) {
    (void)space, (void)list, (void)context;
    return -UNW_ENOINFO;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *context) {
    (void)space, (void)cursor, (void)context;
    return -UNW_EINVAL;
}

static int procedure_name(unw_addr_space_t space, unw_word_t address, char *name, size_t size, unw_word_t *offset, void *context) {
    (void)space, (void)address, (void)name, (void)size, (void)offset, (void)context;
    return -UNW_ENOINFO;
}

// ---- Loading
static int find(void *library, const char *name, void *function) {
    *(void **)function = dlsym(library, name);
    return *(void **)function != NULL;
}

static int is_pipe_end(int descriptor, ino_t *inode) {
    struct stat status;
    if (fstat(descriptor, &status) != 0 || !S_ISFIFO(status.st_mode) || !(fcntl(descriptor, F_GETFL) & O_NONBLOCK)) return 0;
    *inode = status.st_ino;
    return fcntl(descriptor, F_GETFD) == FD_CLOEXEC;
}

// On its first use libunwind opens a pipe for its variant for the own process. Nothing may stay open in the program, and
// this variant never touches the pipe, so it is closed: it has the two lowest free numbers.
static void use_first(unw_addr_space_t space) {
    int probe[2] = {open("/", O_PATH | O_CLOEXEC), open("/", O_PATH | O_CLOEXEC)};
    for (int i = 0; i < 2; i++)
        if (probe[i] >= 0) close(probe[i]);
    api.set_caching_policy(space, UNW_CACHE_NONE);  // its cache does not notice dlclose, and its lock is not fork-safe
    ino_t inode[2];
    if (probe[0] < 0 || probe[1] < 0 || !is_pipe_end(probe[0], &inode[0]) || !is_pipe_end(probe[1], &inode[1])) return;
    if (inode[0] != inode[1]) return;
    close(probe[0]);
    close(probe[1]);
}

// Beside the C library first: Debian has both in one folder, and the loader's own search tries some twenty other names
// before it gets there, at a tenth of a small program's start-up time.
static void *open_library(void) {
    char path[512];
    struct tm_text text = tm_text_in(path, sizeof path);
    Dl_info libc;
    if (dladdr((const void *)(uintptr_t)dlopen, &libc) && libc.dli_fname && libc.dli_fname[0] == '/') {
        const char *slash = strrchr(libc.dli_fname, '/');
        for (const char *at = libc.dli_fname; at <= slash; at++) tm_put_byte(&text, *at);
        tm_put(&text, LIBRARY);
        void *library = text.overflow ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library) return library;
    }
    return dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

void tm_libunwind_load(void) {
    if (tm_libunwind_loaded()) return;
    static unw_accessors_t accessors = {
        .find_proc_info = find_procedure,
        .put_unwind_info = put_unwind_info,
        .get_dyn_info_list_addr = dynamic_code,
        .access_mem = access_memory,
        .access_reg = access_register,
        .access_fpreg = access_float,
        .resume = resume,
        .get_proc_name = procedure_name,
    };
    int saved = errno;
    void *library = open_library();
    if (library && find(library, TEXT(unw_create_addr_space), &api.create_addr_space) &&
        find(library, TEXT(unw_set_caching_policy), &api.set_caching_policy) && find(library, TEXT(unw_init_remote), &api.init_remote) &&
        find(library, TEXT(unw_step), &api.step) && find(library, TEXT(unw_get_reg), &api.get_reg) &&
        find(library, TEXT(unw_is_signal_frame), &api.is_signal_frame) &&
        find(library, TEXT(UNW_ARCH_OBJ(dwarf_search_unwind_table)), &api.search_unwind_table) &&
        (api.address_space = api.create_addr_space(&accessors, 0)) != NULL) {
        use_first(api.address_space);
        __atomic_store_n(&loaded, 1, __ATOMIC_RELEASE);
    }
    errno = saved;
}

// ---- Walking
// Steps through the frames of this library first: only they know where the caller's registers were saved.
__attribute__((noinline)) size_t tm_libunwind_walk(
    uintptr_t pc, uintptr_t sp, struct tm_foreign_frame *frames, size_t max, struct tm_stack_range known,
    struct tm_stack_bounds *bounds, void *memory) {
    struct scratch *scratch = memory;
    int saved = errno, stepped = 1;
    size_t count = 0;
    uint16_t flags = 0;
    tm_cpu_capture(scratch->registers);
    scratch->known = known;
    scratch->bounds = bounds;
    scratch->sp = scratch->registers[TM_CPU_SP];
    scratch->module = (struct tm_module){0};
    if (api.init_remote(&scratch->cursor, api.address_space, scratch) < 0) stepped = 0;
    while (stepped > 0 && count < max) {
        unw_word_t here, at, fp;
        if (api.get_reg(&scratch->cursor, UNW_REG_IP, &here) < 0 || api.get_reg(&scratch->cursor, UNW_REG_SP, &at) < 0) break;
        if (here == 0) break;
        if (api.get_reg(&scratch->cursor, TM_CPU_FP, &fp) < 0) fp = 0;
        if (count != 0 || (here == pc && at == sp)) frames[count++] = (struct tm_foreign_frame){here, fp, flags};
        else if (at > sp) break;
        flags = api.is_signal_frame(&scratch->cursor) > 0 ? TM_NODE_SIGNAL : 0;
        stepped = api.step(&scratch->cursor);
    }
    if (stepped < 0 && count != 0) frames[count - 1].flags |= TM_NODE_ENDED_EARLY;
    errno = saved;
    return count;
}
