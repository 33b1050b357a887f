/*
 * The directories of a spool source: listed, and watched by inotify(7).
 *
 *     rc = spool_watch_open(deployment, config, &hooks, &watch, err);
 *     spool_watch_list(watch);                     // everything that is there, and from now on what happens is told
 *     …poll spool_watch_fd…
 *     if (spool_watch_drain(watch)) …list it again
 *     spool_watch_close(watch);
 *
 * Who lists has every file: a directory is watched before it is listed. What cannot be watched (there is a limit for each user)
 * or listed is logged, once until it can be again; the rest goes on. One thread.
 */
#ifndef PUNCHCARD_SPEED_SPOOL_WATCH_H
#define PUNCHCARD_SPEED_SPOOL_WATCH_H

#include "config/deployment.h"

#include <stdbool.h>
#include <stdint.h>

struct spool_watch;

enum spool_event {
	SPOOL_EVENT_MADE,    /* and maybe linked here, whole */
	SPOOL_EVENT_WRITTEN, /* somebody writes to it */
	SPOOL_EVENT_CLOSED,  /* who wrote to it has closed it */
	SPOOL_EVENT_MOVED,   /* it has this name now */
	SPOOL_EVENT_CHANGED, /* its owner or mode, or the number of its links */
};

struct spool_watch_hooks {
	/* A name below the source's directory, which lives for the call. */
	void (*event)(void *context, const char *name, enum spool_event event);
	/* A file was renamed within the watched directories; `event` is told of `to` next. */
	void (*renamed)(void *context, const char *from, const char *to);
	/* A file that is there, or what is none; `own` is its name in the directory dir_fd. */
	void (*listed)(void *context, const char *name, int dir_fd, const char *own);
	/* True ends the listing. */
	bool (*stop)(void *context);
	void *context;
};

int spool_watch_open(const struct deployment *deployment, const struct config_source *source,
		     const struct spool_watch_hooks *hooks, struct spool_watch **out, struct error *err);
void spool_watch_close(struct spool_watch *watch);
/* Readable when something happened; -1: nothing is watched. */
int spool_watch_fd(const struct spool_watch *watch);
/* Tells what happened since; not for longer than a moment. Whether all of it must be listed again: something was missed. */
bool spool_watch_drain(struct spool_watch *watch);
/* Lists all directories. Whether the source's own could be listed. */
bool spool_watch_list(struct spool_watch *watch);

#endif
