#include "cli/flume.h"

#include "cli/command.h"
#include "cli/show.h"
#include "speed/flume_conf.h"

#include <stdlib.h>
#include <string.h>

/* --- the report --- */

static void print_remark(const struct flume_agent *agent, const struct flume_remark *remark, FILE *out)
{
	fputs("  ", out);
	show_text(out, slice_of(agent->properties->path));
	if (remark->line)
		fprintf(out, ":%u", remark->line);
	fputs(": ", out);
	show_text(out, slice_of(remark->key));
	if (remark->value) {
		fputs(" = ", out);
		show_text(out, slice_of(remark->value));
	}
	fputc('\n', out);
	if (!remark->text)
		return;
	fputs("      ", out);
	show_text(out, slice_of(remark->text));
	fputc('\n', out);
}

static void print_report(const struct flume_agent *agent, FILE *out)
{
	static const char *const TITLES[] = {[FLUME_TAKEN] = "taken",
					     [FLUME_NO_MEANING] = "without a meaning here",
					     [FLUME_WARNED] = "to look at",
					     [FLUME_REFUSED] = "refused"};
	fprintf(out, "agent %s: its lines are %s\n", agent->name,
		strcmp(agent->format, "lines") == 0 ? "moved as they are" : "moved as they are, and read as events");
	for (enum flume_verdict verdict = FLUME_TAKEN; verdict <= FLUME_REFUSED; verdict++) {
		unsigned n = 0;
		for (unsigned i = 0; i < agent->n_remarks; i++) {
			if (agent->remarks[i].verdict != verdict)
				continue;
			if (n++ == 0)
				fprintf(out, "%s\n", TITLES[verdict]);
			print_remark(agent, &agent->remarks[i], out);
		}
	}
	if (agent->n_refused)
		fprintf(out, "agent %s does not run: %u of its settings %s refused\n", agent->name, agent->n_refused,
			agent->n_refused == 1 ? "is" : "are");
}

/* --- all agents --- */

static int read_all(struct flume_set *set, const char *format, const struct config_cluster *cluster, FILE *out)
{
	struct error err = {0};
	unsigned refused = 0;
	for (unsigned i = 0; i < set->n; i++) {
		for (unsigned k = 0; k < i; k++)
			if (strcmp(set->agents[i], set->agents[k]) == 0)
				return cli_usage_error("collect", "--agent %s is given twice: rename one in its file",
						       set->agents[i]);
		int rc = flume_properties_read(set->files[i], &set->properties[i], &err);
		if (rc == 0)
			rc = flume_agent_read(set->properties[i], set->agents[i], format, cluster, &set->read[i], &err);
		if (rc < 0) {
			cli_fail(&err);
			return rc == ERROR_CONFIG || rc == ERROR_NOT_FOUND ? EXIT_USAGE : EXIT_FAILED;
		}
		print_report(set->read[i], out);
		refused += set->read[i]->n_refused;
	}
	fflush(out);
	return refused ? EXIT_USAGE : EXIT_OK;
}

/* The agents' own stay theirs: these are copies that point at the same. */
static int put_together(struct flume_set *set)
{
	unsigned n_sources = 0;
	unsigned n_sinks = 0;
	struct error err = {0};
	for (unsigned i = 0; i < set->n; i++) {
		n_sources += set->read[i]->n_sources;
		n_sinks += set->read[i]->n_sinks;
	}
	if (n_sinks > SINKS_MOST)
		return cli_usage_error("collect", "the agents have %u sinks; %u can run at once", n_sinks, SINKS_MOST);
	set->sources = calloc(n_sources + 1, sizeof(*set->sources));
	set->sinks = calloc(n_sinks + 1, sizeof(*set->sinks));
	if (!set->sources || !set->sinks) {
		error_no_memory(&err, n_sinks * sizeof(*set->sinks));
		return cli_fail(&err);
	}
	for (unsigned i = 0; i < set->n; i++) {
		const struct flume_agent *const agent = set->read[i];
		for (unsigned k = 0; k < agent->n_sources; k++)
			set->sources[set->topology.n_sources++] = agent->sources[k];
		for (unsigned k = 0; k < agent->n_sinks; k++)
			set->sinks[set->topology.n_sinks++] = agent->sinks[k];
	}
	set->topology.sources = set->sources;
	set->topology.sinks = set->sinks;
	return EXIT_OK;
}

int flume_set_open(struct flume_set *set, const char *format, const struct config_cluster *cluster, FILE *out)
{
	const int code = read_all(set, format, cluster, out);
	return code == EXIT_OK ? put_together(set) : code;
}

bool flume_set_can_end(const struct flume_set *set)
{
	for (unsigned i = 0; i < set->topology.n_sources; i++) {
		const struct config_source *const source = &set->topology.sources[i];
		if (source->type == SOURCE_SPOOL)
			continue;
		cli_usage_error("collect",
				"--once takes files of directories, and source %s is of type %s; leave it away",
				source->name, config_source_type_name(source->type));
		return false;
	}
	return true;
}

void flume_set_close(struct flume_set *set)
{
	for (unsigned i = 0; i < set->n; i++) {
		flume_agent_free(set->read[i]);
		flume_properties_free(set->properties[i]);
	}
	free(set->sources);
	free(set->sinks);
}
