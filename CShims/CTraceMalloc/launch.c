// launch.c: TRACEMALLOC_START in a program that links the product: tracing begins before main.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "CRecording.h"
#include "api.h"
#include "interposer.h"

static void say(const char *problem) {
    char line[TM_MESSAGE_CAPACITY + 128];
    int length = snprintf(line, sizeof line, "tracemalloc: %s. The program runs untraced.\n", problem);
    if (length > 0) (void)!write(STDERR_FILENO, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

// 1: with the usual number of frames; a larger number is that number. 0, empty, not set: no.
static int frames_of(const char *text) {
    char *end;
    if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 5) return -1;
    long number = strtol(text, &end, 10);
    return number <= 65535 ? (int)number : -1;
}

// After the constructors of the Swift runtime, which stand before all objects of a program.
__attribute__((constructor)) static void launch(void) {
    const char *text = getenv(TM_ENV_START);
    // For another process's recording the interposer has read it.
    if (!text || !*text || getenv(TM_ENV_SESSION) || getenv(TM_ENV_FILE)) return;
    int frames = frames_of(text);
    if (frames < 0) {
        char problem[256];
        snprintf(problem, sizeof problem, TM_ENV_START " must be 0, 1 or a number of frames up to 65535, not \"%.100s\"", text);
        say(problem);
        return;
    }
    char message[TM_MESSAGE_CAPACITY];
    if (frames > 0 && tm_api_start(frames == 1 ? 0 : frames, message, sizeof message) != 0) say(message);
}
