#include "speed/listen.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	}
	struct sockaddr_in6 in6;
	memcpy(&in6, address, sizeof(in6));
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

/* A socket that listens there; -1 and errno. */
static int listen_at(const struct addrinfo *at)
{
	const int one = 1;
	const int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/* A daemon that starts again need not wait for connections of the one before. Accepted ones inherit TCP_NODELAY. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
	    bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	const int errnum = errno;
	close(fd);
	errno = errnum;
	return -1;
}

static int fail_listen(const struct source *source, int errnum, struct error *err)
{
	const char *const listen = source->config->listen;
	switch (errnum) {
	case EADDRINUSE:
		return error_set(err, ERROR_IO,
				 "another program listens at %s; end it, or give this source another port (listen)",
				 listen);
	case EADDRNOTAVAIL:
		return error_set(err, ERROR_IO, "this machine has no address as in %s; correct listen", listen);
	case EACCES:
		return error_set(err, ERROR_IO, "only root may listen at %s; take a port of 1024 or more (listen)",
				 listen);
	default:
		return error_errno(err, errnum, "cannot listen at %s", listen);
	}
}

int listen_open(const struct source *source, const char *unsafe, int *fd, struct error *err)
{
	const char *const listen = source->config->listen;
	const char *const colon = strrchr(listen, ':');
	assert(colon); /* the configuration was checked */
	const bool bracketed = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']';
	_cleanup_free_ char *host = bracketed ? strndup(listen + 1, (size_t)(colon - listen) - 2)
					      : strndup(listen, (size_t)(colon - listen));
	if (!host)
		return error_no_memory(err, strlen(listen));
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	const int gai = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, colon + 1, &hints, &list);
	if (gai != 0)
		return error_set(err, ERROR_CONFIG, "'%s' is no address to listen at: %s; correct listen", listen,
				 gai_strerror(gai));
	int own = -1;
	int errnum = 0;
	for (const struct addrinfo *at = list; own < 0 && at; at = at->ai_next) {
		own = listen_at(at);
		if (own < 0)
			errnum = errnum ? errnum : errno;
		else if (unsafe && !is_loopback(at->ai_addr))
			LOG_WARNING("others than this machine may reach a source",
				    log_text("source", source->config->name), log_text("listen", listen),
				    log_text("detail", unsafe));
	}
	freeaddrinfo(list);
	if (own < 0)
		return fail_listen(source, errnum, err);
	*fd = own;
	return 0;
}
