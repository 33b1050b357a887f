/*
 * The source "stdin": what is piped into the process, until its end. There is no more then, and `run` ends. When the configuration is
 * read again, the source that takes its place goes on with what it has read, and with its numbers of lines.
 */
#include "speed/piped.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* What the source before had, when the configuration was read again. */
static int take_kept(struct source *source, struct error *err)
{
	const int rc = piped_resume(source->kept->state, source, err);
	if (rc < 0)
		return rc;
	source->state = source->kept->state;
	*source->kept = (struct source_kept){0};
	return 0;
}

static int open_state(struct source *source, struct error *err)
{
	/* A descriptor that was closed would be that of the next file that is opened. */
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		return error_set(err, ERROR_CONFIG, "source %s reads the standard input, which is closed",
				 source->config->name);
	if (source->kept && source->kept->state)
		return take_kept(source, err);
	struct piped *const piped = calloc(1, sizeof(*piped));
	if (!piped)
		return error_no_memory(err, sizeof(*piped));
	const int rc = piped_open(source, piped, err);
	if (rc < 0) {
		free(piped);
		return rc;
	}
	source->state = piped;
	return 0;
}

static void close_state(struct source *source)
{
	if (!source->state)
		return;
	piped_give_up(source->state);
	piped_close(source->state);
	free(source->state);
	source->state = NULL;
}

static void release_kept(void *state)
{
	piped_close(state);
	free(state);
}

static void keep_state(struct source *source, struct source_kept *kept)
{
	if (!source->state)
		return;
	piped_pause(source->state);
	*kept = (struct source_kept){.state = source->state, .release = release_kept};
	source->state = NULL;
}

static int follow(struct source *source, struct piped *piped, struct error *err)
{
	int rc = piped->started ? 0 : piped_start(piped, "stdin", err);
	while (rc == 0 && !piped->ended) {
		/* What an earlier run could not make durable first. */
		rc = piped->stream.idle ? 0 : piped_take(piped, LINES_OPEN, true, err);
		if (rc < 0)
			break;
		const int settle_ms = piped_settle_ms(piped);
		if (settle_ms == 0)
			rc = piped_take(piped, LINES_SETTLED, true, err);
		else if (source_wait(source, STDIN_FILENO, settle_ms, POLLIN))
			rc = piped_read(piped, STDIN_FILENO, err);
		else if (source_must_stop(source))
			return 0;
	}
	return rc;
}

static int run(struct source *source, struct error *err)
{
	struct piped *const piped = source->state;
	int rc = follow(source, piped, err);
	if (rc == ERROR_INTERRUPTED && source_must_stop(source))
		rc = 0;
	if (rc < 0)
		return rc;
	return piped_take(piped, piped->ended ? LINES_ENDED : LINES_OPEN, false, err);
}

const struct source_driver source_stdin = {.open = open_state, .run = run, .close = close_state, .keep = keep_state};
