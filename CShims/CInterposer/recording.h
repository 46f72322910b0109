// recording.h: the traced side's own recording: creating the file, the areas in it, and waiting for the collector.
#ifndef TM_RECORDING_H
#define TM_RECORDING_H

#include <stdbool.h>

#include "CRecording.h"

// Where the parts of the recording of this process are mapped. Written at start, constant while it is used.
struct tm_recording {
    struct tm_header *header;
    struct tm_image *images;
    unsigned char *text;
    struct tm_node *nodes;
    struct tm_ring *rings;
    struct tm_event *events;
    size_t size;
    uint32_t clock;
    uint32_t fence;
    bool verify;
    bool is_private;  // the collector is a thread of this process
};

extern struct tm_recording tm_recording;

struct tm_recording_options {
    uint32_t frame_limit;
    uint64_t sample_interval;
    bool verify;
    bool is_private;
    bool exit_check;
    uint64_t private_start, private_end;
};

// Creates and maps a recording in the session directory and announces it. Returns 0, or -errno.
// A previous recording (of the parent, after fork) is not unmapped: it was never inherited (MADV_DONTFORK).
int tm_recording_create(const char *session, const struct tm_recording_options *options);

// Creates and maps a recording for a collector in this process. Returns a descriptor for the collector, or -errno.
int tm_recording_create_private(const struct tm_recording_options *options);

// Adds a text to the text area; 0 when there is no room.
uint32_t tm_text_add(const char *bytes, size_t length);

enum tm_wait_result { TM_WAIT_AGAIN, TM_WAIT_REFUSED, TM_WAIT_ABANDONED };

// Asks the collector to reserve more of the area than `wanted` elements and sleeps until something changed.
enum tm_wait_result tm_area_wait(struct tm_area *area, uint64_t wanted);

// Asks the collector for attention.
void tm_doorbell(void);

// The calling thread collects what the others of this process record.
void tm_collected_by_this_thread(void);

// How long a thread has waited. To begin with, all of it is 0.
struct tm_patience {
    unsigned waited;  // milliseconds without a sign of the collector
    uint64_t collector_time;
};

// Whether the collector still lives, after waiting so long.
bool tm_collector_lives(const struct tm_patience *patience);

// Sleeps until the collector wakes the word, for 50 ms at most, and counts how long there was no sign of it: whoever wakes us lives,
// and so does who works.
void tm_wait_for_collector(uint32_t *word, uint32_t seen, struct tm_patience *patience);

#endif
