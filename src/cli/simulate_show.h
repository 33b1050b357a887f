/*
 * Showing what a simulated programme comes to.
 */
#ifndef PUNCHCARD_CLI_SIMULATE_SHOW_H
#define PUNCHCARD_CLI_SIMULATE_SHOW_H

#include "batch/simulate.h"
#include "store/view.h"

struct simulation_shown {
	const struct deployment *deployment;
	const struct programme *programmes[SIMULATE_SIDES];
	const char *other_path;
	const struct simulate_report *report;
	struct view *view; /* names; NULL: there are none */
};

/* Opens the view; whoever has none has customers without names. */
void simulation_open_names(struct simulation_shown *shown);
/* A customer's name; empty when it is not known. It lives as long as the view. */
struct slice simulation_name(const struct simulation_shown *shown, const struct simulate_customer *customer);

/* To stdout, for people and for programs. */
void simulation_print(const struct simulation_shown *shown);
int simulation_print_json(const struct simulation_shown *shown, struct error *err);

#endif
