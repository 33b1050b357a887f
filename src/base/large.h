/*
 * Large memory that is read all over: from the kernel, in large pages where it has them, and given back to it at once. With
 * small pages most of the time would go into finding out where a page lies.
 *
 *     char *const at = large_map(size_bytes);
 *     large_unmap(at, size_bytes);
 *
 * Only what is touched counts. Any thread.
 */
#ifndef PUNCHCARD_BASE_LARGE_H
#define PUNCHCARD_BASE_LARGE_H

#include <stddef.h>

/* Zeroes; NULL when out of memory. size_bytes: more than 0. */
void *large_map(size_t size_bytes);
/* NULL is fine. size_bytes: what it was mapped with. */
void large_unmap(void *at, size_t size_bytes);

#endif
