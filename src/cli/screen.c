#include "cli/screen.h"

#include "base/file.h"
#include "base/utf8.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

/* The other page and no cursor; back again. */
static const char ENTER[] = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
static const char LEAVE[] = "\x1b[0m\x1b[?25h\x1b[?1049l";

#define DEFAULT_ROWS    24u
#define DEFAULT_COLUMNS 80u

static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH};

static void put(struct screen *screen, const char *data, size_t len)
{
	if (buf_append(&screen->frame, data, len) < 0)
		screen->failed = true;
}

static void write_now(struct screen *screen, const char *data, size_t len)
{
	if (file_write_all(STDOUT_FILENO, data, len, "the terminal", NULL) < 0)
		screen->failed = true;
}

/* Keys come one by one and unseen; Ctrl-C and Ctrl-Z stay signals. */
static void enter(struct screen *screen)
{
	if (screen->is_raw) {
		struct termios raw = screen->old_termios;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	write_now(screen, ENTER, sizeof(ENTER) - 1);
}

/* Keys that were pressed and not read would else be typed to the shell. */
static void leave(struct screen *screen)
{
	write_now(screen, LEAVE, sizeof(LEAVE) - 1);
	if (screen->is_raw)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen->old_termios);
}

int screen_open(struct screen *screen, struct error *err)
{
	*screen = (struct screen){.signal_fd = -1};
	sigset_t signals;
	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(*SIGNALS); i++)
		sigaddset(&signals, SIGNALS[i]);
	screen->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (screen->signal_fd < 0)
		return error_errno(err, errno, "cannot watch for signals");
	sigprocmask(SIG_BLOCK, &signals, &screen->old_signals);
	screen->is_raw = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &screen->old_termios) == 0;
	screen->has_keys = screen->is_raw;
	fflush(stdout);
	enter(screen);
	return 0;
}

void screen_close(struct screen *screen)
{
	leave(screen);
	close(screen->signal_fd);
	sigprocmask(SIG_SETMASK, &screen->old_signals, NULL);
	buf_release(&screen->frame);
}

size_t screen_fit(struct slice text, unsigned columns, unsigned *used)
{
	size_t at = 0;
	*used = 0;
	while (at < text.len) {
		uint32_t codepoint = 0;
		const size_t size = utf8_step(text.data + at, text.len - at, &codepoint);
		const int width = size ? wcwidth((wchar_t)codepoint) : 1;
		const unsigned takes = width < 0 ? 1 : (unsigned)width;
		if (*used + takes > columns)
			break;
		*used += takes;
		at += size ? size : 1;
	}
	return at;
}

void screen_begin(struct screen *screen)
{
	struct winsize size;
	screen->rows = DEFAULT_ROWS;
	screen->columns = DEFAULT_COLUMNS;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
		screen->rows = size.ws_row;
		screen->columns = size.ws_col;
	}
	screen->drawn = 0;
	screen->hidden = 0;
	buf_clear(&screen->frame);
	put(screen, "\x1b[H", 3);
}

static void draw(struct screen *screen, enum screen_style style, struct slice text)
{
	/* Between lines only: a line feed behind the last one would move all of them up. */
	if (screen->drawn > 0)
		put(screen, "\r\n", 2);
	unsigned used;
	const size_t len = screen_fit(text, screen->columns, &used);
	if (style == SCREEN_HEADING)
		put(screen, "\x1b[7m", 4);
	else if (style == SCREEN_BOLD)
		put(screen, "\x1b[1m", 4);
	put(screen, text.data, len);
	for (; style == SCREEN_HEADING && used < screen->columns; used++)
		put(screen, " ", 1);
	put(screen, "\x1b[0m", 4);
	if (used < screen->columns)
		put(screen, "\x1b[K", 3);
	screen->drawn++;
}

void screen_line(struct screen *screen, enum screen_style style, struct slice text)
{
	/* The last row is that of the note, if there has to be one. */
	if (screen->drawn + 1 < screen->rows)
		draw(screen, style, text);
	else
		screen->hidden++;
}

void screen_end(struct screen *screen)
{
	if (screen->hidden) {
		char note[64];
		const int n = snprintf(note, sizeof(note), "%u more: make the window higher", screen->hidden);
		draw(screen, SCREEN_HEADING, (struct slice){note, (size_t)n});
	}
	/* In a row of its own: behind the last column it would take that one's character. */
	if (screen->drawn < screen->rows)
		put(screen, "\r\n\x1b[J", 5);
	write_now(screen, screen->frame.data, screen->frame.len);
}

static int64_t monotonic_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* True when nothing is decided yet. */
static bool take_signals(struct screen *screen, enum screen_event *event)
{
	struct signalfd_siginfo info;
	while (read(screen->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGINT:
			*event = SCREEN_QUIT;
			return false;
		case SIGTERM:
		case SIGHUP:
			*event = SCREEN_ENDED;
			return false;
		case SIGTSTP:
			leave(screen);
			raise(SIGSTOP);
			enter(screen);
			*event = SCREEN_REDRAW;
			return false;
		default:
			*event = SCREEN_REDRAW;
			return false;
		}
	}
	return true;
}

static bool take_keys(struct screen *screen, enum screen_event *event)
{
	char keys[64];
	const ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		screen->has_keys = false;
	for (ssize_t i = 0; i < n; i++) {
		if (keys[i] == 'q' || keys[i] == 'Q') {
			*event = SCREEN_QUIT;
			return false;
		}
		if (keys[i] == ' ') {
			*event = SCREEN_GO_ON;
			return false;
		}
	}
	return true;
}

enum screen_event screen_wait(struct screen *screen, int64_t until_us)
{
	enum screen_event event = SCREEN_GO_ON;
	for (;;) {
		if (screen->failed)
			return SCREEN_ENDED;
		const int64_t left_us = until_us - monotonic_us();
		if (left_us <= 0)
			return SCREEN_GO_ON;
		struct pollfd fds[] = {
			{.fd = screen->signal_fd, .events = POLLIN},
			{.fd = screen->has_keys ? STDIN_FILENO : -1, .events = POLLIN},
		};
		const int n = poll(fds, 2, left_us > 3600000000 ? 3600000 : (int)((left_us + 999) / 1000));
		if (n < 0 && errno != EINTR)
			return SCREEN_ENDED;
		if (n <= 0)
			continue;
		if (fds[0].revents && !take_signals(screen, &event))
			return event;
		if (fds[1].revents & POLLIN && !take_keys(screen, &event))
			return event;
		/* The terminal is gone. */
		if (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL))
			return SCREEN_ENDED;
	}
}
