/* The files of templates/ and models/, as they were when the program was built (cmake/Embed.cmake makes the table). */
#ifndef PUNCHCARD_CONFIG_EMBEDDED_INTERNAL_H
#define PUNCHCARD_CONFIG_EMBEDDED_INTERNAL_H

#include <stddef.h>

struct embedded_file {
	const char *path; /* in the source tree: "templates/punchcard.yaml", "models/loyalty.sql" */
	const unsigned char *data;
	size_t len;
};

/* Ends with one whose path is NULL. */
extern const struct embedded_file EMBEDDED_FILES[];

#endif
