/*
 * Durations for people. Thread: any.
 */
#ifndef PUNCHCARD_BASE_DURATION_H
#define PUNCHCARD_BASE_DURATION_H

#include <stdint.h>

#define DURATION_TEXT_MAX 32

/* Two or three digits in the greatest unit, or two, that are not more than it: 850us, 12.3ms, 420ms, 4.56s, 3m12s, 5h07m,
 * 3d04h; a negative one behind a minus. Returns out. */
const char *duration_text(int64_t us, char out[DURATION_TEXT_MAX]);
/* The same in whole seconds, for what would only flicker: 0s, 59s, 3m12s. */
const char *duration_seconds_text(int64_t us, char out[DURATION_TEXT_MAX]);

#endif
