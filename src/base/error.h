/*
 * Errors: one code, one message that a person can act on.
 *
 *     int rc = file_sync(fd, path, err);
 *     if (rc < 0)
 *             return error_prefix(err, "load customers");
 *
 * Whatever can fail returns 0 or one of the negative codes below, and takes a `struct error *` last. The message names what
 * happened, where (file, line, key, id) and what to do next. Libraries fill it and return; only a command (src/cli) prints
 * it, once. It needs no allocation, and is untouched on success.
 */
#ifndef PUNCHCARD_BASE_ERROR_H
#define PUNCHCARD_BASE_ERROR_H

/* Codes are stable within a release only; exit codes (src/cli/command.h) are the contract with scripts. */
enum error_code {
	ERROR_NONE = 0,
	ERROR_IO = -1,           /* the system refused: errno is in the message */
	ERROR_NO_MEMORY = -2,    /* an allocation failed */
	ERROR_NO_SPACE = -3,     /* the disk, a quota or a map is full */
	ERROR_USAGE = -4,        /* the command line is wrong */
	ERROR_CONFIG = -5,       /* punchcard.yaml or programme.yaml is wrong */
	ERROR_INPUT = -6,        /* data from outside is wrong and could not be set aside line by line */
	ERROR_LOCKED = -7,       /* another process writes this part of the deployment */
	ERROR_CORRUPT = -8,      /* a file of ours is damaged */
	ERROR_NOT_FOUND = -9,    /* what was asked for is not there */
	ERROR_EXISTS = -10,      /* what should be made is there already */
	ERROR_SQL = -11,         /* the SQL engine refused a statement */
	ERROR_INTERRUPTED = -12, /* the user or a signal stopped it */
	ERROR_LIMIT = -13,       /* a named limit (src/base/limits.h) was reached */
	ERROR_OVERFLOW = -14,    /* a number does not fit; never wraps */
	ERROR_BROKEN = -15,      /* what is open takes nothing any more; opening it again helps */
	ERROR_AWAY = -16,        /* a server does not answer, or says that it is not ready: later it may */
	ERROR_DENIED = -17,      /* a server knows us not, or does not allow it */
};

#define ERROR_MESSAGE_MAX 2048

struct error {
	int code;
	char message[ERROR_MESSAGE_MAX];
};

/* Sets code and message (printf style; cut at ERROR_MESSAGE_MAX - 1 bytes). Returns code, so that `return error_set(…)`
 * reads well. `err` may be NULL: then only the code is returned. Thread: any, for an error of its own. */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Like error_set with ": <strerror(errnum)>" behind the message, and the code that fits errnum: ENOSPC, EDQUOT and EFBIG
 * give ERROR_NO_SPACE, ENOMEM ERROR_NO_MEMORY, ENOENT ERROR_NOT_FOUND, EEXIST ERROR_EXISTS, everything else ERROR_IO. */
int error_errno(struct error *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<text>: " before the message that is there. Returns err->code (ERROR_IO when err is NULL). */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* error_set(ERROR_NO_MEMORY) with the size that was asked for. */
int error_no_memory(struct error *err, unsigned long size_bytes);

#endif
