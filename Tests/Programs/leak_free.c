// leak_free.c: blocks that are held in one way only each, while eight threads work; loses nothing. Says "ready", and ends with its input.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static atomic_bool is_over;
static atomic_int holders;
static pthread_key_t key;
static __thread void *kept_by_thread;
static void *volatile interior;

// A block that leads to another one. The stack below is written over: the pointer that is returned is the only one.
static __attribute__((noinline)) void *new_pair(void) {
    void **block = malloc(48);
    memset(block, 0, 48);
    block[2] = malloc(24);
    memset(block[2], 1, 24);
    return block;
}
static __attribute__((noinline)) void scrub(void) {
    volatile char waste[8192];
    memset((void *)waste, 0, sizeof waste);
}
static void ready_to_be_looked_at(void) { atomic_fetch_add(&holders, 1); }

// Only in a general register, only in a vector register, only below the stack pointer.
static void *in_register(void *unused) {
    (void)unused;
    register void *block __asm__("r12") = new_pair();
    scrub();
    ready_to_be_looked_at();
    __asm__ volatile("1: pause\n\tcmpb $0, %1\n\tje 1b" : "+r"(block) : "m"(is_over) : "memory", "cc");
    free(((void **)block)[2]), free(block);
    return NULL;
}
static void *in_vector_register(void *unused) {
    (void)unused;
    void *block = new_pair();
    scrub();
    ready_to_be_looked_at();
    __asm__ volatile(
        "movq %0, %%xmm7\n\txorl %k0, %k0\n1: pause\n\tcmpb $0, %1\n\tje 1b\n\tmovq %%xmm7, %0"
        : "+r"(block) : "m"(is_over) : "xmm7", "memory", "cc");
    free(((void **)block)[2]), free(block);
    return NULL;
}
static void *in_red_zone(void *unused) {
    (void)unused;
    void *block = new_pair();
    scrub();
    ready_to_be_looked_at();
    __asm__ volatile(
        "movq %0, -64(%%rsp)\n\txorl %k0, %k0\n1: pause\n\tcmpb $0, %1\n\tje 1b\n\tmovq -64(%%rsp), %0"
        : "+r"(block) : "m"(is_over) : "memory", "cc");
    free(((void **)block)[2]), free(block);
    return NULL;
}

static void wait_for_end(void) { while (!atomic_load(&is_over)) usleep(1000); }

static void *on_stack(void *unused) {
    (void)unused;
    void *volatile block = new_pair();
    ready_to_be_looked_at();
    wait_for_end();
    free(((void **)block)[2]), free(block);
    return NULL;
}
static void *in_thread_local(void *unused) {
    (void)unused;
    kept_by_thread = new_pair();
    pthread_setspecific(key, new_pair());
    scrub();
    ready_to_be_looked_at();
    wait_for_end();
    for (int i = 0; i < 2; i++) {
        void **block = i ? pthread_getspecific(key) : kept_by_thread;
        free(block[2]), free(block);
    }
    return NULL;
}

// On the stack of a fiber that is not running, in memory that the program mapped itself.
static ucontext_t fiber, outside;
static void run_fiber(void) {
    void *volatile block = new_pair();
    swapcontext(&fiber, &outside);
    free(((void **)block)[2]), free(block);
    swapcontext(&fiber, &outside);
}

// Tables that grow, so that they are often in the middle of a realloc, and lists that are taken down again.
struct node { struct node *next; char text[40]; };
static void *work(void *argument) {
    unsigned long random = (unsigned long)argument * 2654435761u + 1;
    while (!atomic_load(&is_over)) {
        struct node **table = NULL;
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t count = 0, most = (random >> 33) % 16 == 0 ? 40000 : 300;
        while (count < most) {
            table = realloc(table, (count + count / 2 + 8) * sizeof *table);
            for (size_t end = count + count / 2 + 8; count < end; count++) {
                struct node *last = NULL;
                // The large ones are there for the size of the table.
                for (int i = 0; i < 3 && (most < 1000 || count % 16 == 0); i++) {
                    struct node *node = malloc(sizeof *node);
                    node->next = last;
                    last = node;
                }
                table[count] = last;
            }
        }
        for (size_t i = 0; i < count; i++)
            for (struct node *node = table[i], *next; node; node = next) next = node->next, free(node);
        free(table);
    }
    return NULL;
}

int main(int argument_count, char **arguments) {
    int workers = argument_count > 1 ? atoi(arguments[1]) : 8;
    static void *(*const holding[])(void *) = {in_register, in_vector_register, in_red_zone, on_stack, in_thread_local};
    enum { HOLDERS = sizeof holding / sizeof *holding };
    pthread_t threads[HOLDERS + 64];
    pthread_key_create(&key, NULL);
    interior = (char *)new_pair() + 20;
    void *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    getcontext(&fiber);
    fiber.uc_stack.ss_sp = stack;
    fiber.uc_stack.ss_size = 65536;
    makecontext(&fiber, run_fiber, 0);
    swapcontext(&outside, &fiber);
    for (int i = 0; i < HOLDERS; i++) pthread_create(&threads[i], NULL, holding[i], NULL);
    while (atomic_load(&holders) < HOLDERS) usleep(1000);
    for (int i = 0; i < workers; i++) pthread_create(&threads[HOLDERS + i], NULL, work, (void *)(long)(i + 1));
    scrub();
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {}
    // Ends in the middle of it all: what the threads hold is held.
    return 0;
}
