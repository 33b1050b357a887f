#include "base/large.h"

#include <stdint.h>
#include <sys/mman.h>

#define LARGE_PAGE_BYTES ((size_t)2 << 20)

void *large_map(size_t size_bytes)
{
	/* A large page begins at a multiple of its size: what is too much on both sides is given back. */
	const size_t whole = size_bytes + LARGE_PAGE_BYTES;
	char *const at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	const size_t before = -(uintptr_t)at & (LARGE_PAGE_BYTES - 1);
	char *const out = at + before;
	const size_t page_bytes = 4096;
	const size_t used = (size_bytes + page_bytes - 1) & ~(page_bytes - 1);
	if (before)
		munmap(at, before);
	munmap(out + used, whole - before - used);
	madvise(out, used, MADV_HUGEPAGE);
	return out;
}

void large_unmap(void *at, size_t size_bytes)
{
	if (at)
		munmap(at, size_bytes);
}
