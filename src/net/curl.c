#include "net/curl.h"

#include "net/library.h"

#include <pthread.h>

struct curl curl;
/* Its interface's name since 2006. */
static struct library library = {.name = "libcurl.so.4"};

static void load(void)
{
	library_open(&library);
#define LOOK_UP(name) library_find(&library, "curl_" #name, &curl.name);
	CURL_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
}

int curl_load(struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, load);
	return *library.problem
		       ? error_set(err, ERROR_CONFIG,
				   "%s; install libcurl (Debian's package libcurl4), which asks the cluster's servers",
				   library.problem)
		       : 0;
}
