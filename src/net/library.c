#include "net/library.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(void *) == sizeof(void (*)(void)), "pointers to functions are no larger than others");

void library_open(struct library *library)
{
	library->handle = dlopen(library->name, RTLD_NOW | RTLD_LOCAL);
	if (library->handle)
		return;
	const char *const why = dlerror();
	snprintf(library->problem, sizeof(library->problem), "%s", why ? why : "a library cannot be loaded");
}

/* The address comes in a pointer to data, as POSIX's dlsym gives it. */
void library_find(struct library *library, const char *function, void *to)
{
	void *const found = library->handle ? dlsym(library->handle, function) : NULL;
	if (!found && !*library->problem)
		snprintf(library->problem, sizeof(library->problem), "%s has no %s: it is too old", library->name,
			 function);
	memcpy(to, &found, sizeof(found));
}
