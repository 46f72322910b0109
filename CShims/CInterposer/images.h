// images.h: which loaded module an address belongs to; modules are published to the collector when they first matter.
#ifndef TM_IMAGES_H
#define TM_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

// Images that were unloaded since the recording started. Nodes of such images must not be found again.
extern uint32_t tm_images_unloaded;

// Forgets everything: a new recording has begun.
void tm_images_reset(void);

// The image that holds pc, published now if it is new; TM_IMAGE_NONE if no module does. `hint` is the caller's last
// answer, tried first.
uint16_t tm_image_of(uintptr_t pc, uint16_t hint);

// After dlclose: marks images that are gone. Returns whether there were any.
bool tm_images_refresh(void);

bool tm_image_is_loaded(uint16_t image);

#endif
