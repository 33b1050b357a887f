#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, format);
		err->code = code;
		vsnprintf(err->message, sizeof(err->message), format, ap);
		va_end(ap);
	}
	return code;
}

static int code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERROR_NO_SPACE;
	case ENOMEM:
		return ERROR_NO_MEMORY;
	case ENOENT:
		return ERROR_NOT_FOUND;
	case EEXIST:
		return ERROR_EXISTS;
	default:
		return ERROR_IO;
	}
}

int error_errno(struct error *err, int errnum, const char *format, ...)
{
	const int code = code_of_errno(errnum);
	if (err) {
		va_list ap;
		va_start(ap, format);
		err->code = code;
		vsnprintf(err->message, sizeof(err->message), format, ap);
		va_end(ap);
		const size_t used = strlen(err->message);
		char text[128];
		snprintf(err->message + used, sizeof(err->message) - used, ": %s",
			 strerror_r(errnum, text, sizeof(text)));
	}
	return code;
}

int error_prefix(struct error *err, const char *format, ...)
{
	if (!err)
		return ERROR_IO;
	char old[ERROR_MESSAGE_MAX];
	memcpy(old, err->message, sizeof(old));
	va_list ap;
	va_start(ap, format);
	vsnprintf(err->message, sizeof(err->message), format, ap);
	va_end(ap);
	const size_t used = strlen(err->message);
	snprintf(err->message + used, sizeof(err->message) - used, ": %s", old);
	return err->code;
}

int error_no_memory(struct error *err, unsigned long size_bytes)
{
	return error_set(err, ERROR_NO_MEMORY,
			 "out of memory asking for %lu bytes; close other programs or lower engine.memory_mib in "
			 "punchcard.yaml",
			 size_bytes);
}
