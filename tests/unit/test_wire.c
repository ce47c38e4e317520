/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "wire/crc32c.h"
#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/json.h"
#include "wire/message.h"
#include "wire/result.h"
#include "wire/run.h"

UNIT_SUITE(crc32c);
UNIT_SUITE(frame);
UNIT_SUITE(hello);
UNIT_SUITE(run);
UNIT_SUITE(result);
UNIT_SUITE(json);

/* RFC 3720, appendix B.4. */
Test(crc32c, known_values)
{
	uint8_t data[32] = { 0 };

	cr_assert(eq(u32, kt_crc32c(0, data, sizeof(data)), 0x8a9136aa));
	memset(data, 0xff, sizeof(data));
	cr_assert(eq(u32, kt_crc32c(0, data, sizeof(data)), 0x62a8ab43));
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	cr_assert(eq(u32, kt_crc32c(0, data, sizeof(data)), 0x46dd794e));
	cr_assert(eq(u32, kt_crc32c(0, "123456789", 9), 0xe3069283));
}

Test(crc32c, pieces_give_the_same)
{
	const char *text = "any text, cut anywhere, unaligned or not, has one checksum";
	size_t len = strlen(text);

	for (size_t cut = 0; cut <= len; cut++)
		cr_assert(eq(u32, kt_crc32c(kt_crc32c(0, text, cut), text + cut, len - cut),
			     kt_crc32c(0, text, len)));
}

/* A stream of frames in memory. */
struct stream {
	uint8_t bytes[4096];
	size_t len;
	struct kt_frame_tx tx;
};

static void put_frame(struct stream *stream, uint32_t type, const void *payload, uint32_t len)
{
	kt_frame_seal(&stream->tx, type, payload, len, stream->bytes + stream->len);
	memcpy(stream->bytes + stream->len + KT_FRAME_HEADER_LEN, payload, len);
	stream->len += KT_FRAME_HEADER_LEN + len;
}

static int take(struct kt_frame_rx *rx, const uint8_t **at, size_t *left, struct kt_frame *frame,
		struct kt_err *err)
{
	return kt_frame_rx_take(rx, at, left, frame, err);
}

Test(frame, round_trip_in_pieces_of_any_size)
{
	struct stream stream = { .len = 0 };

	put_frame(&stream, KT_MSG_STDOUT, "hello", 5);
	put_frame(&stream, KT_MSG_RESULT_ACK, "", 0);
	put_frame(&stream, KT_MSG_STDERR, "world!", 6);
	for (size_t piece = 1; piece <= stream.len; piece++) {
		struct kt_frame_rx rx = KT_FRAME_RX_NULL;
		struct kt_frame frame;
		unsigned int n = 0;

		for (size_t done = 0; done < stream.len; done += piece) {
			const uint8_t *at = stream.bytes + done;
			size_t left = KT_MIN(piece, stream.len - done);
			int r;

			while ((r = take(&rx, &at, &left, &frame, NULL)) > 0) {
				static const uint32_t lens[] = { 5, 0, 6 };

				cr_assert(eq(u32, frame.len, lens[n]));
				cr_assert(eq(u8, frame.payload[frame.len], 0));
				n++;
			}
			cr_assert(eq(int, r, 0));
			cr_assert(eq(sz, left, 0));
		}
		cr_assert(eq(u32, n, 3));
		kt_frame_rx_deinit(&rx);
	}
}

/*
 * The receiver's message about a stream of two frames, where byte @at of the second one is @value.
 */
static int corrupted(size_t at, uint8_t value, struct kt_err *err)
{
	struct stream stream = { .len = 0 };
	struct kt_frame_rx rx = KT_FRAME_RX_NULL;
	const uint8_t *bytes = stream.bytes;
	struct kt_frame frame;
	size_t second;
	int r;

	put_frame(&stream, KT_MSG_STDOUT, "hello", 5);
	second = stream.len;
	put_frame(&stream, KT_MSG_STDOUT, "world", 5);
	cr_assert(ne(u8, stream.bytes[second + at], value));
	stream.bytes[second + at] = value;
	cr_assert(eq(int, take(&rx, &bytes, &stream.len, &frame, err), 1));
	r = take(&rx, &bytes, &stream.len, &frame, err);
	/* The first fault is final, whatever follows. */
	if (r < 0)
		cr_assert(eq(int, take(&rx, &bytes, &stream.len, &frame, NULL), r));
	kt_frame_rx_deinit(&rx);
	return r;
}

Test(frame, every_malformation_is_named)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *text;
	} cases[] = {
		{ 0, 0x01, "is not four characters" }, /* type */
		{ 3, 0xff, "is not four characters" },
		{ 7, 0x80, "over the limit" }, /* length */
		{ 6, 0x11, "over the limit" },
		{ 8, 0x00, "sequence 0 where 1 was due" }, /* sequence: a repeated frame */
		{ 8, 0x02, "sequence 2 where 1 was due" }, /* a lost frame */
		{ 12, 0x5a, "CRC" },                       /* crc */
		{ 16, 'W', "CRC" },                        /* payload */
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_err err = KT_ERR_NULL;

		cr_assert(eq(int, corrupted(cases[i].at, cases[i].value, &err), -EBADMSG));
		cr_assert(strstr(err.text, cases[i].text) != NULL, "case %zu: %s", i, err.text);
	}
}

Test(frame, any_flipped_bit_is_noticed)
{
	struct stream good = { .len = 0 };

	put_frame(&good, KT_MSG_STDOUT, "a payload", 9);
	for (size_t bit = 0; bit < good.len * 8; bit++) {
		struct stream bad = good;
		struct kt_frame_rx rx = KT_FRAME_RX_NULL;
		const uint8_t *at = bad.bytes;
		struct kt_frame frame;

		bad.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		/* 0: with a greater length, it waits for bytes that do not arrive. */
		cr_assert(le(int, take(&rx, &at, &bad.len, &frame, NULL), 0));
		kt_frame_rx_deinit(&rx);
	}
}

Test(frame, a_length_is_checked_before_it_is_allocated)
{
	struct stream stream = { .len = 0 };
	struct kt_frame_rx rx = KT_FRAME_RX_NULL;
	const uint8_t *at = stream.bytes;
	struct kt_frame frame;

	put_frame(&stream, KT_MSG_STDOUT, "", 0);
	memcpy(stream.bytes + 4, &(uint32_t){ KT_FRAME_PAYLOAD_MAX + 1 }, 4);
	cr_assert(eq(int, take(&rx, &at, &stream.len, &frame, NULL), -EBADMSG));
	cr_assert(zero(sz, rx.room));
	kt_frame_rx_deinit(&rx);
}

static struct kt_hello example_hello(void)
{
	return (struct kt_hello){
		.version = KT_WIRE_VERSION,
		.build_id = "05c5cb9c174d4061e895c92fda97b465c19c8a82",
		.release = "7.0.13+deb13-cloud-amd64",
		.boot_ns = 2100000000,
		.cpus = 8,
		.numa_nodes = 2,
		.memory_nodes = 1,
		.llcs = 2,
		.llc_cores = { 3, 1 },
		.threads = 2,
		.phys_base = 0,
		.page_offset_base = 0xff11000000000000,
		.text = 0xffffffff81000000,
		.die = 0xffffffff812d8a00,
		.kprobe_table = 0xffffffff83d92120,
	};
}

Test(hello, round_trip)
{
	struct kt_hello hello = example_hello(), back;
	KT_FREE char *text = kt_hello_encode(&hello), *again = NULL;

	cr_assert(eq(int, kt_hello_decode(text, strlen(text), &back, NULL), 0));
	cr_assert(eq(u64, back.page_offset_base, 0xff11000000000000));
	cr_assert(eq(u64, back.die, 0xffffffff812d8a00));
	cr_assert(eq(u64, back.kprobe_table, 0xffffffff83d92120));
	cr_assert(eq(u32, back.memory_nodes, 1));
	cr_assert(zero(int, memcmp(back.llc_cores, hello.llc_cores, sizeof(back.llc_cores))));
	cr_assert(eq(str, back.release, hello.release));
	again = kt_hello_encode(&back);
	cr_assert(eq(str, again, text));
}

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

Test(hello, hostile_input)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"null",
		"\"HELO\"",
		"{}",
		"{\"version\":\"1\"}",
		"{\"version\":" TEXT_OF(KT_WIRE_VERSION) "}",
		"{\"version\":" TEXT_OF(KT_WIRE_VERSION) ",\"version\":1}",
		"{\"version\":-1}",
		"{\"version\":70000}",
	};
	struct kt_hello hello = example_hello();
	KT_FREE char *text = kt_hello_encode(&hello);

	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++) {
		struct kt_err err = KT_ERR_NULL;

		cr_assert(eq(int, kt_hello_decode(bad[i], strlen(bad[i]), &hello, &err), -EBADMSG));
		cr_assert(err.text[0] != '\0', "case %zu", i);
	}
	/* Cut off at any place, it is refused. */
	for (size_t len = 0; len < strlen(text); len++)
		cr_assert(lt(int, kt_hello_decode(text, len, &hello, NULL), 0));
}

Test(hello, an_unknown_version_is_told_apart)
{
	static const char other[] = "{\"version\":77,\"what\":\"else\"}";
	struct kt_hello hello;

	cr_assert(eq(int, kt_hello_decode(other, strlen(other), &hello, NULL), 0));
	cr_assert(eq(u32, hello.version, 77));
}

Test(run, round_trip)
{
	static const char *const environment[] = { "KTESTS=1", "TEXT=\"quoted\" = \xc3\xa9", NULL };
	struct kt_run_request run = {
		.mode = KT_RUN_EXEC,
		.test = "cgroup_freeze",
		.command = "echo 'hi' | cat",
		.rows = 24,
		.columns = 80,
		.seed = UINT64_MAX,
		.attempt = 3,
		.time_scale_percent = 300,
		.limit_ns = UINT64_C(1) << 40,
		.turns = { .seed = 9, .policy = KT_TURNS_PCT, .mean = 16, .depth = 2, .length = 3 },
		.environment = environment,
	};
	struct kt_run_request back;
	KT_FREE void *data = NULL;
	size_t len;

	cr_assert(eq(int, kt_run_request_encode(&run, &data, &len), 0));
	cr_assert(eq(int, kt_run_request_decode(data, len, &back, NULL), 0));
	cr_assert(eq(int, back.mode, KT_RUN_EXEC));
	cr_assert(eq(str, (char *)back.test, "cgroup_freeze"));
	cr_assert(eq(str, (char *)back.command, "echo 'hi' | cat"));
	cr_assert(zero(ptr, (void *)back.terminal));
	cr_assert(eq(u64, back.seed, UINT64_MAX));
	cr_assert(eq(u32, back.time_scale_percent, 300));
	cr_assert(eq(u64, back.limit_ns, UINT64_C(1) << 40));
	cr_assert(zero(int, memcmp(&back.turns, &run.turns, sizeof(run.turns))));
	cr_assert(eq(str, (char *)back.environment[1], (char *)environment[1]));
	cr_assert(zero(ptr, (void *)back.environment[2]));
	kt_run_request_deinit(&back);
}

/* The payload cut off at every place, and with one byte too many. */
Test(run, hostile_input)
{
	static const char *const environment[] = { "A=1", NULL };
	struct kt_run_request run = { .test = "trivial",
				      .time_scale_percent = 100,
				      .environment = environment };
	struct kt_run_request back;
	KT_FREE void *data = NULL;
	char longer[256] = { 0 };
	uint8_t *bytes;
	size_t len;

	cr_assert(eq(int, kt_run_request_encode(&run, &data, &len), 0));
	for (size_t i = 0; i < len; i++)
		cr_assert(lt(int, kt_run_request_decode(data, i, &back, NULL), 0), "%zu bytes", i);
	memcpy(longer, data, len);
	cr_assert(lt(int, kt_run_request_decode(longer, len + 1, &back, NULL), 0));
	bytes = data;
	bytes[0] = KT_N_RUN_MODES; /* the mode */
	cr_assert(lt(int, kt_run_request_decode(data, len, &back, NULL), 0));
	bytes[0] = KT_RUN_TEST;
	bytes[16] = 99; /* the time scale */
	cr_assert(lt(int, kt_run_request_decode(data, len, &back, NULL), 0));
	bytes[16] = 100;
	bytes[len - 3] = ':'; /* "A:1" is not a variable */
	cr_assert(lt(int, kt_run_request_decode(data, len, &back, NULL), 0));
}

Test(result, verdicts_merge_upwards)
{
	for (int a = 0; a < KT_N_VERDICTS; a++) {
		for (int b = KT_VERDICT_PASS; b < KT_N_VERDICTS; b++) {
			struct kt_result result = { .verdict = (enum kt_verdict)a };

			kt_result_merge(&result, (enum kt_verdict)b, "b");
			cr_assert(eq(int, (int)result.verdict, KT_MAX(a, b)));
			kt_result_deinit(&result);
		}
	}
}

Test(result, skipping_does_not_undo_a_failure)
{
	struct kt_result result = KT_RESULT_NULL;

	kt_result_merge(&result, KT_VERDICT_SKIP, "not here");
	cr_assert(eq(int, (int)result.verdict, KT_VERDICT_SKIP));
	kt_result_merge(&result, KT_VERDICT_FAIL, "broken");
	kt_result_merge(&result, KT_VERDICT_SKIP, "not here");
	cr_assert(eq(int, (int)result.verdict, KT_VERDICT_FAIL));
	cr_assert(eq(str, result.reason, "broken"));
	kt_result_deinit(&result);
}

Test(result, round_trip)
{
	struct kt_failure failure = {
		.file = "a.c",
		.line = 7,
		.what = "x == \"y\"",
		.got = "z\n",
		.step = 2,
		.elapsed_ns = 5,
	};
	struct kt_result result = KT_RESULT_NULL, back;
	KT_FREE void *data = NULL;
	size_t len;

	cr_assert(eq(int, kt_result_add_failure(&result, &failure), 0));
	result.duration_ns = 123456789;
	result.exit_status = 42;
	result.left_behind = 70000;
	result.scenario = json_pack("{ss}", "name", "first");
	cr_assert(eq(int, kt_result_encode(&result, &data, &len), 0));
	cr_assert(eq(int, kt_result_decode(data, len, &back, NULL), 0));
	cr_assert(eq(int, (int)back.verdict, KT_VERDICT_FAIL));
	cr_assert(eq(sz, back.n_failures, 1));
	cr_assert(eq(str, back.failures[0].what, "x == \"y\""));
	cr_assert(zero(ptr, back.failures[0].expected));
	cr_assert(eq(int, back.failures[0].step, 2));
	cr_assert(eq(int, back.exit_status, 42));
	cr_assert(eq(u32, back.left_behind, 70000));
	cr_assert(json_equal(back.scenario, result.scenario));
	kt_result_deinit(&result);
	kt_result_deinit(&back);
}

/* The short form, without JSON. */
Test(result, a_pass_without_words)
{
	struct kt_result result = { .verdict = KT_VERDICT_PASS, .exit_status = 3 }, back;
	KT_FREE void *data = NULL;
	uint32_t *words;
	size_t len;

	result.duration_ns = UINT64_C(1) << 40;
	result.since_begin_ns = 7;
	result.turns = (struct kt_turns_made){ .ended = 1, .switches = 2, .insns = UINT64_MAX };
	result.left_behind = 5;
	cr_assert(eq(int, kt_result_encode(&result, &data, &len), 0));
	cr_assert(le(sz, len, 48));
	cr_assert(eq(int, kt_result_decode(data, len, &back, NULL), 0));
	cr_assert(eq(int, (int)back.verdict, KT_VERDICT_PASS));
	cr_assert(eq(int, back.exit_status, 3));
	cr_assert(eq(u64, back.duration_ns, UINT64_C(1) << 40));
	cr_assert(eq(u64, back.turns.switches, 2));
	cr_assert(eq(u64, back.turns.insns, INT64_MAX));
	cr_assert(eq(u64, back.since_begin_ns, 7));
	cr_assert(eq(u32, back.left_behind, 5));
	cr_assert(lt(int, kt_result_decode(data, len - 1, &back, NULL), 0));
	words = data;
	words[0] = KT_N_VERDICTS;
	cr_assert(lt(int, kt_result_decode(data, len, &back, NULL), 0));
	words[0] = KT_VERDICT_PASS;
	words[1] = 256; /* the exit status */
	cr_assert(lt(int, kt_result_decode(data, len, &back, NULL), 0));
}

Test(result, times_are_numbers_that_json_has)
{
	struct kt_result result = { .verdict = KT_VERDICT_PASS, .duration_ns = UINT64_MAX }, back;
	KT_FREE void *data = NULL;
	json_t *json;
	size_t len;

	result.since_begin_ns = UINT64_MAX - 7;
	cr_assert(zero(int, kt_result_encode(&result, &data, &len)));
	cr_assert(zero(int, kt_result_decode(data, len, &back, NULL)));
	json = kt_result_to_json(&back);
	cr_assert(zero(int, kt_result_from_json(json, &result, NULL)));
	cr_assert(eq(u64, result.duration_ns, INT64_MAX));
	json_decref(json);
}

Test(result, many_large_failures_fit_into_one_frame)
{
	static char large[100000];
	struct kt_failure failure = {
		.file = large, .what = large, .expected = large, .got = large
	};
	struct kt_result result = KT_RESULT_NULL;
	KT_FREE void *data = NULL;
	size_t len;

	memset(large, 'x', sizeof(large) - 1);
	for (unsigned int i = 0; i < KT_FAILURES_MAX; i++)
		cr_assert(eq(int, kt_result_add_failure(&result, &failure), 0));
	cr_assert(eq(int, kt_result_add_failure(&result, &failure), -ENOSPC));
	cr_assert(eq(int, kt_result_encode(&result, &data, &len), 0));
	cr_assert(lt(sz, len, KT_FRAME_PAYLOAD_MAX));
	kt_result_deinit(&result);
}

/* JSON needs two bytes for a quote: what fits as text need not fit as a frame. */
Test(result, texts_that_grow_in_json_fit_into_one_frame)
{
	static char quotes[3000];
	struct kt_failure failure = {
		.file = quotes, .what = quotes, .expected = quotes, .got = quotes
	};
	struct kt_result result = KT_RESULT_NULL, back;
	KT_FREE void *data = NULL;
	size_t len;

	memset(quotes, '"', sizeof(quotes) - 1);
	for (unsigned int i = 0; i < KT_FAILURES_MAX + 3; i++)
		(void)kt_result_add_failure(&result, &failure);
	cr_assert(eq(int, kt_result_encode(&result, &data, &len), 0));
	cr_assert(le(sz, len, KT_FRAME_PAYLOAD_MAX));
	cr_assert(eq(int, kt_result_decode(data, len, &back, NULL), 0));
	cr_assert(eq(int, (int)back.verdict, KT_VERDICT_FAIL));
	cr_assert(eq(sz, back.n_failures, KT_FAILURES_MAX));
	cr_assert(eq(u32, back.n_failures_lost, 3));
	cr_assert(eq(str, back.shed, "the ends of long texts"));
	kt_result_deinit(&result);
	kt_result_deinit(&back);
}

static json_t *list_of(size_t n, const char *member, size_t member_len)
{
	json_t *list = json_array();
	char *text = calloc(1, member_len + 1);

	memset(text, 'm', member_len);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_pack("{ss}", member, text));
	free(text);
	return list;
}

/* Each list alone is too large for a frame; what is less useful goes first, the verdict never. */
Test(result, detail_is_left_out_in_a_fixed_order)
{
	static const struct {
		const char *list, *member;
		size_t n, len;
		const char *shed;
	} cases[] = {
		{ "workers", "cgroup", 20000, 100, "the table of workers" },
		{ "payloads", "output", 100, 20000, "the ends of long texts" },
		{ "payloads", "metrics", 5000, 350, "metrics of payloads" },
		{ "schedulers", "name", 20000, 100, "the middle of long lists" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_result result = { .verdict = KT_VERDICT_INCONCLUSIVE }, back;
		KT_FREE void *data = NULL;
		size_t len;

		result.scenario = json_pack("{so}", cases[i].list,
					    list_of(cases[i].n, cases[i].member, cases[i].len));
		cr_assert(eq(int, kt_result_encode(&result, &data, &len), 0));
		cr_assert(le(sz, len, KT_FRAME_PAYLOAD_MAX));
		cr_assert(eq(int, kt_result_decode(data, len, &back, NULL), 0));
		cr_assert(eq(int, (int)back.verdict, KT_VERDICT_INCONCLUSIVE));
		cr_assert(eq(str, back.shed, (char *)cases[i].shed));
		kt_result_deinit(&result);
		kt_result_deinit(&back);
	}
}

/* The long form: JSON behind a header. */
#define RSLT_HEADER 48u /* bytes before the JSON */

static int decode_json_result(const char *json, struct kt_result *ret_result)
{
	char payload[1024] = { 0 };

	(void)snprintf(payload + RSLT_HEADER, sizeof(payload) - RSLT_HEADER, "%s", json);
	return kt_result_decode(payload, RSLT_HEADER + strlen(json), ret_result, NULL);
}

Test(result, times_that_make_no_sense_do_not_lose_the_verdict)
{
	struct kt_result result;

	cr_assert(eq(int,
		     decode_json_result("{\"verdict\":\"fail\",\"failures\":[{\"what\":\"x\","
					"\"line\":-1,\"step\":-7,\"elapsed_ns\":-1}],"
					"\"duration_ns\":-1,\"since_begin_ns\":\"soon\","
					"\"exit_status\":256}",
					&result),
		     0));
	cr_assert(eq(int, (int)result.verdict, KT_VERDICT_FAIL));
	cr_assert(eq(str, result.failures[0].what, "x"));
	cr_assert(eq(int, result.failures[0].step, -1));
	cr_assert(zero(u64, result.duration_ns));
	cr_assert(eq(int, result.exit_status, 255));
	kt_result_deinit(&result);
}

Test(result, hostile_input)
{
	static const char *const bad[] = {
		"{}",
		"{\"verdict\":\"great\",\"failures\":[],\"duration_ns\":0,\"since_begin_ns\":0,"
		"\"exit_status\":0}",
		"{\"verdict\":\"pass\",\"failures\":{},\"duration_ns\":0,\"since_begin_ns\":0,"
		"\"exit_status\":0}",
		"{\"verdict\":\"pass\",\"failures\":[1],\"duration_ns\":0,\"since_begin_ns\":0,"
		"\"exit_status\":0}",
		"{\"verdict\":\"pass\",\"failures\":[{\"line\":-1}],\"duration_ns\":0,\"since_"
		"begin_ns\":0,\"exit_"
		"status\":0}",
	};
	struct kt_result result;

	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++)
		cr_assert(lt(int, decode_json_result(bad[i], &result), 0), "case %zu", i);
}

/* A guest that claims to have passed with failures has failed. */
Test(result, a_pass_with_failures_is_a_fail)
{
	static const char text[] =
		"{\"verdict\":\"pass\",\"failures\":[{\"line\":1,\"what\":\"w\","
		"\"step\":-1,\"elapsed_ns\":0,\"excess_ns\":0}],\"duration_ns\":0,"
		"\"since_begin_ns\":0,"
		"\"exit_status\":0}";
	struct kt_result result;

	cr_assert(eq(int, decode_json_result(text, &result), 0));
	cr_assert(eq(int, (int)result.verdict, KT_VERDICT_FAIL));
	kt_result_deinit(&result);
}

Test(json, text_of_any_bytes_becomes_a_string)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{ "plain", "plain" },
		{ "tab\tline\n", "tab\tline\n" },
		{ "bell\a and \033[1m", "bell and [1m" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },                 /* overlong */
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* surrogate */
		{ "cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_JSON json_t *json = kt_json_text(cases[i].in, strlen(cases[i].in));

		cr_assert(ne(ptr, json, NULL));
		cr_assert(eq(str, (char *)json_string_value(json), (char *)cases[i].out));
	}
}

Test(result, every_verdict_survives_both_forms)
{
	for (int verdict = 0; verdict < KT_N_VERDICTS; verdict++) {
		for (int says_more = 0; says_more < 2; says_more++) {
			struct kt_result result = KT_RESULT_NULL, back;
			KT_FREE void *data = NULL;
			size_t len;

			result.verdict = (enum kt_verdict)verdict;
			kt_result_set_reason(&result, says_more ? "a reason" : NULL);
			cr_assert(eq(int, kt_result_encode(&result, &data, &len), 0));
			cr_assert(eq(int, kt_result_decode(data, len, &back, NULL), 0));
			cr_assert(eq(int, (int)back.verdict, verdict));
			kt_result_deinit(&result);
			kt_result_deinit(&back);
		}
	}
}
