/*
 * Showing what a simulated programme comes to.
 */
#ifndef PUNCHCARD_CLI_SIMULATE_SHOW_H
#define PUNCHCARD_CLI_SIMULATE_SHOW_H

#include "batch/simulate.h"
#include "config/deployment.h"

struct simulation_shown {
	const struct deployment *deployment;
	const struct programme *programmes[SIMULATE_SIDES];
	const char *other_path;
	const struct simulate_report *report;
	char *names[SIMULATE_LOSERS]; /* of those who lose most; NULL: it is not known */
};

/* Looks the names up, in the view or in HBase; whoever has none there has no name. */
void simulation_find_names(struct simulation_shown *shown);
void simulation_release_names(struct simulation_shown *shown);

/* To stdout, for people and for programs. */
void simulation_print(const struct simulation_shown *shown);
int simulation_print_json(const struct simulation_shown *shown, struct error *err);

#endif
