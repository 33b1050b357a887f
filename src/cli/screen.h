/*
 * A screen that is drawn again and again, in the terminal's other page: for commands like top(1). ANSI (ECMA-48) and termios.
 *
 *     rc = screen_open(&screen, err);
 *     do {
 *             screen_begin(&screen);
 *             screen_line(&screen, SCREEN_HEADING, text);   // …
 *             screen_end(&screen);                          // drawn, in one write
 *     } while (screen_wait(&screen, until_us) <= SCREEN_REDRAW);
 *     screen_close(&screen);                                // the terminal is as it was
 *
 * While it is open SIGINT, SIGTERM, SIGHUP, SIGTSTP and SIGWINCH are taken by screen_wait: it ends, stops (and goes on with a
 * fresh screen when the shell continues it), or asks for a fresh drawing. One screen a process, in its only thread.
 */
#ifndef PUNCHCARD_CLI_SCREEN_H
#define PUNCHCARD_CLI_SCREEN_H

#include "base/buf.h"
#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

enum screen_style {
	SCREEN_PLAIN = 0,
	SCREEN_HEADING, /* reverse, over the whole width */
	SCREEN_BOLD,
};

enum screen_event {
	SCREEN_GO_ON = 0, /* the time is over, or somebody pressed the space bar */
	SCREEN_REDRAW,    /* before that: the window changed, or the process was stopped and goes on */
	SCREEN_QUIT,      /* q, or Ctrl-C */
	SCREEN_ENDED,     /* SIGTERM, SIGHUP, or the terminal is gone */
};

struct screen {
	struct buf frame;
	unsigned rows;
	unsigned columns;
	unsigned drawn; /* lines of this frame */
	unsigned hidden;
	bool failed;   /* out of memory, or the terminal takes no more */
	bool is_raw;   /* the terminal is to be made as it was */
	bool has_keys; /* still */
	int signal_fd;
	sigset_t old_signals;
	struct termios old_termios;
};

/* Standard output must be a terminal; keys come from standard input if that is one. */
int screen_open(struct screen *screen, struct error *err);
void screen_close(struct screen *screen);
void screen_begin(struct screen *screen);
/* A line of visible text (no control characters); what is wider than the window is cut. Lines below the window are counted,
 * and the last line says how many they are. */
void screen_line(struct screen *screen, enum screen_style style, struct slice text);
void screen_end(struct screen *screen);
/* Until CLOCK_MONOTONIC is at until_us, or something happens. */
enum screen_event screen_wait(struct screen *screen, int64_t until_us);

/* How many bytes of the text fit into so many columns; *used is how many they take. UTF-8; a character without a width takes
 * one. */
size_t screen_fit(struct slice text, unsigned columns, unsigned *used);

#endif
