#include "speed/ship_marks.h"

#include "base/log.h"

#include <string.h>

#define AGAIN                                                                                                        \
	"if this HBase is to have all from now on, `punchcard collect --once --hbase-again` ships what the journal " \
	"still has, and `punchcard refresh` puts the states of all customers (docs/cluster-hbase.md)"

static int judge_one(const struct shipper_position *at, const char *hbase, const char *table, const char *edge,
		     const struct cluster_mark *mark, struct error *err)
{
	const unsigned long long shipped = (unsigned long long)at->offset - 1;
	if (!mark->found)
		return error_set(
			err, ERROR_CORRUPT,
			"%s: table %s has no mark of edge %s, which has shipped blocks up to %llu there: it is "
			"another HBase, another table_prefix, or it was emptied; correct cluster.hbase in "
			"punchcard.yaml, or " AGAIN,
			hbase, table, edge, shipped);
	if (!at->has_journal || memcmp(mark->journal, at->journal, SHIPPER_JOURNAL_BYTES) != 0)
		return error_set(err, ERROR_CORRUPT,
				 "%s: table %s has the mark of another journal that ships as edge %s; give this edge a "
				 "name of its own in punchcard.yaml, or put data/ back from the newest backup",
				 hbase, table, edge);
	if (at->marked && mark->next < at->offset)
		return error_set(err, ERROR_CORRUPT,
				 "%s: table %s has blocks up to %llu of edge %s, which has shipped blocks up to %llu "
				 "there: an older state of it was put back; " AGAIN,
				 hbase, table, (unsigned long long)mark->next - 1, edge, shipped);
	if (at->marked && mark->next > at->planned)
		return error_set(
			err, ERROR_CORRUPT,
			"%s: table %s has blocks up to %llu of edge %s, whose journal has shipped blocks up to "
			"%llu: data/ is an older copy; put it back from the newest backup, or give this edge a "
			"name of its own in punchcard.yaml",
			hbase, table, (unsigned long long)mark->next - 1, edge, shipped);
	return 0;
}

int ship_marks_judge(const struct shipper_position *at, const char *hbase, const char *edge,
		     const struct cluster_marks *marks, struct error *err)
{
	int rc = 0;
	if (marks->accounts.found || at->marked)
		rc = judge_one(at, hbase, CLUSTER_ACCOUNTS, edge, &marks->accounts, err);
	if (rc == 0 && marks->orders.found)
		rc = judge_one(at, hbase, CLUSTER_ORDERS, edge, &marks->orders, err);
	return rc;
}

int ship_marks_check(struct shipper *shipper, struct cluster_view *view, struct error *err)
{
	const char *const hbase = cells_name(shipper->target.cells);
	const char *const edge = shipper->target.edge;
	struct cluster_marks marks;
	int rc = cluster_view_marks(view, slice_of(edge), &marks, err);
	if (rc == 0)
		rc = ship_marks_judge(&shipper->at, hbase, edge, &marks, err);
	if (rc < 0 || shipper->checked)
		return rc;
	if (shipper->at.marked && !marks.orders.found)
		LOG_WARNING(
			"the table orders has no mark of this edge: a TTL took it, or explain lacks orders of before",
			log_text("hbase", hbase));
	return cluster_view_ensure(view, err);
}
