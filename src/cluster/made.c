#include "cluster/made.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "base/tz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DIR       "batch"
#define PREFIX    "made-"
#define HEAD      "punchcard 1\n"
#define NO_DAY    "none"
#define BYTES_MAX ((size_t)1024 * 1024)

/* ---- states ---- */

static void release_state(struct made_state *state)
{
	for (unsigned i = 0; i < state->n_edges; i++)
		free((char *)(uintptr_t)state->edges[i].name);
	free(state->edges);
	*state = (struct made_state){0};
}

static void forget(struct cluster_made *made, unsigned index)
{
	release_state(&made->states[index]);
	made->n_states--;
	memmove(&made->states[index], &made->states[index + 1], (made->n_states - index) * sizeof(made->states[0]));
	made->states[made->n_states] = (struct made_state){0};
}

static int32_t newest_of(const struct cluster_made *made)
{
	return made->n_states ? made->states[made->n_states - 1].day : DAY_MIN;
}

int32_t cluster_made_newest(const struct cluster_made *made)
{
	return newest_of(made);
}

const struct made_state *cluster_made_state(const struct cluster_made *made, int32_t day)
{
	for (unsigned i = 0; i < made->n_states; i++)
		if (made->states[i].day == day)
			return &made->states[i];
	return NULL;
}

static int copy_cut(const struct cluster_cut *cut, struct made_state *state)
{
	state->edges = calloc(cut->n_edges + 1, sizeof(*state->edges));
	if (!state->edges)
		return ERROR_NO_MEMORY;
	for (unsigned i = 0; i < cut->n_edges; i++) {
		char *const name = text_printf("%s", cut->edges[i].name);
		if (!name)
			return ERROR_NO_MEMORY;
		state->edges[state->n_edges++] =
			(struct cut_edge){.name = name, .next_block = cut->edges[i].next_block};
	}
	return 0;
}

static void insert(struct cluster_made *made, const struct made_state *state)
{
	unsigned at = made->n_states;
	assert(at < MADE_MAX);
	while (at > 0 && made->states[at - 1].day > state->day) {
		made->states[at] = made->states[at - 1];
		at--;
	}
	made->states[at] = *state;
	made->n_states++;
}

int cluster_made_add(struct cluster_made *made, int32_t day, int64_t customers, const struct cluster_cut *cut,
		     bool whole, struct error *err)
{
	struct made_state state = {.day = day, .customers = customers};
	if (copy_cut(cut, &state) < 0) {
		release_state(&state);
		return error_no_memory(err, cut->n_edges * sizeof(*cut->edges));
	}
	for (unsigned i = made->n_states; i-- > 0;)
		if (whole || made->states[i].day == day)
			forget(made, i);
	while (made->n_states > MADE_KEPT)
		forget(made, 0);
	insert(made, &state);
	return 0;
}

void cluster_made_release(struct cluster_made *made)
{
	for (unsigned i = 0; i < made->n_states; i++)
		release_state(&made->states[i]);
	*made = (struct cluster_made){.view_day = DAY_MIN};
}

/* ---- as text ---- */

static int format_state(const struct made_state *state, struct buf *out)
{
	char date[11];
	civil_format(state->day, date);
	int rc = buf_printf(out, "state %s %lld", date, (long long)state->customers);
	for (unsigned i = 0; rc == 0 && i < state->n_edges; i++)
		rc = buf_printf(out, " %s=%llu", state->edges[i].name, (unsigned long long)state->edges[i].next_block);
	return rc < 0 ? rc : buf_append_text(out, "\n");
}

int cluster_made_format(const struct cluster_made *made, struct buf *out)
{
	int rc = buf_append_text(out, HEAD);
	if (rc == 0 && *made->programme)
		rc = buf_printf(out, "programme %s\n", made->programme);
	if (rc == 0 && *made->unfinished)
		rc = buf_printf(out, "unfinished %s\n", made->unfinished);
	for (unsigned i = 0; rc == 0 && i < made->n_states; i++)
		rc = format_state(&made->states[i], out);
	if (rc == 0 && made->view_version) {
		char date[11] = NO_DAY;
		if (made->view_day != DAY_MIN)
			civil_format(made->view_day, date);
		rc = buf_printf(out, "view %s %lld\n", date, (long long)made->view_version);
	}
	return rc;
}

/* The next word of a line; empty at its end. */
static struct slice take_word(struct slice *line)
{
	const char *const blank = line->len ? memchr(line->data, ' ', line->len) : NULL;
	const size_t n = blank ? (size_t)(blank - line->data) : line->len;
	const struct slice word = {line->data, n};
	const size_t step = blank ? n + 1 : n;
	*line = (struct slice){line->data + step, line->len - step};
	return word;
}

static bool take_hash(struct slice *line, char out[PROGRAMME_HASH_TEXT])
{
	const struct slice word = take_word(line);
	if (word.len == 0 || word.len >= PROGRAMME_HASH_TEXT)
		return false;
	memcpy(out, word.data, word.len);
	out[word.len] = '\0';
	return true;
}

static bool take_day(struct slice *line, int32_t *day)
{
	const struct slice word = take_word(line);
	return word.len && civil_parse(word.data, word.len, day) == 0;
}

static bool take_number(struct slice *line, int64_t *number)
{
	const struct slice word = take_word(line);
	return word.len && integer_parse(word.data, word.len, number) == 0;
}

static bool take_edge(struct slice *line, struct made_state *state)
{
	const struct slice word = take_word(line);
	const char *const sign = word.len ? memchr(word.data, '=', word.len) : NULL;
	int64_t next;
	if (!sign || sign == word.data || state->n_edges == SESSION_EDGES_MAX ||
	    integer_parse(sign + 1, word.len - (size_t)(sign - word.data) - 1, &next) < 0 || next < 1)
		return false;
	struct cut_edge *const edge = &state->edges[state->n_edges];
	edge->name = slice_dup((struct slice){word.data, (size_t)(sign - word.data)});
	edge->next_block = (uint64_t)next;
	if (!edge->name)
		return false;
	state->n_edges++;
	return true;
}

static bool take_state(struct slice *line, struct cluster_made *made)
{
	struct made_state state = {0};
	bool good = made->n_states < MADE_MAX && take_day(line, &state.day) && state.day > newest_of(made) &&
		    take_number(line, &state.customers) &&
		    (state.edges = calloc(SESSION_EDGES_MAX, sizeof(*state.edges))) != NULL;
	while (good && line->len)
		good = take_edge(line, &state);
	if (good)
		insert(made, &state);
	else
		release_state(&state);
	return good;
}

static bool take_view(struct slice *line, struct cluster_made *made)
{
	struct slice rest = *line;
	if (slice_is(take_word(&rest), NO_DAY))
		*line = rest;
	else if (!take_day(line, &made->view_day))
		return false;
	return take_number(line, &made->view_version);
}

static bool take_line(struct slice line, struct cluster_made *made)
{
	const struct slice word = take_word(&line);
	if (slice_is(word, "programme"))
		return take_hash(&line, made->programme);
	if (slice_is(word, "unfinished"))
		return take_hash(&line, made->unfinished);
	if (slice_is(word, "state"))
		return take_state(&line, made);
	if (slice_is(word, "view"))
		return take_view(&line, made);
	return false;
}

bool cluster_made_parse(struct slice text, struct cluster_made *made)
{
	const size_t head = strlen(HEAD);
	made->view_day = DAY_MIN;
	if (text.len < head || memcmp(text.data, HEAD, head) != 0)
		return false;
	text = (struct slice){text.data + head, text.len - head};
	while (text.len) {
		const char *const feed = memchr(text.data, '\n', text.len);
		if (!feed || !take_line((struct slice){text.data, (size_t)(feed - text.data)}, made))
			return false;
		const size_t n = (size_t)(feed - text.data) + 1;
		text = (struct slice){text.data + n, text.len - n};
	}
	return true;
}

/* ---- files ---- */

struct found {
	uint64_t most;
	uint64_t keep;
	struct buf older; /* names before `keep`, each with a NUL */
};

static int on_file(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct found *const found = context;
	int64_t number;
	(void)stat;
	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
	    integer_parse(name + strlen(PREFIX), strlen(name + strlen(PREFIX)), &number) < 0 || number < 1)
		return 0;
	if ((uint64_t)number > found->most)
		found->most = (uint64_t)number;
	if ((uint64_t)number < found->keep && buf_append(&found->older, name, strlen(name) + 1) < 0)
		return error_no_memory(err, strlen(name));
	return 0;
}

static int list(const struct cluster_session *session, struct found *found, struct error *err)
{
	const int rc = warehouse_list(session->warehouse, DIR, on_file, found, err);
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

static char *path_of(uint64_t number)
{
	return text_printf(DIR "/" PREFIX "%012llu", (unsigned long long)number);
}

int cluster_made_read(const struct cluster_session *session, struct cluster_made *made, struct error *err)
{
	struct found found = {0};
	made->view_day = DAY_MIN;
	int rc = list(session, &found, err);
	if (rc < 0 || !found.most)
		return rc;
	_cleanup_free_ char *path = path_of(found.most);
	_cleanup_buf_ struct buf text = {0};
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	rc = warehouse_read_all(session->warehouse, path, BYTES_MAX, &text, err);
	if (rc < 0)
		return rc;
	if (!cluster_made_parse((struct slice){text.data, text.len}, made))
		return error_set(err, ERROR_CORRUPT,
				 "%s/%s, which says what the tables were made of, is damaged, or of a later punchcard; "
				 "remove that file and run `punchcard rebuild`",
				 session->deployment->config->cluster.hdfs_path, path);
	made->number = found.most;
	return 0;
}

int cluster_made_write(const struct cluster_session *session, struct cluster_made *made, struct error *err)
{
	_cleanup_free_ char *path = path_of(made->number + 1);
	_cleanup_buf_ struct buf text = {0};
	struct found found = {.keep = made->number + 1};
	if (!path || cluster_made_format(made, &text) < 0)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = warehouse_put_bytes(session->warehouse, path, (struct slice){text.data, text.len}, err);
	if (rc < 0)
		return rc;
	made->number++;
	rc = list(session, &found, err);
	for (size_t at = 0; rc == 0 && at < found.older.len; at += strlen(found.older.data + at) + 1) {
		_cleanup_free_ char *old = text_printf(DIR "/%s", found.older.data + at);
		rc = old ? warehouse_remove(session->warehouse, old, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	buf_release(&found.older);
	return rc;
}
