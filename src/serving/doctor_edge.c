/* What `collect` and `run` would refuse on a cluster: this deployment beside what the cluster has of its edge. */
#include "serving/doctor_internal.h"

#include "batch/committed.h"
#include "cluster/open.h"
#include "speed/order_format.h"
#include "speed/ship_claims.h"
#include "speed/ship_files.h"
#include "speed/ship_marks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A daemon that ships meanwhile moves on: looks until nothing did. */
#define LOOKS_MOST 5u

struct edge {
	uint64_t next_block;
	uint64_t of_table; /* what the table of one machine has */
	unsigned shippers; /* that there ever were */
	struct shipper_position table;
	struct shipper_position raw;
	struct shipper_position rows;
	char other[80]; /* the edge as which it has shipped, when it is another one; "" */
	const char *name;
};

static int on_shipper(void *context, struct slice name, const struct shipper_position *at)
{
	struct edge *const edge = context;
	struct shipper_position *const place = slice_is(name, ship_table.name) ? &edge->table
					       : slice_is(name, ship_raw.name) ? &edge->raw
									       : &edge->rows;
	edge->shippers++;
	*place = *at;
	if (edge->name && !slice_is(at->edge, edge->name))
		snprintf(edge->other, sizeof(edge->other), "%.*s", (int)at->edge.len, at->edge.data);
	return 0;
}

/* Of the journal; without one all is 0. */
static int read_edge(const struct doctor *doctor, struct edge *edge, struct error *err)
{
	const struct journal_options options = {.read_only = true};
	struct journal *journal = NULL;
	struct journal_reader *reader = NULL;
	uint64_t first;
	*edge = (struct edge){.name = doctor->deployment->config->cluster.on ? doctor->deployment->config->cluster.edge
									     : NULL};
	int rc = journal_open(doctor->deployment->journal_dir, &options, &journal, err);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc == 0)
		rc = journal_reader_open(journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, &first, &edge->next_block, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, &edge->of_table, err);
	if (rc == 0)
		rc = shippers_each(reader, on_shipper, edge, err);
	journal_reader_close(reader);
	journal_close(journal);
	return rc;
}

static bool has_moved(const struct edge *a, const struct edge *b)
{
	return a->table.offset != b->table.offset || a->table.planned != b->table.planned ||
	       a->raw.offset != b->raw.offset || a->raw.planned != b->raw.planned || a->rows.offset != b->rows.offset ||
	       a->rows.planned != b->rows.planned;
}

void doctor_edge_journal(struct doctor *doctor)
{
	const bool on_cluster = doctor->deployment->config->cluster.on;
	struct edge edge;
	if (read_edge(doctor, &edge, NULL) < 0)
		return; /* told with the journal */
	if (on_cluster && edge.of_table > 1 && !edge.shippers)
		doctor_tell(
			doctor, "edge", DOCTOR_FAIL,
			"`punchcard migrate` moves them; or take the section out, or collect for the cluster in a "
			"deployment of its own",
			"this deployment has orders in tables of this machine, which would be missing on the cluster");
	else if (on_cluster && edge.other[0])
		doctor_tell(doctor, "edge", DOCTOR_FAIL, "put it back as cluster: edge in punchcard.yaml",
			    "this deployment has shipped as edge %s, and the names of what it shipped have that",
			    edge.other);
	else if (!on_cluster && edge.shippers)
		doctor_tell(doctor, "edge", DOCTOR_FAIL,
			    "put the section cluster back, or collect in a deployment of its own",
			    "this deployment has shipped orders to a cluster, which would be missing here");
}

/* --- HDFS ------------------------------------------------------------------------------------------------------------------- */

static void tell_mark(struct doctor *doctor, const struct edge *edge, const struct shipper_position *at,
		      const struct ship_mark *mark)
{
	struct error err = {0};
	const struct shipper_position none = {.offset = 1, .planned = 1, .begun = 1};
	if (ship_judge_mark(at->offset ? at : &none, edge->name, mark, &err) < 0)
		doctor_tell(doctor, mark->shipper, DOCTOR_FAIL, NULL, "%s", err.message);
	else if (mark->next)
		doctor_tell(doctor, mark->shipper, DOCTOR_OK, NULL,
			    "%s: %s has all blocks before %" PRIu64 " of %" PRIu64, edge->name, mark->shipper,
			    mark->next, edge->next_block);
}

void doctor_edge_marks(struct doctor *doctor, struct warehouse *warehouse)
{
	struct ship_mark marks[] = {{.shipper = ship_raw.name}, {.shipper = ship_table.name}};
	const bool by_spark = doctor->deployment->config->cluster.stream == CLUSTER_STREAM_SPARK;
	struct edge edge;
	struct edge again = {0};
	struct error err = {0};
	int rc = read_edge(doctor, &edge, &err);
	if (rc < 0)
		return; /* told with the journal */
	for (unsigned i = 0; rc == 0 && i < LOOKS_MOST && (i == 0 || has_moved(&edge, &again)); i++) {
		edge = i == 0 ? edge : again;
		rc = ship_find_marks(warehouse, edge.name, marks, 2, &err);
		if (rc == 0)
			rc = read_edge(doctor, &again, &err);
	}
	if (rc < 0) {
		doctor_tell(doctor, "edge", DOCTOR_WARN, NULL, "%s", err.message);
		return;
	}
	if (has_moved(&edge, &again)) {
		doctor_tell(doctor, "edge", DOCTOR_OK, NULL, "%s ships right now", edge.name);
		return;
	}
	tell_mark(doctor, &edge, &edge.raw, &marks[0]);
	/* Of a job of Spark its marks are its own. */
	if (!by_spark || edge.table.offset)
		tell_mark(doctor, &edge, &edge.table, &marks[1]);
	if (!edge.shippers && !marks[0].next && !marks[1].next && edge.of_table <= 1)
		doctor_tell(doctor, "edge", DOCTOR_OK, NULL, "%s has not shipped yet", edge.name);
}

/* Whether the events of a source have no ids but file and line. */
static bool needs_claim(const struct doctor *doctor, const struct config_source *source)
{
	struct order_format *format = NULL;
	const bool needs = order_format_open(doctor->deployment, source->format, &format, NULL) == 0 &&
			   !order_format_has_ids(format);
	order_format_close(format);
	return needs;
}

void doctor_edge_sources(struct doctor *doctor, struct warehouse *warehouse)
{
	const struct config *const config = doctor->deployment->config;
	for (unsigned i = 0; i < config->n_sources; i++) {
		const struct config_source *const source = &config->sources[i];
		struct error err = {0};
		if (!needs_claim(doctor, source))
			continue;
		const int rc = ship_claim_look(warehouse, source->name, config->cluster.edge, &err);
		if (rc < 0)
			doctor_tell(doctor, "sources", rc == ERROR_CONFIG ? DOCTOR_FAIL : DOCTOR_WARN, NULL, "%s",
				    err.message);
	}
}

/* --- HBase ------------------------------------------------------------------------------------------------------------------ */

void doctor_edge_rows(struct doctor *doctor, struct cells *cells)
{
	const struct deployment *const deployment = doctor->deployment;
	struct cluster_view *view = NULL;
	struct cluster_marks marks = {0};
	struct edge edge;
	struct edge again = {0};
	struct error err = {0};
	int rc = read_edge(doctor, &edge, &err);
	if (rc < 0 || !deployment->programme)
		return; /* told with the journal, and the programme */
	if (cells)
		rc = cluster_view_open(cells, deployment->config->customer_id, deployment->programme->timezone, &view,
				       &err);
	for (unsigned i = 0; view && rc == 0 && i < LOOKS_MOST && (i == 0 || has_moved(&edge, &again)); i++) {
		edge = i == 0 ? edge : again;
		rc = cluster_view_marks(view, slice_of(edge.name), &marks, &err);
		if (rc == 0)
			rc = read_edge(doctor, &again, &err);
	}
	cluster_view_close(view);
	if (rc == 0 && view && has_moved(&edge, &again)) {
		doctor_tell(doctor, "hbase", DOCTOR_OK, NULL, "%s ships right now", edge.name);
		return;
	}
	if (rc == 0)
		rc = ship_marks_judge(&edge.rows, cells ? cells_name(cells) : deployment->config->cluster.hbase_url,
				      edge.name, &marks, &err);
	if (rc < 0)
		doctor_tell(doctor, "hbase", DOCTOR_FAIL, NULL, "%s", err.message);
	else if (edge.rows.marked && !marks.orders.found)
		doctor_tell(doctor, "hbase", DOCTOR_WARN,
			    "has the table orders a TTL, or was it emptied? Then explain lacks orders of before",
			    "the table orders has no mark of edge %s", edge.name);
	else if (marks.accounts.found)
		doctor_tell(doctor, "hbase", DOCTOR_OK, NULL, "%s: hbase has all blocks before %" PRIu64 " of %" PRIu64,
			    edge.name, edge.rows.offset, edge.next_block);
}
