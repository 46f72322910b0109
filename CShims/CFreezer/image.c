// image.c: copies what a stopped process has written into its memory.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "freezer.h"

#define PAGE UINT64_C(4096)
#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
// A page of a file, or of shared memory: not the process's own.
#define OF_A_FILE (UINT64_C(1) << 61)
// Address space that is only reserved (sanitizers, managed heaps): to look at every page of it would take seconds.
#define LARGEST_MAPPING (UINT64_C(1) << 38)
#define MOST_VECTORS 512

// ---- Mappings
static uint64_t number(const char **at, unsigned base) {
    uint64_t value = 0;
    for (;; (*at)++) {
        unsigned digit;
        if (**at >= '0' && **at <= '9') digit = (unsigned)(**at - '0');
        else if (base == 16 && **at >= 'a' && **at <= 'f') digit = (unsigned)(**at - 'a' + 10);
        else return value;
        value = value * base + digit;
    }
}

static void skip(const char **at, char what) {
    if (**at == what) (*at)++;
}

// "start-end rwxp offset device inode   name"
static void parse(struct tm_scratch *scratch) {
    const char *at = scratch->text + 1, *end = scratch->text + scratch->text_size;
    while (at < end && scratch->mapping_count < TM_MOST_MAPPINGS) {
        struct tm_heap_image_mapping *mapping = &scratch->mappings[scratch->mapping_count++];
        mapping->start = number(&at, 16);
        skip(&at, '-');
        mapping->end = number(&at, 16);
        skip(&at, ' ');
        static const struct { char letter; uint32_t flag; } letters[] = {
            {'r', TM_MAPPING_READ}, {'w', TM_MAPPING_WRITE}, {'x', TM_MAPPING_EXECUTE}, {'s', TM_MAPPING_SHARED}};
        mapping->flags = 0;
        for (int i = 0; i < 4 && at < end; i++, at++)
            if (*at == letters[i].letter) mapping->flags |= letters[i].flag;
        skip(&at, ' ');
        mapping->offset = number(&at, 16);
        while (at < end && *at == ' ') at++;
        while (at < end && *at != ' ' && *at != '\n') at++;
        skip(&at, ' ');
        mapping->inode = number(&at, 10);
        while (at < end && *at == ' ') at++;
        mapping->name = at < end && *at != '\n' ? (uint32_t)(at - scratch->text) : 0;
        while (at < end && *at != '\n') at++;
        at++;
    }
}

static bool read_mappings(struct tm_freeze *freeze, struct tm_scratch *scratch) {
    int file = tm_freezer_open("/proc/", freeze->pid, "/maps", O_RDONLY);
    if (file < 0) return tm_freezer_failed(freeze, errno == ENOENT ? TM_FREEZE_GONE : TM_FREEZE_NO_FILES, errno);
    scratch->text[0] = '\n';
    scratch->text_size = 1;
    for (long got; scratch->text_size < TM_MOST_TEXT - 1; scratch->text_size += (size_t)got) {
        got = syscall(SYS_read, file, scratch->text + scratch->text_size, TM_MOST_TEXT - 1 - scratch->text_size);
        if (got <= 0) break;
    }
    syscall(SYS_close, file);
    parse(scratch);
    if (scratch->mapping_count == 0) return tm_freezer_failed(freeze, TM_FREEZE_GONE, ESRCH);
    if (!freeze->recording_inode) return true;
    for (size_t i = 0; i < scratch->mapping_count; i++)
        if (scratch->mappings[i].inode == freeze->recording_inode && scratch->mappings[i].flags & TM_MAPPING_SHARED) return true;
    return tm_freezer_failed(freeze, TM_FREEZE_REPLACED, 0);
}

// ---- Pieces
static void add_piece(struct tm_scratch *scratch, uint64_t start, uint64_t end) {
    if (start >= end) return;
    struct tm_heap_image_piece *last = scratch->piece_count ? &scratch->pieces[scratch->piece_count - 1] : NULL;
    if (last && last->address + last->size == start) {
        last->size += end - start;
    } else {
        if (scratch->piece_count == TM_MOST_PIECES) return;
        scratch->pieces[scratch->piece_count++] = (struct tm_heap_image_piece){start, end - start, scratch->content_size};
    }
    scratch->content_size += end - start;
}

// Adds the pages of a range that the process wrote.
static void add_present(struct tm_scratch *scratch, int pagemap, uint64_t start, uint64_t end) {
    if (start >= end) return;
    if (end - start > LARGEST_MAPPING) return;
    for (uint64_t at = start; at < end;) {
        uint64_t pages = (end - at) / PAGE;
        if (pages > TM_PAGEMAP_WORDS) pages = TM_PAGEMAP_WORDS;
        long got = pagemap < 0 ? -1 : syscall(SYS_pread64, pagemap, scratch->pagemap, pages * 8, at / PAGE * 8);
        if (got < 8) {
            // The kernel does not tell: all of it.
            add_piece(scratch, at, end);
            return;
        }
        pages = (uint64_t)got / 8;
        for (uint64_t i = 0; i < pages; i++) {
            uint64_t page = scratch->pagemap[i];
            if (page & (PRESENT | SWAPPED) && !(page & OF_A_FILE)) add_piece(scratch, at + i * PAGE, at + (i + 1) * PAGE);
        }
        at += pages * PAGE;
    }
}

static bool is_named(const struct tm_scratch *scratch, const struct tm_heap_image_mapping *mapping, const char *name) {
    return mapping->name && strncmp(scratch->text + mapping->name, name, strlen(name)) == 0;
}

// The ranges to leave out are few and in no order.
static void add_outside(const struct tm_freeze *freeze, struct tm_scratch *scratch, int pagemap, uint64_t start, uint64_t end) {
    while (start < end) {
        uint64_t stop = end, next = end;
        uint64_t own = (uint64_t)(uintptr_t)scratch;
        for (size_t i = 0; i <= freeze->left_out_count; i++) {
            struct tm_range range = {own, own + sizeof *scratch + (256 << 10)};
            if (i < freeze->left_out_count) range = freeze->left_out[i];
            range.start &= ~(PAGE - 1);
            range.end = (range.end + PAGE - 1) & ~(PAGE - 1);
            bool counts = i < freeze->left_out_count || freeze->shares_memory;
            if (!counts || range.end <= start || range.start >= stop) continue;
            stop = range.start > start ? range.start : start;
            next = range.end;
        }
        add_present(scratch, pagemap, start, stop);
        start = next;
    }
}

static void choose_pieces(const struct tm_freeze *freeze, struct tm_scratch *scratch) {
    int pagemap = tm_freezer_open("/proc/", freeze->pid, "/pagemap", O_RDONLY);
    for (size_t i = 0; i < scratch->mapping_count; i++) {
        const struct tm_heap_image_mapping *mapping = &scratch->mappings[i];
        if (!(mapping->flags & TM_MAPPING_READ) || mapping->flags & TM_MAPPING_SHARED) continue;
        if (is_named(scratch, mapping, "[v")) continue;  // vvar, vdso, vsyscall
        add_outside(freeze, scratch, pagemap, mapping->start, mapping->end);
    }
    if (pagemap >= 0) syscall(SYS_close, pagemap);
}

// ---- The image
static uint64_t place(struct tm_heap_image_part *part, uint64_t offset, uint64_t count, uint64_t size) {
    part->offset = offset;
    part->count = count;
    return (offset + count * size + 7) & ~UINT64_C(7);
}

static void *make_memory(struct tm_freeze *freeze, uint64_t size) {
    if (!freeze->wants_file) return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    freeze->file = (int)syscall(SYS_memfd_create, "tracemalloc-image", 1 /* close on exec */);
    if (freeze->file < 0 || syscall(SYS_ftruncate, freeze->file, size) != 0) return MAP_FAILED;
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, freeze->file, 0);
}

// Copies all pieces; what cannot be read stays zero.
static uint64_t copy(const struct tm_freeze *freeze, const struct tm_scratch *scratch, unsigned char *contents) {
    uint64_t unreadable = 0;
    struct iovec from[MOST_VECTORS];
    size_t piece = 0;
    uint64_t inside = 0;
    while (piece < scratch->piece_count) {
        size_t count = 0;
        uint64_t bytes = 0, skipped = inside;
        const uint64_t first = scratch->pieces[piece].offset + inside;
        // Portions: one system call copies at most 2 GiB.
        for (size_t i = piece; i < scratch->piece_count && count < MOST_VECTORS && bytes < (256u << 20); i++, skipped = 0) {
            const struct tm_heap_image_piece *next = &scratch->pieces[i];
            uint64_t size = next->size - skipped;
            if (size > (256u << 20)) size = 256u << 20;
            from[count++] = (struct iovec){(void *)(uintptr_t)(next->address + skipped), size};
            bytes += size;
            if (size < next->size - skipped) break;
        }
        struct iovec to = {contents + first, bytes};
        long got = syscall(SYS_process_vm_readv, freeze->pid, &to, 1, from, count, 0);
        uint64_t moved = got > 0 ? (uint64_t)got : 0;
        while (piece < scratch->piece_count && moved >= scratch->pieces[piece].size - inside) {
            moved -= scratch->pieces[piece].size - inside;
            piece++;
            inside = 0;
            if (moved == 0) break;
        }
        inside += moved;
        if ((got > 0 && (uint64_t)got == bytes) || piece == scratch->piece_count) continue;
        // The page at which it stopped.
        uint64_t rest = PAGE - ((scratch->pieces[piece].address + inside) & (PAGE - 1));
        if (rest > scratch->pieces[piece].size - inside) rest = scratch->pieces[piece].size - inside;
        unreadable += rest;
        inside += rest;
        if (inside == scratch->pieces[piece].size) {
            piece++;
            inside = 0;
        }
    }
    return unreadable;
}

bool tm_take_image(struct tm_freeze *freeze, struct tm_scratch *scratch) {
    if (!read_mappings(freeze, scratch)) return false;
    choose_pieces(freeze, scratch);

    struct tm_heap_image layout = {.magic = TM_IMAGE_MAGIC, .pid = (uint32_t)freeze->pid};
    uint64_t at = sizeof layout;
    at = place(&layout.threads, at, scratch->thread_count, sizeof(struct tm_heap_image_thread));
    at = place(&layout.words, at, scratch->word_count, sizeof(uint64_t));
    at = place(&layout.mappings, at, scratch->mapping_count, sizeof(struct tm_heap_image_mapping));
    at = place(&layout.text, at, scratch->text_size, 1);
    at = place(&layout.pieces, at, scratch->piece_count, sizeof(struct tm_heap_image_piece));
    at = (at + PAGE - 1) & ~(PAGE - 1);
    layout.size = place(&layout.contents, at, scratch->content_size, 1);
    freeze->bytes = layout.size;
    unsigned char *base = layout.size > freeze->most_bytes ? MAP_FAILED : make_memory(freeze, layout.size);
    if (base == MAP_FAILED) {
        if (freeze->file >= 0) syscall(SYS_close, freeze->file);
        freeze->file = -1;
        return tm_freezer_failed(freeze, TM_FREEZE_NO_MEMORY, ENOMEM);
    }

    struct tm_heap_image *image = (struct tm_heap_image *)(void *)base;
    struct tm_heap_image_thread *threads = (struct tm_heap_image_thread *)(void *)(base + layout.threads.offset);
    layout.threads.count = 0;
    for (size_t i = 0; i < scratch->thread_count; i++) {
        const struct tm_stopped *thread = &scratch->threads[i];
        if (thread->state != TM_STOPPED) continue;
        threads[layout.threads.count++] = (struct tm_heap_image_thread){
            (uint32_t)thread->id, (uint32_t)thread->words, thread->first_word, thread->stack_pointer, thread->thread_pointer};
    }
    memcpy(base + layout.words.offset, scratch->words, scratch->word_count * sizeof(uint64_t));
    memcpy(base + layout.mappings.offset, scratch->mappings, scratch->mapping_count * sizeof(struct tm_heap_image_mapping));
    memcpy(base + layout.text.offset, scratch->text, scratch->text_size);
    for (size_t i = 0; i < scratch->piece_count; i++) {
        struct tm_heap_image_piece piece = scratch->pieces[i];
        piece.offset += layout.contents.offset;
        ((struct tm_heap_image_piece *)(void *)(base + layout.pieces.offset))[i] = piece;
    }
    uint64_t start = tm_freezer_now();
    layout.unreadable_bytes = copy(freeze, scratch, base + layout.contents.offset);
    layout.copying = tm_freezer_now() - start;
#if defined(__x86_64__)
    __builtin_ia32_lfence();
    layout.clock = freeze->shared_clock ? __atomic_load_n(freeze->shared_clock, __ATOMIC_ACQUIRE) : __builtin_ia32_rdtsc();
#else
    layout.clock = freeze->shared_clock ? __atomic_load_n(freeze->shared_clock, __ATOMIC_ACQUIRE) : 0;
#endif
    // What the process does next has a time after this one.
    if (freeze->turn) __atomic_store_n(freeze->turn, 0, __ATOMIC_SEQ_CST);
    *image = layout;
    freeze->image = image;
    freeze->image_size = layout.size;
    return true;
}
