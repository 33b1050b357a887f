/* What commands share that only answer: customer, explain, sql, status, top. */
#ifndef PUNCHCARD_CLI_READER_H
#define PUNCHCARD_CLI_READER_H

#include "cli/command.h"
#include "config/deployment.h"

/* As served_open; a programme.yaml that is at fault is told to stderr in a line, with its file and line. */
int reader_open(const struct cli *cli, const char *command, struct deployment **out, struct error *err);

#endif
