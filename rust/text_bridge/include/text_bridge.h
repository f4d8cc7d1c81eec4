/* text_bridge.h: tokenizers, chat templates and grammars, in Rust, behind one C header.
 *
 * - Text is (pointer, length) in UTF-8, never NUL-terminated; length 0 may go with a null pointer.
 * - A function that returns a status writes its outputs only on TB_OK; otherwise it puts one line
 *   of text into *error (released with tb_bytes_free; error may be null).
 * - A Rust panic never crosses: it comes back as TB_PANIC. Release the handle then.
 * - tb_tokenizer, tb_template and tb_grammar_factory are immutable: any number of threads may use
 *   one at once. tb_stream and tb_matcher belong to one sequence: one thread at a time.
 * - A stream and a grammar factory keep what they need of their tokenizer alive themselves.
 */
#ifndef VSURGE_TEXT_BRIDGE_H
#define VSURGE_TEXT_BRIDGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

enum tb_status {
  TB_OK = 0,
  TB_ERROR = -1,  /* the input is wrong */
  TB_PANIC = -2,  /* a bug, caught at the boundary */
  TB_RAISED = -3, /* the chat template called raise_exception(); *error is its message alone */
  TB_LIMIT = -4,  /* a limit of fuel, memory, output, depth or time was passed */
  TB_BUSY = -5    /* too much of this is at work already */
};

typedef struct tb_bytes {
  uint8_t* data;
  size_t size;
  size_t reserved_;
} tb_bytes;
typedef struct tb_ids {
  uint32_t* data;
  size_t size;
  size_t reserved_;
} tb_ids;
typedef struct tb_view { /* of what somebody else keeps */
  const uint8_t* data;
  size_t size;
} tb_view;
void tb_bytes_free(tb_bytes* bytes); /* resets it too; safe on a zeroed struct */
void tb_ids_free(tb_ids* ids);

/* Always TB_PANIC: shows that a panic stays inside. For tests. */
int tb_test_panic(tb_bytes* error);

/* --- tokenizer ---------------------------------------------------------------------------- */
typedef struct tb_tokenizer tb_tokenizer;
/* json: a whole tokenizer.json. More than vocabulary_max ids, or an id at or above it: TB_ERROR.
 * named: empty, or a JSON array of tokens that files beside it name: entries of added_tokens, with
 * an "id" that the vocabulary must agree with (else TB_ERROR naming the token), or null: then one
 * that is missing is left out. "replaces": its flags count even if it is an added token; "named":
 * it is special whatever its flags. */
int tb_tokenizer_new(const uint8_t* json, size_t size, const uint8_t* named, size_t named_size,
                     uint32_t vocabulary_max, tb_tokenizer** out, tb_bytes* error);
void tb_tokenizer_free(tb_tokenizer* tokenizer);
uint32_t tb_tokenizer_vocabulary(const tb_tokenizer* tokenizer); /* highest id + 1 */
/* Bytes of text that one token stands for at most; 0: not known. */
size_t tb_tokenizer_bytes_per_token(const tb_tokenizer* tokenizer);
/* True, with the decoder's kind, when a tb_stream of it gives its text at tb_stream_finish only. */
bool tb_tokenizer_unstreamed(const tb_tokenizer* tokenizer, tb_bytes* kind);
int64_t tb_tokenizer_id_of(const tb_tokenizer* tokenizer, const uint8_t* token,
                           size_t size); /* -1: none */
bool tb_tokenizer_is_special(const tb_tokenizer* tokenizer, uint32_t id);
/* The entry as the vocabulary writes it; TB_ERROR when there is none. */
int tb_tokenizer_token_of(const tb_tokenizer* tokenizer, uint32_t id, tb_bytes* out,
                          tb_bytes* error);
/* TB_LIMIT when the text has more than tokens_max tokens; found out before all of it is tokenized
 * where the kind of tokenizer allows. */
int tb_tokenizer_encode(const tb_tokenizer* tokenizer, const uint8_t* text, size_t size,
                        bool add_special, size_t tokens_max, tb_ids* out, tb_bytes* error);
int tb_tokenizer_decode(const tb_tokenizer* tokenizer, const uint32_t* ids, size_t count,
                        bool skip_special, tb_bytes* out, tb_bytes* error);

/* Ids one by one. All that push and finish give, in order, equals tb_tokenizer_decode of all ids.
 */
typedef struct tb_stream tb_stream;
int tb_stream_new(const tb_tokenizer* tokenizer, bool skip_special, tb_stream** out,
                  tb_bytes* error);
void tb_stream_free(tb_stream* stream);
/* *out is the stream's, until its next call. */
int tb_stream_push(tb_stream* stream, uint32_t id, tb_view* out, tb_bytes* error);
int tb_stream_finish(tb_stream* stream, tb_bytes* out, tb_bytes* error); /* then it is as new */

/* --- chat templates ----------------------------------------------------------------------- */
typedef struct tb_template tb_template;
typedef struct tb_template_limits {
  uint64_t fuel;             /* steps of one render */
  uint64_t output_bytes_max; /* of the text, and of any one string while rendering */
  uint64_t memory_bytes_max; /* held by one render at any moment */
  uint64_t time_ms_max;
} tb_template_limits;
int tb_template_new(const uint8_t* source, size_t size, const tb_template_limits* limits,
                    tb_template** out, tb_bytes* error);
void tb_template_free(tb_template* tmpl);
/* context: one JSON object with every variable (messages, tools, bos_token, ...), keys in order.
 * now_local: local wall clock, seconds since 1970, for strftime_now(). */
int tb_template_render(const tb_template* tmpl, const uint8_t* context, size_t size,
                       int64_t now_local, tb_bytes* out, tb_bytes* error);

/* --- constrained output -------------------------------------------------------------------- */
enum tb_grammar_kind {
  TB_JSON_SCHEMA = 0,
  TB_REGEX = 1,
  TB_LARK = 2,
  TB_CHOICE = 3,     /* source: JSON array of strings */
  TB_JSON_OBJECT = 4 /* any JSON object; source is not read */
};
typedef struct tb_grammar_factory tb_grammar_factory;
typedef struct tb_matcher tb_matcher;
typedef struct {
  uint64_t source_bytes_max;
  uint64_t schema_depth_max;
  uint64_t schema_count_max; /* of minItems, maxLength and the like */
  uint64_t grammar_symbols_max;
  uint64_t compile_fuel;      /* nodes of the lexer's expressions: some 50,000 a millisecond */
  uint64_t compile_bytes_max; /* of the result */
  uint64_t compile_ms_max;    /* then the caller stops waiting */
  uint32_t late_compiles_max; /* that go on unwaited for; more compilations are refused then */
  uint32_t row_items_max;     /* ways to read the text so far */
  uint64_t step_fuel;         /* of one mask: some 14,000 a millisecond */
  uint64_t step_items_max;    /* of one mask: some 20,000 a millisecond */
  uint64_t lexer_states_max;  /* of one matcher: 1 to 2 KB each */
} tb_grammar_limits;
typedef struct {
  int kind;
  const uint8_t* text;
  size_t size;
  const uint8_t*
      whitespace; /* kinds of JSON: a pattern of the blanks between its tokens; empty: none */
  size_t whitespace_size;
} tb_grammar_source;
/* logits: width of the model's logits, at least the tokenizer's vocabulary; ids beyond that are
 * never allowed. eos: the ids that end an answer, at least one. */
int tb_grammar_factory_new(const tb_tokenizer* tokenizer, uint32_t logits, const uint32_t* eos,
                           size_t eos_count, const tb_grammar_limits* limits,
                           tb_grammar_factory** out, tb_bytes* error);
void tb_grammar_factory_free(tb_grammar_factory* factory);
/* A schema as the compiler gets it, to stand after %json in a Lark grammar: checked, with its
 * options in it. TB_ERROR begins with the keyword at fault in quotes. */
int tb_grammar_schema(const tb_grammar_factory* factory, const tb_grammar_source* source,
                      tb_bytes* out, tb_bytes* error);
/* TB_LIMIT when compiling took too long, TB_BUSY when late_compiles_max are still at it. */
int tb_matcher_new(const tb_grammar_factory* factory, const tb_grammar_source* source,
                   tb_matcher** out, tb_bytes* error);
/* Memory that it took when it was made. */
size_t tb_matcher_bytes(const tb_matcher* matcher);
int tb_matcher_clone(const tb_matcher* matcher, tb_matcher** out, tb_bytes* error);
void tb_matcher_free(tb_matcher* matcher);
/* Bit i of words[i / 32]: token i may come next. When the grammar is at its end: the eos ids. */
int tb_matcher_mask(tb_matcher* matcher, uint32_t* words, size_t word_count, tb_bytes* error);
/* The bit of one token in that mask, without making it. */
int tb_matcher_allows(tb_matcher* matcher, uint32_t token, bool* out, tb_bytes* error);
int tb_matcher_commit(tb_matcher* matcher, uint32_t token, tb_bytes* error);
bool tb_matcher_is_stopped(const tb_matcher* matcher);

/* --- regexes that end an answer ------------------------------------------------------------- */
typedef struct tb_stop_regex tb_stop_regex;
typedef struct tb_stop_search tb_stop_search;
typedef struct {
  const uint8_t* text;
  size_t size;
} tb_pattern;
typedef struct {
  bool found;
  uint32_t pattern;    /* the first of those that match */
  uint64_t begin, end; /* of the match, in bytes of all text so far; it ends as soon as one can */
  uint64_t open;       /* where the first match may have begun that is not yet ruled out */
} tb_stop_found;
/* patterns: Rust's syntax. TB_ERROR, naming a pattern by its index, for one that asserts what
 * follows it, can match nothing, or takes more than bytes_max. */
int tb_stop_regex_new(const tb_pattern* patterns, size_t count, size_t bytes_max,
                      tb_stop_regex** out, tb_bytes* error);
void tb_stop_regex_free(tb_stop_regex* regex);
int tb_stop_search_new(const tb_stop_regex* regex, tb_stop_search** out, tb_bytes* error);
void tb_stop_search_free(tb_stop_search* search);
/* Of a search that has found something nothing more is asked. armed false: matches that end within
 * the text do not count. Matches begin between characters. */
int tb_stop_search_push(tb_stop_search* search, const uint8_t* text, size_t size, bool armed,
                        tb_stop_found* out, tb_bytes* error);
/* No match goes on behind here. */
void tb_stop_search_cut(tb_stop_search* search);

#ifdef __cplusplus
}
#endif
#endif
