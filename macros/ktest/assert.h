/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Assertions. KT_ASSERT*() records a failure and returns KT_FAILED from the function that contains
 * it; KT_EXPECT*() records a failure and goes on. Each argument is evaluated once.
 *
 * Names that end in an underscore, and functions, are for the macros only.
 */

#include <stdio.h>
#include <string.h>
#ifdef __cplusplus
#include <cstddef>
#endif

#include <ktest/ctx.h>

/* This place in the source, as a struct kt_where. */
#define KT_HERE ((struct kt_where){ __FILE__, __LINE__ })

/* Size of a buffer that holds the text of any number or pointer, or the beginning of a string. */
#define KT_VALUE_TEXT_MAX 256

/* Each of these writes @value to @text, which has KT_VALUE_TEXT_MAX bytes, and returns @text. */
static inline const char *kt_text_int(char *text, long long value)
{
	(void)snprintf(text, KT_VALUE_TEXT_MAX, "%lld", value);
	return text;
}

static inline const char *kt_text_uint(char *text, unsigned long long value)
{
	(void)snprintf(text, KT_VALUE_TEXT_MAX, "%llu", value);
	return text;
}

static inline const char *kt_text_double(char *text, double value)
{
	(void)snprintf(text, KT_VALUE_TEXT_MAX, "%g", value);
	return text;
}

static inline const char *kt_text_pointer(char *text, const volatile void *value)
{
	(void)snprintf(text, KT_VALUE_TEXT_MAX, "%p", (const void *)value);
	return text;
}

static inline const char *kt_text_string(char *text, const char *value)
{
	char *to = text;

	if (!value) {
		(void)snprintf(text, KT_VALUE_TEXT_MAX, "NULL");
		return text;
	}
	*to++ = '"';
	for (; *value && to < text + KT_VALUE_TEXT_MAX - 8; value++) {
		if (*value == '\n') {
			*to++ = '\\';
			*to++ = 'n';
		} else {
			*to++ = *value;
		}
	}
	(void)snprintf(to, 8, "\"%s", *value ? "..." : "");
	return text;
}

#ifdef __cplusplus
extern "C++" {
template <typename T> static inline const char *kt_text_value(char *text, T value)
{
	if (static_cast<T>(-1) < static_cast<T>(0))
		return kt_text_int(text, static_cast<long long>(value));
	return kt_text_uint(text, static_cast<unsigned long long>(value));
}
template <typename T> static inline const char *kt_text_value(char *text, T *value)
{
	return kt_text_pointer(text, value);
}
static inline const char *kt_text_value(char *text, double value)
{
	return kt_text_double(text, value);
}
static inline const char *kt_text_value(char *text, std::nullptr_t)
{
	return kt_text_pointer(text, nullptr);
}
}
#define KT_TEXT_VALUE(text, value) kt_text_value(text, value)
#else
/* clang-format off */
#define KT_TEXT_VALUE(text, value)                                                                 \
	_Generic((value),                                                                          \
		_Bool: kt_text_uint, char: kt_text_int, signed char: kt_text_int,                  \
		short: kt_text_int, int: kt_text_int, long: kt_text_int,                           \
		long long: kt_text_int, unsigned char: kt_text_uint,                               \
		unsigned short: kt_text_uint, unsigned int: kt_text_uint,                          \
		unsigned long: kt_text_uint, unsigned long long: kt_text_uint,                     \
		float: kt_text_double, double: kt_text_double,                                     \
		default: kt_text_pointer)(text, value)
/* clang-format on */
#endif

/*
 * Both sides of a comparison are converted to long double, whose mantissa has 64 bits on x86-64 and
 * so holds every 64-bit integer exactly. This way -1 is less than 0u, whatever the types are.
 */
#ifdef __cplusplus
extern "C++" {
template <typename T> static inline long double kt_number(T value)
{
	return static_cast<long double>(value);
}
template <typename T> static inline long double kt_number(T *value)
{
	return static_cast<long double>(reinterpret_cast<uintptr_t>(value));
}
static inline long double kt_number(std::nullptr_t)
{
	return 0;
}
}
#define KT_NUMBER_(value)     kt_number(value)
#define KT_AUTO_(name, value) auto name = (value)
#else
/* The conditional turns arrays into pointers, and bit-fields into numbers. */
#define KT_AUTO_(name, value) __typeof__(1 ? (value) : (value)) name = (value)
/* __builtin_classify_type() of a pointer is 5 (pointer_type_class in GCC and clang). */
#define KT_NUMBER_(value)                                                                          \
	((long double)__builtin_choose_expr(__builtin_classify_type(value) == 5,                   \
					    (uintptr_t)(value), (value)))
#endif

#define KT_ON_FAILURE_RETURN_ return KT_FAILED
#define KT_ON_FAILURE_GO_ON_  (void)0

#define KT_CHECK_TRUE_(ctx, condition, text, on_failure)                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			kt_fail_values(ctx, KT_HERE, text, "true", "false");                       \
			on_failure;                                                                \
		}                                                                                  \
	} while (0)

#define KT_CHECK_COMPARE_(ctx, a, op, b, text, on_failure)                                         \
	do {                                                                                       \
		KT_AUTO_(kt_a_, a);                                                                \
		KT_AUTO_(kt_b_, b);                                                                \
		if (!(KT_NUMBER_(kt_a_) op KT_NUMBER_(kt_b_))) {                                   \
			char kt_got_[KT_VALUE_TEXT_MAX],                                           \
				kt_want_[KT_VALUE_TEXT_MAX + 4] = #op " ";                         \
			(void)KT_TEXT_VALUE(kt_got_, kt_a_);                                       \
			(void)KT_TEXT_VALUE(kt_want_ + sizeof(#op), kt_b_);                        \
			kt_fail_values(ctx, KT_HERE, text, kt_want_, kt_got_);                     \
			on_failure;                                                                \
		}                                                                                  \
	} while (0)

#define KT_CHECK_STRING_(ctx, a, relation, found, b, text, on_failure)                             \
	do {                                                                                       \
		const char *kt_a_ = (a), *kt_b_ = (b);                                             \
		if (!kt_a_ || !kt_b_ || !(found)) {                                                \
			char kt_got_[KT_VALUE_TEXT_MAX];                                           \
			char kt_want_[KT_VALUE_TEXT_MAX + sizeof(relation)] = relation " ";        \
			(void)kt_text_string(kt_got_, kt_a_);                                      \
			(void)kt_text_string(kt_want_ + sizeof(relation), kt_b_);                  \
			kt_fail_values(ctx, KT_HERE, text, kt_want_, kt_got_);                     \
			on_failure;                                                                \
		}                                                                                  \
	} while (0)

#define KT_CHECK_OK_(ctx, call, text, on_failure)                                                  \
	do {                                                                                       \
		long long kt_r_ = (call);                                                          \
		if (kt_r_ < 0) {                                                                   \
			if (kt_r_ != KT_FAILED)                                                    \
				kt_fail(ctx, KT_HERE, "%s: %s", text, strerror((int)-kt_r_));      \
			on_failure;                                                                \
		}                                                                                  \
	} while (0)

/*
 * The texts of the conditions are made in these macros, where the arguments are not expanded yet:
 * a `false` in a condition is shown as `false`.
 *
 * KT_ASSERT() takes any condition; _EQ to _GE compare numbers or pointers of any type by value;
 * _STREQ compares strings; _CONTAINS requires that the string @a contains @b. A string that is NULL
 * is a failure.
 */
#define KT_ASSERT(ctx, condition) KT_CHECK_TRUE_(ctx, condition, #condition, KT_ON_FAILURE_RETURN_)
#define KT_ASSERT_EQ(ctx, a, b)                                                                    \
	KT_CHECK_COMPARE_(ctx, a, ==, b, #a " == " #b, KT_ON_FAILURE_RETURN_)
#define KT_ASSERT_NE(ctx, a, b)                                                                    \
	KT_CHECK_COMPARE_(ctx, a, !=, b, #a " != " #b, KT_ON_FAILURE_RETURN_)
#define KT_ASSERT_LT(ctx, a, b) KT_CHECK_COMPARE_(ctx, a, <, b, #a " < " #b, KT_ON_FAILURE_RETURN_)
#define KT_ASSERT_LE(ctx, a, b)                                                                    \
	KT_CHECK_COMPARE_(ctx, a, <=, b, #a " <= " #b, KT_ON_FAILURE_RETURN_)
#define KT_ASSERT_GT(ctx, a, b) KT_CHECK_COMPARE_(ctx, a, >, b, #a " > " #b, KT_ON_FAILURE_RETURN_)
#define KT_ASSERT_GE(ctx, a, b)                                                                    \
	KT_CHECK_COMPARE_(ctx, a, >=, b, #a " >= " #b, KT_ON_FAILURE_RETURN_)
#define KT_ASSERT_STREQ(ctx, a, b)                                                                 \
	KT_CHECK_STRING_(ctx, a, "is", !strcmp(kt_a_, kt_b_), b, #a " is " #b,                     \
			 KT_ON_FAILURE_RETURN_)
#define KT_ASSERT_CONTAINS(ctx, a, b)                                                              \
	KT_CHECK_STRING_(ctx, a, "contains", strstr(kt_a_, kt_b_), b, #a " contains " #b,          \
			 KT_ON_FAILURE_RETURN_)

#define KT_EXPECT(ctx, condition) KT_CHECK_TRUE_(ctx, condition, #condition, KT_ON_FAILURE_GO_ON_)

#define KT_EXPECT_EQ(ctx, a, b) KT_CHECK_COMPARE_(ctx, a, ==, b, #a " == " #b, KT_ON_FAILURE_GO_ON_)
#define KT_EXPECT_NE(ctx, a, b) KT_CHECK_COMPARE_(ctx, a, !=, b, #a " != " #b, KT_ON_FAILURE_GO_ON_)
#define KT_EXPECT_LT(ctx, a, b) KT_CHECK_COMPARE_(ctx, a, <, b, #a " < " #b, KT_ON_FAILURE_GO_ON_)
#define KT_EXPECT_LE(ctx, a, b) KT_CHECK_COMPARE_(ctx, a, <=, b, #a " <= " #b, KT_ON_FAILURE_GO_ON_)
#define KT_EXPECT_GT(ctx, a, b) KT_CHECK_COMPARE_(ctx, a, >, b, #a " > " #b, KT_ON_FAILURE_GO_ON_)
#define KT_EXPECT_GE(ctx, a, b) KT_CHECK_COMPARE_(ctx, a, >=, b, #a " >= " #b, KT_ON_FAILURE_GO_ON_)
#define KT_EXPECT_STREQ(ctx, a, b)                                                                 \
	KT_CHECK_STRING_(ctx, a, "is", !strcmp(kt_a_, kt_b_), b, #a " is " #b, KT_ON_FAILURE_GO_ON_)
#define KT_EXPECT_CONTAINS(ctx, a, b)                                                              \
	KT_CHECK_STRING_(ctx, a, "contains", strstr(kt_a_, kt_b_), b, #a " contains " #b,          \
			 KT_ON_FAILURE_GO_ON_)

/*
 * KT_ASSERT_OK(), KT_EXPECT_OK() - the call returns a value that is not negative
 *
 * The message shows a negative value as the errno that it is. KT_FAILED means that the failure is
 * recorded already, and is not recorded again.
 */
#define KT_ASSERT_OK(ctx, call) KT_CHECK_OK_(ctx, call, #call, KT_ON_FAILURE_RETURN_)
#define KT_EXPECT_OK(ctx, call) KT_CHECK_OK_(ctx, call, #call, KT_ON_FAILURE_GO_ON_)

/* KT_FAIL() - records a failure with a message (printf format), and returns KT_FAILED */
#define KT_FAIL(ctx, ...) return kt_fail(ctx, KT_HERE, __VA_ARGS__)

/*
 * KT_SKIP(), KT_INCONCLUSIVE() - end the function with the verdict SKIP: the test does not apply
 * here; or INCONCLUSIVE: it has measured nothing. Both take a reason (printf format), and return
 * KT_FAILED.
 */
#define KT_SKIP(ctx, ...)         return kt_skip(ctx, __VA_ARGS__)
#define KT_INCONCLUSIVE(ctx, ...) return kt_inconclusive(ctx, __VA_ARGS__)
