/*
 * A library that is loaded when it is needed for the first time: some bring twenty others along, and most commands need none of them.
 *
 *     static struct library library = {.name = "libcurl.so.4"};
 *     library_open(&library);                              // by pthread_once, say
 *     library_find(&library, "curl_easy_init", &easy_init);
 *     if (*library.problem) …                              // what is the matter; nothing of it may be called
 *
 * It stays until the process ends. One thread at a time.
 */
#ifndef PUNCHCARD_NET_LIBRARY_H
#define PUNCHCARD_NET_LIBRARY_H

struct library {
	const char *name; /* of the file, with the version of its interface */
	void *handle;
	char problem[256]; /* the first one; "": all is well */
};

void library_open(struct library *library);
/* Puts a function's address into the pointer to a function at `to`; NULL when there is none. */
void library_find(struct library *library, const char *function, void *to);

#endif
