// CFreezer.h: stops a process for a moment and takes an image of its memory, registers and mappings.
//
// An image is one piece of memory (anonymous, or a memfd that another process can map):
//
//     header │ threads │ words of their registers │ mappings │ text of /proc/PID/maps │ pieces │ contents
//
// Contents are the pages that the process itself wrote: every present page of a readable private mapping that is not the
// page of a file. What is in files is read there. Everything in an image is copied from a foreign process: hostile.
#ifndef CFREEZER_H
#define CFREEZER_H

#include <stddef.h>
#include <stdint.h>

#define TM_IMAGE_MAGIC UINT64_C(0x314547414d495048)  // "HPIMAGE1"

enum tm_mapping_flag { TM_MAPPING_READ = 1, TM_MAPPING_WRITE = 2, TM_MAPPING_EXECUTE = 4, TM_MAPPING_SHARED = 8 };

struct tm_heap_image_thread {
    uint32_t id;
    uint32_t word_count;
    uint64_t first_word;      // index into the words
    uint64_t stack_pointer;
    uint64_t thread_pointer;  // where the thread control block and the thread-locals lie
};

struct tm_heap_image_mapping {
    uint64_t start, end;
    uint64_t offset;  // in the file
    uint64_t inode;
    uint32_t flags;   // enum tm_mapping_flag
    uint32_t name;    // offset in the text; the name ends with a newline. 0: none
};

struct tm_heap_image_piece {
    uint64_t address, size;
    uint64_t offset;  // of the contents, in the image
};

// A part of the image: where, and how many elements.
struct tm_heap_image_part {
    uint64_t offset, count;
};

struct tm_heap_image {
    uint64_t magic;
    uint64_t size;
    uint32_t pid;
    uint32_t flags;               // the taker's
    uint64_t clock;               // of the recording, while everything stood still
    uint64_t pause;               // nanoseconds from the first thread's stop to the last one's going on
    uint64_t stopping, copying;   // parts of it
    uint64_t unreadable_bytes;    // of contents that the kernel would not hand out
    struct tm_heap_image_part threads, words, mappings, text, pieces, contents;
    struct tm_heap_image_part blocks;  // appended by the taker
    uint64_t exit_thread;         // the taker's: the thread that waits at the program's end, 0 none
    uint64_t exit_stack;          // where its part of the stack ends
};

// Why there is no image.
enum tm_freeze_fault {
    TM_FREEZE_DONE = 0,
    TM_FREEZE_GONE,         // there is no such process any more
    TM_FREEZE_REFUSED,      // the kernel does not let us trace it; `code` is its error number
    TM_FREEZE_UNSTOPPABLE,  // thread `code` does not stop
    TM_FREEZE_REPLACED,     // it became another program
    TM_FREEZE_NO_MEMORY,    // for an image of `bytes` bytes
    TM_FREEZE_NO_FILES,     // /proc/PID is not readable; `code` is the error number
    TM_FREEZE_NO_PROCESS,   // the process that takes an image of its parent could not be started
};

struct tm_range {
    uint64_t start, end;
};

struct tm_freeze {
    // question
    int pid;
    int wants_file;                      // the image in a memfd
    uint64_t recording_inode;            // a file that must be mapped in it; 0: any process
    const uint64_t *shared_clock;        // the recording's clock where it is a counter
    uint64_t *turn;                      // a word of the recording that is 0 when the process goes on; NULL: there is none
    const struct tm_range *left_out;     // memory of the tracer's own
    size_t left_out_count;
    uint64_t most_bytes;
    // answer
    int shares_memory;                   // it is the calling process
    enum tm_freeze_fault fault;
    int code;
    uint64_t bytes;
    struct tm_heap_image *image;
    size_t image_size;                   // as mapped
    int file;                            // of the memfd; -1
};

// Stops the process, which may be the calling one, takes the image, lets go. That is done by a process that shares our memory
// for the time: when it, or we, are killed meanwhile the stopped process goes on.
void tm_freeze_process(struct tm_freeze *freeze);

// Forgets the image.
void tm_heap_image_free(struct tm_heap_image *image, size_t size);

#endif
