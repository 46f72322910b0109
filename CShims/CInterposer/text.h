// text.h: building short strings (paths, messages) in a buffer of the caller, without stdio.
#ifndef TM_TEXT_H
#define TM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Always terminated; `overflow` tells that something did not fit.
struct tm_text {
    char *bytes;
    size_t capacity;
    size_t length;
    bool overflow;
};

static inline struct tm_text tm_text_in(char *bytes, size_t capacity) {
    bytes[0] = 0;
    return (struct tm_text){bytes, capacity, 0, false};
}

static inline void tm_put_byte(struct tm_text *text, char byte) {
    if (text->length + 1 >= text->capacity) {
        text->overflow = true;
        return;
    }
    text->bytes[text->length++] = byte;
    text->bytes[text->length] = 0;
}

static inline void tm_put(struct tm_text *text, const char *string) {
    while (*string) tm_put_byte(text, *string++);
}

// With zeros in front up to `width` digits.
static inline void tm_put_padded(struct tm_text *text, uint64_t number, int width) {
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count < width && count < 20) digits[count++] = '0';
    while (count) tm_put_byte(text, digits[--count]);
}

static inline void tm_put_number(struct tm_text *text, uint64_t number) { tm_put_padded(text, number, 1); }

#endif
