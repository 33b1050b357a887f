#include "net/rdkafka.h"

#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Its interface's name since 2013. */
#define LIBRARY "librdkafka.so.1"

struct rdkafka rdkafka;
static char problem[256];

/* A function's address in a pointer to data, as POSIX's dlsym gives it. */
static void look_up(void *library, const char *name, void *to)
{
	void *const found = dlsym(library, name);
	if (!found && !problem[0])
		snprintf(problem, sizeof(problem), LIBRARY " has no %s: it is too old", name);
	memcpy(to, &found, sizeof(found));
}

static_assert(sizeof(void *) == sizeof(void (*)(void)), "pointers to functions are no larger than others");

static void load(void)
{
	void *const library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		const char *const why = dlerror();
		snprintf(problem, sizeof(problem), "%s", why ? why : LIBRARY " cannot be loaded");
		return;
	}
#define LOOK_UP(name) look_up(library, "rd_kafka_" #name, &rdkafka.name);
	RDKAFKA_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
}

int rdkafka_load(struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, load);
	return problem[0] ? error_set(err, ERROR_CONFIG,
				      "%s; install librdkafka (Debian's package librdkafka1), which reads from Kafka",
				      problem)
			  : 0;
}
