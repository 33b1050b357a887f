/* Shared by http.c and http_try.c. */
#ifndef PUNCHCARD_NET_HTTP_INTERNAL_H
#define PUNCHCARD_NET_HTTP_INTERNAL_H

#include "base/random.h"
#include "net/curl.h"
#include "net/http.h"

struct http {
	struct http_options options; /* its texts are this client's own */
	char *url;                   /* without a slash at its end */
	char *origin;                /* scheme://host:port in lower case */
	char *name;                  /* "<server> <url>" */
	char *auth_line;             /* the header or the query parameter, ready to be sent */
	CURL *easy;                  /* keeps cookies, so that a server need not be convinced with every request */
	CURLM *multi;                /* keeps connections */
	struct random random;
	atomic_bool interrupted;
};

/* How one try ended. */
enum http_end {
	HTTP_ANSWERED, /* answer is whole */
	HTTP_BROKEN,   /* no whole answer: err says why */
	HTTP_STOPPED,  /* err is what http_ask returns */
};

struct http_try {
	struct http *http;
	const struct http_request *request;
	struct http_answer *answer;
	struct error *err;
	const char *url; /* what is asked: whole */
	bool own_origin; /* credentials may go there */
	char *location;  /* as sent */
	int64_t begin_us;
	int64_t last_us; /* when a byte went or came */
	uint64_t offset; /* of the body that is sent */
	int code;        /* of a callback that ended it; err is set then */
	bool connected;
	bool sent;       /* the request may have left */
	bool unanswered; /* and no status has come for it */
	bool whole_head; /* the empty line behind the headers has come */
	bool repeated;   /* libcurl sent it once more on another connection, or was kept from it */
	char reason[CURL_ERROR_SIZE];
};

/* One try. *try has http, request, answer, err, url and own_origin. */
enum http_end http_try(struct http_try *try);
/* scheme://host:port of a whole URL as a new text; NULL: it is no URL of a server, or has credentials in it. */
char *http_origin(const char *url);
bool http_stopped(const struct http *http);
/* Since when all are to hurry, by the monotonic clock; 0: they are not. */
int64_t http_hurry_since_us(void);

#endif
