// debugged.c: a debugger attaches, stops it at landmark a few times, and lets go, while another thread allocates on.
// It waits for the debugger, and for its end.
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include "claims.h"

static atomic_bool stop;
static atomic_long rounds;
static int line_of_others;

static void *work(void *unused) {
    while (!stop) {
        void *block = malloc(1811); line_of_others = __LINE__;
        TOUCH(block);
        free(block);
        rounds++;
        usleep(100);
    }
    return unused;
}

SEPARATE void landmark(int number) {
    TOUCH(malloc(1823));
    TOUCH(&number);
}
enum { LINE_OF_LANDMARK = __LINE__ - 3 };

static int is_debugged(void) {
    char line[256];
    int tracer = 0;
    FILE *status = fopen("/proc/self/status", "r");
    REQUIRE(status);
    while (fgets(line, sizeof line, status)) sscanf(line, "TracerPid: %d", &tracer);
    fclose(status);
    return tracer != 0;
}

int main(void) {
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);  // for systems where only a parent may attach
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, work, NULL) == 0);
    say("%d ready\n", (int)getpid());
    while (!is_debugged()) usleep(5000);
    for (int i = 0; i < 5; i++) {
        landmark(i);
        usleep(20000);
    }
    while (is_debugged()) usleep(5000);
    stop = 1;
    pthread_join(thread, NULL);
    CLAIM_AT("total", LINE_OF_LANDMARK, 1823 * 5, 5);
    CLAIM_AT("total", line_of_others, 1811 * rounds, rounds);
    CLAIM_AT("alive", line_of_others, 0, 0);
    return 0;
}
