// idle.c: the page of an idle process is a System V segment: found by number in /proc/PID/maps, gone with its last user.
#define _GNU_SOURCE
#include "idle.h"

#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "recorder.h"
#include "system_calls.h"

static bool is_idle;

_Static_assert(sizeof(struct tm_rendezvous) <= TM_PAGE, "it takes the place of the page");
_Static_assert(offsetof(struct tm_rendezvous, epoch) == offsetof(struct tm_process, epoch), "the hooks look at it");

bool tm_is_idle(void) { return is_idle; }

void tm_idle_begin(void) {
    long id = TM_CALL(shmget, IPC_PRIVATE, TM_PAGE, 0600, 0, 0, 0);
    if (id < 0) return;
    // Filled before it takes the page's place: other threads look at that all the time.
    struct tm_rendezvous *page = (struct tm_rendezvous *)TM_CALL(shmat, id, 0, 0, 0, 0, 0);
    if ((unsigned long)page < -4096ul) {
        page->version = TM_RECORDING_VERSION;
        page->pid = (uint32_t)tm_pid();
        page->epoch = TM_OFF;
        page->magic = TM_RENDEZVOUS_MAGIC;
        is_idle = TM_CALL(shmat, id, &tm_page, SHM_REMAP, 0, 0, 0) == (long)&tm_page;
        TM_CALL(shmdt, page, 0, 0, 0, 0, 0);
    }
    // It lives on as long as somebody has it mapped.
    TM_CALL(shmctl, id, IPC_RMID, 0, 0, 0, 0);
}

struct tm_order tm_idle_end(uint64_t epoch) {
    const struct tm_rendezvous *shared = (const struct tm_rendezvous *)&tm_page;
    struct tm_order order = {.target = tm_load32(&shared->target), .frame_limit = shared->frame_limit};
    memcpy(order.session, shared->session, sizeof order.session);
    order.session[sizeof order.session - 1] = 0;
    union tm_process_page *own = tm_map(TM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (own) {
        own->process.epoch = epoch;
        // At one moment the page is the shared one, at the next our own with this content.
        long moved = TM_CALL(mremap, own, TM_PAGE, TM_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, &tm_page, 0);
        if (moved == (long)&tm_page) {
            is_idle = false;
            return order;
        }
        TM_CALL(munmap, own, TM_PAGE, 0, 0, 0, 0);
    }
    // Without memory for one page it stays idle.
    order.target = 0;
    return order;
}
