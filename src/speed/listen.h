/*
 * Sockets that sources listen at (`listen` of punchcard.yaml).
 */
#ifndef PUNCHCARD_SPEED_LISTEN_H
#define PUNCHCARD_SPEED_LISTEN_H

#include "speed/source.h"

/* A socket of TCP, non-blocking, that listens at source->config->listen, "address:port" as the configuration has checked; the address
 * may be "*". *fd is the caller's, to be closed; connections that are taken from it send at once (TCP_NODELAY). `unsafe`: what the log
 * says when others than this machine may reach it; NULL: nothing. ERROR_CONFIG: it is no address; ERROR_IO: the port is taken, and the
 * like: the message says what to do. */
int listen_open(const struct source *source, const char *unsafe, int *fd, struct error *err);

#endif
