#include "cli/reader.h"

#include "serving/served.h"

#include <stdio.h>

int reader_open(const struct cli *cli, const char *command, struct deployment **out, struct error *err)
{
	struct error fault = {0};
	const int rc = served_open(cli->dir, command, out, &fault, err);
	if (rc == 0 && fault.code)
		fprintf(stderr, "punchcard: warning: %s; until that is mended, the programme of before serves (%s)\n",
			fault.message, (*out)->programme->hash_text);
	return rc;
}
