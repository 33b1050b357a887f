#include "net/rdkafka.h"

#include "net/library.h"

#include <pthread.h>

struct rdkafka rdkafka;
/* Its interface's name since 2013. */
static struct library library = {.name = "librdkafka.so.1"};

static void load(void)
{
	library_open(&library);
#define LOOK_UP(name) library_find(&library, "rd_kafka_" #name, &rdkafka.name);
	RDKAFKA_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
}

int rdkafka_load(struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, load);
	return *library.problem
		       ? error_set(err, ERROR_CONFIG,
				   "%s; install librdkafka (Debian's package librdkafka1), which reads from Kafka",
				   library.problem)
		       : 0;
}
