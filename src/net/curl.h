/*
 * libcurl, loaded when a server is asked for the first time: it brings thirty libraries along, which would cost every start of the program
 * half of its time. Only src/net includes this.
 *
 *     rc = curl_load(err);
 *     CURL *const easy = curl.easy_init();             // and so on: curl_easy_init and its like, as libcurl documents them
 */
#ifndef PUNCHCARD_NET_CURL_H
#define PUNCHCARD_NET_CURL_H

#include "base/error.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

/* clang-format off */
#define CURL_FUNCTIONS(each)                                                                                  \
	each(easy_cleanup) each(easy_getinfo) each(easy_init) each(easy_reset) each(easy_setopt)              \
	each(easy_strerror) each(free) each(getdate) each(global_init) each(multi_add_handle)                 \
	each(multi_cleanup) each(multi_info_read) each(multi_init) each(multi_perform) each(multi_poll)       \
	each(multi_remove_handle) each(multi_strerror) each(multi_wakeup) each(slist_append)                  \
	each(slist_free_all) each(url) each(url_cleanup) each(url_get) each(url_set) each(version_info)
/* clang-format on */

struct curl {
#define CURL_MEMBER(name) __typeof__(curl_##name) *(name);
	CURL_FUNCTIONS(CURL_MEMBER)
#undef CURL_MEMBER
};

/* All of them, when curl_load has returned 0. */
extern struct curl curl;

/* Loads it, once; it stays. ERROR_CONFIG: it is not there, or too old. Any thread. */
int curl_load(struct error *err);

#endif
