// images.c: discovers modules lazily. dlopen is not hooked: glibc looks up RUNPATH and $ORIGIN by the caller's address.
#define _GNU_SOURCE
#include "images.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sched.h>
#include <string.h>

#include "recording.h"
#include "system_calls.h"

uint32_t tm_images_unloaded;

// One publisher at a time. Held for a few hundred instructions, only when a module is seen for the first time; a hook
// cannot be re-entered on one thread, and a forked child starts with a new recording and a reset lock.
static uint32_t publishing;

struct object {
    uint64_t start, end, bias;
    const char *path;
};

static int (*lookup)(void *, struct dl_find_object *);

struct search {
    uintptr_t pc;
    struct object *object;
};

static int search_object(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    struct search *search = context;
    uint64_t low = UINT64_MAX, high = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD) continue;
        if (segment->p_vaddr < low) low = segment->p_vaddr;
        if (segment->p_vaddr + segment->p_memsz > high) high = segment->p_vaddr + segment->p_memsz;
    }
    if (low >= high || search->pc - info->dlpi_addr - low >= high - low) return 0;
    *search->object = (struct object){info->dlpi_addr + low, info->dlpi_addr + high, info->dlpi_addr, info->dlpi_name};
    return 1;
}

// glibc >= 2.35 answers without a lock; before, the loader's lock is taken, which is recursive.
static bool find(uintptr_t pc, struct object *object) {
    if (!lookup) {
        struct search search = {pc, object};
        return dl_iterate_phdr(search_object, &search) == 1;
    }
    struct dl_find_object found;
    if (lookup((void *)pc, &found) != 0 || !found.dlfo_link_map) return false;
    *object = (struct object){
        (uint64_t)found.dlfo_map_start, (uint64_t)found.dlfo_map_end, found.dlfo_link_map->l_addr, found.dlfo_link_map->l_name};
    return true;
}

// The build-id note of the module in memory: the file may have been replaced since it was loaded.
static void read_build_id(const struct object *object, struct tm_image *image) {
    const ElfW(Ehdr) *file = (const void *)object->start;
    if (object->end - object->start < TM_PAGE || memcmp(file->e_ident, ELFMAG, SELFMAG) != 0) return;
    uint64_t table = file->e_phoff, table_size = file->e_phnum * sizeof(ElfW(Phdr));
    if (file->e_phentsize != sizeof(ElfW(Phdr)) || table > TM_PAGE || table + table_size > TM_PAGE) return;
    const ElfW(Phdr) *segments = (const void *)(object->start + file->e_phoff);
    for (int i = 0; i < file->e_phnum; i++) {
        if (segments[i].p_type != PT_NOTE) continue;
        uint64_t at = object->bias + segments[i].p_vaddr, end = at + segments[i].p_memsz;
        if (at < object->start || end > object->end || end < at) continue;
        while (end - at >= sizeof(ElfW(Nhdr))) {
            const ElfW(Nhdr) *note = (const void *)at;
            uint64_t name = ((uint64_t)note->n_namesz + 3) & ~(uint64_t)3, content = ((uint64_t)note->n_descsz + 3) & ~(uint64_t)3;
            uint64_t size = sizeof *note + name + content;
            if (size > end - at) break;
            const unsigned char *bytes = (const unsigned char *)(note + 1);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(bytes, "GNU", 4) == 0) {
                image->build_id_length = note->n_descsz < TM_BUILD_ID_MAX ? (uint8_t)note->n_descsz : TM_BUILD_ID_MAX;
                memcpy(image->build_id, bytes + name, image->build_id_length);
                return;
            }
            at += size;
        }
    }
}

static bool holds(const struct tm_image *image, uintptr_t pc) {
    return tm_load16(&image->state) == 1 && pc - image->start < image->end - image->start;
}

static uint16_t known(uintptr_t pc) {
    uint64_t used = tm_load64(&tm_recording.header->images.used);
    for (uint64_t i = used; i > 0; i--) {
        if (holds(&tm_recording.images[i - 1], pc)) return (uint16_t)(i - 1);
    }
    return TM_IMAGE_NONE;
}

static uint16_t publish(const struct object *object) {
    struct tm_header *header = tm_recording.header;
    uint64_t index = header->images.used;
    while (index >= tm_load64(&header->images.reserved)) {
        if (index >= header->images.capacity || tm_area_wait(&header->images, index + 1) != TM_WAIT_AGAIN) return TM_IMAGE_NONE;
    }
    struct tm_image *image = &tm_recording.images[index];
    image->start = object->start;
    image->end = object->end;
    image->bias = object->bias;
    // The main program has no name in the loader's list.
    image->path = object->path && object->path[0] ? tm_text_add(object->path, strlen(object->path)) : header->executable_text;
    read_build_id(object, image);
    tm_store16(&image->state, 1);
    tm_store64(&header->images.used, index + 1);
    return (uint16_t)index;
}

void tm_images_reset(void) {
    publishing = 0;
    tm_images_unloaded = 0;
    // Here and not later: dlsym takes the loader's lock.
    if (!lookup) lookup = (int (*)(void *, struct dl_find_object *))dlsym(RTLD_DEFAULT, "_dl_find_object");
}

uint16_t tm_image_of(uintptr_t pc, uint16_t hint) {
    if (hint != TM_IMAGE_NONE && holds(&tm_recording.images[hint], pc)) return hint;
    uint16_t image = known(pc);
    if (image != TM_IMAGE_NONE) return image;
    struct object object;
    if (!find(pc, &object)) return TM_IMAGE_NONE;
    while (!tm_swap32(&publishing, 0, 1)) TM_CALL(sched_yield, 0, 0, 0, 0, 0, 0);
    image = known(pc);
    if (image == TM_IMAGE_NONE) image = publish(&object);
    tm_store32(&publishing, 0);
    return image;
}

bool tm_images_refresh(void) {
    uint64_t used = tm_load64(&tm_recording.header->images.used);
    bool any = false;
    for (uint64_t i = 0; i < used; i++) {
        struct tm_image *image = &tm_recording.images[i];
        if (tm_load16(&image->state) != 1) continue;
        struct object object;
        if (find(image->start, &object) && object.start == image->start && object.end == image->end) continue;
        tm_store16(&image->state, 2);
        any = true;
    }
    if (any) __atomic_fetch_add(&tm_images_unloaded, 1, __ATOMIC_RELEASE);
    return any;
}

bool tm_image_is_loaded(uint16_t image) { return image == TM_IMAGE_NONE || tm_load16(&tm_recording.images[image].state) == 1; }
