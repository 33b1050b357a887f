/*
 * Ctrl-C and time-outs while an engine works.
 *
 *     struct watch *watch = NULL;
 *     rc = watch_start(timeout_s, &watch, err);
 *     watch_engine(watch, engine);       // from now on a signal interrupts this engine
 *     …
 *     watch_engine(watch, NULL);         // before engine_close
 *     const enum watch_reason reason = watch_stop(watch);
 *
 * SIGINT, SIGTERM and SIGHUP are blocked in the calling thread and those it starts later (DuckDB's among them), and a thread
 * of the watch's own waits for them: so nothing runs in a signal handler. Then servers that are silent are no longer waited for, either
 * (http_hurry_all). A second signal ends the process at once, as
 * without a watch. Start it before the engine is opened; one watch a process at a time.
 */
#ifndef PUNCHCARD_SERVING_WATCH_H
#define PUNCHCARD_SERVING_WATCH_H

#include "base/error.h"
#include "engine/sql.h"

enum watch_reason {
	WATCH_NONE,
	WATCH_SIGNAL,
	WATCH_TIMEOUT,
};

struct watch;

/* timeout_s 0: none. */
int watch_start(unsigned timeout_s, struct watch **out, struct error *err);
/* The engine to interrupt, or NULL. One that is set after the signal came is interrupted at once. watch may be NULL. */
void watch_engine(struct watch *watch, struct engine *engine);
/* The same of what stops by sql_stop. */
void watch_sql(struct watch *watch, struct sql *sql);
/* From now on a signal interrupts every engine of the process (engine_interrupt_all), for who does not hold them himself. */
void watch_all_engines(struct watch *watch);
/* Why the engine was interrupted, so far. watch may be NULL. */
enum watch_reason watch_reason(struct watch *watch);
/* Ends the thread and restores the signals. NULL is fine. Returns watch_reason. */
enum watch_reason watch_stop(struct watch *watch);

#endif
