/* The walk over a YAML tree along a libcyaml schema. It finds everything that libcyaml would refuse, and duplicate keys and
 * missing values besides, and says it so that a person knows where to go and what to write. */
#include "base/decimal.h"
#include "config/yamldoc_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct walk {
	const struct yamldoc *file;
	yaml_document_t *document;
	const struct yamldoc_rule *rules;
	struct error *err;
};

/* Bytes of a value or key that a message shows. */
#define SHOWN_BYTES 64u

/* Text from the file, fit for a message: cut, control characters replaced. */
struct shown {
	char text[SHOWN_BYTES + 4];
};

static struct shown show(const yaml_node_t *scalar)
{
	struct shown s = {0};
	size_t len = scalar->data.scalar.length;
	const bool cut = len > SHOWN_BYTES;
	len = cut ? SHOWN_BYTES : len;
	/* Not in the middle of a character. */
	while (cut && len > 0 && (scalar->data.scalar.value[len] & 0xc0) == 0x80)
		len--;
	for (size_t i = 0; i < len; i++) {
		const unsigned char c = scalar->data.scalar.value[i];
		s.text[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	if (cut)
		memcpy(s.text + len, "…", sizeof("…"));
	return s;
}

static const struct yamldoc_rule *find_rule(const struct walk *walk, const struct yamldoc_key *key)
{
	static const struct yamldoc_rule NONE = {.expected = "another value", .max = UINT32_MAX};
	/* The rules have no numbers between their brackets. */
	char generic[YAMLDOC_KEY_BYTES];
	size_t len = 0;
	bool inside = false;
	for (const char *at = key->text; *at; at++) {
		inside = *at == '[' || (inside && *at != ']');
		if (!inside || *at == '[')
			generic[len++] = *at;
	}
	generic[len] = '\0';
	for (const struct yamldoc_rule *rule = walk->rules; rule->key; rule++)
		if (strcmp(rule->key, generic) == 0)
			return rule;
	return &NONE;
}

static int fail_at(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key, const char *what,
		   const char *expected)
{
	return error_set(walk->err, ERROR_CONFIG, "%s:%zu: %s%s%s; expected %s", walk->file->path,
			 node->start_mark.line + 1, key->text, *key->text ? ": " : "", what, expected);
}

/* The failure of a scalar: its text in quotes, then what is wrong. */
static int fail_scalar(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key,
		       const char *wrong, const char *expected)
{
	char what[SHOWN_BYTES + 64];
	snprintf(what, sizeof(what), "'%s' %s", show(node).text, wrong);
	return fail_at(walk, node, key, what, expected);
}

/* An empty plain scalar, or one of YAML's words for nothing. */
static bool is_null(const yaml_node_t *node)
{
	static const char *const WORDS[] = {"", "~", "null", "Null", "NULL"};
	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
		if (strlen(WORDS[i]) == node->data.scalar.length &&
		    memcmp(node->data.scalar.value, WORDS[i], node->data.scalar.length) == 0)
			return true;
	return false;
}

static int check_number(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key)
{
	const struct yamldoc_rule *const rule = find_rule(walk, key);
	const char *const text = (const char *)node->data.scalar.value;
	const size_t len = node->data.scalar.length;
	int64_t value;
	/* libcyaml would read 010 as 8 and 0x10 as 16. */
	if (text[0] == '+' || (len > 1 && text[0] == '0') || integer_parse(text, len, &value) < 0)
		return fail_scalar(walk, node, key, "is no whole number", rule->expected);
	if (value < rule->min || value > rule->max)
		return fail_scalar(walk, node, key, "is out of range", rule->expected);
	return 0;
}

static int check_choice(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key,
			const cyaml_schema_value_t *schema)
{
	for (uint32_t i = 0; i < schema->enumeration.count; i++) {
		const char *const word = schema->enumeration.strings[i].str;
		if (strlen(word) == node->data.scalar.length &&
		    memcmp(word, node->data.scalar.value, node->data.scalar.length) == 0)
			return 0;
	}
	return fail_scalar(walk, node, key, "is not one of its values", find_rule(walk, key)->expected);
}

static int check_text(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key)
{
	const struct yamldoc_rule *const rule = find_rule(walk, key);
	const uint32_t most = rule->key && rule->max ? rule->max : YAMLDOC_MAX_VALUE_BYTES;
	char what[48];
	snprintf(what, sizeof(what), "is longer than %" PRIu32 " bytes", most);
	if (node->data.scalar.length > most)
		return fail_scalar(walk, node, key, what, rule->expected);
	for (size_t i = 0; i < node->data.scalar.length; i++) {
		const unsigned char c = node->data.scalar.value[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return fail_scalar(walk, node, key, "has a control character", find_rule(walk, key)->expected);
	}
	return 0;
}

static int check_scalar(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key,
			const cyaml_schema_value_t *schema)
{
	const struct yamldoc_rule *const rule = find_rule(walk, key);
	if (node->type == YAML_MAPPING_NODE)
		return fail_at(walk, node, key, "has keys below it", rule->expected);
	if (node->type == YAML_SEQUENCE_NODE)
		return fail_at(walk, node, key, "is a list", rule->expected);
	if (schema->type == CYAML_ENUM)
		return check_choice(walk, node, key, schema);
	return schema->type == CYAML_STRING ? check_text(walk, node, key) : check_number(walk, node, key);
}

/*
 * Mappings.
 */

#define DISTANCE_MAX_BYTES 32u

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters must be put in, left out or replaced (Levenshtein); a large number when a text is too long to be a typo. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[DISTANCE_MAX_BYTES + 1];
	if (a_len > DISTANCE_MAX_BYTES || b_len > DISTANCE_MAX_BYTES)
		return UINT32_MAX;
	for (unsigned i = 0; i <= b_len; i++)
		row[i] = i;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (unsigned k = 1; k <= b_len; k++) {
			const unsigned replaced = diagonal + (a[i - 1] != b[k - 1]);
			diagonal = row[k];
			row[k] = least(replaced, least(row[k], row[k - 1]) + 1);
		}
	}
	return row[b_len];
}

static int fail_unknown(const struct walk *walk, const yaml_node_t *name, const struct yamldoc_key *key,
			const cyaml_schema_field_t *fields)
{
	char known[768];
	size_t len = 0;
	const char *nearest = NULL;
	unsigned distance = 3;
	known[0] = '\0';
	for (const cyaml_schema_field_t *field = fields; field->key; field++) {
		const int n = snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "", field->key);
		len = len + (size_t)n < sizeof(known) ? len + (size_t)n : sizeof(known) - 1;
		const unsigned d = edit_distance((const char *)name->data.scalar.value, name->data.scalar.length,
						 field->key, strlen(field->key));
		if (d < distance) {
			distance = d;
			nearest = field->key;
		}
	}
	return error_set(walk->err, ERROR_CONFIG, "%s:%zu: %s%s%s: this key is unknown; %s%s%sexpected one of %s",
			 walk->file->path, name->start_mark.line + 1, key->text, *key->text ? "." : "", show(name).text,
			 nearest ? "did you mean '" : "", nearest ? nearest : "", nearest ? "'? " : "", known);
}

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *fields, const yaml_node_t *name)
{
	for (; fields->key; fields++)
		if (strlen(fields->key) == name->data.scalar.length &&
		    memcmp(fields->key, name->data.scalar.value, name->data.scalar.length) == 0)
			return fields;
	return NULL;
}

static struct yamldoc_key key_below(const struct yamldoc_key *key, const char *name)
{
	return yamldoc_key("%.*s%s%s", (int)(YAMLDOC_KEY_BYTES / 2), key->text, *key->text ? "." : "", name);
}

static int check_value(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key,
		       const cyaml_schema_value_t *schema);

static int check_pair(const struct walk *walk, const yaml_node_pair_t *first, const yaml_node_pair_t *pair,
		      const struct yamldoc_key *key, const cyaml_schema_field_t *fields)
{
	const yaml_node_t *const name = yaml_document_get_node(walk->document, pair->key);
	const yaml_node_t *const value = yaml_document_get_node(walk->document, pair->value);
	if (name->type != YAML_SCALAR_NODE)
		return fail_at(walk, name, key, "a key is a list or has keys itself", "a plain word as key");
	const cyaml_schema_field_t *const field = find_field(fields, name);
	if (!field)
		return fail_unknown(walk, name, key, fields);

	const struct yamldoc_key below = key_below(key, field->key);
	for (const yaml_node_pair_t *other = first; other < pair; other++) {
		const yaml_node_t *const earlier = yaml_document_get_node(walk->document, other->key);
		if (find_field(fields, earlier) != field)
			continue;
		return error_set(walk->err, ERROR_CONFIG,
				 "%s:%zu: %s: this key is there twice, first in line %zu; expected once",
				 walk->file->path, name->start_mark.line + 1, below.text, earlier->start_mark.line + 1);
	}
	if (is_null(value))
		return error_set(walk->err, ERROR_CONFIG, "%s:%zu: %s: this key has no value; expected %s%s",
				 walk->file->path, name->start_mark.line + 1, below.text,
				 find_rule(walk, &below)->expected,
				 field->value.flags & CYAML_FLAG_OPTIONAL ? ", or no such line" : "");
	return check_value(walk, value, &below, &field->value);
}

static int check_mapping(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key,
			 const cyaml_schema_value_t *schema)
{
	if (node->type != YAML_MAPPING_NODE)
		return fail_at(walk, node, key,
			       node->type == YAML_SEQUENCE_NODE ? "this is a list" : "this is plain text",
			       *key->text ? find_rule(walk, key)->expected : "keys with their values (key: value)");
	const yaml_node_pair_t *const first = node->data.mapping.pairs.start;
	for (const yaml_node_pair_t *pair = first; pair < node->data.mapping.pairs.top; pair++) {
		const int rc = check_pair(walk, first, pair, key, schema->mapping.fields);
		if (rc < 0)
			return rc;
	}
	for (const cyaml_schema_field_t *field = schema->mapping.fields; field->key; field++) {
		if (field->value.flags & CYAML_FLAG_OPTIONAL)
			continue;
		bool found = false;
		for (const yaml_node_pair_t *pair = first; pair < node->data.mapping.pairs.top && !found; pair++)
			found = find_field(schema->mapping.fields, yaml_document_get_node(walk->document, pair->key)) ==
				field;
		const struct yamldoc_key below = key_below(key, field->key);
		if (!found)
			return fail_at(walk, node, &below, "this key is missing", find_rule(walk, &below)->expected);
	}
	return 0;
}

static int check_list(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key,
		      const cyaml_schema_value_t *schema)
{
	const char *const expected = find_rule(walk, key)->expected;
	if (node->type != YAML_SEQUENCE_NODE)
		return fail_at(walk, node, key, "this is no list", expected);
	const yaml_node_item_t *const first = node->data.sequence.items.start;
	const size_t count = (size_t)(node->data.sequence.items.top - first);
	if (count < schema->sequence.min)
		return fail_at(walk, node, key, "this list has too few items", expected);
	if (count > schema->sequence.max)
		return fail_at(walk, node, key, "this list has too many items", expected);
	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *const item = yaml_document_get_node(walk->document, first[i]);
		const struct yamldoc_key below = yamldoc_key("%.*s[%zu]", (int)(YAMLDOC_KEY_BYTES / 2), key->text, i);
		if (is_null(item))
			return fail_at(walk, item, &below, "this item has no value", find_rule(walk, &below)->expected);
		const int rc = check_value(walk, item, &below, schema->sequence.entry);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Goes no deeper than the schema does, whatever the file holds. */
static int check_value(const struct walk *walk, const yaml_node_t *node, const struct yamldoc_key *key,
		       const cyaml_schema_value_t *schema)
{
	switch (schema->type) {
	case CYAML_MAPPING:
		return check_mapping(walk, node, key, schema);
	case CYAML_SEQUENCE:
		return check_list(walk, node, key, schema);
	default:
		return check_scalar(walk, node, key, schema);
	}
}

int yamldoc_check(const struct yamldoc *file, const cyaml_schema_value_t *schema, const struct yamldoc_rule *rules,
		  struct error *err)
{
	/* libyaml's getters take no const, and change nothing. */
	yaml_document_t document = file->document;
	const struct walk walk = {.file = file, .document = &document, .rules = rules, .err = err};
	const yaml_node_t *const root = yaml_document_get_root_node(&document);
	const struct yamldoc_key top = {0};
	if (!root || is_null(root))
		return error_set(
			err, ERROR_CONFIG,
			"%s:1: the file is empty; `punchcard init` in an empty directory writes one to start from",
			file->path);
	return check_value(&walk, root, &top, schema);
}
