#include "base/duration.h"
#include "base/tz.h"
#include "cli/show.h"
#include "cli/top_show.h"

#include <stdio.h>

static void print_text(const char *text)
{
	show_text(stdout, slice_of(text));
}

static const char *time_text(const struct deployment *deployment, int64_t time_us, char out[20])
{
	civil_format_time(deployment->programme->timezone, time_us, out);
	return out;
}

static void print_error(const struct deployment *deployment, const char *text, int64_t time_us)
{
	char when[20];
	if (!text[0])
		return;
	printf("    last error, %s: ", time_text(deployment, time_us, when));
	print_text(text);
	putchar('\n');
}

static void print_parts(const struct deployment *deployment, const struct metrics_snapshot *now)
{
	for (unsigned i = 0; i < now->n_sources; i++) {
		const struct metrics_source_snapshot *const s = &now->sources[i];
		fputs("  source ", stdout);
		print_text(s->name);
		fputs(" (", stdout);
		print_text(s->type);
		printf("): %s\n", metrics_state_name(s->state));
		print_error(deployment, s->error, s->error_us);
	}
	for (unsigned i = 0; i < now->n_consumers; i++) {
		const struct metrics_consumer_snapshot *const c = &now->consumers[i];
		fputs("  consumer ", stdout);
		print_text(c->name);
		printf(": %s\n", metrics_state_name(c->state));
		print_error(deployment, c->error, c->error_us);
	}
}

void top_status(const struct deployment *deployment, const struct live *live, const struct error *unreadable)
{
	const struct metrics_snapshot *const now = live->now;
	char when[20];
	char up[DURATION_TEXT_MAX];
	puts("daemon");
	if (unreadable->code || (now && now->life != METRICS_ALIVE)) {
		struct error gone;
		if (!unreadable->code)
			live_no_daemon(deployment->dir, now, &gone);
		fputs("  ", stdout);
		print_text(unreadable->code ? unreadable->message : gone.message);
		putchar('\n');
	} else if (!now) {
		puts("  none runs: punchcard run starts one");
		return;
	} else {
		printf("  %s, process %lld, since %s (up %s)\n", live_state_name(now), (long long)now->pid,
		       time_text(deployment, now->started_us, when),
		       duration_seconds_text(now->taken_us - now->started_us, up));
	}
	/* Of one that stopped, what its parts were doing is of no use any more; of one that died it may be. */
	if (now && (now->life != METRICS_GONE || now->state != METRICS_DAEMON_STOPPED))
		print_parts(deployment, now);
}
