// images.c: discovers modules lazily. dlopen is not hooked: glibc looks up RUNPATH and $ORIGIN by the caller's address.
#define _GNU_SOURCE
#include "images.h"

#include <elf.h>
#include <string.h>

#include "loaded_module.h"
#include "recording.h"
#include "system_calls.h"

uint32_t tm_images_unloaded;

// One publisher at a time. Held for a few hundred instructions, only when a module is seen for the first time; a hook
// cannot be re-entered on one thread, and a forked child starts with a new recording and a reset lock.
static uint32_t publishing;

// The build-id note of the module in memory: the file may have been replaced since it was loaded.
static void read_build_id(const struct tm_module *module, struct tm_image *image) {
    for (size_t i = 0; i < module->segment_count; i++) {
        const Elf64_Phdr *segment = &module->segments[i];
        if (segment->p_type != PT_NOTE) continue;
        struct tm_bytes notes = tm_module_bytes(module, module->bias + segment->p_vaddr);
        if ((uint64_t)(notes.end - notes.at) > segment->p_memsz) notes.end = notes.at + segment->p_memsz;
        while ((size_t)(notes.end - notes.at) >= sizeof(Elf64_Nhdr)) {
            const Elf64_Nhdr *note = (const void *)notes.at;
            uint64_t name = ((uint64_t)note->n_namesz + 3) & ~(uint64_t)3, content = ((uint64_t)note->n_descsz + 3) & ~(uint64_t)3;
            uint64_t size = sizeof *note + name + content;
            if (size > (uint64_t)(notes.end - notes.at)) break;
            const unsigned char *bytes = (const unsigned char *)(note + 1);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(bytes, "GNU", 4) == 0) {
                image->build_id_length = note->n_descsz < TM_BUILD_ID_MAX ? (uint8_t)note->n_descsz : TM_BUILD_ID_MAX;
                memcpy(image->build_id, bytes + name, image->build_id_length);
                return;
            }
            notes.at += size;
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

static uint16_t publish(const struct tm_module *module) {
    struct tm_header *header = tm_recording.header;
    uint64_t index = header->images.used;
    while (index >= tm_load64(&header->images.reserved)) {
        if (index >= header->images.capacity || tm_area_wait(&header->images, index + 1) != TM_WAIT_AGAIN) return TM_IMAGE_NONE;
    }
    struct tm_image *image = &tm_recording.images[index];
    image->start = module->start;
    image->end = module->end;
    image->bias = module->bias;
    // The main program has no name in the loader's list.
    image->path = module->path && module->path[0] ? tm_text_add(module->path, strlen(module->path)) : header->executable_text;
    read_build_id(module, image);
    tm_store16(&image->state, 1);
    tm_store64(&header->images.used, index + 1);
    return (uint16_t)index;
}

void tm_images_reset(void) {
    publishing = 0;
    tm_images_unloaded = 0;
    tm_module_initialize();
}

uint16_t tm_image_of(uintptr_t pc, uint16_t hint) {
    if (hint != TM_IMAGE_NONE && holds(&tm_recording.images[hint], pc)) return hint;
    uint16_t image = known(pc);
    if (image != TM_IMAGE_NONE) return image;
    struct tm_module module;
    if (tm_module_find(&module, pc) == TM_MODULE_NONE) return TM_IMAGE_NONE;
    while (!tm_swap32(&publishing, 0, 1)) TM_CALL(sched_yield, 0, 0, 0, 0, 0, 0);
    image = known(pc);
    if (image == TM_IMAGE_NONE) image = publish(&module);
    tm_store32(&publishing, 0);
    return image;
}

bool tm_images_refresh(void) {
    uint64_t used = tm_load64(&tm_recording.header->images.used);
    bool any = false;
    for (uint64_t i = 0; i < used; i++) {
        struct tm_image *image = &tm_recording.images[i];
        if (tm_load16(&image->state) != 1) continue;
        struct tm_module module;
        bool is_there = tm_module_find(&module, image->start) != TM_MODULE_NONE;
        if (is_there && module.start == image->start && module.end == image->end) continue;
        tm_store16(&image->state, 2);
        any = true;
    }
    if (any) __atomic_fetch_add(&tm_images_unloaded, 1, __ATOMIC_RELEASE);
    return any;
}

bool tm_image_is_loaded(uint16_t image) { return image == TM_IMAGE_NONE || tm_load16(&tm_recording.images[image].state) == 1; }
