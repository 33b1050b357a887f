/* The worked programmes of templates/programmes. */
#include "config/config.h"
#include "config/embedded_internal.h"

#include <string.h>

#define FOLDER "templates/programmes/"
#define SUFFIX ".yaml"

/* The first line is a comment that says what it is. */
static struct slice find_summary(struct slice text)
{
	const char *const end = memchr(text.data, '\n', text.len);
	struct slice line = {text.data, end ? (size_t)(end - text.data) : text.len};
	while (line.len && (*line.data == '#' || *line.data == ' '))
		line = (struct slice){line.data + 1, line.len - 1};
	return line;
}

bool programme_example(unsigned i, struct programme_example *out)
{
	for (const struct embedded_file *file = EMBEDDED_FILES; file->path; file++) {
		if (strncmp(file->path, FOLDER, strlen(FOLDER)) != 0 || i-- > 0)
			continue;
		const char *const name = file->path + strlen(FOLDER);
		out->name = (struct slice){name, strlen(name) - strlen(SUFFIX)};
		out->text = (struct slice){(const char *)file->data, file->len};
		out->summary = find_summary(out->text);
		return true;
	}
	return false;
}
