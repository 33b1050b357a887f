/*
 * Lets the n-th request for memory fail: a library to be preloaded into the program under test.
 *
 *     PUNCHCARD_NOMEM_AT=7 PUNCHCARD_NOMEM_FOR=1 PUNCHCARD_FAIL_LOG=/tmp/log LD_PRELOAD=libfail_memory.so punchcard …
 *
 * Counted, from 1 and over all threads, are malloc, calloc, realloc, aligned_alloc and mmap that come from the program itself or
 * from LMDB, json-c or zlib; what DuckDB and the C library ask for passes. NOMEM_FOR=m lets m requests fail in a row (-1: all
 * that come). NOMEM_WHILE=/tmp/x: only while there is this file are requests counted. The log is as that of fail_call.c.
 */
#include "fail_log.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define API        __attribute__((visibility("default")))
#define RANGES_MAX 32

/* The C library's own, by names that need no lookup (which would ask for memory). */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_long calls;
static long fail_at = -1;
static long fail_for = 1;
static const char *fail_while;
static bool ready;
static struct range {
	uintptr_t from;
	uintptr_t to;
} ranges[RANGES_MAX];
static unsigned n_ranges;

/* Its code, when it is one that is to bear it. The program's own name is empty. */
static int add_ranges(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	static const char *const NAMES[] = {"liblmdb", "libjson-c", "libz."};
	bool wanted = info->dlpi_name[0] == '\0';
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		wanted = wanted || strstr(info->dlpi_name, NAMES[i]);
	for (int i = 0; wanted && i < info->dlpi_phnum && n_ranges < RANGES_MAX; i++) {
		const ElfW(Phdr) *const part = &info->dlpi_phdr[i];
		if (part->p_type == PT_LOAD && (part->p_flags & PF_X))
			ranges[n_ranges++] = (struct range){info->dlpi_addr + part->p_vaddr,
							    info->dlpi_addr + part->p_vaddr + part->p_memsz};
	}
	return 0;
}

__attribute__((constructor)) static void read_environment(void)
{
	const char *const at = getenv("PUNCHCARD_NOMEM_AT");
	const char *const how_long = getenv("PUNCHCARD_NOMEM_FOR");
	fail_at = at ? strtol(at, NULL, 10) : -1;
	fail_for = how_long ? strtol(how_long, NULL, 10) : 1;
	fail_while = getenv("PUNCHCARD_NOMEM_WHILE");
	dl_iterate_phdr(add_ranges, NULL);
	ready = fail_at >= 0;
}

__attribute__((destructor)) static void tell_count(void)
{
	if (fail_at == 0)
		tell("requests", atomic_load(&calls));
}

static bool fails(const char *name, const void *caller)
{
	const uintptr_t at = (uintptr_t)caller;
	bool counted = false;
	for (unsigned i = 0; ready && i < n_ranges; i++)
		counted = counted || (at >= ranges[i].from && at < ranges[i].to);
	if (!counted || (fail_while && access(fail_while, F_OK) < 0))
		return false;
	const long number = atomic_fetch_add(&calls, 1) + 1;
	if (fail_at == 0 || number < fail_at || (fail_for >= 0 && number >= fail_at + fail_for))
		return false;
	if (number == fail_at)
		tell(name, number);
	errno = ENOMEM;
	return true;
}

#define CALLER __builtin_return_address(0)

API void *malloc(size_t size)
{
	return fails("malloc", CALLER) ? NULL : __libc_malloc(size);
}

API void *calloc(size_t n, size_t size)
{
	return fails("calloc", CALLER) ? NULL : __libc_calloc(n, size);
}

API void *realloc(void *old, size_t size)
{
	return fails("realloc", CALLER) ? NULL : __libc_realloc(old, size);
}

API void *aligned_alloc(size_t alignment, size_t size)
{
	return fails("aligned_alloc", CALLER) ? NULL : __libc_memalign(alignment, size);
}

API int posix_memalign(void **out, size_t alignment, size_t size)
{
	void *const memory = fails("posix_memalign", CALLER) ? NULL : __libc_memalign(alignment, size);
	if (!memory)
		return ENOMEM;
	*out = memory;
	return 0;
}

API void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	if (fails("mmap", CALLER))
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}
