/*
 * The daemon's numbers, as `top` and `status` print them. Thread: one at a time.
 */
#ifndef PUNCHCARD_CLI_TOP_SHOW_H
#define PUNCHCARD_CLI_TOP_SHOW_H

#include "base/json.h"
#include "cli/screen.h"
#include "config/deployment.h"
#include "serving/live.h"

/* Hands the page to `line`, line by line, each of visible text only. ERROR_NO_MEMORY. */
int top_text(const struct deployment *deployment, const struct live *live,
	     void (*line)(void *context, enum screen_style style, struct slice text), void *context, struct error *err);

/* One value: the daemon, its journal, sources and consumers; with_rates: and their rates in the interval. */
void top_json(struct json *out, const struct live *live, bool with_rates);

/* The part of `status` about the daemon: that there is one, what its sources and consumers are doing, their last errors; or
 * what happened to it. unreadable->code is set when what it tells could not be read. To stdout. */
void top_status(const struct deployment *deployment, const struct live *live, const struct error *unreadable);

#endif
