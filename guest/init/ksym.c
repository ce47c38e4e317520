/* SPDX-License-Identifier: MIT */
/*
 * Looks up addresses of kernel symbols with a small BPF program that is written here in
 * instructions, so that no object file is needed. A program of type SYSCALL runs when it is asked
 * to, and may call bpf_kallsyms_lookup_name().
 */
#include "guest/init/ksym.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

#define NAME_WORDS 4 /* of 64 bits: room for a name of 31 characters and a NUL */

/* The context of the program. It reads @name and fills in @address. */
struct lookup {
	char name[NAME_WORDS * sizeof(uint64_t)];
	uint64_t address;
};

#define LOAD(dst, src, offset)                                                                     \
	{                                                                                          \
		.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = (dst), .src_reg = (src),            \
		.off = (offset)                                                                    \
	}
#define STORE(dst, offset, src)                                                                    \
	{                                                                                          \
		.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = (dst), .src_reg = (src),            \
		.off = (offset)                                                                    \
	}
#define MOVE(dst, src)                                                                             \
	{                                                                                          \
		.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (dst), .src_reg = (src)            \
	}
#define SET(dst, value)                                                                            \
	{                                                                                          \
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (dst), .imm = (value)              \
	}
#define ADD(dst, value)                                                                            \
	{                                                                                          \
		.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = (dst), .imm = (value)              \
	}
#define CALL(function)                                                                             \
	{                                                                                          \
		.code = BPF_JMP | BPF_CALL, .imm = (function)                                      \
	}
#define EXIT                                                                                       \
	{                                                                                          \
		.code = BPF_JMP | BPF_EXIT                                                         \
	}

/*
 * The copy of the context on the program's stack: a helper does not accept pointers into the
 * context.
 */
#define COPY         ((int)-sizeof(struct lookup))
#define COPY_ADDRESS (COPY + (int)offsetof(struct lookup, address))
#define COPY_WORD(i)                                                                               \
	LOAD(BPF_REG_1, BPF_REG_6, 8 * (i)), STORE(BPF_REG_10, COPY + 8 * (i), BPF_REG_1)

/*
 * In C: copy = *context; bpf_kallsyms_lookup_name(copy.name, sizeof(copy.name), 0, &copy.address);
 * context->address = copy.address; return the result of the helper. R6 holds the context, since
 * calls destroy R1 to R5. Returns a descriptor, or a negative value.
 */
static int load_program(void)
{
	static const struct bpf_insn program[] = {
		MOVE(BPF_REG_6, BPF_REG_1),
		COPY_WORD(0),
		COPY_WORD(1),
		COPY_WORD(2),
		COPY_WORD(3),
		COPY_WORD(4),
		MOVE(BPF_REG_1, BPF_REG_10),
		ADD(BPF_REG_1, COPY),
		SET(BPF_REG_2, NAME_WORDS * sizeof(uint64_t)),
		SET(BPF_REG_3, 0),
		MOVE(BPF_REG_4, BPF_REG_10),
		ADD(BPF_REG_4, COPY_ADDRESS),
		CALL(BPF_FUNC_kallsyms_lookup_name),
		LOAD(BPF_REG_1, BPF_REG_10, COPY_ADDRESS),
		STORE(BPF_REG_6, offsetof(struct lookup, address), BPF_REG_1),
		EXIT,
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_SLEEPABLE);

	return bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "ksym", "GPL", program, KT_ARRAY_LEN(program),
			     &options);
}

/* Runs the program once. Returns 0 when the kernel does not know the symbol. */
static uint64_t find(int program_fd, const char *name)
{
	struct lookup lookup = { .address = 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &lookup, .ctx_size_in = sizeof(lookup));

	if (strlen(name) >= sizeof(lookup.name))
		return 0;
	(void)strcpy(lookup.name, name);
	if (bpf_prog_test_run_opts(program_fd, &run) < 0 || run.retval)
		return 0;
	return lookup.address;
}

void kt_ksyms_find(struct kt_ksym *symbols, unsigned int n)
{
	KT_CLOSE int program_fd = load_program();

	for (unsigned int i = 0; i < n; i++)
		symbols[i].address = program_fd < 0 ? 0 : find(program_fd, symbols[i].name);
}
